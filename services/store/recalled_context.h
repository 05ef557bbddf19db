// A context of which most is remembered: what kContextRests (statements.h) tells is the rest of it, and what has
// changed in the room meanwhile.
#pragma once

#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "postern/store/v1/store.pb.h"
#include "services/store/context_rows.h"
#include "services/store/remembered_rooms.h"

namespace postern::store {

/// Of more changes kContextRests tells one more, and they are not used.
inline constexpr std::size_t kMostChangesTold = 64;

class RecalledContext {
 public:
  /// The request outlives it.
  RecalledContext(const v1::GetEventContextRequest& request, Recollection recollection);

  void Add(const Rows& rows, std::size_t row);
  /// Once all rows have been added. False: only the whole context tells, for the event is stored already, or something
  /// that it cites or asks for is not what can be remembered.
  bool Complete();
  /// Once it is complete. Its news are all that has changed since recalled_at().
  ContextRows Take();
  const RoomMoment& recalled_at() const { return recalled_at_; }

 private:
  bool MoveOn();
  bool SameBeforeAndNow(const std::vector<RememberedEntry>& entries) const;
  bool HoldsAllThatIsCited() const;
  void AddEntriesNow(const std::vector<RememberedEntry>& entries);
  void AddEvent(RememberedEvent event);

  const v1::GetEventContextRequest& request_;
  Recollection recollection_;
  const RoomMoment recalled_at_;
  ContextRows context_;
  /// Ids of its events, in its own memory.
  std::unordered_set<std::string_view> held_, soft_failed_;
  RoomNews news_;
  std::vector<RememberedEntry> changes_;
  /// What its row says now, if that is another moment.
  std::optional<RoomHead> moved_to_;
  /// What its row says; false where there is none.
  bool same_version_ = false, same_ = false, stored_already_ = false;
};

}  // namespace postern::store
