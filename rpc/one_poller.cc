#include "rpc/one_poller.h"

#include <grpc/support/cpu.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "telemetry/log.h"

namespace postern::rpc {
namespace {

constexpr std::chrono::seconds kPatience{5};

/// What gRPC calls these threads.
constexpr const char* kThreadName = "nexting_thread";

/// As many as gRPC starts, all of them before the first callback.
std::size_t CountPollers() { return std::clamp<std::size_t>(gpr_cpu_num_cores() / 2, 2, 16); }

/// A thread takes its name before it polls, but not before others see it, so each is asked for its own.
bool IsPoller() {
  std::array<char, 16> name{};
  return pthread_getname_np(pthread_self(), name.data(), name.size()) == 0 &&
         std::string_view(name.data()) == kThreadName;
}

/// Never destroyed, for the last to hold a channel must not be gRPC's thread.
grpc::GenericStub& Nobody() {
  static grpc::GenericStub& stub =
      *new grpc::GenericStub(grpc::CreateChannel("unix:nobody-listens", grpc::InsecureChannelCredentials()));
  return stub;
}

/// Has `callback` called by one of gRPC's threads: of a call that is cancelled before it begins.
void CallBack(std::function<void()> callback) {
  struct Call {
    grpc::ClientContext context;
    const grpc::Slice nothing;
    grpc::ByteBuffer request{&nothing, 1}, response;
  };
  auto call = std::make_shared<Call>();
  call->context.TryCancel();
  Nobody().UnaryCall(&call->context, "/nobody/Listens", {}, &call->request, &call->response,
                     [call, callback = std::move(callback)](const grpc::Status&) { callback(); });
}

}  // namespace

class OnePoller::Kept : public std::enable_shared_from_this<Kept> {
 public:
  /// Whether another thread waits now.
  bool KeepOne() {
    const std::size_t before = count();
    CallBack([kept = shared_from_this()] { kept->Stay(); });
    return WaitFor([this, before] { return waiting_ > before; });
  }

  /// Whether a thread that polls calls back, too; nothing where none calls back at all.
  std::optional<bool> IsServedByPoller() {
    auto answer = std::make_shared<std::optional<bool>>();
    CallBack([kept = shared_from_this(), answer] {
      const std::lock_guard lock(kept->mutex_);
      *answer = IsPoller();
      kept->changed_.notify_all();
    });
    WaitFor([answer] { return answer->has_value(); });
    const std::lock_guard lock(mutex_);
    return *answer;
  }

  void LetGo() {
    std::unique_lock lock(mutex_);
    over_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return waiting_ == 0; });
  }

  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  void Stay() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return over_; });
    --waiting_;
    changed_.notify_all();
  }

  template <typename Condition>
  bool WaitFor(const Condition& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, condition);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t waiting_ = 0;
  bool over_ = false;
};

OnePoller::OnePoller() : kept_(std::make_shared<Kept>()) {
  if (kept_->IsServedByPoller() == false) return;
  const std::size_t pollers = CountPollers();
  bool holds = true;
  for (std::size_t others = 1; holds && others < pollers; ++others) holds = kept_->KeepOne();
  if (holds && kept_->IsServedByPoller()) return;
  kept_->LetGo();
  telemetry::Log(telemetry::Level::kWarning, "gRPC's threads could not be told apart; all of them poll",
                 {{"threads", static_cast<std::int64_t>(pollers)}});
}

OnePoller::~OnePoller() { kept_->LetGo(); }

std::size_t OnePoller::kept() const { return kept_->count(); }

}  // namespace postern::rpc
