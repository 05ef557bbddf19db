// Real processes and another homeserver: a leave whose prev events only that server has, and what it may read of the
// room afterwards.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "matrix/event_id.h"
#include "tests/flow/leave_attempt.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using testing::Contains;
using testing::ElementsAre;

constexpr std::string_view kFederation = "/_matrix/federation/v1/";

/// A room in which users of `remote` are joined, and one whose leave hangs on those of two others.
class GapAndReads : public testing::Test {
 protected:
  GapAndReads() : seeded_(scene_.room_operator.Seed("10", scene_.remote.name(), "join", 4)) {
    for (int i = 0; i < 3; ++i) {
      JsonObject leave = scene_.remote.Template(seeded_.room_id, seeded_.users[static_cast<std::size_t>(i)]);
      if (!leaves_.empty()) {
        leave.Set("prev_events", JsonArray{IdOf(leaves_.back())});
        leave.Set("depth", *leaves_.back().Find("depth")->AsInteger() + 1);
      }
      leaves_.push_back(scene_.remote.Complete(std::move(leave), rules_));
    }
  }

  std::string IdOf(const JsonObject& event) const { return matrix::ComputeEventId(event, rules_); }
  std::string MembershipOf(std::size_t user) {
    return scene_.database.RowsOfLeave(seeded_.room_id, IdOf(leaves_[user]), seeded_.users[user]).membership;
  }
  http::Response SendLast() {
    return scene_.remote.Send(scene_.remote.SendLeaveRequest(seeded_.room_id, leaves_.back(), rules_));
  }
  std::string InRoom(std::string_view what, const std::string& rest = "") const {
    return fmt::format("{}{}/{}{}", kFederation, what, http::PercentEncode(seeded_.room_id), rest);
  }
  http::Response Get(const PlayedHomeserver& asker, const std::string& target) {
    return asker.Send(asker.Request("GET", target, nullptr));
  }
  http::Response GetEvent(const PlayedHomeserver& asker) {
    return Get(asker, fmt::format("{}event/{}", kFederation, http::PercentEncode(IdOf(leaves_.back()))));
  }
  http::Response GetStateIds(const PlayedHomeserver& asker) {
    return Get(asker, InRoom("state_ids", "?event_id=" + http::PercentEncode(IdOf(leaves_.back()))));
  }
  http::Response GetAuth(const PlayedHomeserver& asker) {
    return Get(asker, InRoom("event_auth", "/" + http::PercentEncode(IdOf(leaves_.back()))));
  }
  http::Response GetMissing(const PlayedHomeserver& asker) {
    JsonObject body;
    body.Set("latest_events", JsonArray{IdOf(leaves_.back())});
    body.Set("earliest_events", JsonArray{});
    body.Set("limit", 2);
    const Json content(std::move(body));
    return asker.Send(asker.Request("POST", InRoom("get_missing_events"), &content));
  }
  std::vector<std::string> IdsIn(const http::Response& response, std::string_view member) {
    std::vector<std::string> ids;
    EXPECT_EQ(response.status, 200) << response.body;
    const JsonObject answer = ObjectOf(response.body);
    for (const Json& entry : *answer.Find(member)->AsArray()) {
      ids.push_back(entry.AsString() != nullptr ? *entry.AsString() : IdOf(*entry.AsObject()));
    }
    return ids;
  }

  Scene scene_;
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules("10");
  const SeededRoom seeded_;
  std::vector<JsonObject> leaves_;
};

TEST_F(GapAndReads, AreServedByRealProcesses) {
  ExpectRefused(SendLast(), 400, "M_INVALID_PARAM");  // the peer answers no get_missing_events yet
  EXPECT_EQ(MembershipOf(2), "join");

  scene_.remote.SetMissingEvents({leaves_[0], leaves_[1]});
  const auto response = SendLast();
  ASSERT_EQ(response.status, 200) << response.body;
  for (std::size_t user = 0; user < 3; ++user) EXPECT_EQ(MembershipOf(user), "leave");
  const Json asked = scene_.remote.LastAskedForMissing();
  EXPECT_EQ(*asked.AsObject()->Find("latest_events"), Json(JsonArray{IdOf(leaves_.back())}));

  // One of its users is still in the room.
  EXPECT_THAT(IdsIn(GetEvent(scene_.remote), "pdus"), ElementsAre(IdOf(leaves_.back())));
  EXPECT_THAT(IdsIn(GetStateIds(scene_.remote), "pdu_ids"), Contains(IdOf(leaves_[1])));
  EXPECT_FALSE(IdsIn(GetStateIds(scene_.remote), "auth_chain_ids").empty());
  EXPECT_FALSE(IdsIn(GetAuth(scene_.remote), "auth_chain").empty());
  EXPECT_THAT(IdsIn(GetMissing(scene_.remote), "events"), ElementsAre(IdOf(leaves_[0]), IdOf(leaves_[1])));

  const PlayedHomeserver stranger(scene_.stack);
  ExpectRefused(GetEvent(stranger), 403, "M_FORBIDDEN");
  ExpectRefused(GetStateIds(stranger), 403, "M_FORBIDDEN");
  ExpectRefused(GetAuth(stranger), 403, "M_FORBIDDEN");
  ExpectRefused(GetMissing(stranger), 403, "M_FORBIDDEN");
}

}  // namespace
}  // namespace postern::flow
