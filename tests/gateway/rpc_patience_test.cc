// Which attempts of a call are given up for one at another replica, and how many of them there may be.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "matrix/refusal.h"
#include "rpc/channel.h"
#include "rpc/server_host.h"
#include "services/gateway/rpc_attempts.h"
#include "services/gateway/validator_client.h"
#include "services/validator/validator_service.h"
#include "services/validator/validator_together_service.h"
#include "tests/gateway/hanging_validator.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

const rpc::TransportSecurity kPlaintext{.plaintext = true};

rpc::CallContext CallFor(absl::Duration time) { return {absl::Now() + time, telemetry::NewTrace()}; }

struct GivenUpCase {
  const char* name;
  absl::Duration patience;
  std::vector<Reason> says;  // kDeadlineExceeded: after it has waited for as long as it may
  int attempts;
  Reason answer;
  double budget = 256;
};

class AttemptsGivenUp : public testing::TestWithParam<GivenUpCase> {};

TEST_P(AttemptsGivenUp, AreFollowedByOneThatWaitsForAsLongAsTheCallMay) {
  const GivenUpCase& c = GetParam();
  telemetry::Metrics metrics;
  AttemptBudget budget({.most = c.budget, .earned = 0});
  const RpcKind kind{.peer = "validator",
                     .method = "Validate",
                     .unreachable = Reason::kValidatorDown,
                     .attempts = 3,
                     .patience = c.patience,
                     .budget = &budget};
  const rpc::CallContext call = CallFor(absl::Hours(1));
  std::vector<bool> waits_on;
  const auto status = WithAttempts(kind, call, {metrics}, [&](const rpc::CallContext& attempted, RpcSizes&) {
    const Reason says = c.says.at(std::min(waits_on.size(), c.says.size() - 1));
    waits_on.push_back(attempted.deadline == call.deadline);
    return says == Reason::kNone ? absl::StatusOr<int>(1) : absl::StatusOr<int>(matrix::Refuse(says, "scripted"));
  });
  EXPECT_EQ(matrix::ReasonOf(status.status()), c.answer);
  EXPECT_EQ(static_cast<int>(waits_on.size()), c.attempts);
  EXPECT_TRUE(waits_on.back() || c.answer != Reason::kDeadlineExceeded);
}

constexpr absl::Duration kSecond = absl::Seconds(1);
INSTANTIATE_TEST_SUITE_P(
    Attempts, AttemptsGivenUp,
    testing::Values(
        GivenUpCase{"AnsweredAtOnce", kSecond, {Reason::kNone}, 1, Reason::kNone},
        GivenUpCase{"OneHangs", kSecond, {Reason::kDeadlineExceeded, Reason::kNone}, 2, Reason::kNone},
        GivenUpCase{"AllHang", kSecond, {Reason::kDeadlineExceeded}, 4, Reason::kDeadlineExceeded},
        GivenUpCase{
            "AllHangAndThereIsBudgetForOne", kSecond, {Reason::kDeadlineExceeded}, 2, Reason::kDeadlineExceeded, 1},
        GivenUpCase{"AllHangAndThereIsNoBudget", kSecond, {Reason::kDeadlineExceeded}, 1, Reason::kDeadlineExceeded, 0},
        GivenUpCase{"MayTakeLong", absl::InfiniteDuration(), {Reason::kDeadlineExceeded}, 1, Reason::kDeadlineExceeded},
        GivenUpCase{"ThoseGivenUpTakeNothingFromThoseThatReachNobody",
                    kSecond,
                    {Reason::kDeadlineExceeded, Reason::kDeadlineExceeded, Reason::kDeadlineExceeded,
                     Reason::kValidatorDown, Reason::kValidatorDown, Reason::kNone},
                    6,
                    Reason::kNone},
        GivenUpCase{"BusyWithTheOneThatHung",
                    kSecond,
                    {Reason::kDeadlineExceeded, Reason::kRoomBusy, Reason::kNone},
                    3,
                    Reason::kNone},
        GivenUpCase{"BusyWithOthers", kSecond, {Reason::kRoomBusy}, 1, Reason::kRoomBusy},
        GivenUpCase{"RefusedAfterOneHung",
                    kSecond,
                    {Reason::kDeadlineExceeded, Reason::kStateUnresolved},
                    2,
                    Reason::kStateUnresolved}),
    [](const auto& test) { return test.param.name; });

