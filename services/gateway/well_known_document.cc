#include "services/gateway/well_known_document.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "matrix/json.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

constexpr absl::Duration kUsualBelief = absl::Hours(24);
constexpr absl::Duration kLongestBackoff = absl::Hours(1);

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

/// A number of seconds, as in "max-age=60"; what is larger than anything sensible counts as very large.
std::optional<absl::Duration> ReadSeconds(std::string_view text) {
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) text = text.substr(1, text.size() - 2);
  std::int64_t seconds = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (end != text.data() + text.size() || text.empty() || text.starts_with('-')) return std::nullopt;
  if (problem == std::errc::result_out_of_range) return absl::InfiniteDuration();
  return problem == std::errc() ? std::optional(absl::Seconds(seconds)) : std::nullopt;
}

/// The three ways to write a date that HTTP has had (RFC 9110, 5.6.7).
std::optional<absl::Time> ReadDate(std::string_view text) {
  constexpr std::array kFormats{"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
  for (const char* format : kFormats) {
    absl::Time time;
    if (absl::ParseTime(format, Abseil(text), &time, nullptr)) return time;
  }
  return std::nullopt;
}

/// What the Cache-Control headers say; nullopt if nothing about time. What cannot be read counts as stale.
std::optional<absl::Duration> CacheControl(const http::Headers& headers) {
  std::optional<absl::Duration> least;
  const auto take = [&least](absl::Duration lifetime) { least = std::min(least.value_or(lifetime), lifetime); };
  for (const std::string_view value : http::FindHeaders(headers, "Cache-Control")) {
    for (const absl::string_view part : absl::StrSplit(Abseil(value), ',')) {
      const std::string directive = absl::AsciiStrToLower(absl::StripAsciiWhitespace(part));
      if (directive == "no-store" || directive == "no-cache") take(absl::ZeroDuration());
      constexpr std::string_view kMaxAge = "max-age=";
      if (directive.starts_with(kMaxAge)) {
        take(ReadSeconds(std::string_view(directive).substr(kMaxAge.size())).value_or(absl::ZeroDuration()));
      }
    }
  }
  return least;
}

std::optional<absl::Duration> ExpiresAfter(const http::Headers& headers, absl::Time now) {
  const auto expires = http::FindHeader(headers, "Expires");
  if (!expires) return std::nullopt;
  const auto end = ReadDate(*expires);
  if (!end) return absl::ZeroDuration();  // "0" is often written, and means that
  const auto date = http::FindHeader(headers, "Date");
  return *end - (date ? ReadDate(*date) : std::nullopt).value_or(now);
}

/// A tenth less at most.
absl::Duration Spread(absl::Duration time, const Chance& chance) {
  constexpr std::uint32_t kSteps = 1000000;
  return time - time / 10 * (static_cast<double>(chance(kSteps)) / kSteps);
}

}  // namespace

absl::StatusOr<matrix::ServerName> ReadWellKnown(std::string_view body) {
  const auto malformed = [](std::string_view what) { return matrix::Refuse(matrix::Reason::kInvalidArgument, what); };
  if (body.size() > kMaxWellKnownBytes) return malformed("the well-known document is too large");
  const auto json = matrix::ParseJson(body);
  if (!json.ok()) return malformed("the well-known document is no JSON");
  const matrix::JsonObject* document = json->AsObject();
  const matrix::Json* server = document == nullptr ? nullptr : document->Find("m.server");
  if (server == nullptr || server->AsString() == nullptr) return malformed("the well-known document has no m.server");
  auto name = matrix::ServerName::Parse(*server->AsString());
  if (!name.ok() || name->port() == 0) return malformed("m.server is no server name");
  return name;
}

absl::Duration WellKnownLifetime(const http::Headers& headers, absl::Time now, const Chance& chance) {
  std::optional<absl::Duration> lifetime = CacheControl(headers);
  if (!lifetime) lifetime = ExpiresAfter(headers, now);
  if (lifetime) {
    const auto age = http::FindHeader(headers, "Age");
    *lifetime -= (age ? ReadSeconds(*age) : std::nullopt).value_or(absl::ZeroDuration());
  }
  const absl::Duration bounded = std::clamp(lifetime.value_or(kUsualBelief), kShortestBelief, kLongestBelief);
  return std::max(kShortestBelief, Spread(bounded, chance));
}

absl::Duration WellKnownBackoff(int failures, const Chance& chance) {
  absl::Duration time = kShortestBelief;
  for (int failure = 1; failure < failures && time < kLongestBackoff; ++failure) time *= 2;
  return std::max(kShortestBelief, Spread(std::min(time, kLongestBackoff), chance));
}

}  // namespace postern::gateway
