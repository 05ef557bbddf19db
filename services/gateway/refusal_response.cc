#include "services/gateway/refusal_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "matrix/canonical_json.h"

namespace postern::gateway {
namespace {

constexpr absl::string_view kRetryPayload = "postern.gateway.retry_after_ms";
constexpr absl::string_view kVersionPayload = "postern.gateway.room_version";
constexpr absl::Duration kDefaultRetry = absl::Seconds(1);
constexpr std::size_t kLongestError = 512;
constexpr std::size_t kLongestWords = 256;

constexpr int kUnauthorized = 401;
constexpr int kTooManyRequests = 429;
constexpr int kServiceUnavailable = 503;

absl::Duration RetryAfter(const absl::Status& why) {
  const auto payload = why.GetPayload(kRetryPayload);
  std::int64_t milliseconds = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &milliseconds)) return kDefaultRetry;
  return absl::Milliseconds(milliseconds);
}

/// Details may quote what a stranger wrote, which need not be UTF-8.
std::string Printable(std::string_view text) {
  std::string printable(text.substr(0, kLongestError));
  std::replace_if(
      printable.begin(), printable.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return printable;
}

/// What the peer is told. Whether it is who it says, it learns only as yes or no; what ails this server within, by its
/// kind.
std::string ErrorText(const matrix::Refusal& row, const absl::Status& why) {
  if (row.http_status == kUnauthorized) return "The request could not be authenticated.";
  if (row.http_status != kServiceUnavailable) return Printable(matrix::DetailOf(why));
  std::string kind(row.name);
  std::replace(kind.begin(), kind.end(), '_', ' ');
  return "This server cannot answer just now: " + kind + ".";
}

}  // namespace

absl::Status RefuseUntil(matrix::Reason reason, std::string_view detail, absl::Duration retry_after) {
  absl::Status status = matrix::Refuse(reason, detail);
  const std::int64_t milliseconds = std::max<std::int64_t>(1, absl::ToInt64Milliseconds(retry_after));
  status.SetPayload(kRetryPayload, absl::Cord(std::to_string(milliseconds)));
  return status;
}

absl::Status RefuseVersion(std::string_view room_version) {
  absl::Status status = matrix::Refuse(matrix::Reason::kIncompatibleVersion,
                                       fmt::format("the room's version is {}, which was not offered", room_version));
  status.SetPayload(kVersionPayload, absl::Cord(absl::string_view(room_version.data(), room_version.size())));
  return status;
}

http::Response RefusalResponse(const absl::Status& why) {
  const matrix::Refusal& row = matrix::RefusalOf(matrix::ReasonOf(why));
  http::Response response{.status = row.http_status, .headers = {}, .body = {}};
  matrix::JsonObject body;
  body.Set("errcode", row.errcode);
  body.Set("error", ErrorText(row, why));
  if (const auto version = why.GetPayload(kVersionPayload)) body.Set("room_version", std::string(*version));
  if (row.http_status == kTooManyRequests || row.http_status == kServiceUnavailable) {
    const absl::Duration retry_after = RetryAfter(why);
    body.Set("retry_after_ms", std::max<std::int64_t>(1, absl::ToInt64Milliseconds(retry_after)));
    const auto seconds = absl::ToInt64Seconds(absl::Ceil(retry_after, absl::Seconds(1)));
    response.headers.emplace_back("Retry-After", std::to_string(seconds));
  }
  response.body = matrix::CanonicalJson(body);
  return response;
}

std::string RefusalText(const absl::Status& why) {
  return ErrorText(matrix::RefusalOf(matrix::ReasonOf(why)), why).substr(0, kLongestWords);
}

}  // namespace postern::gateway
