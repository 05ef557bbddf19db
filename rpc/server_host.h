// One gRPC server: listening, health, reflection, keepalive, message limits, and an orderly end. The same for every
// service.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rpc/transport_security.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace postern::telemetry {
class Metrics;
}  // namespace postern::telemetry

namespace postern::rpc {

inline constexpr int kMaxMessageBytes = 64 * 1024 * 1024;

struct ServerOptions {
  std::string listen{};  // "127.0.0.1:0", "[::]:7101", "unix:/path"
  TransportSecurity security{};
  /// Who may call. Names need certificates; a token without TLS needs a listener on the loopback interface: 127.0.0.1,
  /// [::1] or unix.
  Admission admission{};
  /// Where refused calls are counted; may be null.
  telemetry::Metrics* metrics = nullptr;
  int max_message_bytes = kMaxMessageBytes;
  /// Then a client has to connect again, and looks up once more who serves; zero: never.
  absl::Duration max_connection_age = absl::ZeroDuration();
};

class ServerHost {
 public:
  /// Listens and serves `services` (not owned), grpc.health.v1 and reflection. Not healthy until SetServing(true).
  /// Refuses: kInvalidArgument, naming the address that could not be had, or what cannot be asked of callers.
  static absl::StatusOr<std::unique_ptr<ServerHost>> Start(const ServerOptions& options,
                                                           const std::vector<grpc::Service*>& services);
  ~ServerHost();

  /// The port that was had; what "listen" asked for, with 0 filled in.
  int port() const { return port_; }
  /// What grpc.health.v1 answers, for "" and every service.
  void SetServing(bool serving);
  /// Takes no new calls, lets those in flight finish until `deadline`, cancels the rest.
  void Shutdown(absl::Time deadline);

 private:
  ServerHost() = default;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace postern::rpc
