// A leave whose prev events are not known here: what is fetched, and what becomes of it (pitfalls S03, A02).
#include "services/gateway/missing_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "matrix/base64.h"
#include "matrix/canonical_json.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "tests/gateway/on_fakes.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using testing::ElementsAre;
using testing::SizeIs;
using testing::UnorderedElementsAre;

/// A room of ours in which users of another server are joined. That server goes on by itself: `gap_` follows the room's
/// tip, and the leave follows the gap.
class Gap : public OnFakes {
 protected:
  Gap() : Gap("10") {}
  explicit Gap(const std::string& version) : OnFakes(version), room_(MakeRoom("public")) {
    users_ = Fill(room_, 25, "join");
    rig_.clock_.Advance(absl::Seconds(5));
    rig_.peers_.on_missing_events = [this](const matrix::ServerName& server, const MissingEventsQuery& query,
                                           absl::Time) {
      ++asked_;
      asked_of_ = server.text();
      query_ = query;
      return answer_;
    };
  }

  Json ReferenceTo(const JsonObject& event) {
    Json id(rig_.EventId(event));
    if (rig_.rules().event_id_format != matrix::EventIdFormat::kCarried) return id;
    JsonObject hashes;
    hashes.Set("sha256", matrix::EncodeBase64(matrix::ReferenceHash(event, rig_.rules())));
    return JsonArray{std::move(id), Json(std::move(hashes))};
  }
  /// The leave of a user, following `prev` instead of the room's tip; neither hashed nor signed.
  JsonObject DraftAfter(const JsonObject* prev, const std::string& user) {
    JsonObject event = Template(room_.room_id, user);
    if (prev == nullptr) return event;
    event.Set("prev_events", JsonArray{ReferenceTo(*prev)});
    event.Set("depth", *prev->Find("depth")->AsInteger() + 1);
    return event;
  }
  JsonObject After(const JsonObject* prev, const std::string& user) {
    return rig_.remote_.Complete(DraftAfter(prev, user), rig_.rules());
  }
  /// Leaves of so many users, one after the other.
  void GrowGap(int count) {
    for (int i = 0; i < count; ++i) {
      gap_.push_back(After(gap_.empty() ? nullptr : &gap_.back(), users_[gap_.size()]));
    }
    answer_ = JsonArray(gap_.begin(), gap_.end());
  }
  /// The leave of the last user, after the gap.
  JsonObject LeaveAfterGap() { return After(&gap_.back(), users_.back()); }

  /// The id that the current state has there.
  std::string Entry(std::string_view type, std::string_view key = "") {
    store::v1::GetRoomRequest request;
    request.set_room_id(room_.room_id);
    const auto described = store_.GetRoom(call_, request);
    for (const auto& entry : described->state()) {
      if (entry.type() == type && entry.state_key() == key) return entry.event_id();
    }
    ADD_FAILURE() << type;
    return "";
  }

  http::Response SubmitLeave() { return Submit(room_.room_id, LeaveAfterGap()); }
  /// Of the users whose leaves the gap holds.
  std::vector<std::string> Memberships() {
    std::vector<std::string> memberships;
    for (std::size_t i = 0; i < gap_.size(); ++i) memberships.push_back(MembershipOf(room_.room_id, users_[i]));
    return memberships;
  }
  bool IsStored(const JsonObject& event) {
    store::v1::GetEventRequest request;
    request.set_event_id(rig_.EventId(event));
    const auto record = store_.GetEvent(call_, request);
    return record.ok() && record->outcome() == matrix::v1::OUTCOME_ACCEPTED;
  }
  void ExpectRefused(const http::Response& response) {
    EXPECT_EQ(response.status, 400) << response.body;
    EXPECT_EQ(ErrcodeOf(response), "M_INVALID_PARAM");
    EXPECT_EQ(MembershipOf(room_.room_id, users_.back()), "join");
  }

