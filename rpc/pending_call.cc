#include "rpc/pending_call.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "rpc/status_codec.h"

namespace postern::rpc {
namespace {

class UnaryCall : public PendingCall {
 public:
  UnaryCall(grpc::CallbackServerContext& call, grpc::ServerUnaryReactor& reactor)
      : PendingCall(FromServerContext(call)), call_(call), reactor_(reactor) {}

  bool given_up() const override { return call_.IsCancelled(); }
  void Finish(const absl::Status& status) override { reactor_.Finish(ToGrpc(status)); }
  bool SendBack() override { return false; }

 private:
  grpc::CallbackServerContext& call_;
  grpc::ServerUnaryReactor& reactor_;
};

}  // namespace

std::shared_ptr<PendingCall> MakeUnaryCall(grpc::CallbackServerContext& call, grpc::ServerUnaryReactor& reactor) {
  return std::make_shared<UnaryCall>(call, reactor);
}

}  // namespace postern::rpc
