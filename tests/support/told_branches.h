// The branches that meet at an event, as postern.matrix.v1.Branches, from whole states.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "matrix/state_resolution.h"
#include "postern/matrix/v1/judging.pb.h"
#include "tests/support/fork_slice.h"

namespace postern::support {

/// Whole states.
struct MeetingStates {
  /// The state before the event, or those after its prev events. The first is the base.
  std::vector<matrix::StateMap> before;
  std::vector<matrix::StateMap> beside;
  matrix::StateMap now;
};

/// Adds to `named` every event that is to be given.
matrix::v1::Branches TellBranches(const MeetingStates& states, const matrix::ResolutionEvents& events,
                                  const CutOptions& options, std::set<std::string>& named);

}  // namespace postern::support
