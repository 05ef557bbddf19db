// What branch_rows answers (functions/branches.sql), as postern.matrix.v1.Branches.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "postern/matrix/v1/judging.pb.h"
#include "services/store/database_connection.h"

namespace postern::store {

class BranchRows {
 public:
  /// A row of a kind that is none of context_rows.
  void Decode(const Rows& rows, std::size_t row);

  /// The state group that the branches are told from; nullopt where there are none.
  std::optional<std::int64_t> base() const { return base_; }

  /// Sets the branches, if there were any.
  void MoveTo(matrix::v1::JudgingContext& judging);

 private:
  bool any_ = false;
  std::optional<std::int64_t> base_;
  matrix::v1::Branches branches_;
  /// By their place.
  std::map<std::int64_t, matrix::v1::BranchState> states_;
};

}  // namespace postern::store
