// Rows 6, 7, 9, 11 and 13: what is wrong with an event by itself, or with what it cites.
#include <fmt/format.h>

#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/identifiers.h"
#include "tests/flow/leave_rows.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using Alter = std::function<void(LeaveAttempt&)>;

const std::string kTooLong(matrix::kMaxIdentifierBytes + 1, 'x');

/// Before the event is hashed and signed.
Alter Set(std::string_view member, Json value) {
  return [member, value = std::move(value)](LeaveAttempt& attempt) { attempt.event.Set(member, value); };
}
Alter SetContent(std::string_view member, Json value) {
  return [member, value = std::move(value)](LeaveAttempt& attempt) {
    attempt.event.Find("content")->AsObject()->Set(member, value);
  };
}
/// Afterwards: for members that hashing and signing would write anew.
Alter SetLater(std::string_view member, Json value) {
  return [member, value = std::move(value)](LeaveAttempt& attempt) {
    attempt.CompleteNow();
    attempt.event.Set(member, value);
  };
}
Alter Without(std::string_view member) {
  return [member](LeaveAttempt& attempt) {
    attempt.CompleteNow();
    attempt.event.Erase(member);
  };
}
/// Another target than the event's own, properly signed.
Alter SentTo(const std::function<std::string(LeaveAttempt&)>& target) {
  return [target](LeaveAttempt& attempt) {
    attempt.alter_request = [target, &attempt](http::Request& request) {
      request.target = target(attempt);
      attempt.remote.SignAgain(request);
    };
  };
}
Alter SignedBy(const std::function<void(LeaveAttempt&, JsonObject& signatures)>& alter) {
  return [alter](LeaveAttempt& attempt) {
    attempt.CompleteNow();
    alter(attempt, *attempt.event.Find("signatures")->AsObject());
  };
}

/// An event id that nothing in the room has, in the form of its version.
std::string StrangeId(const LeaveAttempt& attempt) {
  return CarriesIds(attempt.rules) ? "$strange:" + attempt.remote.name() : "$" + std::string(43, 'A');
}

bool HasStrictNumbers(const matrix::RoomRules& rules) { return rules.strict_numbers; }
bool HasOddNumbers(const matrix::RoomRules& rules) { return !rules.strict_numbers; }

void AddAbsence(std::vector<LeaveRow>& rows) {
  const std::pair<const char*, const char*> members[] = {
      {"ASender", "sender"},
      {"AType", "type"},
      {"AStateKey", "state_key"},
      {"ARoom", "room_id"},
      {"AContent", "content"},
      {"ATime", "origin_server_ts"},
      {"ADepth", "depth"},
      {"AListOfAuthEvents", "auth_events"},
      {"AListOfPrevEvents", "prev_events"},
      {"AnObjectOfHashes", "hashes"},
      {"AnObjectOfSignatures", "signatures"},
  };
  for (const auto& [name, member] : members) {
    rows.push_back({fmt::format("R06_ThereIs{}", name), Without(member), 400, "M_BAD_JSON"});
  }
  rows.push_back({"R06_ThereIsAMembership", Set("content", JsonObject()), 400, "M_BAD_JSON"});
  rows.push_back({"R06_TheOriginIsNotLookedAt", Set("origin", 1), 200, "", Written::kTheLeave});
}

void AddTypes(std::vector<LeaveRow>& rows) {
  rows.insert(rows.end(), {{"R06_TheSenderIsText", Set("sender", 1), 400, "M_BAD_JSON"},
                           {"R06_TheTypeIsText", Set("type", 1), 400, "M_BAD_JSON"},
                           {"R06_TheStateKeyIsText", Set("state_key", 1), 400, "M_BAD_JSON"},
                           {"R06_TheRoomIsText", Set("room_id", 1), 400, "M_BAD_JSON"},
                           {"R06_TheContentIsAnObject", Set("content", JsonArray()), 400, "M_BAD_JSON"},
                           {"R06_TheMembershipIsText", SetContent("membership", 1), 400, "M_BAD_JSON"},
                           {"R06_TheTimeIsANumber", Set("origin_server_ts", "1"), 400, "M_BAD_JSON"},
                           {"R06_TheDepthIsANumber", Set("depth", "1"), 400, "M_BAD_JSON"},
                           {"R06_TheDepthIsWhole", Set("depth", matrix::OddNumber{"1.5"}), 400, "M_BAD_JSON"},
                           {"R06_TheAuthEventsAreAList", Set("auth_events", "$a"), 400, "M_BAD_JSON"},
                           {"R06_ThePrevEventsAreAList", Set("prev_events", "$a"), 400, "M_BAD_JSON"},
                           {"R06_TheHashesAreAnObject", SetLater("hashes", "x"), 400, "M_BAD_JSON"},
                           {"R06_TheSignaturesAreAnObject", SetLater("signatures", JsonArray()), 400, "M_BAD_JSON"}});
}

