// The gateway's routes and its minting on the honest fake store and the validator's own judgement: rooms made here,
// users of another server in them, and their leaves.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/room_author.h"
#include "tests/gateway/fake_store_client.h"
#include "tests/gateway/judging_validator.h"
#include "tests/gateway/leave_rig.h"
#include "tests/support/fake_store.h"

namespace postern::gateway {

class OnFakes : public testing::TestWithParam<std::string> {
 protected:
  OnFakes() : OnFakes(GetParam()) {}
  explicit OnFakes(const std::string& version, const TemplateLimits& templates = {})
      : rig_({.version = version, .workers = 8, .templates = templates}) {
    rig_.store_.on_context = [this](const auto& request) { return client_.GetEventContext(call_, request); };
    rig_.store_.on_template = [this](const auto& request) { return client_.GetTemplateContext(call_, request); };
    rig_.store_.on_create = [this](const auto& request) { return client_.CreateRoom(call_, request); };
    rig_.store_.on_seed = [this](const auto& request) { return client_.SeedEvents(call_, request); };
    rig_.store_.on_lease = [this](const auto& request) { return client_.LeaseExtremities(call_, request); };
    rig_.store_.on_persist = [this](const auto& request) { return client_.PersistEvent(call_, request); };
    rig_.store_.on_missing_events = [this](const auto& request) { return client_.GetMissingEvents(call_, request); };
    rig_.store_.on_event_for_peer = [this](const auto& request) { return client_.GetEventForPeer(call_, request); };
    rig_.store_.on_auth_chain = [this](const auto& request) { return client_.GetAuthChain(call_, request); };
    rig_.store_.on_state_ids = [this](const auto& request) { return client_.GetStateIds(call_, request); };
    rig_.store_.on_state_page = [this](const auto& request) { return client_.GetStatePage(call_, request); };
    rig_.store_.on_room_events = [this](const auto& request) { return client_.GetRoomEvents(call_, request); };
    rig_.store_.on_room_servers = [this](const auto& request) { return client_.ListRoomServers(call_, request); };
    rig_.store_.on_conditions = [this](const auto& request) { return client_.GetJoinConditions(call_, request); };
    rig_.store_.on_received_transaction = [this](const auto& request) {
      return client_.GetReceivedTransaction(call_, request);
    };
    rig_.store_.on_keep_transaction = [this](const auto& request) {
      return client_.KeepReceivedTransaction(call_, request);
    };
    rig_.store_.on_state = [this](const auto& request) { return client_.GetState(call_, request); };
    rig_.store_.on_backfill = [this](const auto& request) { return client_.GetBackfill(call_, request); };
    rig_.store_.on_profile = [this](const auto& request) { return client_.GetProfile(call_, request); };
    rig_.store_.on_alias = [this](const auto& request) { return client_.GetAlias(call_, request); };
    rig_.fetched_states_.on_unknown = [this](const auto& request) { return store_.FindUnknownEvents(call_, request); };
    rig_.fetched_states_.on_keep = [this](const auto& request) { return store_.KeepFetchedState(call_, request); };
    rig_.validator_.on_validate = [this](const auto& request) { return judge_.Validate(call_, request); };
    rig_.validator_.on_authorize = [this](const auto& request) { return judge_.Authorize(call_, request); };
  }

  CreatedRoom MakeRoom(std::string_view join_rule = "invite", std::vector<EventIntent> state = {}) {
    auto room = author_.Create(call_, {.version = rig_.options_.version,
                                       .creator = *matrix::UserId::Parse(kCreator),
                                       .join_rule = std::string(join_rule),
                                       .state = std::move(state)});
    EXPECT_TRUE(room.ok()) << room.status();
    return std::move(*room);
  }
  std::vector<std::string> Fill(const CreatedRoom& room, int users, std::string_view membership) {
    auto names = author_.Seed(call_, room, rig_.options_.version,
                              {users, "u", *matrix::ServerName::Parse(kRemoteName), std::string(membership)});
    EXPECT_TRUE(names.ok()) << names.status();
    return std::move(*names);
  }
  matrix::Reason SetMember(const std::string& room_id, std::string_view user, std::string_view membership) {
    EventIntent intent{"m.room.member", std::string(user), "", {}};
    intent.content.Set("membership", membership);
    return matrix::ReasonOf(author_.AddAsOurs(call_, room_id, std::move(intent)).status());
  }

  http::Response MakeLeave(const std::string& room_id, std::string_view user) {
    return rig_.Send(rig_.remote_.Request(
        "GET", "/_matrix/federation/v1/make_leave/" + http::PercentEncode(room_id) + "/" + http::PercentEncode(user),
        nullptr));
  }
  /// What the user's server has to complete.
  matrix::JsonObject Template(const std::string& room_id, std::string_view user) {
    const auto response = MakeLeave(room_id, user);
    EXPECT_EQ(response.status, 200) << response.body;
    matrix::JsonObject event = *ObjectOrDie(response.body).Find("event")->AsObject();
    if (rig_.rules().event_id_format == matrix::EventIdFormat::kCarried) {
      event.Set("event_id", "$" + RandomLetters(12) + ":" + std::string(kRemoteName));
    }
    return event;
  }
  /// The user's leave, completed by its server.
  matrix::JsonObject Leave(const std::string& room_id, std::string_view user) {
    return rig_.remote_.Complete(Template(room_id, user), rig_.rules());
  }
  http::Request Put(const std::string& room_id, const matrix::JsonObject& leave) {
    const matrix::Json content(leave);
    return rig_.remote_.Request("PUT",
                                "/_matrix/federation/v2/send_leave/" + http::PercentEncode(room_id) + "/" +
                                    http::PercentEncode(rig_.EventId(leave)),
                                &content);
  }
  http::Response Submit(const std::string& room_id, const matrix::JsonObject& leave) {
    return rig_.Send(Put(room_id, leave));
  }
  std::string MembershipOf(const std::string& room_id, const std::string& user) {
    store::v1::GetMemberRequest request;
    request.set_room_id(room_id);
    request.set_user_id(user);
    const auto member = store_.GetMember(call_, request);
    return member.ok() ? member->membership() : "";
  }

  const rpc::CallContext call_{absl::Now() + absl::Minutes(5), telemetry::NewTrace()};
  support::FakeStore store_{std::string(kOurName)};
  EventStoreClient client_{store_};
  JudgingValidator judge_;
  LeaveRig rig_;
  RoomAuthor author_{rig_.signer_, rig_.store_, rig_.validator_, [this] { return rig_.clock_.now(); }};
};

}  // namespace postern::gateway
