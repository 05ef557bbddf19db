// What the store keeps of an event besides its bytes, and of a member event besides that: columns, read from the PDU
// without knowing its room's version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::store {

/// The membership columns of one user in one room. Absent: the member is missing, or is no string.
struct MembershipColumns {
  std::string membership;
  std::optional<std::string> reason;
  std::optional<std::string> displayname;
  std::optional<std::string> avatar_url;
  /// The sender, where the membership is an invite.
  std::optional<std::string> invited_by;
  /// Canonical JSON of content.third_party_invite.
  std::optional<std::string> third_party_invite;
  std::optional<std::string> join_authorised_via_users_server;
};

struct EventColumns {
  std::string type;
  std::optional<std::string> state_key;
  std::string sender;
  std::int64_t depth = 0;
  std::int64_t origin_server_ts = 0;
  std::vector<std::string> prev_events;
  std::vector<std::string> auth_events;
  /// Set for a member event.
  std::optional<MembershipColumns> member;
};

inline constexpr std::string_view kMemberType = "m.room.member";

/// Refuses: kInvalidArgument, for what has passed no format check, and for a member event whose membership is none of
/// the five.
absl::StatusOr<EventColumns> ReadEventColumns(std::string_view pdu);

/// `content.history_visibility` of an m.room.history_visibility event; "" where it is missing or no string.
std::string HistoryVisibilityOf(std::string_view pdu);

}  // namespace postern::store
