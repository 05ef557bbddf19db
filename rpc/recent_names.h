// What is remembered of the names that were used last, however many strangers choose.
#pragma once

#include <cstddef>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace postern::rpc {

/// Holds at most `most` values, and of what they are said to take `most_bytes`; the one that was used longest ago goes
/// first. Not thread-safe.
template <class Value>
class RecentNames {
 public:
  explicit RecentNames(std::size_t most, std::size_t most_bytes = std::numeric_limits<std::size_t>::max())
      : most_(most), most_bytes_(most_bytes) {}

  /// nullptr if it is not known. Good until the next Put.
  Value* Find(const std::string& name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return nullptr;
    by_use_.splice(by_use_.end(), by_use_, found->second);
    return &found->second->value;
  }

  /// In place of what was known of it. What alone takes more than may be held is not known afterwards.
  void Put(const std::string& name, Value value, std::size_t bytes = 0) {
    Forget(name);
    if (bytes > most_bytes_) return;
    while (!by_use_.empty() && (places_.size() >= most_ || bytes > most_bytes_ - bytes_)) TakeOldest();
    bytes_ += bytes;
    places_.emplace(name, by_use_.insert(by_use_.end(), Entry{name, std::move(value), bytes}));
  }

  void Forget(const std::string& name) { Take(name); }

  /// What was known of it.
  std::optional<Value> Take(const std::string& name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return std::nullopt;
    std::optional<Value> value(std::move(found->second->value));
    bytes_ -= found->second->bytes;
    by_use_.erase(found->second);
    places_.erase(found);
    return value;
  }

  /// The longest unused.
  std::optional<Value> TakeOldest() { return by_use_.empty() ? std::nullopt : Take(std::string(by_use_.front().name)); }

  std::size_t size() const { return places_.size(); }

 private:
  struct Entry {
    std::string name;
    Value value;
    std::size_t bytes;
  };

  const std::size_t most_;
  const std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  std::list<Entry> by_use_;  // the longest unused first
  std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
};

}  // namespace postern::rpc
