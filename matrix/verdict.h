// The answer of the six steps.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "matrix/event.h"
#include "matrix/refusal.h"
#include "matrix/signature.h"

namespace postern::matrix {

enum class Step { kFormat = 1, kContentHash, kSignatures, kAuthEvents, kStateBefore, kCurrentState, kPolicyServer };
enum class StepOutcome { kOk = 1, kFailed, kRedacted, kSkipped };
enum class Outcome { kAccepted = 1, kSoftFailed, kRejected, kInvalid };

/// "format", "content hash", …: for logs, metrics and people.
std::string_view StepName(Step step);
std::string_view StepOutcomeName(StepOutcome outcome);
std::string_view OutcomeName(Outcome outcome);

struct StepResult {
  Step step;
  StepOutcome outcome = StepOutcome::kSkipped;
  std::string rule;                    // "auth rule 5.5.1", or ""
  std::string text;                    // in words
  std::vector<std::string> looked_at;  // event ids
};

struct StateEntry {
  StateKey key;
  std::string event_id;
};

/// See proto/postern/matrix/v1/judging.proto, which this mirrors.
struct Verdict {
  Outcome outcome = Outcome::kInvalid;
  Reason reason = Reason::kNone;
  std::string detail;
  std::vector<StepResult> steps;
  std::string event_id;
  std::string judged_copy;    // canonical JSON
  std::string judged_sha256;  // 32 bytes
  /// An empty event id in these three: no such entry.
  std::vector<StateEntry> state_before_change;
  std::vector<StateEntry> state_after_change;
  std::vector<StateEntry> current_state_change;
  std::vector<StateKey> read_set;
  bool commutes = false;
  absl::Time judged_at;
  std::vector<UsedKey> keys_used;
};

}  // namespace postern::matrix
