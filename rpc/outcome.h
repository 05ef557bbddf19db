// The outcome of a verdict as a message has it, and its name: for logs and metrics of those who only pass verdicts on.
#pragma once

#include <string_view>

#include "matrix/verdict.h"
#include "postern/matrix/v1/judging.pb.h"

namespace postern::rpc {

// The numbers are the same on both sides, so that a cast is a conversion.
static_assert(static_cast<int>(matrix::Outcome::kAccepted) == matrix::v1::OUTCOME_ACCEPTED);
static_assert(static_cast<int>(matrix::Outcome::kSoftFailed) == matrix::v1::OUTCOME_SOFT_FAILED);
static_assert(static_cast<int>(matrix::Outcome::kRejected) == matrix::v1::OUTCOME_REJECTED);
static_assert(static_cast<int>(matrix::Outcome::kInvalid) == matrix::v1::OUTCOME_INVALID);

/// "accepted", "soft_failed", …; "unknown" for what is none of them.
inline std::string_view OutcomeName(matrix::v1::Outcome outcome) {
  return matrix::OutcomeName(static_cast<matrix::Outcome>(outcome));
}

}  // namespace postern::rpc
