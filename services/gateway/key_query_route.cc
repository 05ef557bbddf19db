#include "services/gateway/key_query_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

/// Half of what the key ring lets one address have in flight: a long query does not shut out the requests that come
/// from behind the same address.
constexpr std::size_t kAtOnce = 4;
/// After this no further server is asked; those that are being asked have the key ring's time.
constexpr absl::Duration kLongestLook = absl::Seconds(8);

/// The latest of what a query wants of the keys of one server.
absl::StatusOr<absl::Time> MinimumOf(const Json& criteria, absl::Time now) {
  const JsonObject* by_key = criteria.AsObject();
  if (by_key == nullptr) return Refuse(Reason::kBadJson, "server_keys: expected an object for each server");
  std::optional<absl::Time> latest;
  for (const auto& [key_id, wanted] : *by_key) {
    if (wanted.AsObject() == nullptr) return Refuse(Reason::kBadJson, "server_keys: expected an object for each key");
    const Json* minimum = wanted.AsObject()->Find("minimum_valid_until_ts");
    if (minimum == nullptr) continue;
    if (minimum->AsInteger() == nullptr) return Refuse(Reason::kBadJson, "minimum_valid_until_ts: expected an integer");
    latest = std::max(latest.value_or(absl::InfinitePast()), absl::FromUnixMillis(*minimum->AsInteger()));
  }
  return latest.value_or(now);
}

absl::StatusOr<KeyQuery> QueryFor(std::string_view name, absl::Time minimum, const std::string& client_address) {
  auto server = matrix::ServerName::Parse(name);
  if (!server.ok()) return Refuse(Reason::kInvalidArgument, fmt::format("'{}' is no server name", name));
  return KeyQuery{std::move(*server), {}, KeyUse::kDocument, client_address, minimum};
}

absl::StatusOr<std::vector<KeyQuery>> QueriesOf(const Exchange& exchange, absl::Time now) {
  absl::Time minimum = now;
  if (const auto text = http::QueryParameter(exchange.request().target, "minimum_valid_until_ts")) {
    std::int64_t milliseconds = 0;
    if (!absl::SimpleAtoi(*text, &milliseconds)) {
      return Refuse(Reason::kInvalidArgument, "minimum_valid_until_ts: expected an integer");
    }
    minimum = absl::FromUnixMillis(milliseconds);
  }
  auto query = QueryFor(exchange.path_arguments().front(), minimum, exchange.request().remote_address);
  if (!query.ok()) return query.status();
  return std::vector<KeyQuery>{std::move(*query)};
}

absl::StatusOr<std::vector<KeyQuery>> QueriesOf(const JsonObject& content, absl::Time now,
                                                const std::string& client_address) {
  const Json* servers = content.Find("server_keys");
  if (servers == nullptr || servers->AsObject() == nullptr) {
    return Refuse(Reason::kBadJson, "server_keys: expected an object");
  }
  if (servers->AsObject()->size() > kMostServersQueried) {
    return Refuse(Reason::kInvalidArgument, fmt::format("more than {} servers in one query", kMostServersQueried));
  }
  std::vector<KeyQuery> queries;
  for (const auto& [name, criteria] : *servers->AsObject()) {
    const auto minimum = MinimumOf(criteria, now);
    if (!minimum.ok()) return minimum.status();
    auto query = QueryFor(name, *minimum, client_address);
    if (!query.ok()) return query.status();
    queries.push_back(std::move(*query));
  }
  return queries;
}

/// One query on its way: the servers it names are looked up, at most kAtOnce at a time; the last one answers.
class Lookup : public std::enable_shared_from_this<Lookup> {
 public:
  Lookup(const EventSigner& signer, KeyRing& key_ring, std::shared_ptr<Exchange> exchange,
         std::vector<KeyQuery> queries, std::vector<std::string> documents)
      : signer_(signer),
        key_ring_(key_ring),
        exchange_(std::move(exchange)),
        queries_(std::move(queries)),
        documents_(std::move(documents)) {}

  void Go() {
    for (;;) {
      std::size_t next = 0;
      {
        const std::lock_guard lock(mutex_);
        if (absl::Now() >= exchange_->received_at() + kLongestLook) next_ = queries_.size();
        if (next_ == queries_.size()) break;
        if (in_flight_ == kAtOnce) return;
        ++in_flight_;
        next = next_++;
      }
      key_ring_.Find(queries_[next], [self = shared_from_this()](const absl::StatusOr<KnownKeysPtr>& known) {
        self->Land(known);
        self->Go();
      });
    }
    AnswerIfDone();
  }

 private:
  void Land(const absl::StatusOr<KnownKeysPtr>& known) {
    std::optional<std::string> document;
    if (known.ok() && *known != nullptr) {
      if (const auto& told = (*known)->document) document = signer_.Notarise(*told);
    }
    const std::lock_guard lock(mutex_);
    --in_flight_;
    if (document) documents_.push_back(*std::move(document));
  }

  void AnswerIfDone() {
    std::string body;
    {
      const std::lock_guard lock(mutex_);
      if (in_flight_ > 0 || answered_) return;
      answered_ = true;
      body = absl::StrCat("{\"server_keys\":[", absl::StrJoin(documents_, ","), "]}");
    }
    exchange_->Answer({.status = 200, .headers = {}, .body = std::move(body)});
  }

  const EventSigner& signer_;
  KeyRing& key_ring_;
  const std::shared_ptr<Exchange> exchange_;
  const std::vector<KeyQuery> queries_;

  std::mutex mutex_;
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  bool answered_ = false;
  std::vector<std::string> documents_;
};

}  // namespace

KeyQueryRoute::KeyQueryRoute(const EventSigner& signer, KeyRing& key_ring, KeyRoute& own_keys, Clock clock)
    : signer_(signer), key_ring_(key_ring), own_keys_(own_keys), clock_(std::move(clock)) {}

void KeyQueryRoute::Serve(std::shared_ptr<Exchange> exchange, std::optional<Json> content) {
  auto queries = content ? QueriesOf(*content->AsObject(), clock_(), exchange->request().remote_address)
                         : QueriesOf(*exchange, clock_());
  if (!queries.ok()) return exchange->Refuse(queries.status());
  std::vector<std::string> documents;
  const auto ours = std::remove_if(queries->begin(), queries->end(),
                                   [&](const KeyQuery& query) { return query.server == signer_.server_name(); });
  if (ours != queries->end()) documents.push_back(own_keys_.Document());
  queries->erase(ours, queries->end());
  std::make_shared<Lookup>(signer_, key_ring_, std::move(exchange), std::move(*queries), std::move(documents))->Go();
}

}  // namespace postern::gateway
