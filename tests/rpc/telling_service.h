// A service that answers as it is told, on its own workers, and remembers how it was called.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <mutex>
#include <optional>

#include "postern/validator/v1/validator.grpc.pb.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"

namespace postern::rpc {

class TellingService final : public validator::v1::Validator::CallbackService {
 public:
  using Answer = std::function<absl::Status(const CallContext&)>;
  explicit TellingService(Answer answer) : answer_(std::move(answer)) {}

  grpc::ServerUnaryReactor* Authorize(grpc::CallbackServerContext* context,
                                      const validator::v1::AuthorizeRequest* request,
                                      validator::v1::AuthorizeResponse* response) override;

 private:
  const Answer answer_;
  WorkerPool workers_{2, 100};
};

/// One call of Authorize over `channel`, which waits `patience` at most.
absl::Status Call(const std::shared_ptr<grpc::Channel>& channel, const CallContext& call);
absl::Status Call(const std::shared_ptr<grpc::Channel>& channel, absl::Duration patience = absl::Seconds(5));

}  // namespace postern::rpc
