// What an operator may set. Every key is a line of the YAML file, a POSTERN_… variable and a flag; --help lists them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "configuration/settings.h"
#include "rpc/span_exporter.h"
#include "rpc/transport_security.h"

namespace postern::validator {

struct ValidatorConfig {
  std::string listen = "127.0.0.1:7101";
  std::string admin_listen = "127.0.0.1:9091";
  std::string port_file;
  rpc::TransportSecurity between_services;
  rpc::Admission callers;
  rpc::SpanExport spans{.service_name = "postern-validator"};

  std::int64_t workers = 0;  // 0: one for each processor
  std::int64_t queue_limit = 1024;
  absl::Duration max_connection_age = absl::ZeroDuration();
  /// How long it serves on after SIGTERM, no longer ready.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration shutdown_grace = absl::Seconds(20);
  std::string log_level = "info";
};

/// Fills `config` from file, environment and flags. Mistakes are printed.
configuration::Start ReadConfig(int argc, const char* const* argv, ValidatorConfig& config);

}  // namespace postern::validator
