// A bounded number of places for those who do the same thing at once.
#pragma once

#include <atomic>
#include <cstddef>

namespace postern::gateway {

/// Thread-safe.
class Places {
 public:
  /// One of them, or none; given back when it goes.
  class Place {
   public:
    explicit Place(Places& places) : taken_(places.taken_), had_(taken_.fetch_add(1) < places.most_) {}
    ~Place() { taken_.fetch_sub(1); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    bool had() const { return had_; }

   private:
    std::atomic<std::size_t>& taken_;
    const bool had_;
  };

  explicit Places(std::size_t most) : most_(most) {}
  Place Take() { return Place(*this); }

 private:
  const std::size_t most_;
  std::atomic<std::size_t> taken_ = 0;
};

}  // namespace postern::gateway
