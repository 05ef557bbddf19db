// The rows of "Answers of send_leave" in the design as cases: each is the good leave with a single thing altered.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/flow/leave_attempt.h"

namespace postern::flow {

/// What the database is to hold more of, afterwards.
enum class Written { kNothing, kTheLeave, kOneRefusal };

struct LeaveRow {
  std::string name;  // R<row>_<sentence>
  std::function<void(LeaveAttempt&)> alter;
  int status;
  std::string errcode = {};
  Written written = Written::kNothing;
  std::string membership = "invite";
  std::function<bool(const matrix::RoomRules&)> applies = [](const auto&) { return true; };
};

/// Rows 1 to 4: path and method, limits, JSON, authentication.
std::vector<LeaveRow> RequestRows();
/// Rows 6, 7, 9, 11 and 13: the event itself.
std::vector<LeaveRow> EventRows();
/// Rows 8, 10, 12 and 14, and the good leave: what the event is to its room.
std::vector<LeaveRow> MembershipRows();

inline bool CarriesIds(const matrix::RoomRules& rules) {
  return rules.event_id_format == matrix::EventIdFormat::kCarried;
}

}  // namespace postern::flow
