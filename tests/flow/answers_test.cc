// "Answers of send_leave" in the design, on real processes: every row in each family of room versions, by its answer
// and by what the database holds afterwards. Rows 5 and the rest of 2 are in limits_test.cc, row 16 in trouble_test.cc.
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include "tests/flow/leave_rows.h"

namespace postern::flow {
namespace {

struct Case {
  const char* version;
  LeaveRow row;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.row.name << " in version " << c.version; }

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const char* version : kFamilies) {
    for (auto* rows : {MembershipRows, RequestRows, EventRows}) {
      for (LeaveRow& row : rows()) {
        if (row.applies(*matrix::FindRoomRules(version))) cases.push_back({version, std::move(row)});
      }
    }
  }
  return cases;
}

class AnswersOfSendLeave : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() { scene_ = std::make_unique<Scene>(); }
  static void TearDownTestSuite() { scene_.reset(); }

  static std::unique_ptr<Scene> scene_;
};
std::unique_ptr<Scene> AnswersOfSendLeave::scene_;

void ExpectAnswer(const http::Response& response, const LeaveRow& row, peer::LeaveApi api) {
  if (row.status != 200) return ExpectRefused(response, row.status, row.errcode);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body, api == peer::LeaveApi::kV1 ? "[200,{}]" : "{}");
  EXPECT_EQ(http::FindHeader(response.headers, "Content-Type"), "application/json");
}

TEST_P(AnswersOfSendLeave, AreThoseOfTheTable) {
  const auto& [version, row] = GetParam();
  const matrix::RoomRules& rules = *matrix::FindRoomRules(version);
  LeaveAttempt attempt(*scene_, scene_->remote, rules, row.membership);
  const std::string room_id = attempt.room_id;
  row.alter(attempt);
  const http::Request request = attempt.Build();

  const RoomRows before = scene_->database.RowsOfRoom(room_id);
  const http::Response response = scene_->remote.Send(request);
  const RoomRows after = scene_->database.RowsOfRoom(room_id);

  ExpectAnswer(response, row, attempt.api);
  if (row.written == Written::kTheLeave) return ExpectStored(attempt);
  EXPECT_EQ(after.written, before.written);
  EXPECT_EQ(after.refusals, before.refusals + (row.written == Written::kOneRefusal ? 1 : 0));
}

INSTANTIATE_TEST_SUITE_P(Rows, AnswersOfSendLeave, testing::ValuesIn(AllCases()), [](const auto& test) {
  return "V" + std::string(test.param.version) + "_" + test.param.row.name;
});

}  // namespace
}  // namespace postern::flow
