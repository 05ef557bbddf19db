// Calls that share a message, at the calling side: what goes together, who waits for whom, and what each is told.
#include "rpc/calls_together.h"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "rpc/status_codec.h"

namespace postern::rpc {
namespace {

using matrix::Reason;

/// What a server has been sent, each message to be answered when a test says so.
class PlayedServer {
 public:
  CallsTogether::Start Start() {
    return [this](grpc::ClientContext*, const v1::Calls* calls, v1::Answers* answers,
                  std::function<void(grpc::Status)> end) {
      const std::lock_guard lock(mutex_);
      messages_.push_back({calls, answers, std::move(end)});
      arrived_.notify_all();
    };
  }
  /// The requests of a message, once it is there.
  std::vector<std::string> Requests(std::size_t message) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(arrived_.wait_for(lock, std::chrono::seconds(20), [&] { return messages_.size() > message; }));
    std::vector<std::string> requests;
    for (const v1::Call& call : messages_.at(message).calls->calls()) requests.push_back(call.request());
    return requests;
  }
  /// Answers each call with "re: " and its request, then ends with `status`.
  void Answer(std::size_t message, const grpc::Status& status = grpc::Status::OK) {
    AnswerWith(
        message, [](const v1::Call& call, v1::Answer& answer) { answer.set_response("re: " + call.request()); },
        status);
  }
  template <typename Fill>
  void AnswerWith(std::size_t message, const Fill& fill, const grpc::Status& status = grpc::Status::OK) {
    Requests(message);
    Message taken;
    {
      const std::lock_guard lock(mutex_);
      taken = std::move(messages_.at(message));
    }
    if (status.ok()) {
      for (int i = taken.calls->calls_size(); i-- > 0;) {  // in whatever order
        v1::Answer& answer = *taken.answers->add_answers();
        answer.set_place(static_cast<std::uint32_t>(i));
        fill(taken.calls->calls(i), answer);
      }
    }
    taken.end(status);
  }
  std::size_t messages() {
    const std::lock_guard lock(mutex_);
    return messages_.size();
  }

 private:
  struct Message {
    const v1::Calls* calls;
    v1::Answers* answers;
    std::function<void(grpc::Status)> end;
  };
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Message> messages_;
};

class CallsTogetherTest : public testing::Test {
 protected:
  using Answer = absl::StatusOr<std::string>;
  /// Patient: nobody is hurried unless a test says so.
  static TogetherLimits Patient() {
    return {.enough = 4, .longest_wait = absl::Hours(1), .most = 8, .most_bytes = 100};
  }

  std::future<Answer> Ask(CallsTogether& calls, std::string request, absl::Duration time = absl::Seconds(20)) {
    return std::async(std::launch::async, [&calls, request = std::move(request), time] {
      return calls.Call({absl::Now() + time, telemetry::NewTrace()}, request, Reason::kStoreDown);
    });
  }
  /// Asks so many, one after the other, while a message is under way: all but the first wait.
  std::vector<std::future<Answer>> AskBehindOne(CallsTogether& calls, std::size_t count) {
    std::vector<std::future<Answer>> asked;
    asked.push_back(Ask(calls, "first"));
    server_.Requests(0);
    for (std::size_t i = 1; i <= count; ++i) asked.push_back(Ask(calls, "later"));
    return asked;
  }

  PlayedServer server_;
  int sent_ = 0;
};

TEST_F(CallsTogetherTest, OneThatFindsNoneUnderWayGoesAtOnce) {
  CallsTogether calls(
      server_.Start(), [this] { ++sent_; }, Patient());
  auto answer = Ask(calls, "a");
  EXPECT_EQ(server_.Requests(0), std::vector<std::string>{"a"});
  server_.Answer(0);
  EXPECT_EQ(*answer.get(), "re: a");
  EXPECT_EQ(sent_, 1);
}

TEST_F(CallsTogetherTest, WhatIsAskedMeanwhileGoesTogetherAndEachGetsItsOwnAnswer) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto first = Ask(calls, "a");
  server_.Requests(0);
  auto second = Ask(calls, "b"), third = Ask(calls, "c");
  while (calls.waiting() < 2) std::this_thread::yield();
  EXPECT_EQ(server_.messages(), 1U);
  server_.Answer(0);
  EXPECT_EQ(server_.Requests(1).size(), 2U);
  server_.Answer(1);
  EXPECT_EQ(*first.get(), "re: a");
  EXPECT_EQ(*second.get(), "re: b");
  EXPECT_EQ(*third.get(), "re: c");
}

TEST_F(CallsTogetherTest, EnoughOfThemDoNotWaitForTheMessageBefore) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto asked = AskBehindOne(calls, Patient().enough);
  EXPECT_EQ(server_.Requests(1).size(), Patient().enough);
  server_.Answer(1);
  server_.Answer(0);
  for (auto& answer : asked) EXPECT_TRUE(answer.get().ok());
}

TEST_F(CallsTogetherTest, NobodyWaitsForLongForTheMessageBefore) {
  TogetherLimits limits = Patient();
  limits.longest_wait = absl::Milliseconds(1);
  CallsTogether calls(
      server_.Start(), [] {}, limits);
  auto asked = AskBehindOne(calls, 1);
  EXPECT_EQ(server_.Requests(1), std::vector<std::string>{"later"});
  server_.Answer(1);
  EXPECT_EQ(*asked[1].get(), "re: later");
  server_.Answer(0);
}

