// A server that was not heard of for long, to real processes: what lies between is fetched and judged, or bridged by
// the state that it tells; and the current state is what the whole resolution says (pitfalls S03, A02, T05; decision
// 0022).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/state_resolution.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"
#include "tests/posternctl/program.h"

namespace postern::flow {
namespace {

using matrix::Event;
using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using testing::Contains;
using testing::Not;

constexpr std::string_view kFederation = "/_matrix/federation/v1/";

class LongGaps : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Two hundred events are judged for one answer, on whatever machine.
    scene_ = std::make_unique<Scene>(StackOptions{.gateway_settings = "rate_limits: false\nrequest_timeout: 60s\n"});
  }
  static void TearDownTestSuite() { scene_.reset(); }

  LongGaps() : seeded_(scene_->room_operator.Seed("10", scene_->remote.name(), "join", 4)) {
    template_ = scene_->remote.Template(seeded_.room_id, seeded_.users[0]);
    // Known to both: from here on the other server goes on by itself.
    tip_ = Complete(Draft("m.room.message", seeded_.users[0]));
    Must("the first message", ErrorOf(tip_).empty());
    ReadState(IdOf(tip_), state_);
    scene_->remote.AnswerBy([this](const http::Request& request) { return Answer(request); });
  }
  ~LongGaps() override { scene_->remote.AnswerBy(nullptr); }

  std::string IdOf(const JsonObject& event) const { return matrix::ComputeEventId(event, rules_); }
  JsonObject Complete(JsonObject event) const { return scene_->remote.Complete(std::move(event), rules_); }
  std::string Room() const { return http::PercentEncode(seeded_.room_id); }

  /// An event on the tip, by the auth events of the peer's own state; not completed.
  JsonObject Draft(std::string_view type, const std::string& sender) {
    JsonObject event = template_;
    event.Erase("state_key");
    event.Set("type", type);
    event.Set("sender", sender);
    event.Set("content", ObjectOf(fmt::format(R"({{"body":"{}"}})", ++messages_)));
    event.Set("origin_server_ts", *template_.Find("origin_server_ts")->AsInteger() + messages_);
    if (!tip_.empty()) {
      event.Set("prev_events", JsonArray{IdOf(tip_)});
      event.Set("depth", *tip_.Find("depth")->AsInteger() + 1);
      const std::string levels = levels_.empty() ? state_.at({"m.room.power_levels", ""}) : levels_;
      event.Set("auth_events",
                JsonArray{state_.at({"m.room.create", ""}), levels, state_.at({"m.room.member", sender})});
    }
    return event;
  }
  /// The peer's room goes on with it.
  void Add(const JsonObject& event) {
    const std::lock_guard lock(mutex_);
    before_.emplace(IdOf(event), state_);
    has_.emplace(IdOf(event), event);
    tip_ = event;
    const Json* key = event.Find("state_key");
    if (key != nullptr) state_.insert_or_assign({*event.Find("type")->AsString(), *key->AsString()}, IdOf(event));
  }
  /// From here on it gives another copy.
  void Replace(const std::string& id, const JsonObject& copy) {
    const std::lock_guard lock(mutex_);
    has_[id] = copy;
  }
  void AddMessages(int count) {
    for (int i = 0; i < count; ++i) Add(Complete(Draft("m.room.message", seeded_.users[0])));
  }
  JsonObject AddState(std::string_view type, const std::string& key, const std::string& sender,
                      std::string_view content) {
    JsonObject event = Draft(type, sender);
    event.Set("state_key", key);
    event.Set("content", ObjectOf(content));
    event = Complete(std::move(event));
    Add(event);
    return event;
  }

  /// What the other server answers: get_missing_events, state_ids and event, from what it has.
  std::optional<http::Response> Answer(const http::Request& request) {
    const std::lock_guard lock(mutex_);
    const auto ok = [](JsonObject body) {
      return http::Response{.status = 200, .headers = {}, .body = matrix::CanonicalJson(body)};
    };
    JsonObject answer;
    if (request.target.starts_with(fmt::format("{}get_missing_events/", kFederation))) {
      ++rounds_;
      answer.Set("events", Before(ObjectOf(request.body)));
      return ok(std::move(answer));
    }
    if (request.target.starts_with(fmt::format("{}state_ids/", kFederation))) {
      const auto before = before_.find(http::QueryParameter(request.target, "event_id").value_or(""));
      if (before == before_.end()) return std::nullopt;
      ++states_;
      JsonArray ids, chain;
      for (const auto& [key, id] : before->second) ids.emplace_back(id);
      for (const auto& [id, event] : has_) {
        if (event.Contains("state_key")) chain.emplace_back(id);
      }
      answer.Set("pdu_ids", std::move(ids));
      answer.Set("auth_chain_ids", std::move(chain));
      return ok(std::move(answer));
    }
    for (const auto& [id, event] : has_) {
      if (request.target != fmt::format("{}event/{}", kFederation, http::PercentEncode(id))) continue;
      answer.Set("origin", scene_->remote.name());
      answer.Set("origin_server_ts", 1);
      answer.Set("pdus", JsonArray{event});
      return ok(std::move(answer));
    }
    return std::nullopt;
  }
  JsonArray Before(const JsonObject& query) const {
    JsonArray found;
    std::set<std::string> seen;
    std::vector<std::string> front;
    for (const Json& id : *query.Find("earliest_events")->AsArray()) seen.insert(*id.AsString());
    for (const Json& id : *query.Find("latest_events")->AsArray()) front.push_back(*id.AsString());
    while (!front.empty() && found.size() < 20) {
      const auto event = has_.find(front.back());
      front.pop_back();
      if (event == has_.end()) continue;
      for (const Json& prev : *event->second.Find("prev_events")->AsArray()) {
        const auto before = has_.find(*prev.AsString());
        if (before == has_.end() || !seen.insert(before->first).second) continue;
        found.emplace_back(before->second);
        front.push_back(before->first);
      }
    }
    return found;
  }

