// Where a part takes the time from, so that a test can be in charge of it.
#pragma once

#include <functional>

#include "absl/time/time.h"

namespace postern::gateway {

using Clock = std::function<absl::Time()>;

}  // namespace postern::gateway
