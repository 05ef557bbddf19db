#include "services/gateway/key_source.h"

#include <fmt/format.h>

#include <optional>
#include <sstream>
#include <utility>

#include "absl/time/clock.h"
#include "http/http_message.h"
#include "matrix/base64.h"
#include "matrix/json.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr int kOk = 200;

/// What `asked` answers to a GET of `target`, if it is a 200.
absl::StatusOr<std::string> Ask(FederationClient& client, const matrix::ServerName& asked, const std::string& target,
                                absl::Duration timeout) {
  auto response = client.Send(asked, {.target = target}, absl::Now() + timeout);
  if (!response.ok()) return Refuse(Reason::kOriginKeyUnavailable, matrix::DetailOf(response.status()));
  if (response->status != kOk) {
    return Refuse(Reason::kOriginKeyUnavailable,
                  fmt::format("{} answered {} when asked for keys", asked.text(), response->status));
  }
  return std::move(response->body);
}

bool IsCurrent(const FetchedKeys& fetched, absl::Time now) { return fetched.keys.valid_until > now; }

}  // namespace

DirectKeys::DirectKeys(FederationClient& client, Clock clock) : client_(client), clock_(std::move(clock)) {}

absl::StatusOr<FetchedKeys> DirectKeys::FetchKeys(const matrix::ServerName& server, absl::Duration timeout) {
  const auto body = Ask(client_, server, "/_matrix/key/v2/server", timeout);
  if (!body.ok()) return body.status();
  auto fetched = ReadKeyDocument(*body, server);
  if (fetched.ok() && !IsCurrent(*fetched, clock_())) {
    return Refuse(Reason::kOriginKeyUnavailable, fmt::format("the key document of {} is over its time", server.text()));
  }
  return fetched;
}

absl::StatusOr<Notary> Notary::Parse(const std::string& text) {
  std::istringstream words(text);
  std::string name, key_id, public_key, rest;
  words >> name >> key_id >> public_key;
  auto server = matrix::ServerName::Parse(name);
  const auto bytes = matrix::DecodeBase64(public_key);
  const bool reads = server.ok() && key_id.starts_with("ed25519:") && bytes &&
                     bytes->size() == matrix::kPublicKeyBytes && !(words >> rest);
  if (!reads) {
    return Refuse(Reason::kInvalidArgument,
                  fmt::format("notaries: expected `matrix.example ed25519:auto <base64 public key>`, not '{}'", text));
  }
  if (matrix::IsKnownBadKey(*bytes)) {
    return Refuse(Reason::kInvalidArgument, fmt::format("notaries: everybody knows the key of {}", name));
  }
  return Notary{std::move(*server), key_id, *bytes};
}

NotaryKeys::NotaryKeys(FederationClient& client, Notary notary, Clock clock)
    : client_(client), notary_(std::move(notary)), clock_(std::move(clock)) {}

absl::StatusOr<FetchedKeys> NotaryKeys::FetchKeys(const matrix::ServerName& server, absl::Duration timeout) {
  const auto body = Ask(client_, notary_.name,
                        fmt::format("/_matrix/key/v2/query/{}?minimum_valid_until_ts={}",
                                    http::PercentEncode(server.text()), absl::ToUnixMillis(clock_())),
                        timeout);
  if (!body.ok()) return body.status();
  const auto json = matrix::ParseJson(*body);
  const JsonObject* answer = json.ok() ? json->AsObject() : nullptr;
  const Json* list = answer == nullptr ? nullptr : answer->Find("server_keys");
  if (list == nullptr || list->AsArray() == nullptr) {
    return Refuse(Reason::kOriginKeyUnavailable,
                  fmt::format("the answer of {} has no server_keys", notary_.name.text()));
  }
  std::optional<FetchedKeys> best;
  for (const Json& entry : *list->AsArray()) {
    const JsonObject* document = entry.AsObject();
    if (document == nullptr) continue;
    if (!matrix::VerifyJson(*document, notary_.name.text(), notary_.key_id, notary_.public_key)) continue;
    auto fetched = ReadKeyDocument(*document, server);
    if (!fetched.ok() || (best && best->keys.valid_until >= fetched->keys.valid_until)) continue;
    best = std::move(*fetched);
  }
  if (!best) {
    return Refuse(Reason::kOriginKeyUnavailable,
                  fmt::format("{} has no key document of {} that both signed", notary_.name.text(), server.text()));
  }
  best->from = notary_.name.text();
  return std::move(*best);
}

KeySources::KeySources(std::vector<std::unique_ptr<KeySource>> in_order, Clock clock)
    : in_order_(std::move(in_order)), clock_(std::move(clock)) {}

absl::StatusOr<FetchedKeys> KeySources::FetchKeys(const matrix::ServerName& server, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::optional<FetchedKeys> over_its_time;
  std::string why;
  for (std::size_t asked = 0; asked < in_order_.size(); ++asked) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    auto fetched = in_order_[asked]->FetchKeys(server, left / static_cast<std::int64_t>(in_order_.size() - asked));
    if (!fetched.ok()) {
      why += fmt::format("{}{}", why.empty() ? "" : "; ", matrix::DetailOf(fetched.status()));
    } else if (IsCurrent(*fetched, clock_())) {
      return fetched;
    } else if (!over_its_time || over_its_time->keys.valid_until < fetched->keys.valid_until) {
      over_its_time = std::move(*fetched);
    }
  }
  if (over_its_time) return std::move(*over_its_time);
  return Refuse(Reason::kOriginKeyUnavailable, why.empty() ? "no time was left to ask for keys" : why);
}

}  // namespace postern::gateway