  /// "" where the event, sent alone, is taken.
  std::string ErrorOf(const JsonObject& event) {
    JsonObject body;
    body.Set("origin", scene_->remote.name());
    body.Set("origin_server_ts", 1);
    body.Set("pdus", JsonArray{event});
    const Json content(std::move(body));
    const http::Response response = scene_->remote.Send(
        scene_->remote.Request("PUT", fmt::format("{}send/gap{}", kFederation, ++transactions_), &content));
    if (response.status != 200) return response.body;
    const JsonObject answer = ObjectOf(response.body);
    const Json* error = answer.Find("pdus")->AsObject()->Find(IdOf(event))->AsObject()->Find("error");
    return error == nullptr ? "" : *error->AsString();
  }
  std::string SendTip() { return ErrorOf(tip_); }

  JsonObject Get(const std::string& target) const {
    const http::Response response =
        scene_->remote.Send(scene_->remote.Request("GET", std::string(kFederation) + target, nullptr));
    Must(fmt::format("{}: {} {}", target, response.status, response.body), response.status == 200);
    return ObjectOf(response.body);
  }
  /// The state before an event as the stack tells it, and all events of it and of its auth chain.
  void ReadState(const std::string& event_id, matrix::StateMap& state) {
    const JsonObject answer = Get(fmt::format("state/{}?event_id={}", Room(), http::PercentEncode(event_id)));
    for (const char* list : {"pdus", "auth_chain"}) {
      for (const Json& pdu : *answer.Find(list)->AsArray()) {
        const Event& event = Read(pdu);
        if (list == std::string_view("pdus")) state[{event.type(), *event.state_key()}] = event.event_id();
      }
    }
  }
  const Event& Read(Json pdu) {
    pdu.AsObject()->Erase("unsigned");
    Event event = Must("an event", Event::FromJson(std::move(pdu), rules_));
    const std::string id = event.event_id();
    return events_.try_emplace(id, std::move(event)).first->second;
  }
  /// The resolution over the states after all forward extremities.
  matrix::StateMap WholeResolution() {
    std::vector<matrix::StateMap> states;
    for (const std::string& id : scene_->database.Extremities(seeded_.room_id)) {
      matrix::StateMap& state = states.emplace_back();
      ReadState(id, state);
      const JsonObject answer = Get(fmt::format("event/{}", http::PercentEncode(id)));
      const Event& event = Read(answer.Find("pdus")->AsArray()->front());
      if (event.is_state()) state[{event.type(), *event.state_key()}] = id;
    }
    matrix::ResolutionEvents events;
    for (const auto& [id, event] : events_) events.Add(event);
    return Must("the resolution", matrix::ResolveState(states, events, rules_));
  }
  matrix::StateMap Current() { return scene_->database.CurrentState(seeded_.room_id); }
  std::int64_t Stored() {
    std::int64_t stored = 0;
    for (const auto& [id, event] : has_) stored += scene_->database.RowsOfLeave(seeded_.room_id, id, "").events;
    return stored;
  }

  static std::unique_ptr<Scene> scene_;
  static int transactions_;
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules("10");
  const SeededRoom seeded_;
  JsonObject template_;
  int messages_ = 0;
  /// The other server's room. It answers in threads of its own.
  std::mutex mutex_;
  JsonObject tip_;
  matrix::StateMap state_;
  /// What its events cite in the place of its own state's power levels, if it is given.
  std::string levels_;
  std::map<std::string, matrix::StateMap> before_;
  std::map<std::string, JsonObject> has_;
  int rounds_ = 0;
  int states_ = 0;
  /// All that the stack has told.
  std::map<std::string, Event> events_;
};
std::unique_ptr<Scene> LongGaps::scene_;
int LongGaps::transactions_ = 0;

TEST_F(LongGaps, Of150EventsIsFilledAndTheStateIsThatOfTheWholeResolution) {
  AddMessages(70);
  AddState("m.room.member", seeded_.users[1], seeded_.users[1], R"({"membership":"leave"})");
  AddMessages(80);
  EXPECT_EQ(SendTip(), "");
  EXPECT_EQ(rounds_, 8);
  EXPECT_EQ(states_, 0);
  EXPECT_EQ(Stored(), 151);
  EXPECT_EQ(Current(), state_);
  EXPECT_EQ(Current(), WholeResolution());
}

