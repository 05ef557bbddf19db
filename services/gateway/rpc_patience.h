// For how long the calls of a client wait for one replica while another might answer.
#pragma once

#include "absl/time/time.h"
#include "services/gateway/attempt_budget.h"

namespace postern::gateway {

struct RpcPatience {
  absl::Duration each = absl::Milliseconds(500);
  AttemptBudgetOptions budget{};
};

}  // namespace postern::gateway
