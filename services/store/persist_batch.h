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

#include "services/store/persisted_events.h"

namespace postern::store {

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

  PersistedEvents events_;
  std::vector<std::string> hashes_;
  Words other_changes_, commutes_, merged_;
  Numbers outcomes_, reasons_, orderings_, befores_, fixed_, nows_;
  Lists read_types_, read_keys_;
  Changes after_, now_, before_;
};

}  // namespace postern::store
