// A call that a service answers later, from whichever thread has the answer: one that came alone, or one of those that
// came in one message.
#pragma once

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "rpc/call_context.h"

namespace grpc {
class CallbackServerContext;
class ServerUnaryReactor;
}  // namespace grpc

namespace postern::rpc {

class PendingCall {
 public:
  explicit PendingCall(CallContext context) : context_(std::move(context)) {}
  virtual ~PendingCall() = default;
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;

  const CallContext& context() const { return context_; }
  /// Nobody waits for the answer any more.
  virtual bool given_up() const = 0;
  /// Once: the response is what it is to be, or `status` says why there is none.
  virtual void Finish(const absl::Status& status) = 0;
  /// Instead of Finish, where the answer would keep others waiting: tells the caller to call alone. False, and nothing
  /// is done, where the call has come alone.
  virtual bool SendBack() = 0;

 private:
  const CallContext context_;
};

/// With its messages, which live as long as `call`.
template <typename Request, typename Response>
struct TypedCall {
  std::shared_ptr<PendingCall> call;
  const Request* request;
  Response* response;
  absl::Time received;
};

/// A unary call. Its reactor is the one to give to gRPC.
std::shared_ptr<PendingCall> MakeUnaryCall(grpc::CallbackServerContext& call, grpc::ServerUnaryReactor& reactor);

}  // namespace postern::rpc
