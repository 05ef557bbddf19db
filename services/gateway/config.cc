#include "services/gateway/config.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "http/tls_files.h"
#include "matrix/refusal.h"
#include "matrix/server_name.h"
#include "rpc/bearer_token.h"
#include "services/gateway/signing_keys.h"

namespace postern::gateway {
namespace {

using configuration::Settings;
using matrix::Reason;
using matrix::Refuse;

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

/// As they are written.
struct TracingSettings {
  std::string sample_ratio = "0";
};
struct SenderSettings {
  std::vector<std::string> roles;
  std::int64_t at_once = static_cast<std::int64_t>(SenderOptions().at_once);
};

using OwnLimits = std::map<std::string, std::map<std::string, std::int64_t>>;

/// rc_federation as Synapse writes it: times in milliseconds.
struct FederationLimits {
  std::int64_t window_size = 1000;
  std::int64_t sleep_delay = 500;
  OwnLimits origins;
};

OriginLimits OwnLimitsOf(const OriginLimits& general, const std::map<std::string, std::int64_t>& own) {
  OriginLimits limits = general;
  for (const auto& [field, value] : own) {
    if (field == "window_size") limits.window_size = absl::Milliseconds(value);
    if (field == "sleep_limit") limits.sleep_limit = value;
    if (field == "sleep_delay") limits.sleep_delay = absl::Milliseconds(value);
    if (field == "reject_limit") limits.reject_limit = value;
    if (field == "concurrent") limits.concurrent = value;
  }
  return limits;
}

bool IsLoopback(const std::string& listen) {
  for (const std::string_view prefix : {"127.", "localhost:", "[::1]:", "unix:"}) {
    if (listen.starts_with(prefix)) return true;
  }
  return false;
}

/// What may be reached, and by whose word: leaves the networks, which are given as text, in `config`.
absl::Status ReadReach(const std::vector<std::string>& networks, GatewayConfig& config) {
  config.allowed_networks.clear();
  for (const std::string& text : networks) {
    auto network = http::IpNetwork::Parse(text);
    if (!network.ok()) {
      return Refuse(Reason::kInvalidArgument, fmt::format("allowed_networks: {}", matrix::DetailOf(network.status())));
    }
    config.allowed_networks.push_back(*network);
  }
  for (const std::string& server : config.dns_servers) {
    // The grammar of a server name that is an IP literal is that of an address with a port, too.
    const auto address = matrix::ServerName::Parse(server);
    if (address.ok() && address->IsIpLiteral()) continue;
    return Refuse(Reason::kInvalidArgument,
                  fmt::format("dns_servers: expected addresses as 192.0.2.53 or [2001:db8::53]:53, not '{}'", server));
  }
  return absl::OkStatus();
}

absl::Status ReadTracing(const TracingSettings& tracing, GatewayConfig& config) {
  double share = 0;
  if (!absl::SimpleAtod(tracing.sample_ratio, &share) || !(share >= 0 && share <= 1)) {
    return Refuse(Reason::kInvalidArgument,
                  fmt::format("trace_sample_ratio: expected a number from 0 to 1, not '{}'", tracing.sample_ratio));
  }
  config.trace_sample_ratio = share;
  return rpc::CheckEndpoint(config.spans.endpoint);
}

absl::Status ReadNotaries(const std::vector<std::string>& texts, GatewayConfig& config) {
  config.notaries.clear();
  for (const std::string& text : texts) {
    auto notary = Notary::Parse(text);
    if (!notary.ok()) return notary.status();
    if (notary->name.text() == config.server_name) {
      return Refuse(Reason::kInvalidArgument, "notaries: this server is no notary of its own");
    }
    config.notaries.push_back(std::move(*notary));
  }
  return absl::OkStatus();
}

absl::Status Check(const GatewayConfig& config) {
  if (config.server_name.empty()) return Refuse(Reason::kInvalidArgument, "server_name: expected this server's name");
  if (!matrix::ServerName::Parse(config.server_name).ok()) {
    return Refuse(Reason::kInvalidArgument, fmt::format("server_name: '{}' is no server name", config.server_name));
  }
  if (config.signing_key_file.empty()) return Refuse(Reason::kInvalidArgument, "signing_key_file: expected a file");
  if (config.tls_certificate_file.empty() != config.tls_key_file.empty()) {
    return Refuse(Reason::kInvalidArgument, "tls_certificate_file, tls_key_file: expected both or neither");
  }
  if (!IsLoopback(config.admin_grpc_listen)) {
    return Refuse(Reason::kInvalidArgument,
                  fmt::format("admin_grpc_listen: expected a loopback address, not '{}'", config.admin_grpc_listen));
  }
  return absl::OkStatus();
}

void DeclareServing(Settings& settings, GatewayConfig& config) {
  settings.Text("server_name", &config.server_name, "the name that this server's users and rooms carry");
  settings.Text("listen", &config.listen, "where other servers connect, e.g. [::]:8008, or [::]:8448 with TLS");
  settings.Text("tls_certificate_file", &config.tls_certificate_file,
                "PEM certificate chain; empty: plain HTTP, for a proxy in front");
  settings.Text("tls_key_file", &config.tls_key_file, "PEM key of the certificate");
  settings.Text("admin_grpc_listen", &config.admin_grpc_listen, "where posternctl connects; loopback only");
  settings.Text("admin_listen", &config.admin_listen, "where /metrics, /livez and /readyz are served");
  settings.Text("port_file", &config.port_file, "write the ports that were had to this file, as JSON");
  settings.Flag("v1_send_leave", &config.v1_send_leave, "serve v1 of send_leave, for old servers");
  settings.Flag("v1_send_join", &config.v1_send_join, "serve v1 of send_join, for old servers");
  settings.Time("request_timeout", &config.request_timeout, absl::Seconds(1), absl::Minutes(5),
                "how long a request may take before it is answered 503");
  settings.Time("drain_delay", &config.drain_delay, absl::ZeroDuration(), absl::Minutes(10),
                "how long to serve on after SIGTERM, no longer ready, so that whoever sends requests here notices");
  settings.Time("shutdown_grace", &config.shutdown_grace, absl::ZeroDuration(), absl::Minutes(10),
                "how long requests in flight may still take after SIGTERM");
  settings.Integer("workers", &config.workers, 2, 1024, "threads that serve requests");
  settings.Integer("queue_limit", &config.queue_limit, 1, 1000000,
                   "requests that may wait for a thread; more are answered 503");
  settings.Time(
      "longest_wait", &config.longest_wait, absl::Milliseconds(10), absl::Minutes(5),
      "while a request has waited for a thread that long, those that come are answered 503, of an origin 429");
  settings.Text("otlp_endpoint", &config.spans.endpoint,
                "a collector of OpenTelemetry that spans are sent to, e.g. http://127.0.0.1:4317; empty: none are");
  settings.Text("otlp_ca_file", &config.spans.ca_file,
                "PEM of the authorities for https://… collectors; empty: the system's");
  settings.Text("log_level", &config.log_level, "debug, info, warning or error");
}

void DeclareReach(Settings& settings, GatewayConfig& config, std::vector<std::string>& networks) {
  settings.Flag("allow_private_networks", &config.allow_private_networks,
                "let connections to other servers go to private and loopback addresses; for tests");
  settings.List("allowed_networks", &networks,
                "networks of other servers that may be reached although they are not public, e.g. 10.20.0.0/16");
  settings.List(
      "dns_servers", &config.dns_servers,
      "DNS servers that are asked for other servers, e.g. 192.0.2.53 or [2001:db8::53]:53; empty: the system's");
}

void DeclareTrust(Settings& settings, GatewayConfig& config, std::vector<std::string>& notaries) {
  settings.Text("signing_key_file", &config.signing_key_file,
                "this server's keys, a line each: ed25519 a_AbCd <seed>; the first signs, all are published");
  settings.List("old_verify_keys", &config.old_verify_keys,
                "keys that sign no more: 'ed25519:a_old <base64 public key> <expired_ts in ms>'");
  settings.Text("old_verify_keys_file", &config.old_verify_keys_file,
                "a file with more of them, a line each; posternctl key rotate writes it");
  settings.List(
      "notaries", &notaries,
      "servers to ask for keys that their owner does not answer: 'matrix.example ed25519:auto <base64 public key>'");
  settings.Flag("notaries_first", &config.notaries_first, "ask the notaries before the server itself");
  settings.Text("store", &config.store, "the store's address, or several with commas");
  settings.Text("validator", &config.validator, "the validators' address, or several with commas");
  settings.Flag("plaintext", &config.between_services.plaintext, "no TLS between the services");
  settings.Text("certificate_file", &config.between_services.certificate_file,
                "PEM certificate for the other services");
  settings.Text("key_file", &config.between_services.key_file, "PEM key of that certificate");
  settings.Text("ca_file", &config.between_services.ca_file, "PEM of who may speak to this service");
  settings.List("allowed_peers", &config.callers.peers,
                "of those, the DNS names in certificates that may call the admin service; empty: all");
  settings.Text("admin_token_file", &config.callers.token_file,
                "a file with the token that every call of the admin service must carry; empty: none is asked for");
  settings.Flag("insecure_federation_tls", &config.insecure_federation_tls,
                "believe any certificate of another server; for tests");
  settings.Text("federation_ca_file", &config.federation_ca_file,
                "PEM of further authorities for other servers' certificates");
}

void DeclareSending(Settings& settings, GatewayConfig& config, SenderSettings& sender) {
  settings.List("roles", &sender.roles,
                "what this gateway does: federation (serve other servers), sender (tell them); empty: both");
  settings.Integer("sender.at_once", &sender.at_once, 2, 1024, "requests to other servers under way at once");
  settings.Time("sender.request_timeout", &config.sender.request_timeout, absl::Seconds(1), absl::Minutes(10),
                "how long one of them may take");
  settings.Time("sender.quick_retry", &config.sender.back_off.quick, absl::Milliseconds(1), absl::Seconds(15),
                "how long after its first failure a server is tried again");
  settings.Time("sender.first_retry", &config.sender.back_off.first, absl::Milliseconds(1), absl::Hours(1),
                "how long after its second; each further failure doubles it");
  settings.Time("sender.longest_retry", &config.sender.back_off.longest, absl::Seconds(1), absl::Hours(7 * 24),
                "the longest that a server is left alone");
  settings.Time("sender.lease", &config.sender.lease, absl::Seconds(1), absl::Minutes(1),
                "how long a server stays with a gateway that is not heard of any more");
}

absl::Status ReadRoles(const SenderSettings& sender, GatewayConfig& config) {
  config.sender.at_once = static_cast<std::size_t>(sender.at_once);
  config.serves = config.sender.takes = sender.roles.empty();
  for (const std::string& role : sender.roles) {
    if (role != "federation" && role != "sender") {
      return Refuse(Reason::kInvalidArgument, fmt::format("roles: expected federation or sender, not '{}'", role));
    }
    (role == "federation" ? config.serves : config.sender.takes) = true;
  }
  return absl::OkStatus();
}

void DeclareLimits(Settings& settings, GatewayConfig& config, FederationLimits& limits) {
  settings.Flag("rate_limits", &config.rate_limits, "limit what an address and what a server may ask");
  settings.Integer("rc_federation.window_size", &limits.window_size, 1, kMost,
                   "milliseconds over which requests are counted");
  settings.Integer("rc_federation.sleep_limit", &config.rc_federation.limits.sleep_limit, 1, kMost,
                   "requests of one server in a window, over all gateways together, before further ones are delayed");
  settings.Integer("rc_federation.sleep_delay", &limits.sleep_delay, 0, kMost, "milliseconds of that delay");
  settings.Integer("rc_federation.reject_limit", &config.rc_federation.limits.reject_limit, 0, kMost,
                   "requests of one server that may wait, over all gateways together, before further ones are refused");
  settings.Integer("rc_federation.concurrent", &config.rc_federation.limits.concurrent, 1, kMost,
                   "requests of one server worked on at once, over all gateways together");
  settings.Table("rc_federation.origins", {"window_size", "sleep_limit", "sleep_delay", "reject_limit", "concurrent"},
                 &limits.origins, "limits of their own for servers by name");
  settings.Integer("address_limit.per_second", &config.address_per_second, 1, kMost,
                   "requests a second from one address");
  settings.Integer("address_limit.burst", &config.address_burst, 1, kMost, "requests at once from one address");
  settings.Text("client_address_header", &config.client_address_header,
                "the header in which a trusted proxy names the client, e.g. X-Forwarded-For; its last entry counts");
}

/// What is wrong with the files that the settings name.
std::vector<absl::Status> CheckFiles(const GatewayConfig& config) {
  std::vector<absl::Status> mistakes = http::CheckServiceFiles(http::FilesOf(config), absl::Now());
  mistakes.push_back(
      SigningKeys::ReadAll(config.signing_key_file, config.old_verify_keys, config.old_verify_keys_file).status());
  if (!config.tls_certificate_file.empty()) {
    mistakes.push_back(http::CheckTlsPair({"tls_certificate_file", config.tls_certificate_file},
                                          {"tls_key_file", config.tls_key_file}, absl::Now()));
  }
  if (!config.federation_ca_file.empty()) {
    mistakes.push_back(http::CheckAuthorities({"federation_ca_file", config.federation_ca_file}, absl::Now()));
  }
  if (!config.callers.token_file.empty()) mistakes.push_back(rpc::CheckTokenFile(config.callers.token_file));
  return mistakes;
}

}  // namespace

configuration::Start ReadConfig(int argc, const char* const* argv, GatewayConfig& config) {
  Settings settings("postern-gateway", "takes what other Matrix servers ask, authenticates, signs and answers it");
  FederationLimits limits;
  DeclareServing(settings, config);
  std::vector<std::string> notaries, networks;
  DeclareTrust(settings, config, notaries);
  DeclareReach(settings, config, networks);
  SenderSettings sender;
  DeclareSending(settings, config, sender);
  TracingSettings tracing;
  settings.Text(
      "trace_sample_ratio", &tracing.sample_ratio,
      "the share of requests whose spans are sent to otlp_endpoint, of those that do not come sampled; 0 to 1");
  DeclareLimits(settings, config, limits);
  settings.Check([&] {
    if (absl::Status status = Check(config); !status.ok()) return status;
    if (absl::Status status = ReadNotaries(notaries, config); !status.ok()) return status;
    if (absl::Status status = ReadTracing(tracing, config); !status.ok()) return status;
    if (absl::Status status = ReadRoles(sender, config); !status.ok()) return status;
    if (absl::Status status = ReadReach(networks, config); !status.ok()) return status;
    return rpc::CheckAdmission(config.callers, config.between_services, config.admin_grpc_listen);
  });
  settings.CheckFiles([&config] { return CheckFiles(config); });
  const configuration::Start start = settings.Read(argc, argv);
  config.rc_federation.limits.window_size = absl::Milliseconds(limits.window_size);
  config.rc_federation.limits.sleep_delay = absl::Milliseconds(limits.sleep_delay);
  for (const auto& [name, own] : limits.origins) {
    config.rc_federation.of_origin.emplace(name, OwnLimitsOf(config.rc_federation.limits, own));
  }
  return start;
}

}  // namespace postern::gateway
