// Real processes and other homeservers: users who join a room and knock on it, by the handshakes of the federation API.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "matrix/event_id.h"
#include "postern/store/v1/store.grpc.pb.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_attempt.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonObject;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

/// A room of the stack, and two other servers.
class Joins : public testing::Test {
 protected:
  http::Response Make(const PlayedHomeserver& asker, std::string_view what, const std::string& user) {
    return asker.Send(MakeRequest(asker, what, room_.room_id, user, rules_));
  }
  JsonObject Event(const PlayedHomeserver& asker, std::string_view what, const std::string& user) {
    const auto response = Make(asker, what, user);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(*ObjectOf(response.body).Find("room_version")->AsString(), rules_.version);
    return asker.Complete(DraftOf(response), rules_);
  }
  http::Response Send(const PlayedHomeserver& asker, std::string_view endpoint, const JsonObject& event) {
    return asker.Send(SendRequest(asker, endpoint, room_.room_id, event, rules_));
  }
  std::string IdOf(const JsonObject& event) const { return matrix::ComputeEventId(event, rules_); }
  LeaveRows Rows(const JsonObject& event) {
    return scene_.database.RowsOfLeave(room_.room_id, IdOf(event), *event.Find("sender")->AsString());
  }
  std::vector<std::string> DestinationsOf(const JsonObject& event) {
    const auto store =
        store::v1::Store::NewStub(grpc::CreateChannel(scene_.stack.store().grpc, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    store::v1::ListOutboxRequest request;
    store::v1::ListOutboxResponse outbox;
    request.set_room_id(room_.room_id);
    EXPECT_TRUE(store->ListOutbox(&context, request, &outbox).ok());
    std::vector<std::string> destinations;
    for (const auto& row : outbox.rows()) {
      if (row.event_id() != IdOf(event)) continue;
      destinations.assign(row.destinations().begin(), row.destinations().end());
    }
    return destinations;
  }
  static std::vector<std::string> TextsIn(const JsonObject& answer, std::string_view member) {
    std::vector<std::string> texts;
    for (const Json& text : *answer.Find(member)->AsArray()) texts.push_back(*text.AsString());
    return texts;
  }
  std::vector<std::string> IdsIn(const JsonObject& answer, std::string_view member) const {
    std::vector<std::string> ids;
    for (const Json& event : *answer.Find(member)->AsArray()) ids.push_back(IdOf(*event.AsObject()));
    return ids;
  }

  Scene scene_;
  const PlayedHomeserver second_{scene_.stack};
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules("11");
  const NewRoom room_ = scene_.room_operator.CreateRoom("11");
};

TEST_F(Joins, AndKnocksAreTakenByRealProcesses) {
  const JsonObject first = Event(scene_.remote, "make_join", scene_.remote.User("ann"));
  const auto joined = Send(scene_.remote, "v2/send_join", first);
  ASSERT_EQ(joined.status, 200) << joined.body;
  const JsonObject answer = ObjectOf(joined.body);
  EXPECT_THAT(IdsIn(answer, "state"), Contains(room_.event_ids.at("m.room.create")));
  EXPECT_THAT(IdsIn(answer, "state"), Not(Contains(IdOf(first))));
  EXPECT_THAT(IdsIn(answer, "auth_chain"), Contains(room_.event_ids.at("m.room.power_levels")));
  EXPECT_THAT(TextsIn(answer, "servers_in_room"), ElementsAre(scene_.stack.server_name()));
  EXPECT_NE(answer.Find("event")->AsObject()->Find("signatures")->AsObject()->Find(scene_.stack.server_name()),
            nullptr);
  EXPECT_EQ(Rows(first).membership, "join");
  EXPECT_TRUE(Rows(first).membership_is_by_it);
  EXPECT_EQ(Rows(first).outbox, 1);
  EXPECT_THAT(DestinationsOf(first), IsEmpty());
  EXPECT_EQ(Send(scene_.remote, "v2/send_join", first).body, joined.body);
  EXPECT_EQ(Rows(first).events, 1);

  // From then on its server is told, and named to whoever comes next.
  const JsonObject next = Event(second_, "make_join", second_.User("bob"));
  const auto joined_next = Send(second_, "v1/send_join", next);
  ASSERT_EQ(joined_next.status, 200) << joined_next.body;
  const JsonObject next_answer = *matrix::ParseJson(joined_next.body)->AsArray()->at(1).AsObject();
  EXPECT_THAT(IdsIn(next_answer, "state"), Contains(IdOf(first)));
  EXPECT_THAT(TextsIn(next_answer, "servers_in_room"), Contains(scene_.remote.name()));
  EXPECT_THAT(DestinationsOf(next), ElementsAre(scene_.remote.name()));

  scene_.room_operator.SetState(room_.room_id, "m.room.join_rules", R"({"join_rule":"knock"})");
  ExpectRefused(Make(second_, "make_join", second_.User("cat")), 403, "M_FORBIDDEN");
  const JsonObject knock = Event(second_, "make_knock", second_.User("cat"));
  const auto knocked = Send(second_, "v1/send_knock", knock);
  ASSERT_EQ(knocked.status, 200) << knocked.body;
  EXPECT_THAT(IdsIn(ObjectOf(knocked.body), "knock_room_state"), Contains(room_.event_ids.at("m.room.create")));
  EXPECT_EQ(Rows(knock).membership, "knock");
  EXPECT_THAT(DestinationsOf(knock), ElementsAre(scene_.remote.name()));
  const JsonObject withdrawn = Event(second_, "make_leave", second_.User("cat"));
  EXPECT_EQ(Send(second_, "v2/send_leave", withdrawn).status, 200);
  EXPECT_EQ(Rows(withdrawn).membership, "leave");
}

TEST_F(Joins, OfAMemberOfAnAllowedRoomAreVouchedForByRealProcesses) {
  const std::string ann = scene_.remote.User("ann");
  const NewRoom club = scene_.room_operator.CreateRoom("11");
  scene_.room_operator.SetState(
      room_.room_id, "m.room.join_rules",
      fmt::format(R"({{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{}"}}]}})",
                  club.room_id));
  ExpectRefused(Make(scene_.remote, "make_join", ann), 403, "M_FORBIDDEN");
  const SeededRoom elsewhere = scene_.room_operator.Seed("11", scene_.remote.name(), "join", 2);
  scene_.room_operator.SetState(
      room_.room_id, "m.room.join_rules",
      fmt::format(R"({{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{}"}}]}})",
                  elsewhere.room_id));
  const JsonObject join = Event(scene_.remote, "make_join", elsewhere.users[0]);
  EXPECT_NE(join.Find("content")->AsObject()->Find("join_authorised_via_users_server"), nullptr);
  const auto joined = Send(scene_.remote, "v2/send_join", join);
  ASSERT_EQ(joined.status, 200) << joined.body;
  EXPECT_EQ(Rows(join).membership, "join");
}

}  // namespace
}  // namespace postern::flow
