// Steps 4-6: the authorization rules of each room version.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "matrix/auth_rule_numbers.h"
#include "matrix/event.h"
#include "matrix/refusal.h"

namespace postern::matrix {

/// A room's state, or a part of it. The events are owned elsewhere, stay where they are, and outlive it.
class RoomState {
 public:
  /// Type and state key, as views into the event that holds them.
  using Key = std::pair<std::string_view, std::string_view>;

  /// nullptr if there is none.
  const Event* Find(std::string_view type, std::string_view state_key) const {
    const auto entry = entries_.find(Key(type, state_key));
    return entry == entries_.end() ? nullptr : entry->second;
  }
  /// Adds a state event, replacing what its key had.
  void Set(const Event& event);
  void Erase(std::string_view type, std::string_view state_key) { entries_.erase(Key(type, state_key)); }
  /// The create event, or nullptr.
  const Event* create() const { return Find("m.room.create", ""); }

  std::size_t size() const { return entries_.size(); }
  /// In no order.
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      const std::hash<std::string_view> hash;
      return hash(key.first) * 31 + hash(key.second);
    }
  };
  absl::flat_hash_map<Key, const Event*, KeyHash> entries_;
};

/// What a rule said: allowed or refused, and the rule it turned on, numbered and in words.
struct RuleResult {
  Reason reason = Reason::kNone;  // kNotAuthorised or kBadAuthEvents
  std::string rule;               // "auth rule 5.5.1", as the room version's own page numbers it
  std::string text;
  bool allowed() const { return reason == Reason::kNone; }
};

/// `detail` says on what, after the rule's own words; it may be empty.
RuleResult AllowedBy(AuthRule rule, const RoomRules& rules);
RuleResult RefusedBy(AuthRule rule, const RoomRules& rules, std::string_view detail = {},
                     Reason reason = Reason::kNotAuthorised);

/// An event that the judged one cites.
struct CitedEvent {
  const Event* event;
  bool rejected;
};

/// The rules on the event's own auth_events: no duplicates, none unexpected, none rejected, create present (version 12:
/// the room's create event is `create`), all of the same room. `create` may be nullptr.
RuleResult CheckCitedEvents(const Event& event, const std::vector<CitedEvent>& auth_events, const Event* create);

/// The remaining rules against `state`. Signatures of servers are taken as given; those of third-party invites are
/// checked.
RuleResult CheckAuthRules(const Event& event, const RoomState& state);

}  // namespace postern::matrix
