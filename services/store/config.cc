#include "services/store/config.h"

#include <fstream>
#include <string>

#include <fmt/format.h>

#include "absl/time/clock.h"
#include "http/tls_files.h"
#include "matrix/refusal.h"
#include "matrix/server_name.h"
#include "services/store/connection_string.h"

namespace postern::store {
namespace {

absl::Status Wrong(std::string_view detail) { return matrix::Refuse(matrix::Reason::kInvalidArgument, detail); }

/// Leaves the connection string in `database_uri`, whichever way it was given.
absl::Status ReadDatabaseUri(StoreConfig& config) {
  if (config.database_uri.empty() == config.database_uri_file.empty()) {
    return Wrong(
        "database_uri_file: expected a file that holds PostgreSQL's connection string (or else database_uri, not "
        "both)");
  }
  if (!config.database_uri_file.empty()) {
    std::ifstream file(config.database_uri_file);
    if (!std::getline(file, config.database_uri) || config.database_uri.empty()) {
      return Wrong(
          fmt::format("database_uri_file: {} cannot be read, or its first line is empty", config.database_uri_file));
    }
  }
  if (IsConnectionString(config.database_uri)) return absl::OkStatus();
  // What PostgreSQL's library says would show the password.
  return Wrong(
      fmt::format("{}: expected PostgreSQL's connection string: postgresql://user@host/database, or host=… dbname=…",
                  config.database_uri_file.empty() ? "database_uri" : "database_uri_file"));
}

}  // namespace

configuration::Start ReadConfig(int argc, const char* const* argv, StoreConfig& config) {
  configuration::Settings settings("postern-store",
                                   "keeps rooms, events and state in PostgreSQL, for the other services");
  settings.Text("server_name", &config.server_name, "the name of this homeserver, as other servers know it");
  settings.Text("listen", &config.listen, "where gateways and posternctl connect, e.g. [::]:7102");
  settings.Text("admin_listen", &config.admin_listen, "where /metrics, /livez and /readyz are served");
  settings.Text("port_file", &config.port_file, "write the ports that were had to this file, as JSON");
  settings.Flag("plaintext", &config.between_services.plaintext, "no TLS between the services");
  settings.Text("certificate_file", &config.between_services.certificate_file,
                "PEM certificate for the other services");
  settings.Text("key_file", &config.between_services.key_file, "PEM key of that certificate");
  settings.Text("ca_file", &config.between_services.ca_file, "PEM of who may speak to this service");
  settings.List("allowed_peers", &config.callers.peers,
                "of those, the DNS names in certificates that may call; empty: all");
  settings.Text(
      "database_uri_file", &config.database_uri_file,
      "file with PostgreSQL's connection string; several hosts with target_session_attrs=read-write follow a failover");
  settings.Text("database_uri", &config.database_uri,
                "the connection string itself; for tests, it shows in the process list");
  settings.Flag(
      "transaction_pooler", &config.transaction_pooler,
      "the database is reached through a pooler that gives a connection for one transaction, such as PgBouncer");
  settings.Integer("connections", &config.connections, 1, 1000,
                   "connections to PostgreSQL, and calls worked on at once");
  settings.Integer(
      "batches", &config.batches, 1, 100,
      "transactions at once that persist events, and as many that read contexts: what comes meanwhile goes "
      "together in the next; more where PostgreSQL has many processors");
  settings.Integer("room_partitions", &config.room_partitions, 0, 256,
                   "when the tables are first made, those that grow with rooms are hash-partitioned by room into so "
                   "many; 0: they are whole. docs/postgresql.md says when it pays");
  settings.Integer("queue_limit", &config.queue_limit, 1, 1'000'000, "calls that may wait; more are refused");
  settings.Flag("allow_seeding", &config.allow_seeding, "take events without a verdict: for load tests only");
  settings.Integer("refusals_limit", &config.refusals_limit, 1, 100'000'000, "rejected events that are remembered");
  settings.Integer("remote_servers_limit", &config.remote_servers_limit, 1, 100'000'000,
                   "other servers that are remembered, and that keys are kept of");
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
    const auto name = matrix::ServerName::Parse(config.server_name);
    if (!name.ok()) return Wrong("server_name: expected the name of this homeserver, e.g. example.org");
    if (absl::Status status = ReadDatabaseUri(config); !status.ok()) return status;
    if (absl::Status status = rpc::CheckEndpoint(config.spans.endpoint); !status.ok()) return status;
    return rpc::CheckAdmission(config.callers, config.between_services, config.listen);
  });
  settings.CheckFiles([&config] { return http::CheckServiceFiles(http::FilesOf(config), absl::Now()); });
  return settings.Read(argc, argv);
}

}  // namespace postern::store
