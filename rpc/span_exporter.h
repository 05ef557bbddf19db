// Sends this process's spans to a collector of OpenTelemetry (OTLP over gRPC), off the way of any call: what the
// collector does not take in time is dropped, and counted.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "telemetry/metrics.h"
#include "telemetry/spans.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace postern::rpc {

struct SpanExport {
  /// "http://collector.example:4317", in plaintext, or "https://…"; empty: nothing is sent.
  std::string endpoint{};
  /// PEM of the authorities for https; empty: the system's.
  std::string ca_file{};
  /// The `service.name` of all spans.
  std::string service_name{};
  std::size_t queue_limit = 4096;
  std::size_t most_at_once = 512;
  absl::Duration longest_wait = absl::Seconds(1);
  absl::Duration timeout = absl::Seconds(5);
};

/// Whether `endpoint` is one, or empty. Refuses: kInvalidArgument, naming the key otlp_endpoint.
absl::Status CheckEndpoint(const std::string& endpoint);

/// While it lives, what is said by telemetry::Say goes through it. One at a time in a process.
class SpanExporter {
 public:
  /// Null where nothing is to be sent. `metrics` outlives it: postern_spans_total{result}, of which sent, queue_full
  /// and failed. The collector need not be there. Refuses: kInvalidArgument.
  static absl::StatusOr<std::unique_ptr<SpanExporter>> Start(const SpanExport& options, telemetry::Metrics& metrics);
  /// Sends what waits, for two seconds at most.
  ~SpanExporter();
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  /// Never blocks but for a moment's lock.
  void Take(telemetry::Span span);

 private:
  class Collector;
  SpanExporter(SpanExport options, std::unique_ptr<Collector> collector, telemetry::Metrics& metrics);
  void Run();
  void Send(std::deque<telemetry::Span> spans);

  const SpanExport options_;
  const std::unique_ptr<Collector> collector_;
  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<telemetry::Span> waiting_;
  bool stopping_ = false;
  absl::Time end_by_ = absl::InfiniteFuture();
  grpc::ClientContext* sending_ = nullptr;
  absl::Time last_logged_ = absl::InfinitePast();
  std::thread thread_;
};

}  // namespace postern::rpc
