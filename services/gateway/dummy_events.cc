#include "services/gateway/dummy_events.h"

#include <algorithm>
#include <utility>

#include "matrix/refusal.h"
#include "services/gateway/local_powers.h"
#include "services/gateway/room_access.h"
#include "services/gateway/room_draft.h"
#include "telemetry/log.h"
#include "telemetry/trace.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr absl::Duration kPause = absl::Milliseconds(100);
constexpr absl::Duration kPauseAfterFailure = absl::Seconds(5);
constexpr absl::Duration kLease = absl::Seconds(20);
constexpr absl::Duration kCallTime = absl::Seconds(5);
constexpr absl::Duration kHopelessTime = absl::Minutes(1);
constexpr std::size_t kMostWaiting = 10'000;
constexpr std::size_t kMostHopeless = 10'000;
constexpr int kMostTried = 5;
constexpr std::size_t kHolderLetters = 16;

/// Nothing but another event of the room can help.
bool IsHopeless(const absl::Status& status) {
  const Reason reason = matrix::ReasonOf(status);
  return reason == Reason::kNotAuthorised || reason == Reason::kStateUnresolved ||
         reason == Reason::kUnsupportedVersion;
}

std::string_view OutcomeOf(const absl::Status& status) {
  switch (matrix::ReasonOf(status)) {
    case Reason::kNone:
      return "stored";
    case Reason::kNotAuthorised:
      return "nobody_may";
    case Reason::kRoomBusy:
      return "room_busy";
    case Reason::kStateUnresolved:
      return "state_unresolved";
    default:
      return "failed";
  }
}

}  // namespace

DummyEvents::DummyEvents(const matrix::ServerName& server, RoomAuthor& author, StoreClient& store, Alarm& alarm,
                         Clock clock, telemetry::Metrics& metrics)
    : server_(server.text()),
      author_(author),
      store_(store),
      alarm_(alarm),
      clock_(std::move(clock)),
      metrics_(metrics),
      hopeless_(kMostHopeless),
      worker_(1, kMostWaiting) {}

void DummyEvents::Notice(const std::string& room_id, std::uint32_t forward_extremities) {
  if (forward_extremities <= kMostForwardExtremities) return;
  {
    const std::lock_guard lock(mutex_);
    const absl::Time* later = hopeless_.Find(room_id);
    if (later != nullptr && clock_() < *later) return;
  }
  Schedule(room_id, kPause);
}

void DummyEvents::Schedule(const std::string& room_id, absl::Duration pause) {
  {
    const std::lock_guard lock(mutex_);
    // One that is left out is noticed again with its next event.
    if (waiting_.size() >= kMostWaiting || !waiting_.insert(room_id).second) return;
  }
  alarm_.At(clock_() + pause, [this, room_id] {
    if (worker_.Post([this, room_id] { Gather(room_id); })) return;
    const std::lock_guard lock(mutex_);
    waiting_.erase(room_id);
  });
}

void DummyEvents::Gather(const std::string& room_id) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.erase(room_id);  // what is committed from now on may need another round
  }
  const auto candidates = Candidates(room_id);
  const absl::Status status = candidates.ok() ? GatherUnderLease({room_id, *candidates}) : candidates.status();
  if (status.ok()) return;
  metrics_.Count("postern_gateway_dummy_events_total", {{"outcome", OutcomeOf(status)}});
  telemetry::Log(telemetry::Level::kWarning, "forward extremities could not be gathered",
                 {{"room_id", room_id},
                  {"reason", matrix::RefusalOf(matrix::ReasonOf(status)).name},
                  {"detail", matrix::DetailOf(status)}});
  if (!IsHopeless(status)) return Schedule(room_id, kPauseAfterFailure);
  const std::lock_guard lock(mutex_);
  hopeless_.Put(room_id, clock_() + kHopelessTime);
}

absl::Status DummyEvents::GatherUnderLease(const Room& room) {
  const std::string holder = RandomLetters(kHolderLetters);
  const auto lease = Lease(room, holder, kLease);
  if (!lease.ok()) return lease.status();
  if (!lease->granted()) {
    metrics_.Count("postern_gateway_dummy_events_total", {{"outcome", "left_to_another"}});
    return absl::OkStatus();
  }
  const absl::Status minted = MintUntilFew(room, *lease);
  // Whoever found the lease taken has committed before this, so what he left is counted here.
  const auto given_back = Lease(room, holder, absl::ZeroDuration());
  if (!minted.ok()) return minted;
  if (!given_back.ok()) return given_back.status();
  Notice(room.id, given_back->forward_extremities());
  return absl::OkStatus();
}

absl::Status DummyEvents::MintUntilFew(const Room& room, const store::v1::LeaseExtremitiesResponse& lease) {
  const absl::Time until = clock_() + kLease - 2 * kCallTime;
  std::uint32_t left = lease.forward_extremities();
  int user = 0;
  absl::Status refused = Refuse(Reason::kNotAuthorised, "no user of this server is joined");
  while (left > kMostForwardExtremities && clock_() < until) {
    if (user >= std::min(lease.joined_users_size(), kMostTried)) return refused;
    const EventIntent intent{
        .type = kType, .state_key = std::nullopt, .sender = lease.joined_users(user), .content = {}};
    const auto minted = author_.AddChain(Call(), room.id, intent, kMostForwardExtremities);
    if (matrix::ReasonOf(minted.status()) == Reason::kNotAuthorised) {
      refused = minted.status();
      ++user;
      continue;
    }
    if (!minted.ok()) return minted.status();
    metrics_.Count("postern_gateway_dummy_events_total", {{"outcome", "stored"}}, static_cast<double>(minted->events));
    if (minted->complete) break;  // what has come meanwhile is worth its own events once there is more of it
    left = minted->forward_extremities;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> DummyEvents::Candidates(const std::string& room_id) {
  store::v1::GetTemplateContextRequest request;
  request.set_room_id(room_id);
  request.add_state_keys()->set_type("m.room.create");
  request.add_state_keys()->set_type("m.room.power_levels");
  const auto context = store_.GetTemplateContext(Call(), request);
  if (!context.ok()) return context.status();
  const auto rules = RulesOfRoom(context->judging());
  if (!rules.ok()) return rules.status();
  return LocalUsersByPower(context->judging(), **rules, server_);
}

absl::StatusOr<store::v1::LeaseExtremitiesResponse> DummyEvents::Lease(const Room& room, const std::string& holder,
                                                                       absl::Duration time) {
  store::v1::LeaseExtremitiesRequest request;
  request.set_room_id(room.id);
  request.set_holder(holder);
  request.set_milliseconds(static_cast<std::uint32_t>(absl::ToInt64Milliseconds(time)));
  if (time > absl::ZeroDuration()) request.mutable_candidates()->Add(room.candidates.begin(), room.candidates.end());
  return store_.LeaseExtremities(Call(), request);
}

rpc::CallContext DummyEvents::Call() const { return {absl::Now() + kCallTime, telemetry::NewTrace()}; }

}  // namespace postern::gateway
