// Rooms that many leave at once, through real processes: whatever tips a template cites, the leave made from it is
// taken.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "matrix/event_id.h"
#include "tests/flow/leave_attempt.h"

namespace postern::flow {
namespace {

constexpr std::size_t kBurst = 30;  // more than the 20 tips that a template cites
constexpr std::size_t kAfterwards = 15;
constexpr int kThreads = 6;

class Burst : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(); }
  static void TearDownTestSuite() { scene_.reset(); }

  const matrix::RoomRules& rules() const { return *matrix::FindRoomRules(GetParam()); }
  SeededRoom Room(std::size_t users, std::string_view membership = "join") {
    return scene_->room_operator.Seed(GetParam(), scene_->remote.name(), membership, static_cast<int>(users));
  }
  matrix::JsonObject LeaveOf(const SeededRoom& room, const std::string& user) {
    return scene_->remote.Complete(scene_->remote.Template(room.room_id, user), rules());
  }
  void Submit(const SeededRoom& room, const matrix::JsonObject& leave) {
    const http::Response response = scene_->remote.Send(scene_->remote.SendLeaveRequest(room.room_id, leave, rules()));
    EXPECT_EQ(response.status, 200) << response.body;
    const LeaveRows rows = scene_->database.RowsOfLeave(room.room_id, matrix::ComputeEventId(leave, rules()),
                                                        *leave.Find("sender")->AsString());
    EXPECT_EQ(rows.membership, "leave");
    EXPECT_TRUE(rows.membership_is_by_it);
  }

  static std::unique_ptr<Scene> scene_;
};
std::unique_ptr<Scene> Burst::scene_;

TEST_P(Burst, AfterMoreLeavesFromOneTipThanATemplateCitesTheNextOnesAreTaken) {
  const SeededRoom room = Room(kBurst + kAfterwards);
  std::vector<matrix::JsonObject> leaves;
  for (std::size_t i = 0; i < kBurst; ++i) leaves.push_back(LeaveOf(room, room.users[i]));
  for (const matrix::JsonObject& leave : leaves) Submit(room, leave);
  for (std::size_t i = kBurst; i < room.users.size(); ++i) Submit(room, LeaveOf(room, room.users[i]));
  EXPECT_TRUE(scene_->database.HalfWritten().empty());
}

TEST_P(Burst, TemplatesTakenWhileOthersLeaveAreTaken) {
  const SeededRoom room = Room(kBurst);
  std::atomic<std::size_t> next = 0;
  std::atomic<int> taken = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < room.users.size(); i = next++) {
        const matrix::JsonObject leave = LeaveOf(room, room.users[i]);
        const http::Response response =
            scene_->remote.Send(scene_->remote.SendLeaveRequest(room.room_id, leave, rules()));
        EXPECT_EQ(response.status, 200) << response.body;
        taken += response.status == 200 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, static_cast<int>(kBurst));
  EXPECT_TRUE(scene_->database.HalfWritten().empty());
}

TEST_P(Burst, LeavesThatCrossInvitesOfThisServerAreTaken) {
  const SeededRoom room = Room(kAfterwards, "invite");
  std::vector<matrix::JsonObject> leaves;
  for (std::size_t i = 0; i < room.users.size(); ++i) {
    leaves.push_back(LeaveOf(room, room.users[i]));
    scene_->room_operator.Invite(room.room_id, scene_->remote.User(fmt::format("other{}", i)));
    if (i > 0) Submit(room, leaves[i - 1]);
  }
  EXPECT_TRUE(scene_->database.HalfWritten().empty());
}

INSTANTIATE_TEST_SUITE_P(Families, Burst, testing::ValuesIn(kFamilies),
                         [](const auto& test) { return "V" + std::string(test.param); });

}  // namespace
}  // namespace postern::flow
