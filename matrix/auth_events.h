// Auth events selection (server-server API, "Auth events selection"): which entries of the state an event cites.
#pragma once

#include <string_view>
#include <vector>

#include "matrix/event.h"
#include "matrix/json.h"
#include "matrix/room_rules.h"

namespace postern::matrix {

/// The keys whose entries an event of this kind cites, sorted by type and state key, without duplicates; whether or not
/// they exist in the state. A create event cites none; in version 12 nothing cites m.room.create.
std::vector<StateKey> SelectAuthEvents(std::string_view type, const std::string* state_key, std::string_view sender,
                                       const JsonObject& content, const RoomRules& rules);
std::vector<StateKey> SelectAuthEvents(const Event& event);

/// Every key of the state that judging a leave of `user_id` can need in any room version, server ACLs and the policy
/// server included: what is asked of the store before the version is known.
std::vector<StateKey> KeysForLeave(std::string_view user_id);

/// The same for a join or a knock of `user_id`. `voucher`: the join's `join_authorised_via_users_server`, or "".
std::vector<StateKey> KeysForJoin(std::string_view user_id, std::string_view voucher);

}  // namespace postern::matrix
