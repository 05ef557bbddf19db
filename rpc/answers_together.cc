#include "rpc/answers_together.h"

#include <cstdint>

#include "rpc/server_host.h"
#include "rpc/status_codec.h"
#include "telemetry/trace.h"

namespace postern::rpc {
namespace {

/// Of the responses in one message, so that it stays within what a client takes whatever the last of them is.
constexpr std::size_t kMostBytes = kMaxMessageBytes / 2;

}  // namespace

AnswersTogether::AnswersTogether(grpc::CallbackServerContext& context, grpc::ServerUnaryReactor& reactor,
                                 std::size_t calls, v1::Answers& answers)
    : context_(context), reactor_(reactor), unanswered_(calls), answers_(answers) {}

void AnswersTogether::Answer(std::size_t place, const absl::Status& status,
                             const google::protobuf::MessageLite& response) {
  v1::Answer answer;
  answer.set_place(static_cast<std::uint32_t>(place));
  if (status.ok()) {
    response.SerializeToString(answer.mutable_response());
  } else {
    answer.set_refusal(ToGrpc(status).error_details());
  }
  Add(std::move(answer));
}

void AnswersTogether::SendBack(std::size_t place) {
  v1::Answer answer;
  answer.set_place(static_cast<std::uint32_t>(place));
  answer.set_alone(true);
  Add(std::move(answer));
}

void AnswersTogether::Add(v1::Answer answer) {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    // What was done and does not fit is found done by the call alone: an event by its id.
    if (bytes_ + answer.response().size() > kMostBytes) answer.set_alone(true);
    bytes_ += answer.response().size();
    *answers_.add_answers() = std::move(answer);
    last = --unanswered_ == 0;
  }
  if (last) reactor_.Finish(grpc::Status::OK);
}

CallContext ContextOf(const v1::Call& call, absl::Time received) {
  auto trace = telemetry::ParseTraceparent(call.traceparent());
  return {received + absl::Milliseconds(call.timeout_ms()), trace ? *std::move(trace) : telemetry::NewTrace()};
}

}  // namespace postern::rpc
