// Row 16 of "Answers of send_leave" on real processes: what ails this server is a 503 that says when to come back,
// never a leave lost or half accepted; once it has passed, the same leave is accepted.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "tests/flow/leave_attempt.h"

namespace postern::flow {
namespace {

// So that whoever waits for a process that does nothing gives up soon.
constexpr const char* kSettings = "rate_limits: false\nrequest_timeout: 2s\n";

class TroubleOfSendLeave : public testing::Test {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(StackOptions{.gateway_settings = kSettings}); }
  static void TearDownTestSuite() { scene_.reset(); }

  void SetUp() override {
    for (const char* version : kFamilies) {
      leaves_.emplace_back(*scene_, scene_->remote, *matrix::FindRoomRules(version));
      requests_.push_back(leaves_.back().Build());
      before_.push_back(scene_->database.RowsOfRoom(leaves_.back().room_id));
    }
  }

  /// One leave of each family, at once.
  void ExpectAllToldToComeBack() {
    std::vector<std::future<http::Response>> answers;
    for (const http::Request& request : requests_) {
      answers.push_back(std::async(std::launch::async, [&] { return scene_->remote.Send(request); }));
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      SCOPED_TRACE(kFamilies[i]);
      ExpectToldToComeBack(answers[i].get(), 503, "M_UNKNOWN");
      EXPECT_EQ(scene_->database.RowsOfRoom(leaves_[i].room_id), before_[i]);
    }
  }

  void ExpectAllAccepted() {
    scene_->stack.WaitUntilReady();
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      SCOPED_TRACE(kFamilies[i]);
      const http::Response response = scene_->remote.Send(requests_[i]);
      EXPECT_EQ(response.status, 200) << response.body;
      ExpectStored(leaves_[i]);
    }
  }

  static std::unique_ptr<Scene> scene_;
  std::deque<LeaveAttempt> leaves_;
  std::vector<http::Request> requests_;
  std::vector<RoomRows> before_;
};
std::unique_ptr<Scene> TroubleOfSendLeave::scene_;

TEST_F(TroubleOfSendLeave, WhereTheValidatorStandsStill) {
  {
    const Frozen frozen(scene_->stack.validator());
    ExpectAllToldToComeBack();
  }
  ExpectAllAccepted();
}

TEST_F(TroubleOfSendLeave, WhereTheStoreStandsStill) {
  {
    const Frozen frozen(scene_->stack.store());
    ExpectAllToldToComeBack();
  }
  ExpectAllAccepted();
}

TEST_F(TroubleOfSendLeave, WhereTheValidatorIsGone) {
  scene_->stack.Kill(scene_->stack.validator());
  ExpectAllToldToComeBack();
  scene_->stack.Restart(scene_->stack.validator());
  ExpectAllAccepted();
}

TEST_F(TroubleOfSendLeave, WhereTheStoreIsGone) {
  scene_->stack.Kill(scene_->stack.store());
  ExpectAllToldToComeBack();
  scene_->stack.Restart(scene_->stack.store());
  ExpectAllAccepted();
}

TEST_F(TroubleOfSendLeave, WhereTheKeyOfTheEventCannotBeHadJustNow) {
  for (std::size_t i = 0; i < leaves_.size(); ++i) {
    SCOPED_TRACE(kFamilies[i]);
    PlayedHomeserver remote(scene_->stack);
    LeaveAttempt attempt(*scene_, remote, leaves_[i].rules);  // asking for the template has shown the request's key
    remote.TakeOffline();
    attempt.CompleteNow();
    attempt.event.Erase("signatures");
    matrix::SignEvent(attempt.event, remote.name(), NewKey("ed25519:another"), attempt.rules);
    const RoomRows before = scene_->database.RowsOfRoom(attempt.room_id);
    ExpectToldToComeBack(attempt.Send(), 503, "M_UNKNOWN");
    EXPECT_EQ(scene_->database.RowsOfRoom(attempt.room_id), before);
  }
}

}  // namespace
}  // namespace postern::flow
