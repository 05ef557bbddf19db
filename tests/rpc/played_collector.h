// A collector of OpenTelemetry that remembers what it is sent.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "opentelemetry/trace_service.grpc.pb.h"

namespace postern::rpc {

namespace otlp = opentelemetry::proto::collector::trace::v1;

struct ReceivedSpan {
  std::string service;  // `service.name` of whoever sent it
  otlp::Span span;
};

/// Listens on a free port of 127.0.0.1 while it lives.
class PlayedCollector final : public otlp::TraceService::Service {
 public:
  PlayedCollector() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~PlayedCollector() override {
    Hold(false);
    server_->Shutdown(absl::ToChronoTime(absl::Now()));
  }

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// While it holds, it answers nothing.
  void Hold(bool holds) {
    {
      const std::lock_guard lock(mutex_);
      holds_ = holds;
    }
    changed_.notify_all();
  }
  void Reject(std::int64_t spans) {
    const std::lock_guard lock(mutex_);
    rejects_ = spans;
  }
  /// Until `enough` says so of all that was received, or 30 s have passed; what was received.
  std::vector<ReceivedSpan> AwaitSpans(const std::function<bool(const std::vector<ReceivedSpan>&)>& enough) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, absl::ToChronoTime(absl::Now() + absl::Seconds(30)), [&] { return enough(received_); });
    return received_;
  }

  grpc::Status Export(grpc::ServerContext* context, const otlp::ExportTraceServiceRequest* request,
                      otlp::ExportTraceServiceResponse* response) override {
    std::unique_lock lock(mutex_);
    while (holds_ && !context->IsCancelled()) changed_.wait_for(lock, std::chrono::milliseconds(10));
    for (const auto& of_process : request->resource_spans()) {
      std::string service;
      for (const auto& attribute : of_process.resource().attributes()) {
        if (attribute.key() == "service.name") service = attribute.value().string_value();
      }
      for (const auto& scope : of_process.scope_spans()) {
        for (const otlp::Span& span : scope.spans()) received_.push_back({service, span});
      }
    }
    if (rejects_ > 0) response->mutable_partial_success()->set_rejected_spans(rejects_);
    changed_.notify_all();
    return grpc::Status::OK;
  }

 private:
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool holds_ = false;
  std::int64_t rejects_ = 0;
  std::vector<ReceivedSpan> received_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace postern::rpc
