// What an operator may set. Every key is a line of the YAML file, a POSTERN_… variable and a flag; --help lists them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "configuration/settings.h"
#include "rpc/span_exporter.h"
#include "rpc/transport_security.h"

namespace postern::store {

struct StoreConfig {
  std::string server_name;
  std::string listen = "127.0.0.1:7102";
  std::string admin_listen = "127.0.0.1:9092";
  std::string port_file;
  rpc::TransportSecurity between_services;
  rpc::Admission callers;
  rpc::SpanExport spans{.service_name = "postern-store"};

  /// Holds the connection string, for it may hold a password.
  std::string database_uri_file;
  /// The string itself: for tests and development.
  std::string database_uri;
  bool transaction_pooler = false;
  std::int64_t connections = 16;
  std::int64_t batches = 1;
  std::int64_t queue_limit = 1024;
  std::int64_t room_partitions = 0;

  bool allow_seeding = false;
  std::int64_t refusals_limit = 10'000;
  std::int64_t remote_servers_limit = 100'000;
  absl::Duration max_connection_age = absl::ZeroDuration();
  /// How long it serves on after SIGTERM, no longer ready.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration shutdown_grace = absl::Seconds(20);
  std::string log_level = "info";
};

/// Fills `config` from file, environment and flags. Mistakes are printed.
configuration::Start ReadConfig(int argc, const char* const* argv, StoreConfig& config);

}  // namespace postern::store
