// Gaps before what comes by PUT /send: filled round by round, each event judged, within bounds (pitfalls S03, A02,
// T05).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// A room of ours in which users of another server are joined. That server has gone on by itself, and answers
/// get_missing_events from what it has.
class LongGap : public OnFakes {
 protected:
  LongGap() : OnFakes("10"), room_(MakeRoom("public")) {
    users_ = Fill(room_, 3, "join");
    rig_.clock_.Advance(absl::Seconds(5));
    template_ = Template(room_.room_id, users_[0]);
    rig_.peers_.on_missing_events = [this](const matrix::ServerName&, const MissingEventsQuery& query,
                                           absl::Time until) {
      ++asked_;
      until_ = until;
      return Before(query);
    };
  }

  JsonObject MessageAfter(const JsonObject* prev, std::size_t padding = 1) {
    JsonObject event = template_;
    event.Erase("state_key");
    event.Erase("origin");
    event.Set("type", "m.room.message");
    JsonObject content;
    content.Set("body", std::to_string(++messages_) + std::string(padding, 'x'));
    event.Set("content", std::move(content));
    if (prev != nullptr) {
      event.Set("prev_events", JsonArray{rig_.EventId(*prev)});
      event.Set("depth", *prev->Find("depth")->AsInteger() + 1);
    }
    return rig_.remote_.Complete(std::move(event), rig_.rules());
  }
  /// So many messages, one after the other, the first on the room's tip.
  void Grow(int count, std::size_t padding = 1) {
    for (int i = 0; i < count; ++i) {
      chain_.push_back(MessageAfter(chain_.empty() ? nullptr : &chain_.back(), padding));
      peer_has_.emplace(rig_.EventId(chain_.back()), chain_.back());
    }
  }
  JsonArray Before(const MissingEventsQuery& query) const {
    JsonArray found;
    std::set<std::string> seen(query.earliest.begin(), query.earliest.end());
    std::vector<std::string> front = query.latest;
    while (!front.empty() && found.size() < static_cast<std::size_t>(query.limit)) {
      std::vector<std::string> next;
      for (const std::string& id : front) {
        const auto event = peer_has_.find(id);
        if (event == peer_has_.end()) continue;
        for (const Json& prev : *event->second.Find("prev_events")->AsArray()) {
          const auto before = peer_has_.find(*prev.AsString());
          if (before == peer_has_.end() || !seen.insert(before->first).second) continue;
          if (found.size() < static_cast<std::size_t>(query.limit)) found.emplace_back(before->second);
          next.push_back(before->first);
        }
      }
      front = std::move(next);
    }
    return found;
  }
  /// The error of the event, sent alone; "" where it was taken.
  std::string Send(const JsonObject& event) {
    peer_has_.emplace(rig_.EventId(event), event);
    JsonObject body;
    body.Set("origin", rig_.remote_.name());
    body.Set("origin_server_ts", absl::ToUnixMillis(rig_.clock_.now()));
    body.Set("pdus", JsonArray{event});
    const Json content(std::move(body));
    const http::Response response = rig_.Send(
        rig_.remote_.Request("PUT", "/_matrix/federation/v1/send/t" + std::to_string(++transactions_), &content));
    EXPECT_EQ(response.status, 200) << response.body;
    if (response.status != 200) return response.body;
    const JsonObject answer = ObjectOrDie(response.body);
    const Json* result = answer.Find("pdus")->AsObject()->Find(rig_.EventId(event));
    const Json* error = result->AsObject()->Find("error");
    return error == nullptr ? "" : *error->AsString();
  }
  std::string SendAfterChain() { return Send(MessageAfter(&chain_.back())); }
  bool IsStored(const JsonObject& event) {
    store::v1::GetEventRequest request;
    request.set_event_id(rig_.EventId(event));
    const auto record = store_.GetEvent(call_, request);
    return record.ok() && record->outcome() == matrix::v1::OUTCOME_ACCEPTED;
  }
  std::size_t Stored() {
    std::size_t stored = 0;
    for (const JsonObject& event : chain_) stored += IsStored(event) ? 1 : 0;
    return stored;
  }
  bool Counted(std::string_view result) {
    return rig_.metrics_.Expose().find("postern_gateway_gap_fetches_total{result=\"" + std::string(result) + "\"} 1") !=
           std::string::npos;
  }

