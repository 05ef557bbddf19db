#include "services/store/branch_rows.h"

#include <utility>

#include "services/store/context_rows.h"

namespace postern::store {
void BranchRows::Decode(const Rows& rows, std::size_t row) {
  any_ = true;
  switch (rows.Text(row, kKind).front()) {
    case 'o':
      branches_.set_too_large(true);
      break;
    case 't':
      base_ = rows.Integer(row, kN1);
      break;
    case 'k':
      DecodeEntry(rows, row, *branches_.add_base());
      break;
    case 'g':
      states_[rows.Integer(row, kN1)].set_before(rows.Boolean(row, kF1));
      states_[rows.Integer(row, kN1)].set_beside(rows.Boolean(row, kF2));
      break;
    case 'v':
      DecodeEntry(rows, row, *states_[rows.Integer(row, kN1)].add_changes());
      break;
    case 'w':
      DecodeEntry(rows, row, *branches_.add_agreed());
      break;
    case 'y':
      (rows.Boolean(row, kF1) ? branches_.add_reached() : branches_.add_not_reached())->assign(rows.Bytes(row, kId));
      break;
    default:
      break;
  }
}

void BranchRows::MoveTo(matrix::v1::JudgingContext& judging) {
  if (!any_) return;
  for (auto& [place, state] : states_) {
    if (!state.before() && !state.beside()) {
      *branches_.mutable_now() = std::move(*state.mutable_changes());
    } else {
      *branches_.add_states() = std::move(state);
    }
  }
  *judging.mutable_branches() = std::move(branches_);
}

}  // namespace postern::store