void AddGrammar(std::vector<LeaveRow>& rows) {
  const auto long_user = [](std::string_view member) {
    return [member](LeaveAttempt& attempt) {
      attempt.event.Set(member, attempt.remote.User(std::string(matrix::kMaxIdentifierBytes, 'a')));
    };
  };
  rows.insert(rows.end(),
              {{"R06_TheSenderIsAUser", Set("sender", "ann"), 400, "M_BAD_JSON"},
               {"R06_TheRoomIsARoom", Set("room_id", "room"), 400, "M_BAD_JSON"},
               {"R06_AuthEventsAreEvents", Set("auth_events", JsonArray{1}), 400, "M_BAD_JSON"},
               {"R06_PrevEventsAreEvents", Set("prev_events", JsonArray{"event"}), 400, "M_BAD_JSON"},
               {"R06_TheSenderIsShort", long_user("sender"), 400, "M_BAD_JSON"},
               {"R06_TheStateKeyIsShort", long_user("state_key"), 400, "M_BAD_JSON"},
               {"R06_TheTypeIsShort", Set("type", kTooLong), 400, "M_BAD_JSON"},
               {"R06_TheRoomIsShort", Set("room_id", "!" + kTooLong), 400, "M_BAD_JSON"},
               {"R06_AuthEventsAreShort", Set("auth_events", JsonArray{"$" + kTooLong}), 400, "M_BAD_JSON"},
               {"R06_PrevEventsAreShort", Set("prev_events", JsonArray{"$" + kTooLong}), 400, "M_BAD_JSON"}});
}

void AddThisLeave(std::vector<LeaveRow>& rows) {
  rows.insert(
      rows.end(),
      {{"R07_ItIsAMembership", Set("type", "m.room.message"), 400, "M_INVALID_PARAM"},
       {"R07_ItIsALeave", SetContent("membership", "join"), 400, "M_INVALID_PARAM"},
       {"R07_ItIsNoKick", [](auto& a) { a.event.Set("state_key", a.remote.User("bob")); }, 400, "M_INVALID_PARAM"},
       {"R07_TheSenderIsOfTheOrigin",
        [](auto& a) {
          a.event.Set("sender", "@ann:localhost");
          a.event.Set("state_key", "@ann:localhost");
        },
        400, "M_INVALID_PARAM"},
       {"R07_TheRoomIsThatOfThePath", SentTo([](LeaveAttempt& a) {
          return peer::SendLeaveTarget(a.api, "!other:" + a.scene.stack.server_name(), a.EventId());
        }),
        400, "M_INVALID_PARAM"},
       {.name = "R07_TheEventIdIsOfTheOrigin",
        .alter = Set("event_id", "$leave:else.example"),
        .status = 400,
        .errcode = "M_INVALID_PARAM",
        .applies = CarriesIds},
       {.name = "R07_ThereIsAnEventId",
        .alter =
            [](auto& a) {
              Without("event_id")(a);
              SentTo([](LeaveAttempt& b) { return peer::SendLeaveTarget(b.api, b.room_id, StrangeId(b)); })(a);
            },
        .status = 400,
        .errcode = "M_INVALID_PARAM",
        .applies = CarriesIds},
       {"R09_TheEventIsThatOfThePath",
        SentTo([](LeaveAttempt& a) { return peer::SendLeaveTarget(a.api, a.room_id, StrangeId(a)); }), 400,
        "M_INVALID_PARAM"}});
}

/// The leave, with a reason that makes it `bytes` long once this server has signed it too.
Alter OfSizeWithOurSignature(std::size_t bytes) {
  return [bytes](LeaveAttempt& attempt) {
    if (CarriesIds(attempt.rules)) attempt.event.Set("event_id", "$large:" + attempt.remote.name());
    const auto set_reason = [&](std::size_t size) {
      attempt.event.Find("content")->AsObject()->Set("reason", std::string(size, 'x'));
      return matrix::CanonicalJson(attempt.remote.Complete(attempt.event, attempt.rules)).size();
    };
    constexpr std::size_t kSignatureText = 86;
    const std::string ours = fmt::format(R"(,"{}":{{"{}":"{}"}})", attempt.scene.stack.server_name(),
                                         attempt.scene.our_key_id, std::string(kSignatureText, 'x'));
    const std::size_t empty = set_reason(0);
    Must("the size that was wanted", set_reason(bytes - empty - ours.size()) == bytes - ours.size());
  };
}

void AddSize(std::vector<LeaveRow>& rows) {
  rows.insert(
      rows.end(),
      {{"R11_TheGreatestEventFits", OfSizeWithOurSignature(matrix::kMaxEventBytes), 200, "", Written::kTheLeave},
       {"R11_OneByteMoreIsTooMuch", OfSizeWithOurSignature(matrix::kMaxEventBytes + 1), 413, "M_TOO_LARGE"}});
}

