// The good leave, and rows 8, 10, 12 and 14: what the event is to the room and to its sender's membership.
//
// Row 15 (soft-failed) has no case: where a leave passes step 5, step 6 reads the same state, or one that row 12 has
// refused; a change in between is a CONFLICT. Gateway tests reach it with a scripted validator, the validator's own
// tests for real.
#include <algorithm>

#include "tests/flow/leave_rows.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using matrix::JsonArray;
using matrix::JsonObject;

void MustBeAccepted(LeaveAttempt& attempt) {
  const http::Response response = attempt.Send();
  Must("a first leave (not " + response.body + ")", response.status == 200);
}

/// The same leave, said otherwise: another event.
void SayOtherwise(LeaveAttempt& attempt) {
  attempt.event.Erase("hashes");
  attempt.event.Erase("signatures");
  attempt.event.Find("content")->AsObject()->Set("reason", "said otherwise");
  attempt.completed = false;
}

bool Knocks(const matrix::RoomRules& rules) { return rules.knocking; }
bool CitesCreate(const matrix::RoomRules& rules) { return !rules.room_id_is_create_hash; }
bool NeverCitesCreate(const matrix::RoomRules& rules) { return rules.room_id_is_create_hash; }

void DropAuthEvent(LeaveAttempt& attempt, const std::string& event_id) {
  std::erase_if(attempt.References("auth_events"), [&](const auto& cited) { return attempt.IdOf(cited) == event_id; });
}
void AddAuthEvent(LeaveAttempt& attempt, const std::string& event_id) {
  attempt.References("auth_events").push_back(attempt.Reference(event_id));
}

void AddGood(std::vector<LeaveRow>& rows) {
  rows.insert(rows.end(),
              {{"TheGoodLeave", [](auto&) {}, 200, "", Written::kTheLeave},
               {"TheGoodLeaveByV1", [](auto& a) { a.api = peer::LeaveApi::kV1; }, 200, "", Written::kTheLeave},
               {"UnsignedIsNotKept",
                [](auto& a) {
                  a.CompleteNow();
                  a.event.Set("unsigned", ObjectOf(R"({"age":1})"));
                },
                200, "", Written::kTheLeave}});
}

void AddRoom(std::vector<LeaveRow>& rows) {
  const auto acl = [](const std::string& content) {
    return [content](LeaveAttempt& a) { a.scene.room_operator.SetState(a.room_id, "m.room.server_acl", content); };
  };
  rows.insert(rows.end(),
              {{"R08_TheRoomIsKnown",
                [](auto& a) {
                  a.room_id = "!nowhere:" + a.scene.stack.server_name();
                  a.event.Set("room_id", a.room_id);
                },
                404, "M_NOT_FOUND"},
               {"R08_TheRoomsVersionIsSupported",
                [](auto& a) {
                  a.scene.database.Execute("update rooms set room_version = 'org.example.v99' where room_id = '" +
                                           a.room_id + "'");
                  // Not as its template had it, or the room, whose version never changes, is not looked at again.
                  AddAuthEvent(a, a.room.event_ids.at("m.room.join_rules"));
                },
                403, "M_FORBIDDEN"},
               {"R08_TheRoomFederates",
                [](auto& a) {
                  a.room = a.scene.room_operator.CreateRoom(a.rules.version, R"({"m.federate":false})");
                  a.room_id = a.room.room_id;
                  a.event.Set("room_id", a.room_id);
                },
                403, "M_FORBIDDEN"},
               {"R08_TheAclLetsTheOriginIn", acl(R"({"allow":["*"],"deny":["local*"]})"), 403, "M_FORBIDDEN"},
               {"R08_AnAclOfOthersDoesNoHarm", acl(R"({"allow":["*"],"deny":["evil.example"]})"), 200, "",
                Written::kTheLeave}});
}

