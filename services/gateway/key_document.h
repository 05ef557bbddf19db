// What another server publishes about its keys (server-server API, "Publishing Keys"), believed only as far as it
// proves itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/json.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"

namespace postern::gateway {

inline constexpr std::size_t kMaxKeyDocumentBytes = 64 * 1024;
inline constexpr std::size_t kMaxKeysOfAServer = 64;

struct FetchedKeys;

/// The text of a key document that its server has signed with every key in it. Only ReadKeyDocument makes one, so that
/// nothing else can be signed as a notary (pitfall K08).
class KeyDocument {
 public:
  /// Canonical JSON, with the server's own signatures and nobody else's (pitfall K04).
  const std::string& text() const { return text_; }

 private:
  friend absl::StatusOr<FetchedKeys> ReadKeyDocument(const matrix::JsonObject&, const matrix::ServerName&);
  explicit KeyDocument(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A server's keys, what proves them, and who said so.
struct FetchedKeys {
  matrix::ServerKeys keys;
  /// Left out where it is longer than what is kept for passing on.
  std::optional<KeyDocument> document;
  /// "direct", or the notary's name.
  std::string from;
};

/// The keys in `document`, which is said to be of `server`. Every ed25519 key of `verify_keys` must have signed it;
/// keys of other algorithms are skipped, keys that are known to the world too (pitfall K07). Its time may be over.
/// Refuses: kOriginKeyUnavailable for a document that is broken, of another server, unsigned, or without a key.
absl::StatusOr<FetchedKeys> ReadKeyDocument(const matrix::JsonObject& document, const matrix::ServerName& server);
/// The same from text; more than kMaxKeyDocumentBytes is refused.
absl::StatusOr<FetchedKeys> ReadKeyDocument(std::string_view document, const matrix::ServerName& server);

}  // namespace postern::gateway
