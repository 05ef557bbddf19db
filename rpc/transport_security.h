// How the services trust each other: mTLS from files that are watched and reloaded, or plaintext on request; and whom
// of those that are trusted a server lets call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace postern::telemetry {
class Metrics;
}  // namespace postern::telemetry

namespace postern::rpc {

struct TransportSecurity {
  bool plaintext = false;
  std::string certificate_file{};  // PEM, the service's own
  std::string key_file{};
  std::string ca_file{};  // whose certificates are believed: of who calls, and of whom we call
  /// How often the files are looked at; whole seconds, at least one.
  absl::Duration check_interval = absl::Seconds(10);
};

/// Who may call a server.
struct Admission {
  /// DNS names in certificates of those who may call, each exactly as it stands there; empty: whoever the authority
  /// vouches for.
  std::vector<std::string> peers{};
  /// Its first line is what each call must carry as `authorization: Bearer TOKEN`; empty: no token is asked for. Read
  /// anew at each call, so a new token holds at once; while there is none to be read, nobody is let in.
  std::string token_file{};

  bool asks_nothing() const { return peers.empty() && token_file.empty(); }
};

/// Refuses: kInvalidArgument where neither plaintext nor all three files are given, or a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TransportSecurity& security);
/// Whether callers can be asked that much: names need certificates; a token without TLS needs `listen` to be on the
/// loopback interface, at 127.0.0.1, [::1], localhost or a unix socket. Refuses: kInvalidArgument. Reads no file.
absl::Status CheckAdmission(const Admission& admission, const TransportSecurity& security, const std::string& listen);
/// The same, and each call is looked at. `metrics` may be null. Refuses: kInvalidArgument too as CheckAdmission, or
/// where there is no token.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TransportSecurity& security,
                                                                               const Admission& admission,
                                                                               const std::string& listen,
                                                                               telemetry::Metrics* metrics);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(const TransportSecurity& security);

}  // namespace postern::rpc
