#include "tests/store/context_text.h"

#include <algorithm>

namespace postern::support {
namespace {

template <typename Messages>
void SortByText(Messages& messages) {
  std::ranges::sort(messages, {}, [](const auto& message) { return message.SerializeAsString(); });
}

}  // namespace

std::string TextOf(store::v1::EventContext context) {
  matrix::v1::JudgingContext& judging = *context.mutable_judging();
  SortByText(*judging.mutable_state_before());
  SortByText(*judging.mutable_state_now());
  SortByText(*judging.mutable_events());
  if (judging.has_branches()) {
    matrix::v1::Branches& branches = *judging.mutable_branches();
    for (matrix::v1::BranchState& state : *branches.mutable_states()) SortByText(*state.mutable_changes());
    SortByText(*branches.mutable_base());
    SortByText(*branches.mutable_states());
    SortByText(*branches.mutable_now());
    SortByText(*branches.mutable_agreed());
    std::ranges::sort(*branches.mutable_reached());
    std::ranges::sort(*branches.mutable_not_reached());
  }
  return context.DebugString();
}

}  // namespace postern::support
