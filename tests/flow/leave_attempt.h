// One leave on its way to a real stack: a room, an invited user of a played homeserver, and the template that the stack
// gave for her. Each part may be altered before it is sent.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http/http_message.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "tests/flow/database.h"
#include "tests/flow/played_homeserver.h"
#include "tests/flow/room_operator.h"
#include "tests/flow/running_stack.h"
#include "tests/support/case_count.h"

namespace postern::flow {

/// A room version of each family: those of one have the same rules for a leave. Under a sanitizer an old and the
/// newest.
inline constexpr std::array kAllFamilies{"1", "3", "5", "7", "9", "10", "11", "2", "12"};
inline constexpr std::span<const char* const> kFamilies =
    std::span(kAllFamilies).last(support::kSanitized ? 2 : kAllFamilies.size());

/// The parties of a leave.
struct Scene {
  explicit Scene(const StackOptions& options = {});

  RunningStack stack;
  RoomOperator room_operator;
  PlayedHomeserver remote;
  /// One whose published keys have run out.
  PlayedHomeserver outdated;
  Database database;
  /// What the stack publishes of its key.
  std::string our_key_id;
  std::string our_public_key;
};

/// A counter as a gateway shows it now, by name and labels; 0: it has counted nothing yet.
std::int64_t GatewayCounter(const Scene& scene, std::string_view sample, std::size_t gateway = 0);

class LeaveAttempt {
 public:
  /// `membership` is what the user is in the room: "invite", "join" or "knock". `remote` is hers; it and `scene`
  /// outlive the attempt.
  LeaveAttempt(Scene& scene, const PlayedHomeserver& remote, const matrix::RoomRules& rules,
               std::string_view membership = "invite");

  /// The event and the request as they are sent; kept in `sent`.
  http::Request Build();
  http::Response Send() { return remote.Send(Build()); }

  /// The event hashed and signed as it stands. What is altered from here on is in no signature of it.
  void CompleteNow();
  void AskForTemplate() { event = remote.Template(room_id, user); }
  std::string EventId() const;
  /// A member of auth_events or prev_events that names `event_id`.
  matrix::Json Reference(const std::string& event_id) const;
  /// The id that such a member names.
  std::string IdOf(const matrix::Json& reference) const;
  /// The event's auth_events or prev_events.
  matrix::JsonArray& References(std::string_view member);

  Scene& scene;
  const PlayedHomeserver& remote;
  const matrix::RoomRules& rules;
  NewRoom room;  // without events where the room was seeded
  std::string room_id;
  std::string user;
  std::string invite;  // the event's id
  matrix::JsonObject event;
  bool completed = false;
  peer::LeaveApi api = peer::LeaveApi::kV2;
  std::function<void(http::Request&)> alter_request = [](auto&) {};
  matrix::JsonObject sent;
};

/// That `response` refuses as the table says: status, errcode, and that it is JSON.
void ExpectRefused(const http::Response& response, int status, std::string_view errcode);
/// The same, and that it says when to come back.
void ExpectToldToComeBack(const http::Response& response, int status, std::string_view errcode);

/// That the leave which was last sent is stored whole: the event with both servers' signatures, the membership, one
/// outbox row.
void ExpectStored(LeaveAttempt& attempt);

}  // namespace postern::flow
