#include "services/gateway/key_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/refusal.h"
#include "telemetry/log.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr absl::Duration kFurthestBelief = absl::Hours(7 * 24);
constexpr absl::Duration kStoreTimeout = absl::Seconds(2);
constexpr std::string_view kDirect = "direct";

store::v1::StoredServerKeys ToStored(const KnownKeys& known) {
  store::v1::StoredServerKeys stored;
  stored.set_server_name(known.keys.server_name);
  stored.set_valid_until_ms(absl::ToUnixMillis(known.keys.valid_until));
  stored.set_fetched_at_ms(absl::ToUnixMillis(known.fetched_at));
  stored.set_from(known.from);
  if (known.document) stored.set_document(known.document->text());
  for (const matrix::VerifyKey& key : known.keys.keys) {
    auto* out = stored.add_keys();
    out->set_key_id(key.key_id);
    out->set_public_key(key.public_key);
    if (key.expired) out->set_expired_ms(absl::ToUnixMillis(*key.expired));
  }
  return stored;
}

rpc::CallContext BackgroundCall(absl::Duration timeout) { return {absl::Now() + timeout, telemetry::NewTrace()}; }

}  // namespace

KnownKeysPtr KeysOf(const store::v1::StoredServerKeys& stored) {
  auto known = std::make_shared<KnownKeys>();
  known->keys.server_name = stored.server_name();
  known->keys.valid_until = absl::FromUnixMillis(stored.valid_until_ms());
  known->fetched_at = absl::FromUnixMillis(stored.fetched_at_ms());
  for (const auto& key : stored.keys()) {
    if (matrix::IsKnownBadKey(key.public_key())) continue;
    std::optional<absl::Time> expired;
    if (key.has_expired_ms()) expired = absl::FromUnixMillis(key.expired_ms());
    known->keys.keys.push_back({key.key_id(), key.public_key(), expired});
  }
  known->from = stored.from();
  const auto server = matrix::ServerName::Parse(stored.server_name());
  if (server.ok() && !stored.document().empty()) {
    if (auto proved = ReadKeyDocument(stored.document(), *server); proved.ok()) known->document = proved->document;
  }
  return known;
}

absl::Time KnownKeys::believed_until() const { return std::min(keys.valid_until, fetched_at + kFurthestBelief); }

const matrix::VerifyKey* KnownKeys::Current(std::string_view key_id, absl::Time now) const {
  if (believed_until() < now) return nullptr;
  for (const matrix::VerifyKey& key : keys.keys) {
    if (key.key_id == key_id && !key.expired) return &key;
  }
  return nullptr;
}

KeyRing::KeyRing(StoreClient& store, KeySource& source, rpc::WorkerPool& fetchers, Clock clock,
                 telemetry::Metrics& metrics, KeyRingLimits limits)
    : store_(store),
      source_(source),
      fetchers_(fetchers),
      clock_(std::move(clock)),
      metrics_(metrics),
      limits_(limits) {}

void KeyRing::Find(const KeyQuery& query, Then then) {
  std::optional<absl::StatusOr<KnownKeysPtr>> answer;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = Touch(query.server.text());
    answer = AnswerNow(entry, query, clock_());
    if (!answer) {
      if (absl::Status status = Board(entry, query, then, first); !status.ok()) answer = std::move(status);
    }
  }
  if (answer) return then(std::move(*answer));
  if (first && !fetchers_.Post([this, query] { Fly(query); })) Land(query);
}

absl::StatusOr<KnownKeysPtr> KeyRing::Wait(const KeyQuery& query, absl::Time deadline) {
  struct Box {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<absl::StatusOr<KnownKeysPtr>> answer;
  };
  auto box = std::make_shared<Box>();  // outlives a wait that was given up
  Find(query, [box](absl::StatusOr<KnownKeysPtr> answer) {
    const std::lock_guard lock(box->mutex);
    box->answer = std::move(answer);
    box->filled.notify_all();
  });
  std::unique_lock lock(box->mutex);
  box->filled.wait_until(lock, absl::ToChronoTime(deadline), [&] { return box->answer.has_value(); });
  std::optional<absl::StatusOr<KnownKeysPtr>> answer = std::move(box->answer);
  if (!answer) {
    return Refuse(Reason::kOriginKeyUnavailable,
                  fmt::format("the keys of {} did not come in time", query.server.text()));
  }
  return *std::move(answer);
}