void AddFormat(std::vector<LeaveRow>& rows) {
  const auto many = [](std::string_view member, std::size_t count) {
    return [=](LeaveAttempt& attempt) {
      attempt.References(member).resize(count, attempt.References("prev_events").front());
    };
  };
  rows.insert(rows.end(), {{"R13_TheDepthIsNotNegative", Set("depth", -1), 400, "M_BAD_JSON"},
                           {"R13_PrevEventsAreFew", many("prev_events", matrix::kMaxPrevEvents + 1), 400, "M_BAD_JSON"},
                           {"R13_AuthEventsAreFew", many("auth_events", matrix::kMaxAuthEvents + 1), 400, "M_BAD_JSON"},
                           {"R13_ReferencesAreThoseOfTheVersion",
                            [](LeaveAttempt& attempt) {
                              for (Json& reference : attempt.References("prev_events")) {
                                const std::string id = attempt.IdOf(reference);
                                reference = CarriesIds(attempt.rules) ? Json(id) : Json(JsonArray{id, JsonObject()});
                              }
                            },
                            400, "M_BAD_JSON"},
                           {.name = "R13_NumbersAreIntegersSinceV6",
                            .alter = SetContent("x", matrix::OddNumber{"1.5"}),
                            .status = 400,
                            .errcode = "M_BAD_JSON",
                            .applies = HasStrictNumbers},
                           {.name = "R13_NumbersMayBeOddBeforeV6",
                            .alter = SetContent("x", matrix::OddNumber{"1.50e1"}),
                            .status = 200,
                            .written = Written::kTheLeave,
                            .applies = HasOddNumbers}});
}

void AddSignatures(std::vector<LeaveRow>& rows) {
  rows.insert(
      rows.end(),
      {{"R13_ItIsSigned", SignedBy([](auto&, auto& signatures) { signatures = JsonObject(); }), 400, "M_INVALID_PARAM"},
       {"R13_ItIsSignedByTheSendersServer",
        [](LeaveAttempt& attempt) {
          attempt.event = attempt.remote.Complete(std::move(attempt.event), attempt.rules);
          attempt.event.Erase("signatures");
          attempt.completed = true;
          matrix::SignEvent(attempt.event, "else.example", attempt.remote.key(), attempt.rules);
        },
        400, "M_INVALID_PARAM"},
       {"R13_TheSignatureHolds",
        [](LeaveAttempt& attempt) {
          attempt.CompleteNow();
          attempt.event.Set("origin_server_ts", *attempt.event.Find("origin_server_ts")->AsInteger() + 1);
        },
        400, "M_INVALID_PARAM"},
       {"R13_TheKeyIsOneOfTheServers",
        [](LeaveAttempt& attempt) {
          attempt.CompleteNow();
          attempt.event.Erase("signatures");
          matrix::SignEvent(attempt.event, attempt.remote.name(), NewKey("ed25519:strange"), attempt.rules);
        },
        400, "M_INVALID_PARAM"},
       {"R13_AnotherHashOnlyRedacts",
        [](LeaveAttempt& attempt) {
          attempt.CompleteNow();
          attempt.event.Find("content")->AsObject()->Set("reason", "slipped in");
        },
        200, "", Written::kTheLeave}});
}

void AddUnknownEvents(std::vector<LeaveRow>& rows) {
  const auto cite_one_more = [](std::string_view member, const std::function<std::string(LeaveAttempt&)>& id) {
    return [=](LeaveAttempt& attempt) { attempt.References(member).push_back(attempt.Reference(id(attempt))); };
  };
  const auto of_another_room = [](LeaveAttempt& attempt) {
    return attempt.scene.room_operator.CreateRoom(attempt.rules.version).event_ids.at("m.room.join_rules");
  };
  rows.insert(rows.end(),
              {{"R13_PrevEventsAreKnown", cite_one_more("prev_events", StrangeId), 400, "M_INVALID_PARAM"},
               {"R13_AuthEventsAreKnown", cite_one_more("auth_events", StrangeId), 400, "M_INVALID_PARAM"},
               {"R13_PrevEventsAreOfThisRoom", cite_one_more("prev_events", of_another_room), 400, "M_INVALID_PARAM"},
               {"R13_AuthEventsAreOfThisRoom", cite_one_more("auth_events", of_another_room), 400, "M_INVALID_PARAM"}});
}

}  // namespace

std::vector<LeaveRow> EventRows() {
  std::vector<LeaveRow> rows;
  AddAbsence(rows);
  AddTypes(rows);
  AddGrammar(rows);
  AddThisLeave(rows);
  AddSize(rows);
  AddFormat(rows);
  AddSignatures(rows);
  AddUnknownEvents(rows);
  return rows;
}

}  // namespace postern::flow
