// A validator that takes calls and never answers them, as one whose process has been stopped.
#pragma once

#include <grpcpp/grpcpp.h>

#include <mutex>
#include <vector>

#include "postern/validator/v1/validator.grpc.pb.h"
#include "postern/validator/v1/validator_together.grpc.pb.h"

namespace postern::gateway {

/// Calls that are held until the test is over.
class HeldCalls {
 public:
  grpc::ServerUnaryReactor* Hold(grpc::CallbackServerContext* context) {
    const std::lock_guard lock(mutex_);
    ++taken_;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (over_) {  // a call that was given up may come late
      reactor->Finish(kOver);
    } else {
      held_.push_back(reactor);
    }
    return reactor;
  }
  int taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }
  /// Before the server ends: it waits for them.
  void Release() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    for (grpc::ServerUnaryReactor* reactor : held_) reactor->Finish(kOver);
    held_.clear();
  }

 private:
  inline static const grpc::Status kOver{grpc::StatusCode::UNAVAILABLE, "the test is over"};
  mutable std::mutex mutex_;
  std::vector<grpc::ServerUnaryReactor*> held_;
  int taken_ = 0;
  bool over_ = false;
};

class HangingValidator : public validator::v1::Validator::CallbackService {
 public:
  explicit HangingValidator(HeldCalls& calls) : calls_(calls) {}
  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context, const validator::v1::ValidateRequest*,
                                     validator::v1::ValidateResponse*) override {
    return calls_.Hold(context);
  }
  grpc::ServerUnaryReactor* Authorize(grpc::CallbackServerContext* context, const validator::v1::AuthorizeRequest*,
                                      validator::v1::AuthorizeResponse*) override {
    return calls_.Hold(context);
  }

 private:
  HeldCalls& calls_;
};

class HangingValidatorTogether : public validator::v1::ValidatorTogether::CallbackService {
 public:
  explicit HangingValidatorTogether(HeldCalls& calls) : calls_(calls) {}
  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context, const rpc::v1::Calls*,
                                     rpc::v1::Answers*) override {
    return calls_.Hold(context);
  }

 private:
  HeldCalls& calls_;
};

}  // namespace postern::gateway