void AddAgain(std::vector<LeaveRow>& rows) {
  rows.insert(rows.end(), {{"R10_TheSameLeaveAgain", MustBeAccepted, 200},
                           {"R10_TheSameLeaveAgainByV1",
                            [](auto& a) {
                              MustBeAccepted(a);
                              a.api = peer::LeaveApi::kV1;
                            },
                            200},
                           {"R10_TheSameLeaveAgainAfterANewInvite",
                            [](auto& a) {
                              MustBeAccepted(a);
                              a.scene.room_operator.Invite(a.room_id, a.user);
                            },
                            200},
                           {"R10_TheSameLeaveWithoutItsSignature",
                            [](auto& a) {
                              MustBeAccepted(a);
                              a.event.Set("signatures", JsonObject());
                            },
                            400, "M_BAD_STATE"},
                           {.name = "R10_TheIdIsThatOfAnotherEvent",
                            .alter =
                                [](auto& a) {
                                  a.event.Set("event_id", "$again:" + a.remote.name());
                                  MustBeAccepted(a);
                                  SayOtherwise(a);
                                },
                            .status = 400,
                            .errcode = "M_INVALID_PARAM",
                            .applies = CarriesIds}});
}

void AddMembership(std::vector<LeaveRow>& rows) {
  rows.insert(rows.end(), {{"R12_AMemberMayLeave", [](auto&) {}, 200, "", Written::kTheLeave, "join"},
                           {"R12_WhoKnocksMayLeave", [](auto&) {}, 200, "", Written::kTheLeave, "knock", Knocks},
                           {"R12_WhoHasLeftMayNot",
                            [](auto& a) {
                              MustBeAccepted(a);
                              SayOtherwise(a);
                              a.event.Erase("event_id");
                            },
                            400, "M_BAD_STATE"},
                           {"R12_WhoIsBannedMayNot", [](auto& a) { a.scene.room_operator.Ban(a.room_id, a.user); }, 403,
                            "M_FORBIDDEN"},
                           {"R12_WhoWasNeverThereMayNot",
                            [](auto& a) {
                              a.event.Set("sender", a.remote.User("bob"));
                              a.event.Set("state_key", a.remote.User("bob"));
                            },
                            403, "M_FORBIDDEN"}});
}

void AddRejection(std::vector<LeaveRow>& rows) {
  const auto rejected = [&rows](
                            const char* name, std::function<void(LeaveAttempt&)> alter,
                            std::function<bool(const matrix::RoomRules&)> applies = [](const auto&) { return true; }) {
    rows.push_back({.name = name,
                    .alter = std::move(alter),
                    .status = 403,
                    .errcode = "M_FORBIDDEN",
                    .written = Written::kOneRefusal,
                    .applies = std::move(applies)});
  };
  rejected("R14_AuthEventsHoldTheMembership", [](auto& a) { DropAuthEvent(a, a.invite); });
  rejected(
      "R14_AuthEventsHoldTheCreateEvent", [](auto& a) { DropAuthEvent(a, a.room.event_ids.at("m.room.create")); },
      CitesCreate);
  rejected(
      "R14_AuthEventsNeverHoldTheCreateEventSinceV12",
      [](auto& a) { AddAuthEvent(a, a.room.event_ids.at("m.room.create")); }, NeverCitesCreate);
  rejected("R14_AuthEventsAreThereOnce", [](auto& a) { AddAuthEvent(a, a.invite); });
  rejected("R14_AuthEventsAreOfTheExpectedKinds",
           [](auto& a) { AddAuthEvent(a, a.room.event_ids.at("m.room.history_visibility")); });
  rejected("R14_ThereArePrevEvents", [](auto& a) { a.event.Set("prev_events", JsonArray()); });
  rejected("R14_TheStateBeforeHoldsTheMembership", [](auto& a) {
    a.event.Set("prev_events", JsonArray{a.Reference(a.room.event_ids.at("m.room.history_visibility"))});
  });
}

}  // namespace

std::vector<LeaveRow> MembershipRows() {
  std::vector<LeaveRow> rows;
  AddGood(rows);
  AddRoom(rows);
  AddAgain(rows);
  AddMembership(rows);
  AddRejection(rows);
  return rows;
}

}  // namespace postern::flow