KeyRing::Entry& KeyRing::Touch(const std::string& server) {
  auto found = entries_.find(server);
  if (found != entries_.end()) {
    by_age_.splice(by_age_.end(), by_age_, found->second.age);
    return found->second;
  }
  for (auto oldest = by_age_.begin(); entries_.size() >= limits_.max_servers && oldest != by_age_.end();) {
    const auto entry = entries_.find(*oldest);
    if (entry->second.in_flight) {
      ++oldest;
      continue;
    }
    entries_.erase(entry);
    oldest = by_age_.erase(oldest);
  }
  Entry& entry = entries_[server];
  entry.age = by_age_.insert(by_age_.end(), server);
  return entry;
}

bool KeyRing::Suffices(const Entry& entry, const KeyQuery& query, absl::Time now) const {
  if (entry.known == nullptr) return false;
  if (query.use == KeyUse::kDocument) {
    return entry.known->document && entry.known->keys.valid_until >= query.valid_until_at_least;
  }
  return std::any_of(query.key_ids.begin(), query.key_ids.end(), [&](const std::string& key_id) {
    if (query.use == KeyUse::kRequest) return entry.known->Current(key_id, now) != nullptr;
    const auto& keys = entry.known->keys.keys;
    return std::any_of(keys.begin(), keys.end(), [&](const matrix::VerifyKey& key) { return key.key_id == key_id; });
  });
}

std::optional<absl::StatusOr<KnownKeysPtr>> KeyRing::AnswerNow(Entry& entry, const KeyQuery& query, absl::Time now) {
  if (Suffices(entry, query, now)) return entry.known;
  if (entry.in_flight || !entry.looked_in_store) return std::nullopt;
  if (now < entry.no_fetch_before) {
    if (query.use == KeyUse::kDocument && entry.known != nullptr) return entry.known;
    return Refuse(Reason::kOriginKeyUnavailable, entry.last_error);
  }
  const bool fresh = entry.known != nullptr && entry.known->believed_until() >= now;
  // The document is good, the key is not in it: asking again would be no use.
  if (fresh && now < entry.asked_for_unknown + limits_.unknown_key_interval) return entry.known;
  return std::nullopt;
}

absl::Status KeyRing::Board(Entry& entry, const KeyQuery& query, Then& then, bool& first) {
  const std::string& server = query.server.text();
  if (entry.in_flight) {
    Flight& flight = flights_[server];
    if (flight.waiters.size() >= limits_.max_waiting_per_flight) {
      return Refuse(Reason::kOriginKeyUnavailable, fmt::format("too many requests wait for the keys of {}", server));
    }
    flight.waiters.push_back({query, std::move(then)});
    return absl::OkStatus();
  }
  const auto from_here = flights_by_address_.find(query.client_address);
  if (flights_.size() >= limits_.max_flights ||
      (from_here != flights_by_address_.end() && from_here->second >= limits_.max_flights_per_address)) {
    metrics_.Count("postern_gateway_key_fetches_total", {{"result", "over_the_cap"}});
    return Refuse(Reason::kOriginKeyUnavailable, "too many keys are being fetched");
  }
  first = true;
  entry.in_flight = true;
  ++flights_by_address_[query.client_address];
  Flight& flight = flights_[server];
  flight.client_address = query.client_address;
  flight.waiters.push_back({query, std::move(then)});
  return absl::OkStatus();
}

void KeyRing::Fly(const KeyQuery& query) {
  LookInStore(query);
  bool ask = false;
  {
    const std::lock_guard lock(mutex_);
    const Entry& entry = entries_.at(query.server.text());
    const absl::Time now = clock_();
    ask = !Suffices(entry, query, now) && now >= entry.no_fetch_before;
  }
  if (ask) AskSource(query);
  Land(query);
}

void KeyRing::LookInStore(const KeyQuery& query) {
  {
    const std::lock_guard lock(mutex_);
    if (entries_.at(query.server.text()).looked_in_store) return;
  }
  store::v1::GetServerKeysRequest request;
  request.add_server_names(query.server.text());
  const auto response = store_.GetServerKeys(BackgroundCall(kStoreTimeout), request);
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(query.server.text());
  if (!response.ok() || entry.looked_in_store) return;  // asked again next time; or forgotten meanwhile
  entry.looked_in_store = true;
  if (response->servers().empty()) return;
  entry.known = KeysOf(response->servers(0));
  entry.in_store = true;
}

bool KeyRing::Take(Entry& entry, FetchedKeys fetched, absl::Time now) {
  const bool current = fetched.keys.valid_until > now;
  const bool newer = entry.known == nullptr || fetched.keys.valid_until > entry.known->keys.valid_until;
  // A notary may hold what the server has given up since; the server itself is believed whatever it said before.
  if (newer || (current && fetched.from == kDirect)) {
    entry.known = std::make_shared<KnownKeys>(
        KnownKeys{std::move(fetched.keys), now, std::move(fetched.from), std::move(fetched.document)});
    entry.in_store = false;
  }
  return current;
}

