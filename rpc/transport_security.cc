#include "rpc/transport_security.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "fmt/format.h"
#include "matrix/refusal.h"
#include "rpc/bearer_token.h"
#include "rpc/call_admission.h"

namespace postern::rpc {
namespace {

absl::Status CheckFiles(const TransportSecurity& security) {
  for (const std::string* file : {&security.certificate_file, &security.key_file, &security.ca_file}) {
    if (file->empty()) {
      return matrix::Refuse(
          matrix::Reason::kInvalidArgument,
          "between services either plaintext is asked for, or certificate, key and CA files are given");
    }
    if (!std::ifstream(*file))
      return matrix::Refuse(matrix::Reason::kInvalidArgument, fmt::format("cannot read {}", *file));
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::experimental::CertificateProviderInterface> Watch(const TransportSecurity& security) {
  const auto seconds = static_cast<unsigned>(std::max<std::int64_t>(1, absl::ToInt64Seconds(security.check_interval)));
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      security.key_file, security.certificate_file, security.ca_file, seconds);
}

bool IsUnix(const std::string& listen) { return listen.starts_with("unix:"); }

bool IsOnThisMachine(const std::string& listen) {
  return IsUnix(listen) || listen.starts_with("127.0.0.1:") || listen.starts_with("[::1]:") ||
         listen.starts_with("localhost:");
}

/// A wildcard may stand in a certificate, too.
bool IsDnsName(std::string_view name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*";
  return !name.empty() && name.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TransportSecurity& security) {
  if (security.plaintext) return grpc::InsecureServerCredentials();
  if (auto status = CheckFiles(security); !status.ok()) return status;
  grpc::experimental::TlsServerCredentialsOptions options(Watch(security));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

absl::Status CheckAdmission(const Admission& admission, const TransportSecurity& security, const std::string& listen) {
  for (const std::string& peer : admission.peers) {
    if (!IsDnsName(peer)) {
      return matrix::Refuse(matrix::Reason::kInvalidArgument,
                            fmt::format("allowed_peers: expected DNS names as certificates have them, not '{}'", peer));
    }
  }
  if (!security.plaintext) return absl::OkStatus();
  if (!admission.peers.empty()) {
    return matrix::Refuse(matrix::Reason::kInvalidArgument,
                          "allowed_peers: without TLS nobody has a name, so none can be asked for");
  }
  if (admission.token_file.empty() || IsOnThisMachine(listen)) return absl::OkStatus();
  return matrix::Refuse(
      matrix::Reason::kInvalidArgument,
      fmt::format("admin_token_file: a token crosses no network in plaintext: expected TLS, or 127.0.0.1, [::1] or "
                  "unix, not {}",
                  listen));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TransportSecurity& security,
                                                                               const Admission& admission,
                                                                               const std::string& listen,
                                                                               telemetry::Metrics* metrics) {
  if (admission.asks_nothing()) return MakeServerCredentials(security);
  if (absl::Status status = CheckAdmission(admission, security, listen); !status.ok()) return status;
  if (!admission.token_file.empty()) {
    if (absl::Status status = CheckTokenFile(admission.token_file); !status.ok()) return status;
  }
  // gRPC looks at no metadata where there is no security at all. On this machine itself plaintext is what it calls
  // local, which is nothing on the wire: any plaintext client connects.
  absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials =
      security.plaintext ? grpc::experimental::LocalServerCredentials(IsUnix(listen) ? UDS : LOCAL_TCP)
                         : MakeServerCredentials(security);
  if (credentials.ok()) (*credentials)->SetAuthMetadataProcessor(std::make_shared<CallAdmission>(admission, metrics));
  return credentials;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(const TransportSecurity& security) {
  if (security.plaintext) return grpc::InsecureChannelCredentials();
  if (auto status = CheckFiles(security); !status.ok()) return status;
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(security));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace postern::rpc