TEST(AttemptBudgets, AreFilledAgainByAnswers) {
  AttemptBudget budget({.most = 3, .earned = 0.5});
  EXPECT_TRUE(budget.Take());  // is given up
  EXPECT_TRUE(budget.Take());
  EXPECT_TRUE(budget.Take());
  EXPECT_FALSE(budget.Take());
  budget.GiveBack();
  EXPECT_TRUE(budget.Take());
  EXPECT_FALSE(budget.Take());
  for (int i = 0; i < 100; ++i) budget.GiveBack();
  EXPECT_TRUE(budget.Take() && budget.Take() && budget.Take());
  EXPECT_FALSE(budget.Take());  // no more than there was at first
}

/// Validators of which some hang, and a client of them.
class SomeHang : public testing::Test {
 protected:
  ~SomeHang() override {
    held_.Release();
    for (const auto& host : hosts_) host->Shutdown(absl::Now());
    workers_.Drain();
  }

  std::string Serve(const std::vector<grpc::Service*>& services) {
    auto host = rpc::ServerHost::Start({.listen = "127.0.0.1:0", .security = kPlaintext}, services);
    EXPECT_TRUE(host.ok()) << host.status();
    hosts_.push_back(*std::move(host));
    return "127.0.0.1:" + std::to_string(hosts_.back()->port());
  }
  std::unique_ptr<ValidatorClient> ClientOf(const std::string& addresses, const RpcPatience& patience) {
    return MakeGrpcValidatorClient(*rpc::OpenChannel(addresses, kPlaintext), {metrics_}, patience);
  }
  double GivenUp() const {
    const std::string page = metrics_.Expose();
    const std::string series = "postern_gateway_rpc_given_up_total{method=\"Validate\",peer=\"validator\"} ";
    const auto at = page.find(series);
    return at == std::string::npos ? 0 : std::stod(page.substr(at + series.size()));
  }

  telemetry::Metrics metrics_;
  rpc::WorkerPool workers_{2, 256};
  HeldCalls held_;
  HangingValidator hanging_{held_};
  HangingValidatorTogether hanging_together_{held_};
  validator::ValidatorService validator_{workers_, metrics_, absl::Now};
  validator::ValidatorTogetherService together_{workers_, metrics_, absl::Now};
  std::vector<std::unique_ptr<rpc::ServerHost>> hosts_;
};

TEST_F(SomeHang, AndTheirCallsAreAnsweredByTheOthers) {
  const std::string hanging = Serve({&hanging_, &hanging_together_});
  const std::string live = Serve({&validator_, &together_});
  const auto client = ClientOf(hanging + "," + live, {.each = absl::Milliseconds(200)});
  for (int i = 0; i < 20 || held_.taken() == 0; ++i) {
    // What is no question at all is refused: that is an answer.
    EXPECT_EQ(matrix::ReasonOf(client->Validate(CallFor(absl::Seconds(60)), {}).status()), Reason::kUnsupportedVersion);
  }
  EXPECT_GE(GivenUp(), 1);
}

TEST_F(SomeHang, AndNoMoreCallsAreMadeThanTheBudgetAllowsWhereAllDo) {
  const auto client = ClientOf(Serve({&hanging_, &hanging_together_}) + "," + Serve({&hanging_, &hanging_together_}),
                               {.each = absl::Milliseconds(20), .budget = {.most = 5, .earned = 0.1}});
  constexpr int kCalls = 16;
  std::vector<std::future<Reason>> answers;
  for (int i = 0; i < kCalls; ++i) {
    answers.push_back(std::async(std::launch::async, [&] {
      return matrix::ReasonOf(client->Validate(CallFor(absl::Seconds(2)), {}).status());
    }));
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get(), Reason::kDeadlineExceeded);
  EXPECT_EQ(GivenUp(), 5);
  EXPECT_LE(held_.taken(), kCalls + 5);
}

}  // namespace
}  // namespace postern::gateway
