#include "services/gateway/invite_leaves.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "services/gateway/room_draft.h"
#include "telemetry/log.h"
#include "telemetry/trace.h"

namespace postern::gateway {
namespace {

using store::v1::InviteName;
using KeptInvite = store::v1::ReceivedInvite;
using Report = store::v1::ReportInviteLeaveRequest;

constexpr std::size_t kHolderLetters = 16;
constexpr absl::Duration kCallTime = absl::Seconds(5);
constexpr absl::Duration kPauseAfterFailure = absl::Seconds(1);
constexpr absl::Duration kShortestPause = absl::Milliseconds(30);
constexpr std::size_t kLongestError = 1000;

std::tuple<std::string, std::string, std::string> KeyOf(const InviteName& name) {
  return {name.room_id(), name.user_id(), name.event_id()};
}

std::string_view ResultOf(Report::Outcome outcome) {
  switch (outcome) {
    case Report::OUTCOME_LEFT:
      return "left";
    case Report::OUTCOME_DENIED:
      return "denied";
    case Report::OUTCOME_LEFT_HERE:
      return "left_here";
    default:
      return "failed";
  }
}

}  // namespace

InviteLeaves::InviteLeaves(const EventSigner& signer, RemoteLeaves& leaves, InviteStoreClient& store, Clock clock,
                           Chance chance, telemetry::Metrics& metrics, InviteLeavesOptions options)
    : signer_(signer),
      leaves_(leaves),
      store_(store),
      clock_(std::move(clock)),
      chance_(std::move(chance)),
      metrics_(metrics),
      options_(options),
      holder_(RandomLetters(kHolderLetters)),
      workers_(options.at_once, options.at_once) {}

InviteLeaves::~InviteLeaves() { Shutdown(); }

void InviteLeaves::Start() {
  thread_ = std::thread([this] { Run(); });
}

void InviteLeaves::Nudge() {
  {
    const std::lock_guard lock(mutex_);
    nudged_ = true;
  }
  wake_.notify_all();
}

void InviteLeaves::Shutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    wake_.notify_all();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  workers_.Drain();
  TellReports();
  store::v1::LeaseInviteLeavesRequest give_back;
  give_back.set_holder(holder_);
  static_cast<void>(store_.LeaseInviteLeaves(Call(), give_back));  // if it is not heard, the lease runs out
}

bool InviteLeaves::IsStopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void InviteLeaves::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    nudged_ = false;
    lock.unlock();
    const bool had = TellReports() && TakeDue();
    lock.lock();
    wake_.wait_for(lock, absl::ToChronoMilliseconds(had ? kShortestPause : kPauseAfterFailure),
                   [this] { return stopping_; });
    wake_.wait_for(lock, absl::ToChronoMilliseconds(options_.pause), [this] { return stopping_ || nudged_; });
  }
}

bool InviteLeaves::TellReports() {
  for (;;) {
    Report report;
    {
      const std::lock_guard lock(mutex_);
      if (reports_.empty()) return true;
      report = reports_.back();
    }
    if (!store_.ReportInviteLeave(Call(), report).ok()) return false;  // the same again later; until then it stays busy
    const std::lock_guard lock(mutex_);
    busy_.erase(KeyOf(report.name()));
    std::erase_if(reports_, [&](const Report& told) { return KeyOf(told.name()) == KeyOf(report.name()); });
  }
}

bool InviteLeaves::TakeDue() {
  store::v1::LeaseInviteLeavesRequest request;
  request.set_holder(holder_);
  request.set_milliseconds(static_cast<std::uint32_t>(absl::ToInt64Milliseconds(options_.lease)));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, name] : busy_) *request.add_busy() = name;
    request.set_most(static_cast<std::uint32_t>(options_.at_once - std::min(options_.at_once, busy_.size())));
  }
  auto due = store_.LeaseInviteLeaves(Call(), request);
  if (!due.ok()) return false;
  for (KeptInvite& invite : *due->mutable_invites()) {
    {
      const std::lock_guard lock(mutex_);
      busy_[KeyOf(invite.name())] = invite.name();
    }
    auto taken = std::make_shared<KeptInvite>(std::move(invite));
    if (workers_.Post([this, taken] { Leave(*taken); })) continue;
    const std::lock_guard lock(mutex_);
    busy_.erase(KeyOf(taken->name()));  // given again by the next round
  }
  return true;
}

void InviteLeaves::Leave(const KeptInvite& invite) {
  Report report = Try(invite);
  if (report.outcome() == Report::OUTCOME_UNSPECIFIED) return;  // given back by Shutdown
  const std::string_view result = ResultOf(report.outcome());
  metrics_.Count("postern_gateway_invite_leaves_total", {{"result", result}});
  telemetry::Log(report.outcome() == Report::OUTCOME_LEFT ? telemetry::Level::kInfo : telemetry::Level::kWarning,
                 "leave of an invite",
                 {{"room_id", invite.name().room_id()},
                  {"event_id", invite.name().event_id()},
                  {"origin", invite.origin()},
                  {"result", result},
                  {"detail", report.error()},
                  {"failures", static_cast<std::int64_t>(invite.attempts())}});
  const std::lock_guard lock(mutex_);
  reports_.push_back(std::move(report));
  nudged_ = true;
  wake_.notify_all();
}

Report InviteLeaves::Try(const KeptInvite& invite) {
  Report report;
  *report.mutable_name() = invite.name();
  report.set_holder(holder_);
  const matrix::RoomRules* rules = matrix::FindRoomRules(invite.room_version());
  if (rules == nullptr) {
    report.set_outcome(Report::OUTCOME_LEFT_HERE);
    report.set_error("the room's version is not supported");
    return report;
  }
  const RemoteMembership membership{invite.name().room_id(), invite.name().user_id(), invite.reason(), *rules};
  bool all_denied = true;
  std::string errors;
  for (const matrix::ServerName& server : ServersToLeaveBy(invite, *rules, signer_.server_name())) {
    if (IsStopping()) return report;
    const LeaveAttempt attempt = leaves_.LeaveBy(server, membership, absl::Now() + options_.attempt_timeout);
    if (attempt.result == LeaveAttempt::kLeft) {
      report.set_outcome(Report::OUTCOME_LEFT);
      return report;
    }
    all_denied = all_denied && attempt.result == LeaveAttempt::kDenied;
    errors += fmt::format("{}{}: {}", errors.empty() ? "" : "; ", server.text(), attempt.detail);
  }
  return NotLeft(invite, all_denied, errors);
}

Report InviteLeaves::NotLeft(const KeptInvite& invite, bool all_denied, const std::string& error) {
  Report report;
  *report.mutable_name() = invite.name();
  report.set_holder(holder_);
  report.set_error(error.substr(0, kLongestError));
  if (all_denied && invite.denials() + 1 >= options_.denials_to_believe) {
    report.set_outcome(Report::OUTCOME_LEFT_HERE);
    return report;
  }
  constexpr std::uint32_t kParts = 1000;
  const double chance = static_cast<double>(chance_(kParts - 1)) / kParts;
  report.set_outcome(all_denied ? Report::OUTCOME_DENIED : Report::OUTCOME_FAILED);
  report.set_next_try_ms(absl::ToUnixMillis(clock_() + options_.back_off.After(invite.attempts() + 1, chance)));
  return report;
}

rpc::CallContext InviteLeaves::Call() const { return {absl::Now() + kCallTime, telemetry::NewTrace()}; }

}  // namespace postern::gateway
