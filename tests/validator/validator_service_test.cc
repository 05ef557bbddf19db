// The validator as a service: queue, cancelled and expired calls, counts, many callers at once.
#include "services/validator/validator_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "matrix/refusal.h"
#include "rpc/server_host.h"
#include "rpc/status_codec.h"
#include "tests/support/judging_request.h"

namespace postern::validator {
namespace {

using matrix::Reason;
using support::RoomBuilder;
using support::TestRoom;
using testing::HasSubstr;
using testing::Not;

constexpr char kAnn[] = "@ann:b.example";

v1::ValidateRequest SomeRequest() {
  const TestRoom room = RoomBuilder("10").Member(kAnn, "invite").Build();
  return support::ValidateRequestFor(room, room.Leave(kAnn));
}

Reason ReasonOf(const grpc::Status& status) { return matrix::ReasonOf(rpc::FromGrpc(status, Reason::kValidatorDown)); }

/// A service on a port of its own, with one worker that a test can hold up.
class ValidatorServiceTest : public testing::Test {
 protected:
  static constexpr std::size_t kQueueLimit = 2;

  ValidatorServiceTest() {
    auto host = rpc::ServerHost::Start({.listen = "127.0.0.1:0", .security = {.plaintext = true}}, {&service_});
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    host_->SetServing(true);
    channel_ = grpc::CreateChannel(fmt::format("127.0.0.1:{}", host_->port()), grpc::InsecureChannelCredentials());
    stub_ = v1::Validator::NewStub(channel_);
  }
  ~ValidatorServiceTest() override {
    Release();
    host_->Shutdown(absl::Now() + absl::Seconds(5));
    workers_.Drain();
  }

  /// Returns once the worker is busy with nothing, until Release.
  void HoldUpTheWorker() {
    std::promise<void> begun;
    ASSERT_TRUE(workers_.Post([this, &begun] {
      begun.set_value();
      released_.get_future().wait();
    }));
    begun.get_future().wait();
    held_ = true;
  }
  void Release() {
    if (std::exchange(held_, false)) released_.set_value();
  }

  grpc::Status Validate(grpc::ClientContext& context, v1::ValidateResponse& response) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub_->Validate(&context, request_, &response);
  }
  std::future<grpc::Status> ValidateMeanwhile(grpc::ClientContext& context) {
    return std::async(std::launch::async, [this, &context] {
      v1::ValidateResponse response;
      return Validate(context, response);
    });
  }
  static bool Eventually(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool Counted(std::string_view answer) const {
    return metrics_.Expose().find(fmt::format("answer=\"{}\"", answer)) != std::string::npos;
  }

  const v1::ValidateRequest request_ = SomeRequest();
  telemetry::Metrics metrics_;
  rpc::WorkerPool workers_{1, kQueueLimit};
  std::atomic<absl::Duration> clock_skew_ = absl::ZeroDuration();
  ValidatorService service_{workers_, metrics_, [this] { return absl::Now() + clock_skew_.load(); }};
  std::unique_ptr<rpc::ServerHost> host_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Validator::Stub> stub_;
  std::promise<void> released_;
  bool held_ = false;
};

TEST_F(ValidatorServiceTest, AFullQueueSendsCallersElsewhere) {
  HoldUpTheWorker();
  grpc::ClientContext first;
  grpc::ClientContext second;
  grpc::ClientContext third;
  auto one = ValidateMeanwhile(first);
  auto two = ValidateMeanwhile(second);
  ASSERT_TRUE(Eventually([this] { return workers_.queued() == kQueueLimit; }));
  v1::ValidateResponse response;
  const grpc::Status refused = Validate(third, response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
  Release();
  EXPECT_TRUE(one.get().ok());
  EXPECT_TRUE(two.get().ok());
  EXPECT_TRUE(Counted("overloaded"));
}

TEST_F(ValidatorServiceTest, ACancelledCallIsNotJudged) {
  HoldUpTheWorker();
  grpc::ClientContext given_up;
  auto call = ValidateMeanwhile(given_up);
  ASSERT_TRUE(Eventually([this] { return workers_.queued() == 1; }));
  given_up.TryCancel();
  EXPECT_EQ(call.get().error_code(), grpc::StatusCode::CANCELLED);
  // What comes after on this connection has passed the cancellation.
  grpc::ClientContext later;
  auto after = ValidateMeanwhile(later);
  ASSERT_TRUE(Eventually([this] { return workers_.queued() == 2; }));
  Release();
  EXPECT_TRUE(after.get().ok());
  EXPECT_TRUE(Counted("cancelled"));
  EXPECT_THAT(metrics_.Expose(), HasSubstr("postern_validator_verdicts_total{outcome=\"accepted\"} 1"));
}

TEST_F(ValidatorServiceTest, ACallWhoseTimeIsUpIsNotJudged) {
  clock_skew_ = absl::Hours(1);
  grpc::ClientContext context;
  v1::ValidateResponse response;
  EXPECT_EQ(ReasonOf(Validate(context, response)), Reason::kDeadlineExceeded);
  EXPECT_THAT(metrics_.Expose(), Not(HasSubstr("postern_validator_verdicts_total")));
}

TEST_F(ValidatorServiceTest, CountsVerdictsByOutcomeAndStep) {
  grpc::ClientContext context;
  v1::ValidateResponse response;
  ASSERT_TRUE(Validate(context, response).ok());
  const std::string text = metrics_.Expose();
  EXPECT_THAT(text, HasSubstr("postern_validator_verdicts_total{outcome=\"accepted\"} 1"));
  EXPECT_THAT(text, HasSubstr("step=\"content hash\""));
  EXPECT_THAT(text, HasSubstr("postern_validator_rpc_seconds"));
}

TEST_F(ValidatorServiceTest, AnswersManyAtOnceWithTheSameBytes) {
  constexpr int kCallers = 2;  // as many as the queue takes beside the one that runs
  constexpr int kCalls = 50;
  grpc::ClientContext context;
  v1::ValidateResponse expected;
  ASSERT_TRUE(Validate(context, expected).ok());
  std::vector<std::future<int>> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(std::async(std::launch::async, [this, &expected] {
      int same = 0;
      for (int call = 0; call < kCalls; ++call) {
        grpc::ClientContext own;
        v1::ValidateResponse response;
        if (Validate(own, response).ok() && response.SerializeAsString() == expected.SerializeAsString()) ++same;
      }
      return same;
    }));
  }
  for (auto& caller : callers) EXPECT_EQ(caller.get(), kCalls);
}

TEST_F(ValidatorServiceTest, AVersionThatNobodyKnowsIsTheCallersMistake) {
  v1::ValidateRequest request = request_;
  request.mutable_context()->set_room_version("99");
  grpc::ClientContext context;
  v1::ValidateResponse response;
  EXPECT_EQ(ReasonOf(stub_->Validate(&context, request, &response)), Reason::kUnsupportedVersion);
}

}  // namespace
}  // namespace postern::validator
