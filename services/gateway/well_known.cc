#include "services/gateway/well_known.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "http/http_url.h"
#include "matrix/refusal.h"
#include "services/gateway/well_known_document.h"

namespace postern::gateway {
namespace {

constexpr int kOk = 200;
constexpr int kTooManyRequests = 429;
constexpr int kServerErrors = 500;

http::ClientOptions Bounded(http::ClientOptions options) {
  options.response_limit_bytes = kMaxWellKnownBytes;
  return options;
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

absl::StatusOr<http::Url> NextOf(const http::Url& url, const http::Response& response) {
  const auto location = http::FindHeader(response.headers, "Location");
  if (!location) return absl::FailedPreconditionError("a redirect to nowhere");
  auto next = http::FollowReference(url, *location);
  if (!next.ok() || next->scheme != "https" || next->port == 0) {
    return absl::FailedPreconditionError("a redirect to what is no HTTPS page");
  }
  return next;
}

std::string_view Label(bool is_delegated, bool is_none) {
  if (is_delegated) return "delegated";
  return is_none ? "none" : "failed";
}

}  // namespace

WellKnown::WellKnown(const PeerAddresses& addresses, http::ClientOptions client, WellKnownLimits limits, Clock clock,
                     Chance chance, telemetry::Metrics& metrics)
    : addresses_(addresses),
      client_(Bounded(std::move(client))),
      limits_(limits),
      clock_(std::move(clock)),
      chance_(std::move(chance)),
      metrics_(metrics),
      known_(limits.max_hosts) {}

std::optional<matrix::ServerName> WellKnown::Find(const std::string& host, absl::Time deadline) {
  {
    const std::lock_guard lock(mutex_);
    const Entry* known = known_.Find(host);
    if (known != nullptr && clock_() < known->ask_again) return known->delegated;
  }
  const absl::Time begin = absl::Now();
  const absl::Duration budget = std::min(limits_.longest, (deadline - begin) / 2);
  const Fetched fetched = Fetch(host, begin + budget);
  metrics_.Count("postern_gateway_well_known_fetches_total",
                 {{"result", Label(fetched.outcome == Outcome::kDelegated, fetched.outcome == Outcome::kNone)}});
  const std::lock_guard lock(mutex_);
  const Entry* known = known_.Find(host);
  const absl::Time now = clock_();
  Entry entry = After(known, fetched, now);
  // A caller in a hurry learns nothing about the host.
  const bool was_cut_short = budget < limits_.longest && absl::Now() >= begin + budget;
  const bool is_certain = fetched.outcome == Outcome::kDelegated || fetched.outcome == Outcome::kNone;
  if (was_cut_short && !is_certain) return entry.delegated;
  known_.Put(host, entry);
  return entry.delegated;
}

WellKnown::Entry WellKnown::After(const Entry* known, const Fetched& fetched, absl::Time now) const {
  if (fetched.outcome == Outcome::kDelegated) {
    const absl::Time until = now + fetched.lifetime;
    // Asked again before it is over: while the host is down, the old answer can still be used for a while.
    return {fetched.delegated, until, std::max(until - fetched.lifetime / 5, now + kShortestBelief), 0};
  }
  Entry entry = known == nullptr ? Entry{} : *known;
  if (fetched.outcome == Outcome::kOwnTrouble) {
    entry.ask_again = now + limits_.own_trouble;
  } else {
    ++entry.failures;
    entry.ask_again = now + WellKnownBackoff(entry.failures, chance_);
  }
  const bool stays = fetched.outcome != Outcome::kNone && entry.delegated && now < entry.believed_until;
  if (stays) {
    entry.ask_again = std::min(entry.ask_again, entry.believed_until);
  } else {
    entry.delegated = std::nullopt;
  }
  return entry;
}

WellKnown::Fetched WellKnown::Fetch(const std::string& host, absl::Time deadline) {
  const auto response = Get(host, deadline);
  if (!response.ok()) {
    if (response.status().code() == absl::StatusCode::kUnavailable) return {Outcome::kOwnTrouble};
    if (response.status().code() == absl::StatusCode::kAborted) return {Outcome::kUnreachable};
    return {Outcome::kNone};
  }
  if (response->status >= kServerErrors || response->status == kTooManyRequests) return {Outcome::kUnreachable};
  if (response->status != kOk) return {Outcome::kNone};
  auto delegated = ReadWellKnown(response->body);
  if (!delegated.ok()) return {Outcome::kNone};
  return {Outcome::kDelegated, std::move(*delegated), WellKnownLifetime(response->headers, clock_(), chance_)};
}

absl::StatusOr<http::Response> WellKnown::Get(const std::string& host, absl::Time deadline) {
  const std::string port = limits_.https_port == 443 ? "" : fmt::format(":{}", limits_.https_port);
  auto url = http::ParseUrl(fmt::format("https://{}{}/.well-known/matrix/server", host, port));
  if (!url.ok()) return absl::FailedPreconditionError("no URL can be made of the name");
  for (int redirects = 0; redirects <= limits_.max_redirects; ++redirects) {
    auto peer = addresses_.Find(url->host, deadline);
    if (!peer.ok()) return peer.status();
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::AbortedError("no time left");
    http::ClientRequest request;
    request.url = url->text;
    request.timeout = left;
    request.addresses = std::move(peer->literals);
    auto response = client_.Send(request);
    if (!response.ok()) return absl::AbortedError(response.status().message());
    if (!IsRedirect(response->status)) return response;
    auto next = NextOf(*url, *response);
    if (!next.ok()) return next.status();
    url = std::move(next);
  }
  return absl::FailedPreconditionError("too many redirects");
}

}  // namespace postern::gateway
