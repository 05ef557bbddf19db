#include "posternctl/connection.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>

#include <sstream>
#include <string_view>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "rpc/call_context.h"
#include "rpc/channel.h"
#include "rpc/status_codec.h"

namespace postern::posternctl {
namespace {

bool AllLoopback(const std::string& addresses) {
  std::istringstream list(addresses);
  std::string address;
  while (std::getline(list, address, ',')) {
    const std::string_view host = std::string_view(address).substr(0, address.rfind(':'));
    if (!host.starts_with("127.") && host != "localhost" && host != "[::1]" && !address.starts_with("unix:"))
      return false;
  }
  return true;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Open(const GlobalOptions& global, const std::string& addresses) {
  rpc::TransportSecurity security{.plaintext = global.plaintext,
                                  .certificate_file = global.certificate_file,
                                  .key_file = global.key_file,
                                  .ca_file = global.ca_file};
  const bool nothing_said = global.certificate_file.empty() && global.key_file.empty() && global.ca_file.empty();
  if (nothing_said && !security.plaintext) {
    if (!AllLoopback(addresses)) {
      return absl::InvalidArgumentError(fmt::format(
          "{} is not on this machine: give --certificate, --certificate-key and --ca, or --plaintext", addresses));
    }
    security.plaintext = true;
  }
  return rpc::OpenChannel(addresses, security);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenGatewayChannel(const GlobalOptions& global) {
  return Open(global, global.gateway);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenStoreChannel(const GlobalOptions& global) {
  return Open(global, global.store);
}

absl::StatusOr<std::unique_ptr<gateway::v1::Admin::Stub>> OpenGateway(const GlobalOptions& global) {
  const auto channel = Open(global, global.gateway);
  if (!channel.ok()) return channel.status();
  return gateway::v1::Admin::NewStub(*channel);
}

absl::StatusOr<std::unique_ptr<store::v1::Store::Stub>> OpenStore(const GlobalOptions& global) {
  const auto channel = Open(global, global.store);
  if (!channel.ok()) return channel.status();
  return store::v1::Store::NewStub(*channel);
}

absl::StatusOr<std::unique_ptr<validator::v1::Validator::Stub>> OpenValidator(const GlobalOptions& global) {
  const auto channel = Open(global, global.validator);
  if (!channel.ok()) return channel.status();
  return validator::v1::Validator::NewStub(*channel);
}

void Prepare(const GlobalOptions& global, grpc::ClientContext& context) {
  rpc::Prepare({.deadline = absl::Now() + absl::Seconds(global.timeout_seconds), .trace = telemetry::NewTrace()},
               context);
}

absl::Status FailedCall(const grpc::Status& status, const std::string& peer) {
  const absl::Status read = rpc::FromGrpc(status, matrix::Reason::kStoreDown);
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE || !status.error_details().empty()) return read;
  return matrix::Refuse(matrix::Reason::kStoreDown,
                        fmt::format("no answer from the {}: {}", peer, status.error_message()));
}

}  // namespace postern::posternctl
