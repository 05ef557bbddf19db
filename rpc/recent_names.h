// What is remembered of the names that were used last, however many strangers choose.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace postern::rpc {

/// Holds at most `most` values; the one that was used longest ago goes first. Not thread-safe.
template <class Value>
class RecentNames {
 public:
  explicit RecentNames(std::size_t most) : most_(most) {}

  /// nullptr if it is not known. Good until the next Put.
  Value* Find(const std::string& name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return nullptr;
    by_use_.splice(by_use_.end(), by_use_, found->second);
    return &found->second->second;
  }

  void Put(const std::string& name, Value value) {
    if (Value* known = Find(name)) {
      *known = std::move(value);
      return;
    }
    if (places_.size() >= most_) TakeOldest();
    places_.emplace(name, by_use_.emplace(by_use_.end(), name, std::move(value)));
  }

  void Forget(const std::string& name) { Take(name); }

  /// What was known of it.
  std::optional<Value> Take(const std::string& name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return std::nullopt;
    std::optional<Value> value(std::move(found->second->second));
    by_use_.erase(found->second);
    places_.erase(found);
    return value;
  }

  /// The longest unused.
  std::optional<Value> TakeOldest() {
    return by_use_.empty() ? std::nullopt : Take(std::string(by_use_.front().first));
  }

  std::size_t size() const { return places_.size(); }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;

  const std::size_t most_;
  Entries by_use_;  // the longest unused first
  std::unordered_map<std::string, typename Entries::iterator> places_;
};

}  // namespace postern::rpc
