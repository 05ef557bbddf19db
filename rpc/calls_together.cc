#include "rpc/calls_together.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "rpc/status_codec.h"
#include "telemetry/trace.h"

namespace postern::rpc {
namespace {

/// For how long a server that knew no such method is not asked for it again: it may be replaced by a newer one.
constexpr absl::Duration kAloneFor = absl::Seconds(10);
/// Whoever waits first sees to it that all are sent in time. Should it not, the others do so after so much more time.
constexpr int kPatienceOfOthers = 8;

std::uint32_t MillisecondsUntil(absl::Time deadline, absl::Time now) {
  const std::int64_t left = absl::ToInt64Milliseconds(absl::Ceil(deadline - now, absl::Milliseconds(1)));
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

/// A call, and whoever sleeps until it is answered.
struct CallsTogether::Slot {
  v1::Call call;
  absl::Time deadline;
  /// In a message. Written under the queue's lock.
  bool sent = false;

  void Take(grpc::Status said, std::string&& bytes) {
    {
      const std::lock_guard lock(mutex);
      if (status) return;
      status = std::move(said);
      response = std::move(bytes);
    }
    answered.notify_one();
  }
  /// What was said, which nobody changes any more; null: nothing until then.
  const grpc::Status* WaitUntil(absl::Time until) {
    std::unique_lock lock(mutex);
    answered.wait_until(lock, absl::ToChronoTime(until), [this] { return status.has_value(); });
    return status ? &*status : nullptr;
  }

  std::mutex mutex;
  std::condition_variable answered;
  std::optional<grpc::Status> status;
  std::string response;
};

class CallsTogether::Queue : public std::enable_shared_from_this<Queue> {
 public:
  Queue(Start start, std::function<void()> sent, const TogetherLimits& limits)
      : start_(std::move(start)), sent_(std::move(sent)), limits_(limits) {}

  /// For how long to wait before it is to be hurried: for ever if it is on its way.
  absl::Duration Add(const std::shared_ptr<Slot>& slot) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(slot);
      first = waiting_.size() == 1;
    }
    Send(/*all=*/false);
    const std::lock_guard lock(mutex_);
    if (slot->sent) return absl::InfiniteDuration();
    return first ? limits_.longest_wait : kPatienceOfOthers * limits_.longest_wait;
  }
  /// Sends it, with all that wait, unless it is on its way.
  void Hurry(const Slot& slot) {
    const auto waits = [this, &slot] {
      const std::lock_guard lock(mutex_);
      return !slot.sent;
    };
    if (waits()) Send(/*all=*/true);
  }
  /// These, whatever else waits.
  void SendAtOnce(std::vector<std::shared_ptr<Slot>> slots);
  /// A message of ours has been answered, or never will be.
  void Answered() {
    {
      const std::lock_guard lock(mutex_);
      --under_way_;
    }
    Send(/*all=*/false);
  }

  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  bool alone() const {
    const std::lock_guard lock(mutex_);
    return absl::Now() < alone_until_;
  }
  void StayAlone() {
    const std::lock_guard lock(mutex_);
    alone_until_ = absl::Now() + kAloneFor;
  }

 private:
  bool IsDue(bool all, absl::Time now) const {
    if (waiting_.empty()) return false;
    return all || under_way_ == 0 || waiting_.size() >= limits_.enough || now - last_sent_ >= limits_.longest_wait;
  }
  /// Sends what is due; with `all`, whatever waits.
  void Send(bool all);
  std::vector<std::shared_ptr<Slot>> Take();
  void Begin(std::vector<std::shared_ptr<Slot>> slots);

  const Start start_;
  const std::function<void()> sent_;
  const TogetherLimits limits_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<Slot>> waiting_;
  std::size_t under_way_ = 0;
  absl::Time last_sent_ = absl::InfinitePast();
  absl::Time alone_until_ = absl::InfinitePast();
};

/// One message and its answers; gRPC holds it until they are there.
class CallsTogether::Message : public std::enable_shared_from_this<Message> {
 public:
  Message(std::shared_ptr<Queue> queue, std::vector<std::shared_ptr<Slot>> slots)
      : queue_(std::move(queue)), slots_(std::move(slots)) {}

  void Begin(const Start& start) {
    absl::Time deadline = absl::InfinitePast();
    const absl::Time now = absl::Now();
    for (const auto& slot : slots_) {
      deadline = std::max(deadline, slot->deadline);
      slot->call.set_timeout_ms(MillisecondsUntil(slot->deadline, now));
      calls_.mutable_calls()->Add(std::move(slot->call));
    }
    if (deadline != absl::InfiniteFuture()) context_->set_deadline(absl::ToChronoTime(deadline));
    start(&*context_, &calls_, &answers_,
          [message = shared_from_this()](const grpc::Status& status) { message->End(status); });
  }