TEST_F(CallsTogetherTest, AMessageIsBoundedInBytes) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto first = Ask(calls, "a");
  server_.Requests(0);
  auto large = Ask(calls, std::string(80, 'x')), other = Ask(calls, std::string(80, 'y'));
  while (calls.waiting() < 2) std::this_thread::yield();
  server_.Answer(0);
  EXPECT_EQ(server_.Requests(1).size(), 1U);
  server_.Answer(1);
  EXPECT_EQ(server_.Requests(2).size(), 1U);
  server_.Answer(2);
  EXPECT_TRUE(first.get().ok() && large.get().ok() && other.get().ok());
}

TEST_F(CallsTogetherTest, CallsInOrderHaveAMessageOfTheirOwnWhateverIsUnderWay) {
  CallsTogether calls(
      server_.Start(), [this] { ++sent_; }, Patient());
  auto other = Ask(calls, "first");
  server_.Requests(0);
  auto in_order = std::async(std::launch::async, [&calls] {
    return calls.CallInOrder({absl::Now() + absl::Seconds(20), telemetry::NewTrace()}, {"a", "b", "c"},
                             Reason::kStoreDown);
  });
  EXPECT_EQ(server_.Requests(1), (std::vector<std::string>{"a", "b", "c"}));
  server_.Answer(1);
  const std::vector<Answer> answers = in_order.get();
  ASSERT_EQ(answers.size(), 3U);
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(*answers[i], std::string("re: ") + "abc"[i]);
  server_.Answer(0);
  EXPECT_TRUE(other.get().ok());
  EXPECT_EQ(sent_, 2);
}

TEST_F(CallsTogetherTest, OneRefusalIsNobodyElses) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto first = Ask(calls, "a");
  server_.Requests(0);
  auto good = Ask(calls, "good"), bad = Ask(calls, "bad"), alone = Ask(calls, "alone");
  while (calls.waiting() < 3) std::this_thread::yield();
  server_.Answer(0);
  server_.AnswerWith(1, [](const v1::Call& call, v1::Answer& answer) {
    if (call.request() == "good") answer.set_response("fine");
    if (call.request() == "bad") answer.set_refusal(ToGrpc(matrix::Refuse(Reason::kUnknownRoom, "")).error_details());
    if (call.request() == "alone") answer.set_alone(true);
  });
  EXPECT_EQ(*good.get(), "fine");
  EXPECT_EQ(matrix::ReasonOf(bad.get().status()), Reason::kUnknownRoom);
  EXPECT_TRUE(CallsTogether::MustCallAlone(alone.get().status()));
  EXPECT_TRUE(first.get().ok());
}

TEST_F(CallsTogetherTest, AMessageThatIsLostIsLostToAllThatWereInIt) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto answer = Ask(calls, "a");
  server_.Answer(0, {grpc::StatusCode::UNAVAILABLE, "gone"});
  EXPECT_EQ(matrix::ReasonOf(answer.get().status()), Reason::kStoreDown);
}

TEST_F(CallsTogetherTest, ACallWithoutAnAnswerIsTold) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto answer = Ask(calls, "a");
  server_.AnswerWith(0, [](const v1::Call&, v1::Answer& answered) {
    answered.set_place(7);
    answered.set_response("for nobody");
  });
  EXPECT_EQ(matrix::ReasonOf(answer.get().status()), Reason::kInternal);
}

TEST_F(CallsTogetherTest, NobodyWaitsBeyondHisOwnDeadline) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto late = Ask(calls, "a", absl::Milliseconds(1));
  EXPECT_EQ(matrix::ReasonOf(late.get().status()), Reason::kDeadlineExceeded);
  server_.Answer(0);  // to nobody
}

TEST_F(CallsTogetherTest, CallsInOrderAreToBeMadeAloneWhereTheServerKnowsNone) {
  CallsTogether calls(
      server_.Start(), [this] { ++sent_; }, Patient());
  const rpc::CallContext call{absl::Now() + absl::Seconds(20), telemetry::NewTrace()};
  auto first = std::async(std::launch::async, [&] { return calls.CallInOrder(call, {"a", "b"}, Reason::kStoreDown); });
  server_.Answer(0, {grpc::StatusCode::UNIMPLEMENTED, "unknown service"});
  for (const Answer& answer : first.get()) EXPECT_TRUE(CallsTogether::MustCallAlone(answer.status()));
  const std::vector<Answer> next = calls.CallInOrder(call, {"a", "b"}, Reason::kStoreDown);
  ASSERT_EQ(next.size(), 2U);
  for (const Answer& answer : next) EXPECT_TRUE(CallsTogether::MustCallAlone(answer.status()));
  EXPECT_EQ(sent_, 1);
}

TEST_F(CallsTogetherTest, AServerThatKnowsNoneIsCalledAloneForAWhile) {
  CallsTogether calls(
      server_.Start(), [] {}, Patient());
  auto first = Ask(calls, "a");
  server_.Answer(0, {grpc::StatusCode::UNIMPLEMENTED, ""});
  EXPECT_TRUE(CallsTogether::MustCallAlone(first.get().status()));
  EXPECT_TRUE(CallsTogether::MustCallAlone(Ask(calls, "b").get().status()));
  EXPECT_EQ(server_.messages(), 1U);
}

}  // namespace
}  // namespace postern::rpc
