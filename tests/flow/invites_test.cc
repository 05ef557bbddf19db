// Users of this server are invited by another and reject that: on real processes, with played homeservers over real TLS
// and posternctl as the operator has it (pitfalls L17, L19-L21, P06).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "tests/flow/must.h"
#include "tests/flow/played_homeserver.h"
#include "tests/flow/running_stack.h"
#include "tests/posternctl/program.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using posternctl::Ended;
using posternctl::Number;
using posternctl::Text;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(120);
constexpr const char* kSettings = R"(
rate_limits: false
sender:
  quick_retry: 100ms
  first_retry: 200ms
  longest_retry: 1s
  lease: 1s
)";

RunningStack& Stack() {
  static RunningStack stack({.gateways = 2, .gateway_settings = kSettings});
  return stack;
}

http::Response Said(int status, std::string body) { return {.status = status, .headers = {}, .body = std::move(body)}; }

class InvitedUsers : public testing::Test {
 protected:
  InvitedUsers() : there_(Stack()), room_("!" + fmt::format("{:x}", ++rooms_) + ":" + there_.name()) {}

  static Ended Posternctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--gateway", Stack().gateway().grpc, "--store", Stack().store().grpc, "--json"});
    return posternctl::RunPosternctl(arguments);
  }
  /// Of the played server.
  std::vector<Json> Listed(bool settled = false) const {
    std::vector<std::string> arguments{"invite", "list", "--server", there_.name()};
    if (settled) arguments.emplace_back("--all");
    const Ended ended = Posternctl(arguments);
    EXPECT_EQ(ended.status, 0) << ended.errors;
    return *ended.json().AsArray();
  }
  Json AwaitState(std::string_view state) const {
    const absl::Time deadline = absl::Now() + kPatience;
    for (;;) {
      for (const Json& invite : Listed(true)) {
        if (Text(invite, "state") == state) return invite;
      }
      Must(fmt::format("an invite that is {}", state), absl::Now() < deadline);
      absl::SleepFor(absl::Milliseconds(50));
    }
  }
  static std::string User(std::string_view name) { return fmt::format("@{}:{}", name, Stack().server_name()); }

  JsonObject Member(const matrix::RoomRules& rules, const std::string& sender, const std::string& user,
                    std::string_view membership, const std::vector<std::string>& auth) const {
    const auto cite = [&](const std::string& id) {
      if (rules.event_id_format != matrix::EventIdFormat::kCarried) return Json(id);
      return Json(JsonArray{Json(id), ObjectOf(R"({"sha256":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"})")});
    };
    JsonObject event, content;
    content.Set("membership", membership);
    event.Set("type", "m.room.member");
    event.Set("sender", sender);
    event.Set("state_key", user);
    event.Set("room_id", room_);
    event.Set("content", std::move(content));
    event.Set("origin_server_ts", absl::ToUnixMillis(absl::Now()));
    event.Set("depth", 5);
    event.Set("prev_events", JsonArray{cite("$" + std::string(43, 'p'))});
    JsonArray cited;
    for (const std::string& id : auth) cited.push_back(cite(id));
    event.Set("auth_events", std::move(cited));
    return there_.Complete(std::move(event), rules);
  }
  /// Has ann of the played server invite; the invite as it was sent.
  JsonObject Invite(const std::string& user, std::string_view version = "10", std::string_view sender = "ann") {
    const matrix::RoomRules& rules = *matrix::FindRoomRules(version);
    JsonObject invite = Member(rules, there_.User(sender), user, "invite", {});
    JsonObject content;
    content.Set("room_version", version);
    content.Set("event", invite);
    content.Set(
        "invite_room_state",
        JsonArray{ObjectOf(R"({"type":"m.room.name","state_key":"","sender":"@x:y","content":{"name":"a room"}})")});
    const Json body(std::move(content));
    const auto response =
        there_.Send(there_.Request("PUT",
                                   fmt::format("/_matrix/federation/v2/invite/{}/{}", http::PercentEncode(room_),
                                               http::PercentEncode(matrix::ComputeEventId(invite, rules))),
                                   &body));
    Must(fmt::format("an invite that is signed (not {} {})", response.status, response.body), response.status == 200);
    const JsonObject answer = ObjectOf(response.body);
    EXPECT_TRUE(answer.Find("event")->AsObject()->Find("signatures")->AsObject()->Contains(Stack().server_name()));
    return invite;
  }
  /// The played server gives templates, and takes leaves by v2, or by v1 alone.
  void TakeLeaves(std::string version = "10", bool v1_alone = false) {
    there_.AnswerBy([=, this](const http::Request& request) -> std::optional<http::Response> {
      if (request.target.find("/make_leave/") != std::string::npos) {
        ++templates_;
        const std::string user = http::PercentDecode(request.target.substr(request.target.rfind('/') + 1)).value_or("");
        JsonObject answer;
        answer.Set("room_version", version);
        JsonObject event = Member(*matrix::FindRoomRules(version), user, user, "leave", {});
        for (const char* key : {"hashes", "signatures", "event_id"}) event.Erase(key);
        answer.Set("event", std::move(event));
        return Said(200, matrix::CanonicalJson(answer));
      }
      if (request.target.find("/send_leave/") == std::string::npos) return std::nullopt;
      const bool v1 = request.target.starts_with("/_matrix/federation/v1/");
      if (v1_alone && !v1) return Said(404, R"({"errcode":"M_UNRECOGNIZED","error":""})");
      left_.push_back(ObjectOf(request.body));
      return Said(200, v1 ? "[200,{}]" : "{}");
    });
  }

  static inline int rooms_ = 0;
  PlayedHomeserver there_;
  const std::string room_;
  int templates_ = 0;
  std::vector<JsonObject> left_;
};

