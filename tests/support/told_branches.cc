#include "tests/support/told_branches.h"

namespace postern::support {
namespace {

using matrix::StateMap;

void AddEntries(const StateMap& state, google::protobuf::RepeatedPtrField<matrix::v1::StateEntry>* entries) {
  for (const auto& [key, event_id] : state) {
    matrix::v1::StateEntry& entry = *entries->Add();
    entry.set_type(key.type);
    entry.set_state_key(key.state_key);
    entry.set_event_id(event_id);
  }
}

}  // namespace

matrix::v1::Branches TellBranches(const MeetingStates& states, const matrix::ResolutionEvents& events,
                                  const CutOptions& options, std::set<std::string>& named) {
  std::vector<StateMap> all = states.before;
  all.insert(all.end(), states.beside.begin(), states.beside.end());
  all.push_back(states.now);
  const ForkSlice slice = CutFork(all, events, options);

  matrix::v1::Branches branches;
  AddEntries(slice.fork.base, branches.mutable_base());
  AddEntries(slice.fork.agreed, branches.mutable_agreed());
  AddEntries(slice.fork.branches.back(), branches.mutable_now());
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    matrix::v1::BranchState& state = *branches.add_states();
    AddEntries(slice.fork.branches[i], state.mutable_changes());
    (i < states.before.size() ? state.set_before(true) : state.set_beside(true));
  }
  for (const auto& [event_id, reached] : slice.fork.reached) {
    (reached ? branches.add_reached(event_id) : branches.add_not_reached(event_id));
  }
  named.insert(slice.events.begin(), slice.events.end());
  return branches;
}

}  // namespace postern::support
