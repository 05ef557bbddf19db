// Decisions on a real PostgreSQL: what the contract cannot reach, for it takes many rooms, or a database of another
// time.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "matrix/refusal.h"
#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Event;
using matrix::Reason;
using support::StoreRig;
using support::TestRoom;
using support::UserOf;
using testing::SizeIs;

class Decisions : public testing::Test {
 protected:
  Decisions() { rig_.Create(room_); }

  static rpc::CallContext Call() { return StoreRig::Within(absl::Seconds(30)); }

  /// Every page, and how many there were.
  std::vector<v1::Decision> List(int& pages) {
    std::vector<v1::Decision> all;
    v1::ListDecisionsRequest request;
    for (pages = 1;; ++pages) {
      const auto page = rig_.store().ListDecisions(Call(), request);
      EXPECT_TRUE(page.ok());
      if (!page.ok()) return all;
      all.insert(all.end(), page->decisions().begin(), page->decisions().end());
      if (!page->has_next()) return all;
      *request.mutable_after() = page->next();
    }
  }

  absl::Status ContextOf(const Event& event) {
    v1::GetDecisionContextRequest request;
    request.set_room_id(event.room_id());
    request.set_event_id(event.event_id());
    return rig_.store().GetDecisionContext(Call(), request).status();
  }

  StoreRig rig_;
  TestRoom room_ = support::RoomOf(3);
};

TEST_F(Decisions, GoOnOverRoomsThatHaveNone) {
  rig_.Sql(
      "insert into rooms (room_id, room_version, ids_are_carried, stream_ordering, accepted_ordering, fixed_ordering, "
      "state_group, lineages, extremities, created_at) "
      "select convert_to(chr(1) || i, 'UTF8'), '10', false, 0, 0, 0, 0, 0, '{}', 0 from generate_series(1, 2500) i");
  ASSERT_TRUE(rig_.Persist(room_.Leave(UserOf(0))).ok());
  ASSERT_TRUE(rig_.Persist(room_.Leave(UserOf(1)), matrix::v1::OUTCOME_REJECTED).ok());
  int pages = 0;
  EXPECT_THAT(List(pages), SizeIs(2));
  EXPECT_EQ(pages, 5);  // a thousand empty rooms, another thousand, the decision, the refusal, nothing more
}

TEST_F(Decisions, OfAVersionThatDidNotRecordWhatTheyWereJudgedOnAreListedWithoutIt) {
  const Event leave = room_.Leave(UserOf(0));
  ASSERT_TRUE(rig_.Persist(leave).ok());
  ASSERT_TRUE(ContextOf(leave).ok());
  int pages = 0;
  matrix::v1::Verdict verdict = List(pages).at(0).verdict();
  verdict.clear_inputs();
  std::string hex;
  for (const char byte : verdict.SerializeAsString()) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  rig_.Sql(fmt::format("update events set verdict = '\\x{}' where verdict is not null returning '1'", hex));
  EXPECT_FALSE(List(pages).at(0).verdict().has_inputs());
  EXPECT_EQ(matrix::ReasonOf(ContextOf(leave)), Reason::kNotFound);
}

TEST_F(Decisions, AreRecordedInTheRowsThatThereWereBefore) {
  const std::string rows =
      "select (select count(*) from events) || ' ' || (select count(*) from event_ids) || ' ' || "
      "(select count(*) from state_entries) || ' ' || (select count(*) from outbox) || ' ' || "
      "(select count(*) from refusals)";
  const std::string before = rig_.Sql(rows);
  ASSERT_TRUE(rig_.Persist(room_.Leave(UserOf(0))).ok());
  const std::size_t first = room_.events().size();
  EXPECT_EQ(before, fmt::format("{0} {0} {0} {0} 0", first));
  EXPECT_EQ(rig_.Sql(rows), fmt::format("{0} {0} {0} {0} 0", first + 1));
  EXPECT_EQ(rig_.Sql("select (length(verdict) < 400)::text from events where verdict is not null"), "true");
}

}  // namespace
}  // namespace postern::store
