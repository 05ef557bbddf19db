// What is told of each call: a log line, and counts by outcome, step and answer.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "postern/validator/v1/validator.pb.h"
#include "rpc/call_context.h"
#include "telemetry/metrics.h"

namespace postern::validator {

class VerdictReport {
 public:
  explicit VerdictReport(telemetry::Metrics& metrics) : metrics_(metrics) {}

  void Validated(const rpc::CallContext& call, const v1::ValidateRequest& request, const absl::Status& status,
                 const v1::ValidateResponse& response, absl::Duration taken) const;
  /// Nothing was decided: no count of verdicts, and a line of its own.
  void Explained(const rpc::CallContext& call, const v1::ValidateRequest& request, const absl::Status& status,
                 const v1::ExplainResponse& response, absl::Duration taken) const;
  void Authorized(const rpc::CallContext& call, const v1::AuthorizeRequest& request, const absl::Status& status,
                  const v1::AuthorizeResponse& response, absl::Duration taken) const;

 private:
  void CountCall(const rpc::CallContext& call, std::string_view method, const absl::Status& status,
                 absl::Duration taken) const;

  telemetry::Metrics& metrics_;
};

}  // namespace postern::validator
