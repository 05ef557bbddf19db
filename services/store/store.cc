#include "services/store/store.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "http/admin_server.h"
#include "http/certificate_expiry.h"
#include "rpc/server_host.h"
#include "rpc/span_exporter.h"
#include "rpc/worker_pool.h"
#include "services/store/connection_pool.h"
#include "services/store/database_watch.h"
#include "services/store/fetched_state_service.h"
#include "services/store/overdue_deliveries.h"
#include "services/store/postgres_event_store.h"
#include "services/store/postgres_invite_store.h"
#include "services/store/received_invites_service.h"
#include "services/store/store_service.h"
#include "services/store/store_together_service.h"
#include "telemetry/metrics.h"

namespace postern::store {
namespace {

PostgresEventStoreOptions OptionsOf(const StoreConfig& config) {
  return {.server_name = config.server_name,
          .refusals_limit = static_cast<int>(config.refusals_limit),
          .remote_servers_limit = static_cast<int>(config.remote_servers_limit)};
}

StoreServiceOptions ServiceOptionsOf(const StoreConfig& config) {
  const rpc::BatchLimits limits{.batches = static_cast<std::size_t>(config.batches),
                                .queue = static_cast<std::size_t>(config.queue_limit)};
  return {.allow_seeding = config.allow_seeding, .persists = limits, .contexts = limits};
}

ReachedBy HowReached(const StoreConfig& config) {
  return config.transaction_pooler ? ReachedBy::kTransactionPooler : ReachedBy::kItself;
}

/// Tells health what the database watch finds, in whichever order the two come up and go.
class HealthSwitch {
 public:
  void Attach(rpc::ServerHost* host) {
    const std::lock_guard lock(mutex_);
    host_ = host;
    Apply();
  }
  void Set(bool ready) {
    const std::lock_guard lock(mutex_);
    ready_ = ready;
    Apply();
  }

 private:
  void Apply() {
    if (host_ != nullptr) host_->SetServing(ready_);
  }
  std::mutex mutex_;
  rpc::ServerHost* host_ = nullptr;
  bool ready_ = false;
};

}  // namespace

/// In the order in which they are made; they end in the reverse.
struct Store::Parts {
  explicit Parts(const StoreConfig& config)
      : grace(config.shutdown_grace),
        between_services(config.between_services),
        pool(config.database_uri, HowReached(config), static_cast<std::size_t>(config.connections), metrics),
        watch(
            config.database_uri, HowReached(config), [this](bool ready) { health.Set(ready); },
            static_cast<int>(config.room_partitions)),
        events(pool, watch, metrics, OptionsOf(config)),
        invites(pool, watch, metrics),
        workers(static_cast<std::size_t>(config.connections), static_cast<std::size_t>(config.queue_limit)),
        service(events, workers, metrics, ServiceOptionsOf(config)),
        invites_service(invites, workers, metrics),
        fetched_states(events, workers, metrics) {}

  std::vector<std::string> Missing() const {
    if (stopping || draining) return {"shutdown"};
    return watch.Missing();
  }

  void UpdateMetrics() {
    metrics.SetGauge("postern_store_calls_under_way", static_cast<double>(service.under_way()));
    http::ShowCertificate(metrics, "services", between_services.certificate_file);
    http::ShowCertificate(metrics, "services_authority", between_services.ca_file);
  }

  const absl::Duration grace;
  const rpc::TransportSecurity between_services;
  std::atomic<bool> stopping = false;
  std::atomic<bool> draining = false;
  telemetry::Metrics metrics;
  std::unique_ptr<rpc::SpanExporter> spans;
  HealthSwitch health;
  ConnectionPool pool;
  DatabaseWatch watch;
  PostgresEventStore events;
  PostgresInviteStore invites;
  rpc::WorkerPool workers;
  StoreService service;
  StoreTogetherService together{service};
  ReceivedInvitesService invites_service;
  FetchedStateService fetched_states;
  OverdueDeliveries overdue{pool, watch, metrics};
  std::unique_ptr<rpc::ServerHost> host;
  std::unique_ptr<http::AdminServer> admin;
};

Store::Store(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Store::~Store() { Shutdown(); }

absl::StatusOr<std::unique_ptr<Store>> Store::Start(const StoreConfig& config) {
  auto store = std::unique_ptr<Store>(new Store(std::make_unique<Parts>(config)));
  Parts& parts = *store->parts_;
  auto spans = rpc::SpanExporter::Start(config.spans, parts.metrics);
  if (!spans.ok()) return spans.status();
  parts.spans = *std::move(spans);
  auto host = rpc::ServerHost::Start({.listen = config.listen,
                                      .security = config.between_services,
                                      .admission = config.callers,
                                      .metrics = &parts.metrics,
                                      .max_connection_age = config.max_connection_age},
                                     {&parts.service, &parts.together, &parts.invites_service, &parts.fetched_states});
  if (!host.ok()) return host.status();
  parts.host = *std::move(host);
  auto admin = http::AdminServer::Start(
      config.admin_listen, parts.metrics, [&parts] { return parts.Missing(); }, [&parts] { parts.UpdateMetrics(); });
  if (!admin.ok()) return admin.status();
  parts.admin = *std::move(admin);
  parts.health.Attach(parts.host.get());
  return store;
}

int Store::grpc_port() const { return parts_->host->port(); }
int Store::admin_port() const { return parts_->admin->port(); }

bool Store::WaitUntilReady(absl::Time deadline) { return parts_->watch.WaitUntilReady(deadline); }

void Store::StopBeingReady() {
  parts_->draining = true;
  parts_->health.Attach(nullptr);  // what becomes of the database is no matter any more
  if (parts_->host != nullptr) parts_->host->SetServing(false);
}

void Store::Shutdown() {
  if (parts_->stopping.exchange(true)) return;
  parts_->health.Attach(nullptr);
  if (parts_->host == nullptr) return;
  parts_->host->SetServing(false);
  parts_->host->Shutdown(absl::Now() + parts_->grace);
  parts_->workers.Drain();  // who has answered a call is not quite done with it: what it was about goes next
}

}  // namespace postern::store
