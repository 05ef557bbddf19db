// Changes of members as the database functions take them: one array a column, one item a user.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "services/store/database_connection.h"
#include "services/store/event_columns.h"

namespace postern::store {

class MemberChanges {
 public:
  /// The user's member event is now `event_id`, with these columns.
  void Add(const std::string& user_id, const std::string& event_id, const MembershipColumns& columns);
  /// The state has no such member any more.
  void Remove(const std::string& user_id);
  void Add(const MemberChanges& others);
  std::size_t size() const { return users_.size(); }
  /// p_users … p_authorisers, in the functions' order.
  void AppendTo(Parameters& parameters) const;

 private:
  using Column = std::vector<std::optional<std::string>>;
  std::vector<std::string> users_;
  std::vector<std::string> servers_;
  Column events_, memberships_, reasons_, displaynames_, avatars_, inviters_, third_party_, authorisers_;
};

}  // namespace postern::store
