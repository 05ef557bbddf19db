#include "services/gateway/peer_health.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace postern::gateway {
namespace {

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
/// HealthCheckResponse{status: SERVING}. No package of Debian brings the generated code of this one message.
constexpr std::string_view kServing("\x08\x01", 2);

bool Serves(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context) {
  grpc::Slice nothing;  // HealthCheckRequest{}: the server as a whole
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareUnaryCall(&context, kHealthCheck, request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  grpc::Slice answer;
  return status.ok() && response.DumpToSingleSlice(&answer).ok() &&
         std::string_view(reinterpret_cast<const char*>(answer.begin()), answer.size()) == kServing;
}

}  // namespace

PeerHealth::PeerHealth(std::vector<WatchedPeer> peers, absl::Duration interval)
    : peers_(std::move(peers)), interval_(interval), serving_(peers_.size(), false), thread_([this] { Run(); }) {}

PeerHealth::~PeerHealth() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (asking_ != nullptr) asking_->TryCancel();
  }
  wake_.notify_all();
  thread_.join();
}

std::vector<std::string> PeerHealth::Missing() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    // Between two questions a connection may have been lost: its calls fail at once.
    const bool lost = peers_[i].channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE;
    if (!serving_[i] || lost) missing.push_back(peers_[i].name);
  }
  return missing;
}

bool PeerHealth::Ask(std::size_t peer, std::unique_lock<std::mutex>& lock) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(interval_));
  asking_ = &context;
  lock.unlock();
  const bool serving = Serves(peers_[peer].channel, context);
  lock.lock();
  asking_ = nullptr;
  return serving;
}

void PeerHealth::Run() {
  constexpr absl::Duration kImpatient = absl::Milliseconds(100);  // until all are there: start-up waits for this
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    for (std::size_t i = 0; i < peers_.size() && !stopping_; ++i) {
      const bool serving = Ask(i, lock);
      serving_[i] = serving;
    }
    const bool all = std::all_of(serving_.begin(), serving_.end(), [](bool serving) { return serving; });
    wake_.wait_for(lock, absl::ToChronoMilliseconds(all ? interval_ : std::min(interval_, kImpatient)),
                   [this] { return stopping_; });
  }
}

}  // namespace postern::gateway
