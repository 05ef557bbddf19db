// What the validator is to be asked about an event that somebody has in a file: its room from the store, the keys of
// whoever must have signed it from the store or, where that has none that fits, from the gateway. Nothing is written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "matrix/event.h"
#include "matrix/room_rules.h"
#include "postern/validator/v1/validator.pb.h"
#include "posternctl/commands.h"

namespace postern::posternctl {

struct FileQuestion {
  validator::v1::ValidateRequest request;
  const matrix::RoomRules* rules = nullptr;
  /// nullopt where step 1 will fail.
  std::optional<matrix::Event> event;
  /// How an event of that id is stored already.
  matrix::v1::Outcome stored_as = matrix::v1::OUTCOME_UNSPECIFIED;
  /// For people: keys that could not be had, and why.
  std::vector<std::string> notes;
};

/// `text` is the PDU as JSON, or an object whose `event` it is, as `posternctl --json event show` prints it. `room_id`
/// may be empty where the event names its room. Refuses: kInvalidArgument where no room is named, kUnknownRoom,
/// kUnsupportedVersion, and whatever the store refuses.
absl::StatusOr<FileQuestion> AskAbout(const GlobalOptions& global, const std::string& text, std::string room_id);

}  // namespace postern::posternctl
