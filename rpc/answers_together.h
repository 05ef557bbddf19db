// The serving side of calls that share a message (proto/postern/rpc/v1/together.proto).
#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "postern/rpc/v1/together.pb.h"
#include "rpc/pending_call.h"

namespace postern::rpc {

/// The answers to one message, which is sent once all are there. Thread-safe.
class AnswersTogether {
 public:
  /// `reactor` is the one that gRPC has been given for the message.
  AnswersTogether(grpc::CallbackServerContext& context, grpc::ServerUnaryReactor& reactor, std::size_t calls,
                  v1::Answers& answers);

  bool given_up() const { return context_.IsCancelled(); }
  void Answer(std::size_t place, const absl::Status& status, const google::protobuf::MessageLite& response);
  void SendBack(std::size_t place);

 private:
  void Add(v1::Answer answer);

  grpc::CallbackServerContext& context_;
  grpc::ServerUnaryReactor& reactor_;
  std::mutex mutex_;
  std::size_t unanswered_;
  std::size_t bytes_ = 0;
  v1::Answers& answers_;
};

/// Context of one call of a message that has just been received.
CallContext ContextOf(const v1::Call& call, absl::Time received);

template <typename Request, typename Response>
class CallOfMessage : public PendingCall {
 public:
  CallOfMessage(std::shared_ptr<AnswersTogether> answers, std::size_t place, CallContext context)
      : PendingCall(std::move(context)), answers_(std::move(answers)), place_(place) {}

  bool given_up() const override { return answers_->given_up(); }
  void Finish(const absl::Status& status) override { answers_->Answer(place_, status, response); }
  bool SendBack() override {
    answers_->SendBack(place_);
    return true;
  }

  Request request;
  Response response;

 private:
  const std::shared_ptr<AnswersTogether> answers_;
  const std::size_t place_;
};

constexpr int kMostCallsTogether = 64;

/// Hands the calls of a message to `serve`, those that can be read, all at once; refuses the others.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* AnswerTogether(grpc::CallbackServerContext& context, const v1::Calls& calls,
                                         v1::Answers& answers,
                                         const std::function<void(std::vector<TypedCall<Request, Response>>)>& serve) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  if (calls.calls_size() > kMostCallsTogether || calls.calls().empty()) {
    reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "not as many calls as go together"});
    return reactor;
  }
  const auto together =
      std::make_shared<AnswersTogether>(context, *reactor, static_cast<std::size_t>(calls.calls_size()), answers);
  const absl::Time received = absl::Now();
  std::vector<TypedCall<Request, Response>> served;
  served.reserve(static_cast<std::size_t>(calls.calls_size()));
  for (int i = 0; i < calls.calls_size(); ++i) {
    auto call = std::make_shared<CallOfMessage<Request, Response>>(together, static_cast<std::size_t>(i),
                                                                   ContextOf(calls.calls(i), received));
    if (call->request.ParseFromString(calls.calls(i).request())) {
      served.push_back({call, &call->request, &call->response, received});
    } else {
      call->Finish(matrix::Refuse(matrix::Reason::kInvalidArgument, "a call that cannot be read"));
    }
  }
  if (!served.empty()) serve(std::move(served));
  return reactor;
}

}  // namespace postern::rpc
