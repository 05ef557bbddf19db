#include "services/validator/config.h"

#include "absl/time/clock.h"
#include "http/tls_files.h"

namespace postern::validator {

configuration::Start ReadConfig(int argc, const char* const* argv, ValidatorConfig& config) {
  configuration::Settings settings("postern-validator", "judges events by the rules of their room's version");
  settings.Text("listen", &config.listen, "where gateways connect, e.g. [::]:7101");
  settings.Text("admin_listen", &config.admin_listen, "where /metrics, /livez and /readyz are served");
  settings.Text("port_file", &config.port_file, "write the ports that were had to this file, as JSON");
  settings.Flag("plaintext", &config.between_services.plaintext, "no TLS between the services");
  settings.Text("certificate_file", &config.between_services.certificate_file,
                "PEM certificate for the other services");
  settings.Text("key_file", &config.between_services.key_file, "PEM key of that certificate");
  settings.Text("ca_file", &config.between_services.ca_file, "PEM of who may speak to this service");
  settings.List("allowed_peers", &config.callers.peers,
                "of those, the DNS names in certificates that may call; empty: all");
  settings.Integer("workers", &config.workers, 0, 1024, "threads that judge; 0: one for each processor");
  settings.Integer("queue_limit", &config.queue_limit, 1, 1'000'000,
                   "calls that may wait for a thread; more are told to try another replica");
  settings.Time("max_connection_age", &config.max_connection_age, absl::ZeroDuration(), absl::Hours(24),
                "after that a client has to connect again, and finds replicas that are new; 0: never");
  settings.Time("drain_delay", &config.drain_delay, absl::ZeroDuration(), absl::Minutes(10),
                "how long to serve on after SIGTERM, no longer ready, so that whoever sends requests here notices");
  settings.Time("shutdown_grace", &config.shutdown_grace, absl::ZeroDuration(), absl::Minutes(10),
                "how long calls in flight may still take after SIGTERM");
  settings.Text("otlp_endpoint", &config.spans.endpoint,
                "a collector of OpenTelemetry that spans are sent to, e.g. http://127.0.0.1:4317; empty: none are");
  settings.Text("otlp_ca_file", &config.spans.ca_file,
                "PEM of the authorities for https://… collectors; empty: the system's");
  settings.Text("log_level", &config.log_level, "debug, info, warning or error");
  settings.Check([&config] {
    if (absl::Status status = rpc::CheckEndpoint(config.spans.endpoint); !status.ok()) return status;
    return rpc::CheckAdmission(config.callers, config.between_services, config.listen);
  });
  settings.CheckFiles([&config] { return http::CheckServiceFiles(http::FilesOf(config), absl::Now()); });
  return settings.Read(argc, argv);
}

}  // namespace postern::validator