  CreatedRoom room_;
  std::vector<std::string> users_;
  std::vector<JsonObject> gap_;
  absl::StatusOr<JsonArray> answer_ = JsonArray();
  int asked_ = 0;
  std::string asked_of_;
  MissingEventsQuery query_;
};

class GapOfVersion : public Gap {
 protected:
  GapOfVersion() : Gap(GetParam()) {}
};

TEST_F(Gap, OfThreeIsFilledAndTheLeaveIsTaken) {
  const std::string tip = room_.events.back().event_id;
  store::v1::GetRoomRequest about;
  about.set_room_id(room_.room_id);
  const std::string extremity = store_.GetRoom(call_, about)->forward_extremities(0);
  GrowGap(3);
  const JsonObject leave = LeaveAfterGap();
  const auto response = Submit(room_.room_id, leave);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(Memberships(), ElementsAre("leave", "leave", "leave"));
  EXPECT_EQ(MembershipOf(room_.room_id, users_.back()), "leave");
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(asked_of_, kRemoteName);
  EXPECT_EQ(query_.room_id, room_.room_id);
  EXPECT_THAT(query_.latest, ElementsAre(rig_.EventId(leave)));
  EXPECT_THAT(query_.earliest, ElementsAre(extremity));
  EXPECT_EQ(query_.limit, 20);
}

TEST_F(Gap, WhatTheLeaveCitesAndIsKnownIsNotAskedForAgain) {
  GrowGap(2);
  const JsonObject known = After(nullptr, users_[5]);
  ASSERT_EQ(Submit(room_.room_id, known).status, 200);
  JsonObject leave = DraftAfter(&gap_.back(), users_.back());
  leave.Set("prev_events", JsonArray{ReferenceTo(gap_.back()), ReferenceTo(known)});
  const auto response = Submit(room_.room_id, rig_.remote_.Complete(std::move(leave), rig_.rules()));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(query_.earliest, testing::Contains(rig_.EventId(known)));
}

TEST_F(Gap, FetchedEventsAreKeptAsTheyWereAndOfWhomTheyCame) {
  GrowGap(1);
  ASSERT_EQ(SubmitLeave().status, 200);
  const auto persists = rig_.store_.persists();
  ASSERT_THAT(persists, SizeIs(2));
  EXPECT_EQ(persists[0].origin(), kRemoteName);
  EXPECT_EQ(persists[0].pdu(), matrix::CanonicalJson(gap_[0])) << "with no signature of this server";
  EXPECT_THAT(persists[1].pdu(), testing::HasSubstr(std::string(kOurName) + "\":{\"ed25519"));
}

TEST_F(Gap, OfWhatIsAnsweredOnlyWhatIsNeededIsTaken) {
  GrowGap(3);
  const JsonObject aside = After(nullptr, users_[10]);
  JsonArray shuffled{gap_[2], gap_[0], aside, gap_[1], gap_[0], gap_[2], LeaveAfterGap()};
  answer_ = std::move(shuffled);
  EXPECT_EQ(SubmitLeave().status, 200);
  EXPECT_THAT(Memberships(), ElementsAre("leave", "leave", "leave"));
  EXPECT_FALSE(IsStored(aside));
}

TEST_F(Gap, WhatIsKnownAlreadyIsNoHindrance) {
  GrowGap(3);
  ASSERT_EQ(Submit(room_.room_id, gap_[0]).status, 200);
  EXPECT_EQ(SubmitLeave().status, 200);
  EXPECT_THAT(Memberships(), ElementsAre("leave", "leave", "leave"));
}

TEST_F(Gap, OfTwentyIsFilled) {
  GrowGap(20);
  EXPECT_EQ(SubmitLeave().status, 200);
  EXPECT_THAT(Memberships(), testing::Each("leave"));
}

TEST_F(Gap, AnAnswerOfTwentyOneEventsIsNotUsed) {
  GrowGap(21);
  ExpectRefused(SubmitLeave());
  EXPECT_THAT(Memberships(), testing::Each("join"));
}