  CreatedRoom room_;
  std::vector<std::string> users_;
  JsonObject template_;
  std::vector<JsonObject> chain_;
  std::map<std::string, JsonObject> peer_has_;
  int messages_ = 0;
  int transactions_ = 0;
  int asked_ = 0;
  absl::Time until_;
};

TEST_F(LongGap, Of150EventsIsFilledInEightRoundsAndEachEventIsJudged) {
  Grow(150);
  EXPECT_EQ(SendAfterChain(), "");
  EXPECT_EQ(Stored(), 150U);
  EXPECT_EQ(asked_, 8);
  EXPECT_THAT(rig_.store_.persists(), SizeIs(151));
  EXPECT_TRUE(Counted("filled"));
}

TEST_F(LongGap, IsFilledUpToTheBoundOfRounds) {
  Grow(200);
  EXPECT_EQ(SendAfterChain(), "");
  EXPECT_EQ(Stored(), 200U);
  EXPECT_EQ(asked_, 10);
}

TEST_F(LongGap, BeyondTheRoundsIsNotFilledAndNothingOfItIsKept) {
  Grow(201);
  EXPECT_THAT(SendAfterChain(), HasSubstr("known"));
  EXPECT_EQ(asked_, 10);
  EXPECT_EQ(Stored(), 0U);
  EXPECT_TRUE(Counted("not_connected"));
}

TEST_F(LongGap, EndsWhereThePeerGivesTheSameAgain) {
  Grow(30);
  rig_.peers_.on_missing_events = [&](const auto&, const auto&, auto) -> absl::StatusOr<JsonArray> {
    ++asked_;
    return JsonArray(chain_.end() - 20, chain_.end());
  };
  EXPECT_THAT(SendAfterChain(), HasSubstr("known"));
  EXPECT_EQ(asked_, 2);
  EXPECT_EQ(Stored(), 0U);
}

TEST_F(LongGap, EndsWhereWhatThePeerGivesIsNotWhatWasAskedFor) {
  Grow(30);
  rig_.peers_.on_missing_events = [&](const auto&, const auto&, auto) -> absl::StatusOr<JsonArray> {
    ++asked_;
    JsonArray aside;
    for (int i = 0; i < 20; ++i) aside.emplace_back(MessageAfter(nullptr));
    return aside;
  };
  EXPECT_THAT(SendAfterChain(), HasSubstr("known"));
  EXPECT_EQ(asked_, 1);
}

