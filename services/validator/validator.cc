#include "services/validator/validator.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "http/admin_server.h"
#include "http/certificate_expiry.h"
#include "rpc/server_host.h"
#include "rpc/span_exporter.h"
#include "rpc/worker_pool.h"
#include "services/validator/validator_service.h"
#include "services/validator/validator_together_service.h"
#include "telemetry/metrics.h"

namespace postern::validator {
namespace {

std::size_t Workers(const ValidatorConfig& config) {
  if (config.workers > 0) return static_cast<std::size_t>(config.workers);
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// Members are in the order in which they need each other; they end in the reverse one.
class RunningValidator : public Validator {
 public:
  explicit RunningValidator(const ValidatorConfig& config)
      : config_(config),
        workers_(Workers(config), static_cast<std::size_t>(config.queue_limit)),
        service_(workers_, metrics_, absl::Now),
        together_(workers_, metrics_, absl::Now) {}

  ~RunningValidator() override { Shutdown(); }

  absl::Status Listen() {
    auto spans = rpc::SpanExporter::Start(config_.spans, metrics_);
    if (!spans.ok()) return spans.status();
    spans_ = *std::move(spans);
    auto admin = http::AdminServer::Start(
        config_.admin_listen, metrics_, [this] { return Missing(); }, [this] { UpdateMetrics(); });
    if (!admin.ok()) return admin.status();
    admin_ = *std::move(admin);
    auto host = rpc::ServerHost::Start({.listen = config_.listen,
                                        .security = config_.between_services,
                                        .admission = config_.callers,
                                        .metrics = &metrics_,
                                        .max_connection_age = config_.max_connection_age},
                                       {&service_, &together_});
    if (!host.ok()) return host.status();
    host_ = *std::move(host);
    host_->SetServing(true);
    return absl::OkStatus();
  }

  int grpc_port() const override { return host_->port(); }
  int admin_port() const override { return admin_->port(); }

  void StopBeingReady() override {
    draining_ = true;
    if (host_ != nullptr) host_->SetServing(false);
  }

  void Shutdown() override {
    if (ending_.exchange(true)) return;
    if (host_ != nullptr) {
      host_->SetServing(false);
      host_->Shutdown(absl::Now() + config_.shutdown_grace);
    }
    workers_.Drain();
  }

 private:
  void UpdateMetrics() {
    metrics_.SetGauge("postern_validator_calls_under_way", static_cast<double>(workers_.under_way()));
    http::ShowCertificate(metrics_, "services", config_.between_services.certificate_file);
    http::ShowCertificate(metrics_, "services_authority", config_.between_services.ca_file);
  }

  std::vector<std::string> Missing() const {
    return ending_ || draining_ ? std::vector<std::string>{"shutting down"} : std::vector<std::string>{};
  }

  const ValidatorConfig config_;
  telemetry::Metrics metrics_;
  std::unique_ptr<rpc::SpanExporter> spans_;
  rpc::WorkerPool workers_;
  ValidatorService service_;
  ValidatorTogetherService together_;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> ending_ = false;
  std::unique_ptr<http::AdminServer> admin_;
  std::unique_ptr<rpc::ServerHost> host_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Validator>> Validator::Start(const ValidatorConfig& config) {
  auto validator = std::make_unique<RunningValidator>(config);
  if (absl::Status status = validator->Listen(); !status.ok()) return status;
  return std::unique_ptr<Validator>(std::move(validator));
}

}  // namespace postern::validator