TEST_F(Gap, WhatDoesNotConnectToKnownEventsIsNotUsed) {
  GrowGap(3);
  answer_ = JsonArray{gap_[1], gap_[2]};
  ExpectRefused(SubmitLeave());
  answer_ = JsonArray{gap_[0], gap_[1]};
  ExpectRefused(SubmitLeave());
  answer_ = JsonArray{gap_[0], gap_[2]};
  ExpectRefused(SubmitLeave());
  answer_ = JsonArray{};
  ExpectRefused(SubmitLeave());
  EXPECT_THAT(Memberships(), testing::Each("join"));
  EXPECT_THAT(rig_.store_.persists(), SizeIs(0));
}

TEST_F(Gap, AnEventWithoutPrevEventsConnectsToNothing) {
  JsonObject loose = DraftAfter(nullptr, users_[0]);
  loose.Set("prev_events", JsonArray());
  gap_.push_back(rig_.remote_.Complete(std::move(loose), rig_.rules()));
  answer_ = JsonArray{gap_[0]};
  ExpectRefused(SubmitLeave());
  EXPECT_THAT(rig_.store_.persists(), SizeIs(0));
}

TEST_F(Gap, AnEventOfAnotherRoomIsNotUsed) {
  GrowGap(2);
  JsonObject elsewhere = DraftAfter(&gap_[0], users_[1]);
  elsewhere.Set("room_id", "!elsewhere:here.example");
  gap_[1] = rig_.remote_.Complete(std::move(elsewhere), rig_.rules());
  answer_ = JsonArray{gap_[0], gap_[1]};
  ExpectRefused(SubmitLeave());
  EXPECT_THAT(Memberships(), testing::Each("join"));
}

TEST_F(Gap, AnEventWithABadSignatureIsLeftOutAndWithItTheLeave) {
  GrowGap(1);
  JsonObject forged = DraftAfter(&gap_[0], users_[1]);
  gap_.push_back(RemoteServer(kRemoteName, 'x').Complete(std::move(forged), rig_.rules()));
  gap_.push_back(After(&gap_[1], users_[2]));
  answer_ = JsonArray{gap_[0], gap_[1], gap_[2]};
  ExpectRefused(SubmitLeave());
  EXPECT_THAT(Memberships(), ElementsAre("leave", "join", "join")) << "the first is as good as any";
}

TEST_F(Gap, AnEventThatTheRulesRefuseIsLeftOutAndWithItTheLeave) {
  GrowGap(1);
  JsonObject ban = DraftAfter(&gap_[0], users_[1]);
  ban.Set("state_key", users_[2]);
  JsonObject content;
  content.Set("membership", "ban");
  ban.Set("content", std::move(content));
  gap_.push_back(rig_.remote_.Complete(std::move(ban), rig_.rules()));
  answer_ = JsonArray{gap_[0], gap_[1]};
  ExpectRefused(SubmitLeave());
  EXPECT_FALSE(IsStored(gap_[1]));
  EXPECT_EQ(MembershipOf(room_.room_id, users_[2]), "join");
}

