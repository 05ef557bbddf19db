// What the benchmarks measure with: a leave of the size that leaves have, and the room that it is for.
#pragma once

#include <cstddef>
#include <string>

#include "matrix/event.h"
#include "tests/support/room_builder.h"

namespace postern::benchmarks {

/// The canonical JSON of the leave: 1.1 KiB.
inline constexpr std::size_t kLeaveBytes = 1126;
inline constexpr const char* kLeavingUser = "@ann:b.example";
inline constexpr const char* kLeavingServer = "b.example";

/// A room of version 10 in which @ann:b.example has joined, and her leave after its last five events: hashed, and
/// signed by her server.
struct SampleLeave {
  support::TestRoom room;
  matrix::Event event;
  std::string text;
};

/// Made once.
const SampleLeave& TheLeave();

}  // namespace postern::benchmarks
