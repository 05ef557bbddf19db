// What an operator may set. Every key is a line of the YAML file, a POSTERN_… variable and a flag; --help lists them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "configuration/settings.h"
#include "http/address_policy.h"
#include "rpc/span_exporter.h"
#include "rpc/transport_security.h"
#include "services/gateway/federation_sender.h"
#include "services/gateway/key_source.h"
#include "services/gateway/origin_limiter.h"

namespace postern::gateway {

struct GatewayConfig {
  std::string server_name;
  std::string listen = "127.0.0.1:8008";
  std::string tls_certificate_file;
  std::string tls_key_file;
  std::string admin_grpc_listen = "127.0.0.1:7103";
  std::string admin_listen = "127.0.0.1:9093";
  std::string port_file;

  std::string signing_key_file;
  std::vector<std::string> old_verify_keys;
  std::string old_verify_keys_file;
  /// How often they are looked at.
  absl::Duration signing_key_check_interval = absl::Seconds(10);
  std::vector<Notary> notaries;
  bool notaries_first = false;

  std::string store = "127.0.0.1:7102";
  std::string validator = "127.0.0.1:7101";
  rpc::TransportSecurity between_services;
  /// Who may call the admin service.
  rpc::Admission callers;
  rpc::SpanExport spans{.service_name = "postern-gateway"};

  bool allow_private_networks = false;
  std::vector<http::IpNetwork> allowed_networks;
  std::vector<std::string> dns_servers;
  bool insecure_federation_tls = false;
  std::string federation_ca_file;

  bool rate_limits = true;
  OriginLimiterOptions rc_federation;
  std::int64_t address_per_second = 500;
  std::int64_t address_burst = 5000;
  std::string client_address_header;

  /// Whether other servers are served; `sender.takes`: whether they are told.
  bool serves = true;
  SenderOptions sender;

  bool v1_send_leave = true;
  bool v1_send_join = true;
  absl::Duration request_timeout = absl::Seconds(20);
  absl::Duration longest_wait = absl::Seconds(1);
  /// How long it serves on after SIGTERM, no longer ready.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration shutdown_grace = absl::Seconds(20);
  std::int64_t workers = 32;
  std::int64_t queue_limit = 2048;
  /// The share of requests whose spans are kept, of those that do not come sampled; from 0 to 1.
  double trace_sample_ratio = 0;
  std::string log_level = "info";
};

/// Fills `config` from file, environment and flags. Mistakes are printed.
configuration::Start ReadConfig(int argc, const char* const* argv, GatewayConfig& config);

}  // namespace postern::gateway