TEST_F(Gap, GarbageIsNoEvent) {
  GrowGap(2);
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += R"({"content":)";
  deep += "1" + std::string(1000, '}');
  JsonObject spoilt = gap_[1];
  spoilt.Set("depth", "deep");
  JsonObject large = gap_[1];
  large.Set("x", std::string(70'000, 'x'));
  answer_ = JsonArray{1, nullptr, "event", JsonArray{}, JsonObject{}, ParseOrDie(deep), spoilt, large};
  ExpectRefused(SubmitLeave());
  // Beside what is good it does no harm.
  for (const JsonObject& event : gap_) answer_->push_back(event);
  EXPECT_EQ(SubmitLeave().status, 200);
}

TEST_F(Gap, APeerThatIsAwayCostsTheLeave) {
  GrowGap(1);
  answer_ = matrix::Refuse(Reason::kPeerUnavailable, "away");
  ExpectRefused(SubmitLeave());
  EXPECT_EQ(asked_, 1) << "it is asked once";
}

TEST_F(Gap, APeerHasTwoSeconds) {
  GrowGap(1);
  absl::Time until;
  rig_.peers_.on_missing_events = [&](const auto&, const auto&, absl::Time deadline) {
    until = deadline;
    return matrix::Refuse(Reason::kPeerUnavailable, "slow");
  };
  const absl::Time begun = absl::Now();
  ExpectRefused(SubmitLeave());
  EXPECT_GT(until, begun);
  EXPECT_LE(until, absl::Now() + absl::Seconds(2));
}

TEST_F(Gap, ALeaveWhosePrevEventsAreKnownAsksNobody) {
  EXPECT_EQ(Submit(room_.room_id, Leave(room_.room_id, users_[0])).status, 200);
  EXPECT_EQ(asked_, 0);
}

TEST_F(Gap, NobodyIsAskedForWhoMayNotLeave) {
  GrowGap(1);
  ASSERT_EQ(SetMember(room_.room_id, users_.back(), "ban"), Reason::kNone);
  JsonObject leave = gap_[0];  // of another user
  leave.Set("sender", users_.back());
  leave.Set("state_key", users_.back());
  leave.Set("prev_events", JsonArray{ReferenceTo(gap_[0])});
  EXPECT_EQ(Submit(room_.room_id, rig_.remote_.Complete(std::move(leave), rig_.rules())).status, 403);
  EXPECT_EQ(asked_, 0);
}

TEST_F(Gap, TheKeysOfTheEventsOwnServersAreAskedFor) {
  const RemoteServer third("third.example", 't', "ed25519:t1");
  rig_.source_.Set(third.Keys(rig_.clock_.now() + absl::Hours(24)));
  const std::string user = "@tom:third.example";
  ASSERT_EQ(SetMember(room_.room_id, user, "invite"), Reason::kNone);
  JsonObject leave = DraftAfter(nullptr, users_[0]);
  leave.Set("sender", user);
  leave.Set("state_key", user);
  JsonArray auth_events{Entry("m.room.create"), Entry("m.room.power_levels"), Entry("m.room.member", user)};
  leave.Set("auth_events", std::move(auth_events));
  gap_.push_back(third.Complete(std::move(leave), rig_.rules()));
  answer_ = JsonArray{gap_[0]};
  const auto response = SubmitLeave();
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(MembershipOf(room_.room_id, user), "leave");
}

/// Its authorising user's server must have signed it too.
TEST_F(Gap, ARestrictedJoinIsJudgedWithTheKeysOfWhoLetItIn) {
  EventIntent rule{"m.room.join_rules", "", "", {}};
  rule.content.Set("join_rule", "restricted");
  ASSERT_TRUE(author_.AddAsOurs(call_, room_.room_id, std::move(rule)).ok());
  const std::string user = "@new:" + std::string(kRemoteName);
  JsonObject join = DraftAfter(nullptr, users_[0]);
  join.Set("sender", user);
  join.Set("state_key", user);
  JsonObject content;
  content.Set("membership", "join");
  content.Set("join_authorised_via_users_server", kCreator);
  join.Set("content", std::move(content));
  join.Set("auth_events", JsonArray{Entry("m.room.create"), Entry("m.room.power_levels"), Entry("m.room.join_rules"),
                                    Entry("m.room.member", kCreator)});
  const JsonObject unsigned_by_us = rig_.remote_.Complete(join, rig_.rules());
  gap_ = {unsigned_by_us};
  answer_ = JsonArray{gap_[0]};
  ExpectRefused(SubmitLeave());
  EXPECT_EQ(MembershipOf(room_.room_id, user), "");

  matrix::SignEvent(gap_[0], kOurName, KeyOf('h', "ed25519:h1"), rig_.rules());
  answer_ = JsonArray{gap_[0]};
  const auto response = SubmitLeave();
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(MembershipOf(room_.room_id, user), "join");
}

TEST_F(Gap, AnEventWhoseKeysCannotBeHadIsLeftOut) {
  const RemoteServer third("third.example", 't', "ed25519:t1");
  JsonObject message = DraftAfter(nullptr, users_[0]);
  message.Set("sender", "@tom:third.example");
  gap_.push_back(third.Complete(std::move(message), rig_.rules()));
  answer_ = JsonArray{gap_[0]};
  ExpectRefused(SubmitLeave());
}

TEST_F(Gap, TroubleHereIsNoRefusal) {
  GrowGap(2);
  rig_.store_.on_template = [](const auto&) { return matrix::Refuse(Reason::kStoreDown, "down"); };
  const JsonObject leave = [&] {
    JsonObject draft = gap_[1];
    draft.Set("sender", users_.back());
    draft.Set("state_key", users_.back());
    draft.Set("prev_events", JsonArray{ReferenceTo(gap_[1])});
    return rig_.remote_.Complete(std::move(draft), rig_.rules());
  }();
  EXPECT_EQ(Submit(room_.room_id, leave).status, 503);
}

TEST_F(Gap, ConflictsBesideItAreGoneThrough) {
  GrowGap(2);
  // Something is stored after the fetched events were judged.
  int persists = 0;
  rig_.store_.on_persist = [&](const auto& request) {
    if (++persists == 1) {
      EventIntent intent{"m.room.topic", "", "", {}};
      EventStoreClient direct(store_);
      RoomAuthor beside(rig_.signer_, direct, rig_.validator_, [this] { return rig_.clock_.now(); });
      EXPECT_TRUE(beside.AddAsOurs(call_, room_.room_id, std::move(intent)).ok());
    }
    return client_.PersistEvent(call_, request);
  };
  const auto response = SubmitLeave();
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(Memberships(), ElementsAre("leave", "leave"));
}

TEST_P(GapOfVersion, IsFilled) {
  GrowGap(3);
  const auto response = SubmitLeave();
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_THAT(Memberships(), ElementsAre("leave", "leave", "leave"));
}

INSTANTIATE_TEST_SUITE_P(Versions, GapOfVersion, testing::Values("1", "2", "3", "6", "9", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

/// Versions 1 and 2: events carry their ids, so that two may cite each other.
class GapOfCarriedIds : public Gap {
 protected:
  GapOfCarriedIds() : Gap("2") {}
};

TEST_F(GapOfCarriedIds, ACycleIsNotUsed) {
  JsonObject one = DraftAfter(nullptr, users_[0]);
  JsonObject two = DraftAfter(nullptr, users_[1]);
  const auto cite = [](JsonObject& event, const JsonObject& other) {
    JsonObject hashes;
    hashes.Set("sha256", "");
    event.Set("prev_events", JsonArray{Json(JsonArray{*other.Find("event_id"), Json(hashes)})});
  };
  cite(one, two);
  cite(two, one);
  gap_ = {rig_.remote_.Complete(std::move(one), rig_.rules()), rig_.remote_.Complete(std::move(two), rig_.rules())};
  answer_ = JsonArray(gap_.begin(), gap_.end());
  ExpectRefused(SubmitLeave());
  EXPECT_THAT(rig_.store_.persists(), SizeIs(0));
}

TEST_F(GapOfCarriedIds, AnIdThatIsTakenIsNotTakenOver) {
  GrowGap(2);
  JsonObject other = DraftAfter(nullptr, users_[5]);
  other.Set("event_id", *gap_[0].Find("event_id"));
  ASSERT_EQ(Submit(room_.room_id, rig_.remote_.Complete(std::move(other), rig_.rules())).status, 200);
  SubmitLeave();
  EXPECT_EQ(MembershipOf(room_.room_id, users_[0]), "join");
  EXPECT_EQ(MembershipOf(room_.room_id, users_[5]), "leave");
}

}  // namespace
}  // namespace postern::gateway
