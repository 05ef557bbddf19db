#include "matrix/verdict.h"

namespace postern::matrix {

std::string_view StepName(Step step) {
  switch (step) {
    case Step::kFormat:
      return "format";
    case Step::kContentHash:
      return "content hash";
    case Step::kSignatures:
      return "signatures";
    case Step::kAuthEvents:
      return "auth events";
    case Step::kStateBefore:
      return "state before";
    case Step::kCurrentState:
      return "current state";
    case Step::kPolicyServer:
      return "policy server";
  }
  return "unknown";
}

std::string_view StepOutcomeName(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::kOk:
      return "ok";
    case StepOutcome::kFailed:
      return "failed";
    case StepOutcome::kRedacted:
      return "redacted";
    case StepOutcome::kSkipped:
      return "skipped";
  }
  return "unknown";
}

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccepted:
      return "accepted";
    case Outcome::kSoftFailed:
      return "soft_failed";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kInvalid:
      return "invalid";
  }
  return "unknown";
}

}  // namespace postern::matrix