TEST_F(LongGap, IsBoundedInBytes) {
  Grow(150, 60'000);
  EXPECT_THAT(SendAfterChain(), HasSubstr("known"));
  EXPECT_LT(asked_, 8);
  EXPECT_EQ(Stored(), 0U);
}

TEST_F(LongGap, IsBoundedByWhatItHangsOn) {
  Grow(20);
  // Each event of an endless graph cites twenty others.
  rig_.peers_.on_missing_events = [&](const auto&, const auto&, auto) -> absl::StatusOr<JsonArray> {
    ++asked_;
    JsonArray wide;
    for (int i = 0; i < 20; ++i) {
      JsonObject event = MessageAfter(&chain_[static_cast<std::size_t>(i)]);
      JsonArray prev;
      for (int j = 0; j < 20; ++j) prev.emplace_back("$" + std::string(20, 'a') + std::to_string(++messages_));
      event.Set("prev_events", std::move(prev));
      wide.emplace_back(rig_.remote_.Complete(std::move(event), rig_.rules()));
    }
    return wide;
  };
  EXPECT_THAT(SendAfterChain(), HasSubstr("known"));
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(Stored(), 0U);
}

TEST_F(LongGap, HasThePeerUntilATimeForAllRounds) {
  Grow(50);
  std::set<absl::Time> deadlines;
  rig_.peers_.on_missing_events = [&](const auto&, const MissingEventsQuery& query, absl::Time until) {
    deadlines.insert(until);
    return Before(query);
  };
  EXPECT_EQ(SendAfterChain(), "");
  EXPECT_THAT(deadlines, SizeIs(1));
  EXPECT_LE(*deadlines.begin(), absl::Now() + absl::Seconds(6));
}

TEST_F(LongGap, ThatThePeerLeavesOffInTheMiddleIsNotFilled) {
  Grow(50);
  rig_.peers_.on_missing_events = [&](const auto&, const MissingEventsQuery& query, auto) -> absl::StatusOr<JsonArray> {
    if (++asked_ == 2) return matrix::Refuse(Reason::kPeerUnavailable, "away");
    return Before(query);
  };
  EXPECT_THAT(SendAfterChain(), HasSubstr("known"));
  EXPECT_EQ(asked_, 2);
  EXPECT_EQ(Stored(), 0U);
}

TEST_F(LongGap, EndsAtWhatTheRulesRefuseAndWhatIsGoodBeforeItStays) {
  Grow(30);
  JsonObject forged = MessageAfter(&chain_.back());
  forged.Set("sender", "@nobody:" + std::string(kRemoteName));
  forged = rig_.remote_.Complete(std::move(forged), rig_.rules());
  peer_has_.emplace(rig_.EventId(forged), forged);
  const JsonObject last = MessageAfter(&forged);
  EXPECT_NE(Send(last), "");
  EXPECT_EQ(Stored(), 30U);
  EXPECT_FALSE(IsStored(forged));
  EXPECT_FALSE(IsStored(last));
  EXPECT_TRUE(Counted("filled_in_part"));
}

/// Where the peer does not tell of the gap, it is asked for the state behind it.
class StateBehindAGap : public LongGap {
 protected:
  StateBehindAGap() {
    for (const auto& entry : Entries()) told_.state.push_back(entry.event_id());
    rig_.peers_.on_missing_events = [this](const auto&, const MissingEventsQuery&, auto) -> absl::StatusOr<JsonArray> {
      ++asked_;
      return JsonArray();
    };
    rig_.peer_states_.on_ids = [this](const std::string& event_id) -> absl::StatusOr<ToldStateIds> {
      asked_before_.push_back(event_id);
      return told_;
    };
    rig_.peer_states_.on_event = [this](const std::string& event_id) -> absl::StatusOr<Json> {
      ++asked_singly_;
      const auto event = peer_has_.find(event_id);
      if (event == peer_has_.end()) return matrix::Refuse(Reason::kPeerUnavailable, "answered 404");
      return Json(event->second);
    };
    rig_.peer_states_.on_state = [this](const std::string&) -> absl::StatusOr<JsonArray> {
      ++asked_whole_;
      JsonArray all;
      for (const auto& [id, event] : peer_has_) all.emplace_back(event);
      return all;
    };
  }

  store::v1::RoomDescription Described() {
    store::v1::GetRoomRequest request;
    request.set_room_id(room_.room_id);
    return *store_.GetRoom(call_, request);
  }
  google::protobuf::RepeatedPtrField<matrix::v1::StateEntry> Entries() { return Described().state(); }
  std::string Entry(std::string_view type, std::string_view key = "") {
    for (const auto& entry : Entries()) {
      if (entry.type() == type && entry.state_key() == key) return entry.event_id();
    }
    return "";
  }
  /// A member event of the public room on something that is lost, hashed and signed by the peer.
  JsonObject Joined(const std::string& user) {
    return StateEvent("m.room.member", user, user, R"({"membership":"join"})",
                      {Entry("m.room.create"), Entry("m.room.power_levels"), Entry("m.room.join_rules")});
  }
  JsonObject StateEvent(std::string_view type, const std::string& key, const std::string& sender,
                        std::string_view content, const std::vector<std::string>& auth_events) {
    JsonObject event = template_;
    event.Erase("origin");
    event.Set("type", type);
    event.Set("state_key", key);
    event.Set("sender", sender);
    event.Set("content", ObjectOrDie(content));
    event.Set("prev_events", JsonArray{"$lost" + std::to_string(++messages_)});
    JsonArray cited;
    for (const std::string& id : auth_events) cited.emplace_back(id);
    event.Set("auth_events", std::move(cited));
    return rig_.remote_.Complete(std::move(event), rig_.rules());
  }
  /// The peer has it, and names it in the state; in the place of `of`, where that is given.
  void Tell(const JsonObject& event, const std::string& of = "") {
    peer_has_.emplace(rig_.EventId(event), event);
    if (!of.empty()) std::erase(told_.state, of);
    told_.state.push_back(rig_.EventId(event));
  }
  /// A message after something that nobody tells of.
  JsonObject MessageAfterGap() {
    JsonObject event = MessageAfter(nullptr);
    event.Set("prev_events", JsonArray{"$nobody-tells"});
    return rig_.remote_.Complete(std::move(event), rig_.rules());
  }
  bool IsKnown(const JsonObject& event) {
    store::v1::FindUnknownEventsRequest request;
    request.set_room_id(room_.room_id);
    request.add_event_ids(rig_.EventId(event));
    return store_.FindUnknownEvents(call_, request)->unknown().empty();
  }
  std::vector<std::string> State() {
    std::vector<std::string> ids;
    for (const auto& entry : Entries()) ids.push_back(entry.event_id());
    return ids;
  }

  const std::string new_user_ = "@new:" + std::string(kRemoteName);
  ToldStateIds told_;
  std::vector<std::string> asked_before_;
  int asked_singly_ = 0;
  int asked_whole_ = 0;
};

TEST_F(StateBehindAGap, IsAskedForBeforeTheEventItselfWhereNothingElseIsHad) {
  const JsonObject message = MessageAfterGap();
  const std::vector<std::string> state = State();
  EXPECT_EQ(Send(message), "");
  EXPECT_THAT(asked_before_, ElementsAre(rig_.EventId(message)));
  EXPECT_EQ(asked_singly_, 0) << "all of it is known";
  EXPECT_TRUE(IsStored(message));
  EXPECT_EQ(State(), state);
  EXPECT_EQ(Described().forward_extremities_size(), 2);
  EXPECT_TRUE(Counted("bridged"));
}

TEST_F(StateBehindAGap, IsAskedForBeforeTheOldestEventThatWasHad) {
  Grow(250);
  rig_.peers_.on_missing_events = [this](const auto&, const MissingEventsQuery& query, auto) {
    ++asked_;
    return Before(query);
  };
  EXPECT_EQ(SendAfterChain(), "");
  EXPECT_EQ(asked_, 10);
  EXPECT_THAT(asked_before_, ElementsAre(rig_.EventId(chain_[50])));
  EXPECT_EQ(Stored(), 200U);
}

TEST_F(StateBehindAGap, BringsInWhatIsInItByResolution) {
  const JsonObject joined = Joined(new_user_);
  Tell(joined);
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_EQ(asked_singly_, 1);
  EXPECT_EQ(MembershipOf(room_.room_id, new_user_), "join");
  EXPECT_EQ(Entry("m.room.member", new_user_), rig_.EventId(joined));
  for (const std::string& user : users_) EXPECT_EQ(MembershipOf(room_.room_id, user), "join");
}

TEST_F(StateBehindAGap, LeavesOutOfTheStateWhatThePeerDoesNotName) {
  // The peer hides a member: the resolution of both states has him still.
  std::erase(told_.state, Entry("m.room.member", users_[1]));
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_EQ(MembershipOf(room_.room_id, users_[1]), "join");
}

TEST_F(StateBehindAGap, ThatNamesPowerLevelsOfItsOwnChangesNothing) {
  const std::string levels = Entry("m.room.power_levels");
  const JsonObject rival = StateEvent("m.room.power_levels", "", users_[0], R"({"users":{")" + users_[0] + R"(":100}})",
                                      {Entry("m.room.create"), levels, Entry("m.room.member", users_[0])});
  Tell(rival, levels);
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_FALSE(IsKnown(rival)) << "the rules refuse it";
  EXPECT_EQ(Entry("m.room.power_levels"), levels);
}

TEST_F(StateBehindAGap, ThatNamesPowerLevelsOfFormerTimesGivesNobodyPower) {
  EventIntent intent{"m.room.power_levels", "", "", {}};
  intent.content = ObjectOrDie(R"({"users":{")" + std::string(kCreator) + R"(":100,")" + users_[0] + R"(":90}})");
  ASSERT_TRUE(author_.AddAsOurs(call_, room_.room_id, intent).ok());
  const std::string former = Entry("m.room.power_levels");
  rig_.clock_.Advance(absl::Seconds(1));
  intent.content = ObjectOrDie(R"({"users":{")" + std::string(kCreator) + R"(":100}})");
  ASSERT_TRUE(author_.AddAsOurs(call_, room_.room_id, std::move(intent)).ok());
  const std::string levels = Entry("m.room.power_levels");
  told_.state = State();
  std::erase(told_.state, levels);
  told_.state.push_back(former);
  JsonObject topic = StateEvent("m.room.topic", "", users_[0], R"({"topic":"mine"})",
                                {Entry("m.room.create"), former, Entry("m.room.member", users_[0])});
  EXPECT_EQ(Send(topic), "") << "soft-failed";
  EXPECT_EQ(Entry("m.room.topic"), "");
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_EQ(Entry("m.room.power_levels"), levels);
  EXPECT_EQ(Entry("m.room.topic"), "");
}

/// What follows from all our tips and from something lost besides would else leave the told state alone.
TEST_F(StateBehindAGap, ThatIsToldForAnEventOnOurOwnTipDoesNotBecomeTheCurrentState) {
  ASSERT_EQ(SetMember(room_.room_id, users_[2], "ban"), Reason::kNone);
  const std::vector<std::string> state = State();
  std::erase(told_.state, Entry("m.room.member", users_[1]));  // and it does not know of the ban
  const std::string tip = Described().forward_extremities(0);
  for (int i = 0; i < 2; ++i) {
    JsonObject event = MessageAfter(nullptr);
    event.Set("prev_events", JsonArray{tip, "$nobody-tells"});
    EXPECT_EQ(Send(rig_.remote_.Complete(std::move(event), rig_.rules())), "");
    EXPECT_EQ(State(), state);
  }
  EXPECT_EQ(MembershipOf(room_.room_id, users_[2]), "ban");
  EXPECT_EQ(MembershipOf(room_.room_id, users_[1]), "join");
  EXPECT_THAT(Described().forward_extremities(), testing::Contains(tip));
}

TEST_F(StateBehindAGap, DoesNotBecomeTheCurrentStateByWayOfASoftFailedEvent) {
  const std::string levels = Entry("m.room.power_levels"), create = Entry("m.room.create");
  ASSERT_EQ(SetMember(room_.room_id, users_[0], "ban"), Reason::kNone);
  const std::vector<std::string> state = State();
  const std::string our_tip = Described().forward_extremities(0);
  // By the told state he is no less than he was; he speaks, is soft-failed, and another goes on from there.
  JsonObject banned = MessageAfter(nullptr);
  banned.Set("prev_events", JsonArray{our_tip, "$nobody-tells"});
  banned = rig_.remote_.Complete(std::move(banned), rig_.rules());
  EXPECT_EQ(Send(banned), "") << "soft-failed";
  JsonObject next = MessageAfter(&banned);
  next.Set("sender", users_[1]);
  next.Set("auth_events", JsonArray{create, levels, Entry("m.room.member", users_[1])});
  EXPECT_EQ(Send(rig_.remote_.Complete(std::move(next), rig_.rules())), "");
  EXPECT_EQ(State(), state);
  EXPECT_EQ(MembershipOf(room_.room_id, users_[0]), "ban");
  EXPECT_THAT(Described().forward_extremities(), testing::Contains(our_tip));
}

TEST_F(StateBehindAGap, OfManyUnknownEventsIsAskedForAsAWhole) {
  for (int i = 0; i < 31; ++i) Tell(Joined("@n" + std::to_string(i) + ":" + std::string(kRemoteName)));
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_EQ(asked_singly_, 0);
  EXPECT_EQ(asked_whole_, 1);
  EXPECT_EQ(MembershipOf(room_.room_id, "@n30:" + std::string(kRemoteName)), "join");
}

TEST_F(StateBehindAGap, WhoseAuthChainHasARefusedEventLeavesOutWhatCitesIt) {
  const JsonObject banned = StateEvent("m.room.member", users_[1], users_[0], R"({"membership":"ban"})",
                                       {Entry("m.room.create"), Entry("m.room.power_levels"),
                                        Entry("m.room.member", users_[0]), Entry("m.room.member", users_[1])});
  peer_has_.emplace(rig_.EventId(banned), banned);
  told_.auth_chain.push_back(rig_.EventId(banned));
  const JsonObject left = StateEvent("m.room.member", users_[1], users_[1], R"({"membership":"leave"})",
                                     {Entry("m.room.create"), Entry("m.room.power_levels"), rig_.EventId(banned)});
  Tell(left, Entry("m.room.member", users_[1]));
  const JsonObject joined = Joined(new_user_);
  Tell(joined);
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_FALSE(IsKnown(banned));
  EXPECT_FALSE(IsKnown(left));
  EXPECT_TRUE(IsKnown(joined));
  EXPECT_EQ(MembershipOf(room_.room_id, users_[1]), "join");
}

TEST_F(StateBehindAGap, ThatCannotBeHadWholeIsNotKept) {
  const JsonObject good = Joined(new_user_);
  Tell(good);
  const ToldStateIds told = told_;
  const std::string other_user = "@other:" + std::string(kRemoteName);
  JsonObject elsewhere = Joined(other_user);
  elsewhere.Set("room_id", "!elsewhere:here.example");
  elsewhere = rig_.remote_.Complete(std::move(elsewhere), rig_.rules());
  JsonObject unsigned_one = Joined(other_user);
  unsigned_one.Set("signatures", JsonObject());
  const JsonObject forged = RemoteServer(kRemoteName, 'x').Complete(Joined(other_user), rig_.rules());
  JsonObject spoilt = Joined(other_user);
  spoilt.Set("depth", "deep");
  JsonObject create = StateEvent("m.room.create", "", users_[0], R"({"room_version":"10","creator":"@x:y"})", {});
  create.Set("prev_events", JsonArray());
  create = rig_.remote_.Complete(std::move(create), rig_.rules());
  const JsonObject cites_unknown = StateEvent("m.room.member", other_user, other_user, R"({"membership":"join"})",
                                              {Entry("m.room.create"), "$never-told"});

  struct Case {
    std::string_view name;
    std::function<void()> tell;
  };
  const auto with = [&](const JsonObject& event) { return [&, event] { Tell(event); }; };
  const Case cases[] = {
      {"an event of another room", with(elsewhere)},
      {"nobody has signed it", with(unsigned_one)},
      {"another has signed it", with(forged)},
      {"what is no event", [&] { Tell(spoilt); }},
      {"another create event", with(create)},
      {"an auth event that is not told", with(cites_unknown)},
      {"an event that is not given", [&] { told_.state.push_back("$not-given"); }},
      {"an event twice", [&] { told_.state.push_back(told_.state.front()); }},
      {"what is no id", [&] { told_.auth_chain.push_back("no id"); }},
      {"nothing", [&] { told_.state.clear(); }},
      {"two values of one key", [&] { Tell(Joined(new_user_)); }},
      {"no create event", [&] { std::erase(told_.state, Entry("m.room.create")); }},
      {"too much that is unknown",
       [&] {
         for (int i = 0; i < 1000; ++i) told_.auth_chain.push_back("$unknown" + std::to_string(i));
       }},
      {"more than is looked at",
       [&] {
         for (int i = 0; i < 20'000; ++i) told_.auth_chain.push_back("$more" + std::to_string(i));
       }},
  };
  const std::vector<std::string> state = State();
  for (const Case& c : cases) {
    told_ = told;
    c.tell();
    EXPECT_THAT(Send(MessageAfterGap()), HasSubstr("known")) << c.name;
    EXPECT_FALSE(IsKnown(good)) << c.name;
    EXPECT_EQ(State(), state) << c.name;
  }
  EXPECT_THAT(rig_.store_.persists(), SizeIs(0));
  told_ = told;
  EXPECT_EQ(Send(MessageAfterGap()), "");
}

TEST_F(StateBehindAGap, IsNotKeptWhereAKeyCannotBeHad) {
  const RemoteServer third("third.example", 't', "ed25519:t1");
  JsonObject joined = Joined(new_user_);
  joined.Set("sender", "@tom:third.example");
  joined.Set("state_key", "@tom:third.example");
  joined = third.Complete(std::move(joined), rig_.rules());
  Tell(joined);
  EXPECT_THAT(Send(MessageAfterGap()), HasSubstr("known"));
  rig_.source_.Set(third.Keys(rig_.clock_.now() + absl::Hours(24)));
  rig_.clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Send(MessageAfterGap()), "");
  EXPECT_EQ(MembershipOf(room_.room_id, "@tom:third.example"), "join");
}

TEST_F(StateBehindAGap, TroubleHereIsNoRefusal) {
  rig_.fetched_states_.on_keep = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "down"); };
  JsonObject body;
  body.Set("origin", rig_.remote_.name());
  body.Set("origin_server_ts", 1);
  body.Set("pdus", JsonArray{MessageAfterGap()});
  const Json content(std::move(body));
  EXPECT_EQ(rig_.Send(rig_.remote_.Request("PUT", "/_matrix/federation/v1/send/down", &content)).status, 503);
}

TEST_F(StateBehindAGap, IsNotAskedForBeforeALeave) {
  JsonObject leave = template_;
  leave.Set("prev_events", JsonArray{"$nobody-tells"});
  leave = rig_.remote_.Complete(std::move(leave), rig_.rules());
  EXPECT_EQ(Submit(room_.room_id, leave).status, 400);
  EXPECT_THAT(asked_before_, SizeIs(0));
}

}  // namespace
}  // namespace postern::gateway
