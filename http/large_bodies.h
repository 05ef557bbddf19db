// How much memory bodies beyond the usual size may take, all connections together.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace postern::http {

/// Thread-safe.
class LargeBodies {
 public:
  explicit LargeBodies(std::size_t most_bytes) : left_(std::make_shared<std::atomic<std::size_t>>(most_bytes)) {}

  /// What one body takes; given back when it goes, which may be after the LargeBodies. Not thread-safe.
  class Share {
   public:
    explicit Share(const LargeBodies& bodies) : left_(bodies.left_) {}
    ~Share() { left_->fetch_add(taken_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /// From now on it takes `bytes`, which are no fewer than before. False if there are not so many: it takes none
    /// any more.
    bool GrowTo(std::size_t bytes) {
      const std::size_t more = bytes - taken_;
      std::size_t left = left_->load();
      do {
        if (left < more) {
          left_->fetch_add(std::exchange(taken_, 0));
          return false;
        }
      } while (!left_->compare_exchange_weak(left, left - more));
      taken_ = bytes;
      return true;
    }

   private:
    const std::shared_ptr<std::atomic<std::size_t>> left_;
    std::size_t taken_ = 0;
  };

 private:
  const std::shared_ptr<std::atomic<std::size_t>> left_;
};

}  // namespace postern::http
