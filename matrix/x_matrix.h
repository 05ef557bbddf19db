// X-Matrix: how servers authenticate their requests (server-server API, "Request Authentication").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "matrix/json.h"
#include "matrix/signature.h"

namespace postern::matrix {

/// One parsed `Authorization` header. Names and key ids are as written; nothing is validated beyond the grammar.
struct XMatrixHeader {
  std::string origin;
  std::optional<std::string> destination;
  std::string key;  // "ed25519:abc"
  std::string sig;  // base64
};

/// Whether `header` is of the X-Matrix scheme at all (others are skipped).
bool IsXMatrix(std::string_view header);

/// Reads one header value by the grammar of RFC 9110 11.4 as the API narrows it. Refuses: kUnauthenticated for anything
/// outside the grammar, repeated names, or a missing origin, key or sig.
absl::StatusOr<XMatrixHeader> ParseXMatrix(std::string_view header);

/// What a request's signature covers. `uri` is the request target as received. No `content` for requests without a
/// body.
struct SignedRequest {
  std::string_view method;
  std::string_view uri;
  std::string_view origin;
  std::string_view destination;
  const Json* content = nullptr;
};

/// The canonical JSON that is signed.
std::string RequestToSign(const SignedRequest& request);

/// base64 of the signature.
std::string SignRequest(const SignedRequest& request, const SigningKey& key);

/// Whether `sig` (base64) over the request is by `public_key` (32 bytes).
bool VerifyRequest(const SignedRequest& request, std::string_view sig, std::string_view public_key);

/// The header that a sender writes.
std::string FormatXMatrix(const XMatrixHeader& header);

}  // namespace postern::matrix
