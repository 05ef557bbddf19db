// What this server writes into rooms: chosen, asked of the validator, signed and persisted like any other event.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/canonical_json.h"
#include "matrix/event.h"
#include "matrix/refusal.h"
#include "services/gateway/invite_handshake.h"
#include "services/gateway/room_author.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

class Author : public testing::TestWithParam<std::string> {
 protected:
  Author() : author_(signer_, store_, validator_, [this] { return clock_.now(); }) {
    store_.on_create = [this](const store::v1::CreateRoomRequest& request) {
      created_.push_back(request);
      return absl::OkStatus();
    };
    validator_.on_authorize = [this](const validator::v1::AuthorizeRequest& request) {
      questions_.push_back(request);
      validator::v1::AuthorizeResponse response;
      response.set_allowed(allow_);
      response.set_rule("auth rule 9");
      response.set_text("scripted");
      return response;
    };
  }

  static NewRoom Room(const std::string& version) {
    return {.version = version, .creator = *matrix::UserId::Parse(kCreator), .join_rule = "invite", .state = {}};
  }

  StandingClock clock_{absl::FromUnixSeconds(1700000000)};
  const rpc::CallContext call_{absl::Now() + absl::Minutes(1), telemetry::NewTrace()};
  const EventSigner signer_ = TestSigner();
  ScriptedStore store_;
  ScriptedValidator validator_;
  RoomAuthor author_;
  std::vector<store::v1::CreateRoomRequest> created_;
  std::vector<validator::v1::AuthorizeRequest> questions_;
  bool allow_ = true;
};

TEST_P(Author, MakesARoomOfEventsThatItsVersionTakes) {
  const auto& rules = *matrix::FindRoomRules(GetParam());
  NewRoom plan = Room(GetParam());
  plan.state.push_back({"m.room.server_acl", "", "", ObjectOrDie(R"({"allow":["*"]})")});
  plan.state.push_back({"m.room.create", "", "", ObjectOrDie(R"({"m.federate":false})")});
  const auto room = author_.Create(call_, plan);
  ASSERT_TRUE(room.ok()) << room.status();
  ASSERT_EQ(created_.size(), 1U);
  EXPECT_EQ(created_[0].room_id(), room->room_id);
  EXPECT_EQ(questions_.size(), room->events.size());
  std::string before;
  std::int64_t depth = 0;
  for (const auto& initial : created_[0].events()) {
    const auto event = matrix::Event::Parse(initial.pdu(), rules);
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_EQ(event->event_id(), initial.event_id());
    EXPECT_EQ(event->room_id(), room->room_id);
    EXPECT_EQ(event->depth(), ++depth);
    EXPECT_EQ(event->prev_events(), before.empty() ? std::vector<std::string>{} : std::vector<std::string>{before});
    before = initial.event_id();
  }
  const auto create = *matrix::Event::Parse(created_[0].events(0).pdu(), rules);
  EXPECT_EQ(create.content().Contains("creator"), rules.creator_in_content);
  EXPECT_FALSE(*create.content().Find("m.federate")->AsBool());
  EXPECT_EQ(create.json().Contains("room_id"), !rules.room_id_is_create_hash);
  EXPECT_EQ(room->room_id == "!" + create.event_id().substr(1), rules.room_id_is_create_hash);
  EXPECT_EQ(room->events.back().type, "m.room.server_acl");
}

