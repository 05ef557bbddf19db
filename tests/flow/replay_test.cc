// One signed leave, many times at once, at two gateways: every answer is 200, and it is in the room once.
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <memory>
#include <vector>

#include "tests/flow/leave_attempt.h"

namespace postern::flow {
namespace {

constexpr std::size_t kCopies = 50;

class ReplayOfALeave : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(StackOptions{.gateways = 2}); }
  static void TearDownTestSuite() { scene_.reset(); }

  static std::unique_ptr<Scene> scene_;
};
std::unique_ptr<Scene> ReplayOfALeave::scene_;

TEST_P(ReplayOfALeave, IsAcceptedEachTimeAndWrittenOnce) {
  LeaveAttempt attempt(*scene_, scene_->remote, *matrix::FindRoomRules(GetParam()));
  const http::Request request = attempt.Build();
  std::latch all_are_there(kCopies);
  std::vector<std::future<http::Response>> answers;
  for (std::size_t copy = 0; copy < kCopies; ++copy) {
    answers.push_back(std::async(std::launch::async, [&, copy] {
      const auto& gateways = scene_->stack.gateways();
      all_are_there.arrive_and_wait();
      return scene_->remote.Send(request, gateways[copy % gateways.size()].federation);
    }));
  }
  for (auto& answer : answers) {
    const http::Response response = answer.get();
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.body, "{}");
  }
  ExpectStored(attempt);
  EXPECT_TRUE(scene_->database.HalfWritten().empty());
}

INSTANTIATE_TEST_SUITE_P(Families, ReplayOfALeave, testing::ValuesIn(kFamilies),
                         [](const auto& test) { return "V" + std::string(test.param); });

}  // namespace
}  // namespace postern::flow
