// How the services trust each other: mTLS from files that are watched and reloaded, or plaintext on request.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace postern::rpc {

struct TransportSecurity {
  bool plaintext = false;
  std::string certificate_file{};  // PEM, the service's own
  std::string key_file{};
  std::string ca_file{};  // who may call, and whom we call
  /// How often the files are looked at; whole seconds, at least one.
  absl::Duration check_interval = absl::Seconds(10);
};

/// Refuses: kInvalidArgument where neither plaintext nor all three files are given, or a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TransportSecurity& security);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(const TransportSecurity& security);

}  // namespace postern::rpc