TEST_F(LongGaps, BeyondTheRoundsIsBridgedByTheToldState) {
  const JsonObject left = AddState("m.room.member", seeded_.users[1], seeded_.users[1], R"({"membership":"leave"})");
  AddMessages(250);
  // Meanwhile something happens here.
  scene_->room_operator.SetState(seeded_.room_id, "m.room.topic", R"({"topic":"ours"})");
  EXPECT_EQ(SendTip(), "");
  EXPECT_EQ(rounds_, 10);
  EXPECT_EQ(states_, 1);
  EXPECT_EQ(Stored(), 202) << "200 fetched, the tip, and the leave as an outlier";
  const matrix::StateMap current = Current();
  EXPECT_EQ(current.at({"m.room.member", seeded_.users[1]}), IdOf(left));
  EXPECT_TRUE(current.contains({"m.room.topic", ""}));
  EXPECT_EQ(current, WholeResolution());
  EXPECT_EQ(scene_->database.Extremities(seeded_.room_id).size(), 2U);

  // The room goes on from both.
  AddMessages(3);
  EXPECT_EQ(SendTip(), "");
  EXPECT_EQ(Current(), WholeResolution());
  // The outlier comes by itself.
  EXPECT_EQ(ErrorOf(left), "");
  EXPECT_EQ(scene_->database.RowsOfLeave(seeded_.room_id, IdOf(left), seeded_.users[1]).membership, "leave");
  EXPECT_EQ(Current(), WholeResolution());

  // Judged again, every decision is the one that was recorded.
  const posternctl::Ended replay = posternctl::RunPosternctl(
      {"--json", "replay", "--since", "0", "--room", seeded_.room_id},
      {"POSTERN_STORE=" + scene_->stack.store().grpc, "POSTERN_VALIDATOR=" + scene_->stack.validator().grpc,
       "POSTERN_GATEWAY=" + scene_->stack.gateway().grpc});
  EXPECT_EQ(replay.status, 0) << replay.errors << replay.output;
  EXPECT_GE(posternctl::Number(replay.json(), "judged"), 205);
  EXPECT_EQ(posternctl::Number(replay.json(), "differing"), 0) << replay.output;
  EXPECT_EQ(posternctl::Number(replay.json(), "not_recorded"), 0);
}

TEST_F(LongGaps, APeerThatSaysItIsAdminGetsWhatItsEventsProve) {
  const matrix::StateMap before = Current();
  const std::string& claimant = seeded_.users[0];
  AddState("m.room.power_levels", "", claimant, fmt::format(R"({{"users":{{"{}":100}}}})", claimant));
  AddState("m.room.topic", "", claimant, R"({"topic":"mine"})");
  AddState("m.room.member", seeded_.users[2], claimant, R"({"membership":"ban"})");
  levels_ = before.at({"m.room.power_levels", ""});
  AddMessages(220);
  EXPECT_EQ(SendTip(), "");
  EXPECT_EQ(Stored(), 201) << "none of what it claims";
  EXPECT_EQ(Current(), before);
  EXPECT_EQ(Current(), WholeResolution());
  EXPECT_EQ(scene_->database.RowsOfLeave(seeded_.room_id, "", seeded_.users[2]).membership, "join");
}

TEST_F(LongGaps, AnEventOnOurTipAndOnWhatNobodyHasDoesNotMakeItsToldStateTheCurrentOne) {
  const matrix::StateMap before = Current();
  JsonObject event = Draft("m.room.message", seeded_.users[0]);
  event.Set("prev_events", JsonArray{IdOf(tip_), "$nobody-has-it"});
  state_.erase({"m.room.member", seeded_.users[1]});
  Add(Complete(std::move(event)));
  EXPECT_EQ(SendTip(), "");
  EXPECT_EQ(states_, 1);
  EXPECT_EQ(Current(), before);
  EXPECT_EQ(scene_->database.Extremities(seeded_.room_id).size(), 2U);
  EXPECT_EQ(Current(), WholeResolution());
}

TEST_F(LongGaps, ACorruptedAuthChainKeepsNothing) {
  const std::int64_t events = scene_->database.EventsOfRoom(seeded_.room_id);
  JsonObject left = AddState("m.room.member", seeded_.users[1], seeded_.users[1], R"({"membership":"leave"})");
  const std::string id = IdOf(left);
  AddState("m.room.member", seeded_.users[3], seeded_.users[3], R"({"membership":"leave"})");
  AddMessages(205);
  left.Set("signatures", JsonObject());
  Replace(id, left);
  EXPECT_THAT(SendTip(), Not(testing::IsEmpty()));
  EXPECT_EQ(scene_->database.EventsOfRoom(seeded_.room_id), events);
}

}  // namespace
}  // namespace postern::flow
