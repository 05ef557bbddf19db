#include "http/admin_server.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "matrix/refusal.h"
#include "telemetry/process_metrics.h"

namespace postern::http {
namespace {

constexpr std::size_t kMostConnections = 256;

Response Json(int status, std::string body) { return {status, {}, std::move(body) + "\n"}; }

// Everything is answered by the head alone.
class AdminRoutes final : public RequestHandler {
 public:
  AdminRoutes(telemetry::Metrics& metrics, MissingForReadiness missing, UpdateMetrics update)
      : metrics_(metrics), missing_(std::move(missing)), update_(std::move(update)) {}

  std::optional<Response> OnHead(const Request& head) override {
    const std::string_view path = PathOf(head.target);
    if (path != "/metrics" && path != "/livez" && path != "/readyz") return Json(404, R"({"error":"unknown path"})");
    if (head.method != "GET" && head.method != "HEAD") {
      Response refused = Json(405, R"({"error":"unknown method"})");
      refused.headers.emplace_back("Allow", "GET, HEAD");
      return refused;
    }
    if (path == "/livez") return Json(200, R"({"alive":true})");
    return path == "/readyz" ? Readiness() : Exposition();
  }

  void OnRequest(Request, Respond respond) override { respond(Json(404, R"({"error":"unknown path"})")); }

  Response OnRefused(const absl::Status& why) override {
    return Json(matrix::RefusalOf(matrix::ReasonOf(why)).http_status,
                R"({"error":"not a request that is served here"})");
  }

 private:
  Response Readiness() const {
    const std::vector<std::string> missing = missing_();
    if (missing.empty()) return Json(200, R"({"ready":true})");
    return Json(503, fmt::format(R"({{"ready":false,"missing":["{}"]}})", fmt::join(missing, R"(",")")));
  }

  // By the one thread that the listener has.
  Response Exposition() {
    process_.Update(metrics_);
    update_();
    return {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_.Expose()};
  }

  telemetry::Metrics& metrics_;
  const MissingForReadiness missing_;
  const UpdateMetrics update_;
  telemetry::ProcessMetrics process_;
};

class ListeningAdminServer final : public AdminServer {
 public:
  ListeningAdminServer(telemetry::Metrics& metrics, MissingForReadiness missing, UpdateMetrics update)
      : routes_(metrics, std::move(missing), std::move(update)) {}

  absl::Status Open(const std::string& listen) {
    auto listener =
        HttpListener::Start({.listen = listen, .io_threads = 1, .max_connections = kMostConnections}, routes_);
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  int port() const override { return listener_->port(); }

 private:
  AdminRoutes routes_;
  std::unique_ptr<HttpListener> listener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& listen, telemetry::Metrics& metrics,
                                                                MissingForReadiness missing, UpdateMetrics update) {
  auto server = std::make_unique<ListeningAdminServer>(metrics, std::move(missing), std::move(update));
  if (auto status = server->Open(listen); !status.ok()) return status;
  return server;
}

}  // namespace postern::http
