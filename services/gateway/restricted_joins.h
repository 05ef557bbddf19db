// Joins of restricted rooms (server-server API, "Restricted rooms"): whether a user meets one of the room's conditions,
// and who of this server can say so.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "matrix/room_rules.h"
#include "postern/store/v1/store.pb.h"
#include "rpc/call_context.h"
#include "services/gateway/membership_structure.h"
#include "services/gateway/store_client.h"

namespace postern::gateway {

/// A join that this server vouches for, by the user whom it names. Only RestrictedJoins makes one.
class VouchedJoin {
 public:
  const matrix::JsonObject& event() const { return event_; }

 private:
  friend class RestrictedJoins;
  explicit VouchedJoin(const matrix::JsonObject& event) : event_(event) {}
  const matrix::JsonObject& event_;
};

/// Thread-safe.
class RestrictedJoins {
 public:
  RestrictedJoins(matrix::ServerName server_name, StoreClient& store);

  /// Whether somebody has to vouch for a user of that membership in `room`, whose current state holds m.room.join_rules
  /// where it exists.
  static bool NeedVoucher(const matrix::v1::JudgingContext& room, std::string_view membership,
                          const matrix::RoomRules& rules);

  /// Users of this server who are joined, the most powerful first: such as may vouch for `user`, who is joined to a
  /// room of the list. `room` holds m.room.power_levels too. Refuses: kUnableToAuthoriseJoin where that is not known of
  /// all rooms of the list, kConditionsNotMet where it is and there is none, kUnableToGrantJoin where there is one but
  /// nobody of this server.
  absl::StatusOr<std::vector<std::string>> Vouchers(const rpc::CallContext& call,
                                                    const matrix::v1::JudgingContext& room, const std::string& user,
                                                    const matrix::RoomRules& rules);

  /// A submitted join that names a user of this server: the same conditions, as they are now; or the room's current
  /// state lets its sender in without. Refuses as Vouchers does, and kNotAuthorised for a banned sender.
  absl::StatusOr<VouchedJoin> Vouch(const rpc::CallContext& call, const OwnMembership& join,
                                    const store::v1::EventContext& context, const matrix::RoomRules& rules);

 private:
  const matrix::ServerName server_name_;
  StoreClient& store_;
};

}  // namespace postern::gateway