TEST_P(Author, SeedsRoomsWithUsersOfAnotherServer) {
  const auto& rules = *matrix::FindRoomRules(GetParam());
  const auto room = author_.Create(call_, Room(GetParam()));
  ASSERT_TRUE(room.ok()) << room.status();
  for (const std::string membership : {"invite", "join", "knock"}) {
    std::vector<store::v1::InitialEvent> seeded;
    store_.on_seed = [&](const store::v1::SeedEventsRequest& request) {
      seeded.insert(seeded.end(), request.events().begin(), request.events().end());
      return absl::OkStatus();
    };
    const SeedPlan plan{3, "u", *matrix::ServerName::Parse(kRemoteName), membership};
    const auto users = author_.Seed(call_, *room, GetParam(), plan);
    ASSERT_TRUE(users.ok()) << users.status();
    EXPECT_THAT(*users,
                testing::ElementsAre("@u0:remote.example:8448", "@u1:remote.example:8448", "@u2:remote.example:8448"));
    ASSERT_EQ(seeded.size(), 3U);
    for (std::size_t i = 0; i < seeded.size(); ++i) {
      const auto event = matrix::Event::Parse(seeded[i].pdu(), rules);
      ASSERT_TRUE(event.ok()) << event.status();
      EXPECT_EQ(event->membership(), membership);
      EXPECT_EQ(*event->state_key(), (*users)[i]);
      EXPECT_EQ(event->sender(), membership == "invite" ? std::string(kCreator) : (*users)[i]);
      EXPECT_EQ(event->json().Find("signatures")->AsObject()->Contains(kOurName), membership == "invite");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, Author, testing::Values("1", "2", "3", "4", "6", "10", "11", "12"),
                         [](const auto& test) { return "V" + test.param; });

using AuthorOnce = Author;

TEST_F(AuthorOnce, RefusesWhatCannotBe) {
  EXPECT_EQ(matrix::ReasonOf(author_.Create(call_, Room("99")).status()), Reason::kUnsupportedVersion);
  NewRoom knock = Room("6");
  knock.join_rule = "knock";
  EXPECT_EQ(matrix::ReasonOf(author_.Create(call_, knock).status()), Reason::kInvalidArgument);
  NewRoom foreign{.version = "10", .creator = *matrix::UserId::Parse(kAnn), .join_rule = "invite", .state = {}};
  EXPECT_EQ(matrix::ReasonOf(author_.Create(call_, foreign).status()), Reason::kInvalidArgument);
  allow_ = false;
  EXPECT_EQ(matrix::ReasonOf(author_.Create(call_, Room("10")).status()), Reason::kNotAuthorised);
  EXPECT_TRUE(created_.empty());
}

TEST_F(AuthorOnce, AddsStateAfterTheTipsAndAgainWhenSomeoneWasFaster) {
  LeaveRig rig;
  RoomAuthor author(rig.signer_, rig.store_, rig.validator_, [&] { return rig.clock_.now(); });
  int persists = 0;
  rig.store_.on_persist = [&](const store::v1::PersistEventRequest& request) {
    store::v1::PersistEventResponse response;
    if (++persists == 1) {
      response.mutable_fresh_context();
    } else {
      response.mutable_stored()->set_outcome(request.verdict().outcome());
    }
    return response;
  };
  EventIntent ban{"m.room.member", std::string(kAnn), "", ObjectOrDie(R"({"membership":"ban"})")};
  const auto minted = author.AddAsOurs(call_, rig.room_.room_id(), ban);
  ASSERT_TRUE(minted.ok()) << minted.status();
  ASSERT_EQ(rig.store_.persists().size(), 2U);
  const auto write = rig.store_.persists()[1];
  EXPECT_EQ(write.origin(), kOurName);
  EXPECT_EQ(write.verdict().current_state_change(0).event_id(), minted->event_id);
  EXPECT_EQ(write.verdict().steps_size(), 6);
  const auto event = *matrix::Event::Parse(write.pdu(), rig.rules());
  EXPECT_EQ(event.sender(), kCreator);  // nobody was named: the room's creator
  EXPECT_EQ(event.prev_events(), std::vector<std::string>{rig.room_.events().back().event_id});
}

/// A room in which Ann is what she is, by whom, and whom the write of her next membership names as `also_tell`.
class AuthorOfMembers : public AuthorOnce {
 protected:
  void Play(std::string_view membership) {
    rig_ = std::make_unique<LeaveRig>(LeaveRigOptions{.membership = std::string(membership)});
    author_of_room_ = std::make_unique<RoomAuthor>(rig_->signer_, rig_->store_, rig_->validator_,
                                                   [this] { return rig_->clock_.now(); });
  }
  absl::StatusOr<MintedEvent> Set(std::string_view membership) {
    EventIntent intent{"m.room.member", std::string(kAnn), std::string(kCreator), {}};
    intent.content.Set("membership", membership);
    return author_of_room_->AddAsOurs(call_, rig_->room_.room_id(), std::move(intent));
  }
  absl::StatusOr<MintedEvent> Withdraw(const std::string& sender = "") {
    return author_of_room_->Withdraw(call_, rig_->room_.room_id(), *matrix::UserId::Parse(kAnn), sender, "closed");
  }

  std::unique_ptr<LeaveRig> rig_;
  std::unique_ptr<RoomAuthor> author_of_room_;
};

TEST_F(AuthorOfMembers, TellsTheServerOfAUserWhoseInviteOrKnockEnds) {
  const struct {
    const char* before;
    const char* after;
    bool told;
  } rows[] = {{"invite", "leave", true},  {"invite", "ban", true},  {"knock", "leave", true},
              {"knock", "invite", false}, {"join", "leave", false}, {"invite", "invite", false},
              {"leave", "ban", false}};
  for (const auto& row : rows) {
    Play(row.before);
    ASSERT_TRUE(Set(row.after).ok()) << row.before << " " << row.after;
    const auto also = rig_->store_.persists().back().also_tell();
    EXPECT_EQ(std::vector<std::string>(also.begin(), also.end()),
              row.told ? std::vector<std::string>{std::string(kRemoteName)} : std::vector<std::string>{})
        << row.before << " " << row.after;
  }
}

TEST_F(AuthorOfMembers, TakesAnInviteBackAsTheOneWhoInvited) {
  Play("invite");
  const auto minted = Withdraw();
  ASSERT_TRUE(minted.ok()) << minted.status();
  const auto event = *matrix::Event::Parse(rig_->store_.persists().back().pdu(), rig_->rules());
  EXPECT_EQ(event.sender(), kCreator);
  EXPECT_EQ(event.membership(), "leave");
  EXPECT_EQ(*event.content().Find("reason"), matrix::Json("closed"));
  // A server that is not in the room believes it for that (pitfall L17).
  EXPECT_THAT(event.auth_events(), testing::Contains(rig_->room_.events().back().event_id));
}

TEST_F(AuthorOfMembers, TakesBackNothingButAnInvite) {
  for (const char* membership : {"join", "knock", "ban", "leave", ""}) {
    Play(membership);
    EXPECT_EQ(matrix::ReasonOf(Withdraw().status()), Reason::kNotAMember) << membership;
    EXPECT_TRUE(rig_->store_.persists().empty());
  }
}

TEST_F(AuthorOfMembers, ChangesAMembershipOnlyFromWhatItIsSaidToBe) {
  const struct {
    const char* before;
    std::vector<std::string> now;
    bool changed;
  } rows[] = {{"join", {"join", "invite", "knock"}, true},
              {"ban", {"join", "invite", "knock"}, false},
              {"ban", {"ban"}, true},
              {"leave", {"ban"}, false},
              {"", {"join"}, false},
              {"leave", {}, true}};
  for (const auto& row : rows) {
    Play(row.before);
    EventIntent leave{"m.room.member", std::string(kAnn), std::string(kCreator),
                      ObjectOrDie(R"({"membership":"leave"})")};
    const auto minted = author_of_room_->SetMembership(call_, rig_->room_.room_id(), std::move(leave), row.now);
    EXPECT_EQ(minted.ok(), row.changed) << row.before;
    EXPECT_EQ(rig_->store_.persists().size(), row.changed ? 1U : 0U) << row.before;
    if (!row.changed) {
      EXPECT_EQ(matrix::ReasonOf(minted.status()), Reason::kNotAMember) << row.before;
    }
  }
}

TEST_F(AuthorOfMembers, GivesAUserALevelAndLeavesTheOthersAsTheyAre) {
  Play("join");
  const auto users_of = [&](std::optional<std::int64_t> level) {
    const auto minted =
        author_of_room_->SetPowerLevel(call_, rig_->room_.room_id(), *matrix::UserId::Parse(kAnn), level, "");
    EXPECT_TRUE(minted.ok()) << minted.status();
    const auto event = *matrix::Event::Parse(rig_->store_.persists().back().pdu(), rig_->rules());
    EXPECT_EQ(event.type(), "m.room.power_levels");
    EXPECT_EQ(*event.content().Find("ban"), matrix::Json(50));
    EXPECT_EQ(event.sender(), kCreator);
    return *event.content().Find("users")->AsObject();
  };
  const matrix::JsonObject without = users_of(std::nullopt);
  EXPECT_FALSE(without.Contains(kAnn));
  matrix::JsonObject with = without;
  with.Set(kAnn, 50);
  EXPECT_EQ(users_of(50), with);
}

TEST_F(AuthorOfMembers, AddsAnEventThatIsNoState) {
  Play("join");
  EventIntent message{"m.room.message", std::nullopt, "", ObjectOrDie(R"({"body":"We move."})")};
  const auto minted = author_of_room_->AddAsOurs(call_, rig_->room_.room_id(), std::move(message));
  ASSERT_TRUE(minted.ok()) << minted.status();
  const auto event = *matrix::Event::Parse(rig_->store_.persists().back().pdu(), rig_->rules());
  EXPECT_FALSE(event.is_state());
  EXPECT_EQ(event.sender(), kCreator);
  EXPECT_EQ(rig_->store_.persists().back().verdict().current_state_change_size(), 0);
}

TEST_F(AuthorOfMembers, StoresTheInviteThatWasSignedEvenIfTheRoomHasChangedMeanwhile) {
  Play("leave");
  int persists = 0;
  rig_->store_.on_persist = [&](const store::v1::PersistEventRequest& request) {
    store::v1::PersistEventResponse response;
    if (++persists == 1) {
      *response.mutable_fresh_context() = rig_->context_;
    } else {
      response.mutable_stored()->set_outcome(request.verdict().outcome());
    }
    return response;
  };
  EventIntent intent{"m.room.member", std::string(kAnn), "", ObjectOrDie(R"({"membership":"invite"})")};
  int asked = 0;
  const auto minted = author_of_room_->Invite(call_, rig_->room_.room_id(), intent, [&](const OutboundInvite& invite) {
    ++asked;
    EXPECT_EQ(invite.invited.text(), kAnn);
    auto event = ObjectOrDie(invite.event.pdu());
    matrix::SignEvent(event, rig_->remote_.name(), rig_->remote_.key(), invite.rules);
    return absl::StatusOr<std::string>(matrix::CanonicalJson(event));
  });
  ASSERT_TRUE(minted.ok()) << minted.status();
  EXPECT_EQ(asked, 1);
  const auto writes = rig_->store_.persists();
  ASSERT_EQ(writes.size(), 2U);
  EXPECT_EQ(writes[0].pdu(), writes[1].pdu());
  EXPECT_TRUE(ObjectOrDie(writes[1].pdu()).Find("signatures")->AsObject()->Contains(kRemoteName));
  EXPECT_EQ(rig_->validated_, 1);
}

TEST_F(AuthorOfMembers, StoresNothingWhereTheOtherServerDoesNotSign) {
  Play("leave");
  EventIntent intent{"m.room.member", std::string(kAnn), "", ObjectOrDie(R"({"membership":"invite"})")};
  const auto minted = author_of_room_->Invite(call_, rig_->room_.room_id(), intent, [](const OutboundInvite&) {
    return absl::StatusOr<std::string>(matrix::Refuse(Reason::kInviteRefused, "no"));
  });
  EXPECT_EQ(matrix::ReasonOf(minted.status()), Reason::kInviteRefused);
  EXPECT_TRUE(rig_->store_.persists().empty());
}

TEST_F(AuthorOnce, TellsWhetherSeedingIsAllowed) {
  store_.on_seed = [](const auto&) { return matrix::Refuse(Reason::kSeedingOff, "off"); };
  EXPECT_EQ(matrix::ReasonOf(author_.SeedingAllowed(call_)), Reason::kSeedingOff);
  store_.on_seed = [](const auto&) { return matrix::Refuse(Reason::kUnknownRoom, "no such room"); };
  EXPECT_TRUE(author_.SeedingAllowed(call_).ok());
}

}  // namespace
}  // namespace postern::gateway
