#include "services/gateway/large_answers.h"

namespace postern::gateway {

LargeAnswers::LargeAnswers(std::size_t most, std::size_t most_of_one) : most_(most), most_of_one_(most_of_one) {}

std::shared_ptr<void> LargeAnswers::Take(const std::string& server) {
  const std::lock_guard lock(taken_->mutex);
  const auto of_one = taken_->by_server.find(server);
  if (taken_->in_all >= most_ || (of_one != taken_->by_server.end() && of_one->second >= most_of_one_)) return nullptr;
  ++taken_->in_all;
  ++taken_->by_server[server];
  return {taken_.get(), [taken = taken_, server](void*) {
            const std::lock_guard giving_back(taken->mutex);
            --taken->in_all;
            const auto entry = taken->by_server.find(server);
            if (--entry->second == 0) taken->by_server.erase(entry);
          }};
}

}  // namespace postern::gateway
