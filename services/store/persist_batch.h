// Judged events that are persisted together, as the database function takes them: an array a column, an item an event.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/store/member_changes.h"
#include "services/store/store_request.h"

namespace postern::store {

/// A persist request with what was read from it. The request outlives it.
struct CheckedPersist {
  std::size_t place;  // among the requests that came together
  const v1::PersistEventRequest* request;
  PersistRequest checked;

  const std::string& room_id() const { return request->context_request().room_id(); }
};

/// Which events may be persisted by one call: of a room no event twice, none that relies on a key of state which an
/// earlier one changes, and no key changed twice. So the order in which their effects become visible tells nothing.
class PersistCompany {
 public:
  /// Takes it in, unless it has to go later. Once one of a room has to, so have all that come after it.
  bool Admit(const CheckedPersist& persist);

 private:
  using Key = std::pair<std::string_view, std::string_view>;
  struct Room {
    std::set<std::string_view> events;
    std::set<Key> changed;
    bool closed = false;
  };
  std::map<std::string_view, Room> rooms_;
};

class PersistBatch {
 public:
  /// Events in the order in which they are to be stored; those of a room follow each other, rooms by their ids.
  void Add(const CheckedPersist& persist, const MemberChanges& members);
  /// From p_rooms on, in the function's order.
  void AppendTo(Parameters& parameters) const;

 private:
  using Lists = std::vector<std::vector<std::optional<std::string>>>;
  struct Changes {
    Lists types, keys, ids;
    template <typename Entries>
    void Add(const Entries& entries);
    void AppendTo(Parameters& parameters) const;
  };
  using Words = std::vector<std::optional<std::string>>;
  using Numbers = std::vector<std::optional<std::int64_t>>;

  std::vector<std::string> rooms_, events_, pdus_, verdicts_, hashes_, origins_, types_, senders_;
  Words state_keys_, other_changes_, commutes_, merged_;
  Numbers outcomes_, reasons_, judged_at_, depths_, timestamps_, orderings_, befores_, fixed_, nows_;
  Lists prevs_, auths_, read_types_, read_keys_, also_tell_;
  Changes after_, now_, before_;
  Numbers member_places_;
  std::vector<std::string> member_rooms_;
  MemberChanges members_;
};

}  // namespace postern::store