void KeyRing::AskSource(const KeyQuery& query) {
  auto fetched = source_.FetchKeys(query.server, limits_.fetch_timeout);
  metrics_.Count("postern_gateway_key_fetches_total",
                 {{"result", !fetched.ok() ? "failed" : (fetched->from == kDirect ? "ok" : "by_notary")}});
  std::string why_not = fetched.ok() ? "only keys that are over their time could be had"
                                     : std::string(matrix::DetailOf(fetched.status()));
  const absl::Time now = clock_();
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(query.server.text());
  if (fetched.ok() && Take(entry, *std::move(fetched), now)) {
    entry.last_error.clear();
    entry.backoff = absl::ZeroDuration();
    entry.no_fetch_before = absl::InfinitePast();
    if (!Suffices(entry, query, now)) entry.asked_for_unknown = now;
    return;
  }
  // A failed refresh never replaces what is known (pitfall K05).
  entry.last_error = std::move(why_not);
  entry.backoff = entry.backoff == absl::ZeroDuration() ? limits_.first_backoff
                                                        : std::min(entry.backoff * 2, limits_.longest_backoff);
  entry.no_fetch_before = now + entry.backoff;
  telemetry::Log(telemetry::Level::kWarning, "a server's keys could not be fetched",
                 {{"origin", query.server.text()}, {"reason", entry.last_error}, {"retry_in_ms", entry.backoff}});
}

void KeyRing::Land(const KeyQuery& query) {
  std::vector<std::pair<Then, absl::StatusOr<KnownKeysPtr>>> answers;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_.at(query.server.text());
    const absl::Time now = clock_();
    const bool failed = now < entry.no_fetch_before || entry.known == nullptr;
    entry.in_flight = false;
    auto flight = flights_.extract(query.server.text());
    const auto address = flights_by_address_.find(flight.mapped().client_address);
    if (--address->second == 0) flights_by_address_.erase(address);
    for (Waiter& waiter : flight.mapped().waiters) {
      const bool over_its_time_will_do = waiter.query.use == KeyUse::kDocument && entry.known != nullptr;
      if (Suffices(entry, waiter.query, now) || over_its_time_will_do || !failed) {
        answers.emplace_back(std::move(waiter.then), entry.known);
      } else {
        const std::string why = entry.last_error.empty() ? "too many keys are being fetched" : entry.last_error;
        answers.emplace_back(std::move(waiter.then), Refuse(Reason::kOriginKeyUnavailable, why));
      }
    }
  }
  for (auto& [then, answer] : answers) then(std::move(answer));
}

void KeyRing::Keep(const matrix::ServerName& server) {
  KnownKeysPtr known;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(server.text());
    if (found == entries_.end() || found->second.known == nullptr || found->second.in_store) return;
    found->second.in_store = true;
    known = found->second.known;
  }
  if (fetchers_.Post([this, name = server.text(), known] { Save(name, known); })) return;
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(server.text()); found != entries_.end()) found->second.in_store = false;
}

KeyStanding KeyRing::StandingOf(const matrix::ServerName& server) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(server.text());
  if (found == entries_.end()) return {nullptr, "", absl::InfinitePast()};
  return {found->second.known, found->second.last_error, found->second.no_fetch_before};
}

absl::Status KeyRing::Forget(const rpc::CallContext& call, const matrix::ServerName& server) {
  store::v1::PutServerKeysRequest request;  // without keys: nothing is known of it
  request.add_servers()->set_server_name(server.text());
  const absl::Status status = store_.PutServerKeys(call, request);
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(server.text());
  if (found == entries_.end()) return status;
  Entry& entry = found->second;
  entry.known = nullptr;
  entry.in_store = false;
  entry.looked_in_store = status.ok();
  entry.asked_for_unknown = absl::InfinitePast();
  entry.no_fetch_before = absl::InfinitePast();
  entry.backoff = absl::ZeroDuration();
  entry.last_error.clear();
  return status;
}

void KeyRing::Save(const std::string& server, const KnownKeysPtr& known) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(server);
    if (found != entries_.end() && found->second.known != known) return;  // newer ones came, or it was forgotten
  }
  store::v1::PutServerKeysRequest request;
  *request.add_servers() = ToStored(*known);
  const absl::Status status = store_.PutServerKeys(BackgroundCall(kStoreTimeout), request);
  if (status.ok()) return;
  telemetry::Log(telemetry::Level::kWarning, "a server's keys could not be kept",
                 {{"origin", server}, {"reason", matrix::DetailOf(status)}});
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(server);
  if (found != entries_.end() && found->second.known == known) found->second.in_store = false;
}

}  // namespace postern::gateway
