// What a played homeserver asks of the stack for its users: templates of member events, these events, and transactions.
// Each request apart, so that a test may send it whenever, wherever and as often as it wants.
#pragma once

#include <string>
#include <string_view>

#include "http/http_message.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"
#include "tests/flow/played_homeserver.h"

namespace postern::flow {

/// `make`: "make_join", "make_knock" or "make_leave".
http::Request MakeRequest(const PlayedHomeserver& asker, std::string_view make, const std::string& room_id,
                          const std::string& user, const matrix::RoomRules& rules);
/// The event of a template that was answered with 200, neither hashed nor signed. Throws for any other answer.
matrix::JsonObject DraftOf(const http::Response& answer);
/// `send`: "v1/send_join", "v2/send_join", "v1/send_knock", "v1/send_leave" or "v2/send_leave".
http::Request SendRequest(const PlayedHomeserver& asker, std::string_view send, const std::string& room_id,
                          const matrix::JsonObject& event, const matrix::RoomRules& rules);
http::Request TransactionRequest(const PlayedHomeserver& asker, std::string_view transaction_id,
                                 const matrix::JsonArray& pdus);

/// A draft as a message of its sender, said next.
matrix::JsonObject MessageFrom(matrix::JsonObject draft, std::string_view body);
/// A draft as what follows on `event`, and on nothing else.
matrix::JsonObject Following(const matrix::JsonObject& event, matrix::JsonObject draft, const matrix::RoomRules& rules);
/// A member of auth_events or prev_events that names an event.
matrix::Json ReferenceTo(const std::string& event_id, const matrix::RoomRules& rules);

}  // namespace postern::flow
