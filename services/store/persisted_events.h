// Events that are persisted together, whoever decides what they do to their rooms: their own columns, an array a
// column, an item an event, as the database functions take them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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

class PersistedEvents {
 public:
  /// In the order in which they are to be stored; those of a room follow each other, rooms by their ids.
  void Add(const CheckedPersist& persist, const MemberChanges& members);

  std::size_t size() const { return rooms_.size(); }
  const std::vector<std::string>& origins() const { return origins_; }
  /// p_rooms … p_also_tell, in the functions' order.
  void AppendTo(Parameters& parameters) const;
  /// m_places … m_authorisers.
  void AppendMembersTo(Parameters& parameters) const;

 private:
  using Lists = std::vector<std::vector<std::optional<std::string>>>;
  using Numbers = std::vector<std::optional<std::int64_t>>;

  std::vector<std::string> rooms_, events_, pdus_, verdicts_, origins_, types_, senders_;
  std::vector<std::optional<std::string>> state_keys_;
  Numbers judged_at_, depths_, timestamps_;
  Lists prevs_, auths_, also_tell_;
  Numbers member_places_;
  std::vector<std::string> member_rooms_;
  MemberChanges members_;
};

}  // namespace postern::store
