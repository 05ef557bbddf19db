#include "services/gateway/outbound_transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "matrix/json.h"
#include "matrix/refusal.h"
#include "matrix/server_name.h"
#include "services/gateway/signed_request.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;
using store::v1::DeliveryReport;

constexpr int kOk = 200;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kRequestTimeout = 408;
constexpr int kGone = 410;
constexpr int kTooManyRequests = 429;
constexpr int kFirstServerError = 500;
constexpr int kFirstClientError = 400;
constexpr absl::Duration kPutOff = absl::Minutes(1);
constexpr std::size_t kLongestError = 500;

/// nullopt without a Retry-After in seconds; a date is not read, for no homeserver sends one.
std::optional<absl::Duration> RetryAfter(const http::Response& response) {
  const auto header = http::FindHeader(response.headers, "Retry-After");
  std::int64_t seconds = 0;
  if (!header || !absl::SimpleAtoi(std::string(*header), &seconds) || seconds < 0) return std::nullopt;
  return absl::Seconds(seconds);
}

std::string Shortened(std::string_view text) { return std::string(text.substr(0, kLongestError)); }

/// The errors in the answer of a destination that took the transaction; nullopt where it is no answer to one.
std::optional<std::vector<PduError>> ErrorsIn(const std::string& body) {
  const auto json = matrix::ParseJson(body);
  const JsonObject* answer = json.ok() ? json->AsObject() : nullptr;
  if (answer == nullptr) return std::nullopt;
  std::vector<PduError> errors;
  const Json* pdus = answer->Find("pdus");
  if (pdus == nullptr || pdus->AsObject() == nullptr) return errors;
  for (const auto& [event_id, result] : *pdus->AsObject()) {
    const Json* error = result.AsObject() == nullptr ? nullptr : result.AsObject()->Find("error");
    if (error == nullptr) continue;
    errors.push_back({Shortened(event_id), error->AsString() == nullptr ? "" : Shortened(*error->AsString())});
  }
  return errors;
}

bool CountsAsFailure(int status) {
  return status == kUnauthorized || status == kRequestTimeout || status == kTooManyRequests ||
         status >= kFirstServerError || status < kFirstClientError;
}

/// Fills in a report of something that counts.
void Fail(DeliveryReport& report, std::string_view why, absl::Time next_try) {
  report.set_outcome(DeliveryReport::OUTCOME_FAILED);
  report.set_error(Shortened(why));
  report.set_next_try_ms(absl::ToUnixMillis(next_try));
}

}  // namespace

absl::StatusOr<FederationRequest> RequestOf(const store::v1::OutboundTransaction& transaction,
                                            const EventSigner& signer) {
  const auto destination = matrix::ServerName::Parse(transaction.destination());
  if (!destination.ok()) return Refuse(Reason::kInternal, "the destination is no server name");
  matrix::JsonArray pdus;
  for (const auto& pdu : transaction.pdus()) {
    auto event = matrix::ParseJson(pdu.pdu());
    if (!event.ok()) return Refuse(Reason::kInternal, fmt::format("{} does not read", pdu.event_id()));
    pdus.push_back(*std::move(event));
  }
  JsonObject body;
  body.Set("origin", signer.server_name().text());
  body.Set("origin_server_ts", transaction.oldest_ms());
  body.Set("pdus", std::move(pdus));
  return SignedRequestTo(
      *destination, "PUT",
      fmt::format("/_matrix/federation/v1/send/{}", http::PercentEncode(transaction.transaction_id())),
      Json(std::move(body)), signer);
}

TransactionOutcome OutcomeOf(const store::v1::OutboundTransaction& transaction,
                             const absl::StatusOr<http::Response>& response, const BackOff& back_off, absl::Time now,
                             double chance) {
  TransactionOutcome outcome;
  DeliveryReport& report = outcome.report;
  report.set_destination(transaction.destination());
  report.set_transaction_id(transaction.transaction_id());
  const absl::Time next_try = now + back_off.After(transaction.failures() + 1, chance);
  if (!response.ok()) {
    Fail(report, matrix::DetailOf(response.status()), next_try);
    return outcome;
  }
  const std::string answered = fmt::format("answered {}", response->status);
  if (response->status == kOk) {
    auto errors = ErrorsIn(response->body);
    if (!errors) {
      Fail(report, "answered 200 with what is no JSON object", next_try);
      return outcome;
    }
    report.set_outcome(DeliveryReport::OUTCOME_DELIVERED);
    outcome.errors = *std::move(errors);
  } else if (response->status == kGone) {
    Fail(report, answered, now + back_off.longest);
  } else if (CountsAsFailure(response->status)) {
    Fail(report, answered,
         std::max(next_try, now + std::min(RetryAfter(*response).value_or(absl::ZeroDuration()), back_off.longest)));
  } else {
    const bool put_off = response->status == kForbidden || response->status == kNotFound;
    report.set_outcome(put_off ? DeliveryReport::OUTCOME_PUT_OFF : DeliveryReport::OUTCOME_REFUSED);
    report.set_error(fmt::format("{}: {}", answered, Shortened(response->body)));
    report.set_next_try_ms(absl::ToUnixMillis(now + kPutOff));
  }
  return outcome;
}

}  // namespace postern::gateway
