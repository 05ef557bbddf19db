#include "tests/flow/crash_load.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "tests/flow/handshake.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

constexpr int kThreads = 4;
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr int kTrouble = 503;

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;

bool IsTrouble(const absl::StatusOr<http::Response>& response) {
  return !response.ok() || response->status == kTrouble;
}

/// The templates that deeds begin with, and the endpoints that take them.
struct Ways {
  std::string_view make;
  std::string_view send;
};
Ways WaysOf(Deed deed) {
  switch (deed) {
    case Deed::kLeave:
      return {"make_leave", "v2/send_leave"};
    case Deed::kJoin:
      return {"make_join", "v2/send_join"};
    case Deed::kKnock:
      return {"make_knock", "v1/send_knock"};
    case Deed::kTransaction:
      return {"make_leave", ""};
  }
  return {};
}

/// Two messages, and then the leave that `draft` is.
std::vector<JsonObject> LastWords(const PlayedHomeserver& remote, const JsonObject& draft,
                                  const matrix::RoomRules& rules) {
  std::vector<JsonObject> events{remote.Complete(MessageFrom(draft, "one"), rules)};
  events.push_back(remote.Complete(Following(events.back(), MessageFrom(draft, "two"), rules), rules));
  events.push_back(remote.Complete(Following(events.back(), draft, rules), rules));
  return events;
}

}  // namespace

std::string OddityOf(const absl::StatusOr<http::Response>& answer, Deed deed) {
  if (!answer.ok()) return std::string(matrix::DetailOf(answer.status()));
  const std::string whole = fmt::format("{} {}", answer->status, answer->body);
  if (answer->status != 200 || deed != Deed::kTransaction) return answer->status == 200 ? "" : whole;
  const JsonObject body = ObjectOf(answer->body);
  for (const auto& [event_id, result] : *body.Find("pdus")->AsObject()) {
    if (!result.AsObject()->empty()) return whole;
  }
  return "";
}

CrashLoad::CrashLoad(const PlayedHomeserver& remote, const RunningStack& stack, std::vector<Actor> actors,
                     std::uint64_t seed)
    : remote_(remote), stack_(stack), actors_(std::move(actors)) {
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

void CrashLoad::Allow(std::size_t actors) {
  const std::lock_guard lock(mutex_);
  Must("as many actors as are to act", allowed_ + actors <= actors_.size());
  allowed_ += actors;
  changed_.notify_all();
}

void CrashLoad::AwaitAccepted(std::size_t actors) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return accepted_ >= actors || fates_.size() == allowed_; });
}

void CrashLoad::AwaitEnded() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return fates_.size() == allowed_; });
}

std::size_t CrashLoad::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

std::vector<Fate> CrashLoad::fates() const {
  const std::lock_guard lock(mutex_);
  return fates_;
}

void CrashLoad::Run(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || begun_ < allowed_; });
    if (ending_) return;
    const Actor& actor = actors_[begun_++];
    lock.unlock();
    Fate fate;
    try {
      fate = Act(actor, random);
    } catch (const std::exception& trouble) {
      fate = {.actor = actor, .event_ids = {}, .odd = trouble.what()};
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

/// Asks for a template until there is one. Sends what follows from it; after trouble sends it again, or is content with
/// half of the chances not to know what became of it.
Fate CrashLoad::Act(const Actor& actor, std::mt19937_64& random) const {
  const auto& [rules, room_id, user, deed] = actor;
  const auto [make, send] = WaysOf(deed);
  const JsonObject draft =
      DraftOf(Must("a template", AskUntilAnswered(MakeRequest(remote_, make, room_id, user, *rules))));
  std::vector<JsonObject> events;
  Fate fate{.actor = actor, .event_ids = {}};
  if (deed == Deed::kTransaction) {
    events = LastWords(remote_, draft, *rules);
    fate.request = TransactionRequest(remote_, fmt::format("of-{}", random()), JsonArray(events.begin(), events.end()));
  } else {
    events = {remote_.Complete(draft, *rules)};
    fate.request = SendRequest(remote_, send, room_id, events.front(), *rules);
  }
  for (const JsonObject& event : events) fate.event_ids.push_back(matrix::ComputeEventId(event, *rules));

  auto response = remote_.TrySend(fate.request);
  if (IsTrouble(response)) {
    if (random() % 2 == 0) return fate;
    response = AskUntilAnswered(fate.request);
  }
  fate.odd = OddityOf(response, deed);
  fate.accepted = fate.odd.empty();
  return fate;
}

}  // namespace postern::flow
