// Two verdicts on one event, held against each other: the recorded one and what is judged now.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "postern/validator/v1/validator.pb.h"

namespace postern::posternctl {

struct Difference {
  std::string what;  // "outcome", "step 5 (state before)"
  std::string recorded;
  std::string now;
  bool operator==(const Difference&) const = default;
};

/// Everything that a caller acts on: outcome, reason, id, the bytes judged, each step's result, rule and events, what
/// changes, what was relied on, and the keys. Not the texts for people.
std::vector<Difference> DifferencesBetween(const matrix::v1::Verdict& recorded, const matrix::v1::Verdict& now);

/// The same for an event that was minted here: its recorded steps 4 to 6 hold what Authorize answered.
std::vector<Difference> DifferencesBetween(const matrix::v1::Verdict& recorded,
                                           const validator::v1::AuthorizeResponse& now);

/// The validator judges no more what was judged then.
std::vector<Difference> NoVerdict(const matrix::v1::Verdict& recorded, const absl::Status& why);

}  // namespace postern::posternctl
