#include "posternctl/connection.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>

#include <sstream>
#include <string_view>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "rpc/bearer_token.h"
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

absl::Status AddToken(const GlobalOptions& global, grpc::ClientContext& context) {
  if (global.token_file.empty()) return absl::OkStatus();
  const auto token = rpc::ReadToken(global.token_file);
  if (!token.ok()) return token.status();
  context.AddMetadata("authorization", rpc::BearerOf(*token));
  return absl::OkStatus();
}

absl::Status FailedCall(const grpc::Status& status, const std::string& peer) {
  const bool ours = !status.error_details().empty();
  const bool not_let_in = status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
                          status.error_code() == grpc::StatusCode::UNAUTHENTICATED;
  if (!ours && not_let_in) {
    return matrix::Refuse(matrix::Reason::kUnauthenticated,
                          fmt::format("not let in by the {}: {}", peer, status.error_message()));
  }
  const absl::Status read = rpc::FromGrpc(status, matrix::Reason::kStoreDown);
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE || ours) return read;
  return matrix::Refuse(matrix::Reason::kStoreDown,
                        fmt::format("no answer from the {}: {}", peer, status.error_message()));
}

}  // namespace postern::posternctl
