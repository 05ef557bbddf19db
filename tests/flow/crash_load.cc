#include "tests/flow/crash_load.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

constexpr int kThreads = 4;
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr int kTrouble = 503;

bool IsTrouble(const absl::StatusOr<http::Response>& response) {
  return !response.ok() || response->status == kTrouble;
}

}  // namespace

CrashLoad::CrashLoad(const PlayedHomeserver& remote, const RunningStack& stack, std::vector<Leaver> leavers,
                     std::uint64_t seed)
    : remote_(remote), stack_(stack), leavers_(std::move(leavers)) {
  for (int thread = 0; thread < kThreads; ++thread) {
    threads_.emplace_back([this, seed, thread] { Run(seed + static_cast<std::uint64_t>(thread)); });
  }
}

CrashLoad::~CrashLoad() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void CrashLoad::Allow(std::size_t leaves) {
  const std::lock_guard lock(mutex_);
  Must("as many leavers as are to leave", allowed_ + leaves <= leavers_.size());
  allowed_ += leaves;
  changed_.notify_all();
}

void CrashLoad::AwaitAccepted(std::size_t leaves) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return accepted_ >= leaves || fates_.size() == allowed_; });
}

void CrashLoad::AwaitEnded() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return fates_.size() == allowed_; });
}

std::size_t CrashLoad::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

std::vector<LeaveFate> CrashLoad::fates() const {
  const std::lock_guard lock(mutex_);
  return fates_;
}

void CrashLoad::Run(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || begun_ < allowed_; });
    if (ending_) return;
    const Leaver& leaver = leavers_[begun_++];
    lock.unlock();
    LeaveFate fate;
    try {
      fate = Leave(leaver, random);
    } catch (const std::exception& trouble) {
      fate = {.leaver = leaver, .event_id = "", .odd = trouble.what()};
    }
    lock.lock();
    accepted_ += fate.accepted ? 1 : 0;
    fates_.push_back(std::move(fate));
    changed_.notify_all();
  }
}

absl::StatusOr<http::Response> CrashLoad::AskUntilAnswered(const http::Request& request) const {
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    auto response = remote_.TrySend(request);
    if (!IsTrouble(response) || absl::Now() >= deadline) return response;
    stack_.WaitUntilReady(deadline - absl::Now());
    absl::SleepFor(kPoll);
  }
}

/// Asks for a template until there is one. Sends the leave; after trouble sends it again, or is content with half of
/// the chances not to know what became of it.
LeaveFate CrashLoad::Leave(const Leaver& leaver, std::mt19937_64& random) const {
  const auto target = peer::MakeLeaveTarget({.room_id = leaver.room_id, .user_id = leaver.user, .reason = ""});
  const auto answer = Must("a template", AskUntilAnswered(remote_.Request("GET", target, nullptr)));
  Must(fmt::format("a template (not {} {})", answer.status, answer.body), answer.status == 200);
  const auto event = remote_.Complete(Must("a template", peer::ReadLeaveTemplate(answer.body)).event, *leaver.rules);
  LeaveFate fate{.leaver = leaver, .event_id = matrix::ComputeEventId(event, *leaver.rules)};

  const http::Request request = remote_.SendLeaveRequest(leaver.room_id, event, *leaver.rules);
  auto response = remote_.TrySend(request);
  if (IsTrouble(response)) {
    if (random() % 2 == 0) return fate;
    response = AskUntilAnswered(request);
  }
  fate.accepted = response.ok() && response->status == 200;
  if (fate.accepted) return fate;
  fate.odd = response.ok() ? fmt::format("{} {}", response->status, response->body)
                           : std::string(matrix::DetailOf(response.status()));
  return fate;
}

}  // namespace postern::flow
