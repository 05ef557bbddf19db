// One request on its way through the gateway: what came in, what is to be said of it in the log, and its answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "http/http_listener.h"
#include "http/http_message.h"
#include "rpc/call_context.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// What one log line says of a request, beyond its answer.
struct RequestNotes {
  std::string origin;
  std::string room_id;
  std::string event_id;
  std::string verdict;
  /// Said in the log only: why a request is not authentic (pitfall X08).
  std::string diagnosis;
};

/// Answers exactly once; an exchange that goes without an answer gives kInternal's.
class Exchange {
 public:
  Exchange(http::Request request, std::string_view route, std::vector<std::string> path_arguments,
           absl::Duration time_allowed, http::Respond respond, telemetry::Metrics& metrics);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const http::Request& request() const { return request_; }
  /// What the path holds at its variable places, decoded.
  const std::vector<std::string>& path_arguments() const { return path_arguments_; }
  const rpc::CallContext& call() const { return call_; }
  absl::Time received_at() const { return received_at_; }
  RequestNotes& notes() { return notes_; }

  void Answer(http::Response response);
  void Refuse(const absl::Status& why);

 private:
  void Finish(http::Response response, const absl::Status& why);

  http::Request request_;
  const std::string route_;
  const std::vector<std::string> path_arguments_;
  const absl::Time received_at_;
  const rpc::CallContext call_;
  http::Respond respond_;
  telemetry::Metrics& metrics_;
  RequestNotes notes_;
};

}  // namespace postern::gateway
