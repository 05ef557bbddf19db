// Requests to a validator about events of test rooms.
#pragma once

#include "matrix/event.h"
#include "postern/validator/v1/validator.pb.h"
#include "tests/support/room_builder.h"

namespace postern::support {

/// What a store would say of `event`: see TestRoom::ContextFor. Holds the events that the room has of those named.
matrix::v1::JudgingContext JudgingContextFor(const TestRoom& room, const matrix::Event& event);

/// With the keys of every server in the room, one minute after its last event.
validator::v1::ValidateRequest ValidateRequestFor(const TestRoom& room, const matrix::Event& event);

/// Replaces the entry of `entry`'s key, and adds it to the events held.
void SetStateBefore(const matrix::Event& entry, matrix::v1::JudgingContext& context);
void SetStateNow(const matrix::Event& entry, matrix::v1::JudgingContext& context);

}  // namespace postern::support