TEST_F(InvitedUsers, RejectAndTheRoomIsToldByV2OrByV1) {
  for (const auto& [version, v1_alone] : {std::pair("10", false), {"11", true}, {"1", true}}) {
    left_.clear();
    TakeLeaves(version, v1_alone);
    const std::string bob = User(fmt::format("bob{}", version));
    Invite(bob, version);
    const auto open = Listed();
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(Text(open[0], "room_id"), room_);
    EXPECT_EQ(Text(open[0], "user_id"), bob);
    EXPECT_EQ(Text(open[0], "sender"), there_.User("ann"));
    EXPECT_EQ(Text(open[0], "room_name"), "a room");
    EXPECT_EQ(Text(open[0], "state"), "invited");
    EXPECT_EQ(Text(open[0], "membership"), "invite");
    const Ended ended = Posternctl({"invite", "reject", room_, bob, "--reason", "no"});
    ASSERT_EQ(ended.status, 0) << ended.errors;
    const absl::Time deadline = absl::Now() + kPatience;
    while (!Listed().empty() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
    EXPECT_THAT(Listed(), IsEmpty());
    ASSERT_EQ(left_.size(), 1U) << version;
    EXPECT_EQ(*left_[0].Find("sender"), Json(bob));
    EXPECT_EQ(*left_[0].Find("content"), Json(ObjectOf(R"({"membership":"leave","reason":"no"})")));
    EXPECT_TRUE(left_[0].Find("signatures")->AsObject()->Contains(Stack().server_name()));
  }
}

TEST_F(InvitedUsers, L19_HaveLeftAtOnceAndTheRoomIsToldOnceItCanBe) {
  const std::pair<const char*, http::Response> troubles[] = {
      {"forbidden", Said(403, R"({"errcode":"M_FORBIDDEN","error":""})")},
      {"not found", Said(404, R"({"errcode":"M_NOT_FOUND","error":""})")},
      {"out of order", Said(500, "{}")},
      {"a template for something else",
       Said(200, R"({"room_version":"10","event":{"type":"m.room.power_levels","content":{"users":{}},"depth":1}})")},
  };
  int number = 0;
  for (const auto& [what, answer] : troubles) {
    const std::string bob = User(fmt::format("troubled{}", ++number));
    Invite(bob);
    there_.AnswerBy([answer = answer](const http::Request& request) -> std::optional<http::Response> {
      if (request.target.find("/make_leave/") == std::string::npos) return std::nullopt;
      return answer;
    });
    ASSERT_EQ(Posternctl({"invite", "reject", room_, bob}).status, 0);
    Json standing = AwaitState("leaving");
    EXPECT_EQ(Text(standing, "membership"), "leave") << what;
    const absl::Time deadline = absl::Now() + kPatience;
    while (Number(standing, "attempts") < 2 && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(50));
      standing = AwaitState("leaving");
    }
    EXPECT_THAT(Text(standing, "last_error"), HasSubstr(there_.name())) << what;
    EXPECT_GT(Number(standing, "next_try_ms"), 0) << what;
    left_.clear();
    TakeLeaves();
    while (!Listed().empty() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
    EXPECT_THAT(Listed(), IsEmpty()) << what;
    ASSERT_EQ(left_.size(), 1U) << what;
    EXPECT_EQ(*left_[0].Find("type"), Json("m.room.member"));
  }
}

TEST_F(InvitedUsers, L20_LeaveByAServerThatTheOperatorNames) {
  const std::string bob = User("named");
  Invite(bob);
  there_.AnswerBy([](const http::Request&) { return Said(502, ""); });
  ASSERT_EQ(Posternctl({"invite", "reject", room_, bob}).status, 0);
  EXPECT_THAT(Text(AwaitState("leaving"), "state"), "leaving");
  PlayedHomeserver other(Stack());
  int asked = 0;
  other.AnswerBy([&](const http::Request& request) -> std::optional<http::Response> {
    if (request.target.find("/make_leave/") == std::string::npos) return Said(200, "{}");
    ++asked;
    JsonObject answer;
    answer.Set("room_version", "10");
    answer.Set("event", Member(*matrix::FindRoomRules("10"), bob, bob, "leave", {}));
    return Said(200, matrix::CanonicalJson(answer));
  });
  ASSERT_EQ(Posternctl({"invite", "reject", room_, bob, "--via", other.name()}).status, 0);
  AwaitState("left");
  EXPECT_EQ(asked, 1);
}

TEST_F(InvitedUsers, L19_LeaveByAnotherGatewayWhereTheOneThatTriesIsKilled) {
  const std::string bob = User("killed");
  Invite(bob);
  std::atomic<bool> asked = false;
  there_.AnswerBy([&](const http::Request& request) -> std::optional<http::Response> {
    if (request.target.find("/make_leave/") == std::string::npos) return std::nullopt;
    if (!asked.exchange(true)) absl::SleepFor(absl::Seconds(2));  // the gateway is killed meanwhile
    return Said(500, "{}");
  });
  {
    const Frozen other(Stack().gateway(1));
    ASSERT_EQ(Posternctl({"invite", "reject", room_, bob}).status, 0);
    const absl::Time deadline = absl::Now() + kPatience;
    while (!asked && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(10));
    ASSERT_TRUE(asked);
    Stack().Kill(Stack().gateway(0));
  }
  TakeLeaves();
  AwaitState("left");
  EXPECT_EQ(left_.size(), 1U);
  Stack().Restart(Stack().gateway(0));
  Stack().WaitUntilReady();
}

TEST_F(InvitedUsers, P06_RejectManyAtOnce) {
  TakeLeaves();
  constexpr int kInvites = 12;
  for (int i = 0; i < kInvites; ++i) Invite(User(fmt::format("many{}", i)), "10", i % 3 == 0 ? "eve" : "ann");
  EXPECT_EQ(Posternctl({"invite", "reject"}).status, 2) << "whose is not said";
  EXPECT_EQ(Posternctl({"invite", "reject", room_, User("nobody")}).status, 1);
  const Ended of_sender = Posternctl({"invite", "reject", "--sender", there_.User("eve")});
  EXPECT_EQ(of_sender.json().AsArray()->size(), 4U) << of_sender.errors;
  const Ended of_server = Posternctl({"invite", "reject", "--server", there_.name(), "--reason", "spam"});
  EXPECT_EQ(of_server.json().AsArray()->size(), 8U) << of_server.errors;
  const absl::Time deadline = absl::Now() + kPatience;
  while (!Listed().empty() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_THAT(Listed(), IsEmpty());
  EXPECT_EQ(left_.size(), static_cast<std::size_t>(kInvites));
}

TEST_F(InvitedUsers, L17_SeeAnInviteNoMoreThatIsWithdrawn) {
  const std::string bob = User("withdrawn");
  const matrix::RoomRules& rules = *matrix::FindRoomRules("10");
  const std::string invite = matrix::ComputeEventId(Invite(bob), rules);
  const auto send = [&](const JsonObject& pdu) {
    JsonObject content;
    content.Set("origin", there_.name());
    content.Set("origin_server_ts", 1);
    content.Set("pdus", JsonArray{Json(pdu)});
    const Json body(std::move(content));
    const std::string id = matrix::ComputeEventId(pdu, rules);
    const auto response =
        there_.Send(there_.Request("PUT", "/_matrix/federation/v1/send/" + http::PercentEncode(id), &body));
    return response.body.find("error") == std::string::npos;
  };
  EXPECT_FALSE(send(Member(rules, there_.User("eve"), bob, "leave", {invite})));
  EXPECT_FALSE(send(Member(rules, there_.User("ann"), bob, "leave", {"$" + std::string(43, 'x')})));
  EXPECT_EQ(Listed().size(), 1U);
  EXPECT_TRUE(send(Member(rules, there_.User("ann"), bob, "leave", {invite})));
  EXPECT_THAT(Listed(), IsEmpty());
  EXPECT_EQ(Posternctl({"invite", "reject", room_, bob}).status, 1);
}

}  // namespace
}  // namespace postern::flow
