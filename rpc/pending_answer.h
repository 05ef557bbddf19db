// The answer of one call of gRPC's callback API, and whoever sleeps until it is there.
#pragma once

#include <grpcpp/support/status.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace postern::rpc {

/// Of one call: its callback takes the status, its caller waits for that. No call ends without its callback: a deadline
/// or a lost connection calls it too. Copies are of the same answer, so that the two may end in either order.
class PendingAnswer {
 public:
  void Take(grpc::Status status) const {
    {
      const std::lock_guard lock(state_->mutex);
      state_->status = std::move(status);
      state_->is_there = true;
    }
    state_->taken.notify_one();  // not under the lock: who is woken would run into it
  }

  grpc::Status Wait() const {
    std::unique_lock lock(state_->mutex);
    state_->taken.wait(lock, [this] { return state_->is_there; });
    return std::move(state_->status);
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable taken;
    bool is_there = false;
    grpc::Status status;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace postern::rpc
