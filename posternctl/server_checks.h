// What can be said of a homeserver from what it answers: whether it is there, and whether others will believe it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/http_message.h"
#include "http/shown_certificate.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"

namespace postern::posternctl {

enum class CheckOutcome { kOk, kWarning, kFailed, kSkipped };
/// "ok", "warning", "failed", "skipped".
std::string_view NameOf(CheckOutcome outcome);

struct CheckResult {
  std::string check;  // "keys"
  CheckOutcome outcome;
  /// One line for people. What a server wrote is in it as it wrote it: print it with Printable.
  std::string detail;
};

/// Of GET /_matrix/federation/v1/version. A Postern of another version than `ours` is a warning.
CheckResult CheckVersion(const http::Response& response, std::string_view ours);

/// By the Date of an answer that was asked for at `asked` and came at `came`: whole seconds.
CheckResult CheckClock(const http::Response& response, absl::Time asked, absl::Time came);

/// A key document (server-server API, "Publishing Keys") that is signed by each key in it.
struct PublishedKeys {
  std::string server_name;
  std::vector<matrix::VerifyKey> keys;  // those in use
  absl::Time valid_until;
};
/// Of GET /_matrix/key/v2/server. Refuses: kBadJson, saying what is wrong.
absl::StatusOr<PublishedKeys> ReadPublishedKeys(const http::Response& response);
/// `expected`: the name that the server should have; empty: any.
CheckResult CheckKeys(const absl::StatusOr<PublishedKeys>& published, std::string_view expected, absl::Time now);

/// Of the server that others find, who should be the one that was looked at.
CheckResult CheckFound(std::string_view found_at, const absl::StatusOr<PublishedKeys>& found,
                       const PublishedKeys& looked_at);

/// Of GET /.well-known/matrix/server (server-server API, "Resolving server names", step 3), from a 200. Refuses:
/// kBadJson.
absl::StatusOr<matrix::ServerName> ReadDelegation(const http::Response& response);

/// `name`: what other servers want the certificate to be for.
CheckResult CheckCertificate(const absl::StatusOr<http::ShownCertificate>& shown, std::string_view name,
                             absl::Time now);

/// Of GET /readyz on the admin port at `url`.
CheckResult CheckReady(std::string_view url, const absl::StatusOr<http::Response>& response);

}  // namespace postern::posternctl