 private:
  void End(const grpc::Status& status) {
    // It holds the channel, which whoever is told below may be about to close: and the last to let go must not be
    // gRPC's thread.
    context_.reset();
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) queue_->StayAlone();
    for (v1::Answer& answer : *answers_.mutable_answers()) {
      if (answer.place() < slots_.size()) Give(answer, *slots_[answer.place()]);
    }
    const grpc::Status said =
        status.ok() ? grpc::Status(grpc::StatusCode::INTERNAL, "a call was not answered") : status;
    for (const auto& slot : slots_) slot->Take(said, {});  // those that have no answer
    queue_->Answered();
  }

  static void Give(v1::Answer& answer, Slot& slot) {
    if (answer.alone()) {
      slot.Take({grpc::StatusCode::UNIMPLEMENTED, "sent back"}, {});
    } else if (answer.has_refusal()) {
      slot.Take({grpc::StatusCode::UNKNOWN, "", answer.refusal()}, {});
    } else {
      slot.Take(grpc::Status::OK, std::move(*answer.mutable_response()));
    }
  }

  const std::shared_ptr<Queue> queue_;
  const std::vector<std::shared_ptr<Slot>> slots_;
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  v1::Calls calls_;
  v1::Answers answers_;
};

std::vector<std::shared_ptr<CallsTogether::Slot>> CallsTogether::Queue::Take() {
  std::vector<std::shared_ptr<Slot>> taken;
  std::size_t bytes = 0;
  while (!waiting_.empty() && taken.size() < limits_.most) {
    bytes += waiting_.front()->call.request().size();
    if (!taken.empty() && bytes > limits_.most_bytes) break;
    waiting_.front()->sent = true;
    taken.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return taken;
}

void CallsTogether::Queue::Send(bool all) {
  while (true) {
    std::vector<std::shared_ptr<Slot>> slots;
    {
      const std::lock_guard lock(mutex_);
      const absl::Time now = absl::Now();
      if (!IsDue(all, now)) return;
      slots = Take();
      ++under_way_;
      last_sent_ = now;
    }
    Begin(std::move(slots));
  }
}

void CallsTogether::Queue::SendAtOnce(std::vector<std::shared_ptr<Slot>> slots) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& slot : slots) slot->sent = true;
    ++under_way_;
    last_sent_ = absl::Now();
  }
  Begin(std::move(slots));
}

void CallsTogether::Queue::Begin(std::vector<std::shared_ptr<Slot>> slots) {
  sent_();
  std::make_shared<Message>(shared_from_this(), std::move(slots))->Begin(start_);
}

CallsTogether::CallsTogether(Start start, std::function<void()> sent, TogetherLimits limits)
    : queue_(std::make_shared<Queue>(std::move(start), std::move(sent), limits)) {}

CallsTogether::~CallsTogether() = default;

std::size_t CallsTogether::waiting() const { return queue_->waiting(); }

bool CallsTogether::MustCallAlone(const absl::Status& status) {
  return absl::IsUnimplemented(status) && matrix::ReasonOf(status) != matrix::Reason::kUnknownMethod;
}

std::shared_ptr<CallsTogether::Slot> CallsTogether::MakeSlot(const CallContext& call, std::string request) {
  auto slot = std::make_shared<Slot>();
  slot->deadline = call.deadline;
  slot->call.set_request(std::move(request));
  slot->call.set_traceparent(telemetry::FormatTraceparent(call.trace));
  return slot;
}

absl::StatusOr<std::string> CallsTogether::AnswerOf(Slot& slot, const grpc::Status* said, matrix::Reason unreachable) {
  if (said == nullptr) return matrix::Refuse(matrix::Reason::kDeadlineExceeded, "there was no answer in time");
  if (said->ok()) return std::move(slot.response);
  if (said->error_code() == grpc::StatusCode::UNIMPLEMENTED) return absl::UnimplementedError("not together");
  return FromGrpc(*said, unreachable);
}

absl::StatusOr<std::string> CallsTogether::Call(const CallContext& call, std::string request,
                                                matrix::Reason unreachable) {
  if (queue_->alone()) return absl::UnimplementedError("not together");
  const auto slot = MakeSlot(call, std::move(request));
  const absl::Duration patience = queue_->Add(slot);
  const grpc::Status* said = slot->WaitUntil(std::min(absl::Now() + patience, call.deadline));
  if (said == nullptr) {
    queue_->Hurry(*slot);
    said = slot->WaitUntil(call.deadline);
  }
  return AnswerOf(*slot, said, unreachable);
}

std::vector<absl::StatusOr<std::string>> CallsTogether::CallInOrder(const CallContext& call,
                                                                    std::vector<std::string> requests,
                                                                    matrix::Reason unreachable) {
  if (queue_->alone()) return {requests.size(), absl::UnimplementedError("not together")};
  std::vector<std::shared_ptr<Slot>> slots;
  slots.reserve(requests.size());
  for (std::string& request : requests) slots.push_back(MakeSlot(call, std::move(request)));
  queue_->SendAtOnce(slots);
  std::vector<absl::StatusOr<std::string>> answers;
  answers.reserve(slots.size());
  for (const auto& slot : slots) {
    answers.push_back(AnswerOf(*slot, slot->WaitUntil(call.deadline), unreachable));
  }
  return answers;
}

}  // namespace postern::rpc
