// How many answers of tens of megabytes there may be at once, so that memory is bounded whoever asks.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace postern::gateway {

/// Thread-safe.
class LargeAnswers {
 public:
  /// Of `most`, one server has `most_of_one` at most: one that reads slowly does not shut out the others.
  explicit LargeAnswers(std::size_t most = 4, std::size_t most_of_one = 2);

  /// A place for an answer to `server`, until the last copy of it goes; nullptr if none is free.
  std::shared_ptr<void> Take(const std::string& server);

 private:
  struct Taken {
    std::mutex mutex;
    std::size_t in_all = 0;
    std::map<std::string, std::size_t> by_server;
  };

  const std::size_t most_;
  const std::size_t most_of_one_;
  /// An answer that is still being sent may outlive what made it.
  const std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
};

}  // namespace postern::gateway
