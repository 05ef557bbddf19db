#include "rpc/transport_security.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <fstream>

#include "fmt/format.h"
#include "matrix/refusal.h"

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
