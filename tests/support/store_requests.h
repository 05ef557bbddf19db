// Requests to a store about rooms and events of tests/support/room_builder.h, as a gateway that holds a verdict would
// make them.
#pragma once

#include <string>
#include <string_view>

#include "postern/store/v1/store.pb.h"
#include "tests/support/room_builder.h"

namespace postern::support {

store::v1::CreateRoomRequest CreateRoomRequestFor(const TestRoom& room);

/// Asks for the keys that a leave of the event's sender needs.
store::v1::GetEventContextRequest ContextRequestFor(const matrix::Event& event);

/// The event judged so, on that context. Accepted: changes its own key in the state after it and in the current state,
/// has read that key, power levels and create, and commutes.
store::v1::PersistEventRequest PersistRequestFor(const matrix::Event& event, const store::v1::EventContext& context,
                                                 matrix::v1::Outcome outcome = matrix::v1::OUTCOME_ACCEPTED);

/// The event id of a key in a list of entries, or "".
std::string EntryOf(const google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>& entries, std::string_view type,
                    std::string_view state_key);

}  // namespace postern::support
