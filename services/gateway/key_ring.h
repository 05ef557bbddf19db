// Other servers' keys: memory, then the store, then the server itself or a notary (pitfalls K03, K05, S09, X07).
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/server_name.h"
#include "matrix/signature.h"
#include "rpc/call_context.h"
#include "rpc/worker_pool.h"
#include "services/gateway/clock.h"
#include "services/gateway/key_document.h"
#include "services/gateway/key_source.h"
#include "services/gateway/store_client.h"
#include "telemetry/metrics.h"

namespace postern::gateway {

/// What is known of one server's keys.
struct KnownKeys {
  matrix::ServerKeys keys;
  absl::Time fetched_at;
  /// "direct", or the name of the notary they came from.
  std::string from = "direct";
  /// What proves them, for passing on.
  std::optional<KeyDocument> document;

  /// Until when requests may be authenticated with them: the document's own time, at most 7 days from when it was
  /// fetched.
  absl::Time believed_until() const;
  /// The key of that id that is current at `now`; nullptr for an old, an expired or an unknown one.
  const matrix::VerifyKey* Current(std::string_view key_id, absl::Time now) const;
};
using KnownKeysPtr = std::shared_ptr<const KnownKeys>;

/// As the store has them; keys that are known to the world are left out.
KnownKeysPtr KeysOf(const store::v1::StoredServerKeys& stored);

/// What a key is wanted for.
enum class KeyUse {
  kRequest,   // only a current key will do
  kEvent,     // one of old_verify_keys is as good
  kDocument,  // for passing on: what is over its time is better than nothing (pitfall K05)
};

struct KeyQuery {
  matrix::ServerName server;
  /// Any one of these is enough. Not looked at for kDocument.
  std::vector<std::string> key_ids;
  KeyUse use = KeyUse::kRequest;
  /// Whose request costs the fetch.
  std::string client_address;
  /// kDocument: how long the document must hold; if it does not, a newer one is looked for.
  absl::Time valid_until_at_least = absl::InfinitePast();
};

/// What an operator wants to know of one server's keys.
struct KeyStanding {
  KnownKeysPtr known;          // nullptr: none in memory
  std::string last_error;      // of the last fetch, if that failed
  absl::Time no_fetch_before;  // while it lies ahead, nobody is asked
};

struct KeyRingLimits {
  std::size_t max_servers = 10000;  // in memory
  std::size_t max_flights = 64;     // servers being asked, or waiting to be asked
  std::size_t max_flights_per_address = 8;
  std::size_t max_waiting_per_flight = 256;
  absl::Duration fetch_timeout = absl::Seconds(10);
  absl::Duration unknown_key_interval = absl::Minutes(5);
  absl::Duration first_backoff = absl::Seconds(2);
  absl::Duration longest_backoff = absl::Minutes(5);
};

/// Thread-safe. `fetchers` are threads of its own, for they wait for other servers.
class KeyRing {
 public:
  /// OK: what the server says of its keys; the ids asked for need not be among them. kOriginKeyUnavailable: they could
  /// not be had just now, and why.
  using Then = std::function<void(absl::StatusOr<KnownKeysPtr>)>;

  KeyRing(StoreClient& store, KeySource& source, rpc::WorkerPool& fetchers, Clock clock, telemetry::Metrics& metrics,
          KeyRingLimits limits = {});

  /// Calls `then` once: at once, on this thread, if nothing has to be asked for; else later on one of the fetchers,
  /// where it must not stay.
  void Find(const KeyQuery& query, Then then);

  /// The same for a caller that may block, at most until `deadline`.
  absl::StatusOr<KnownKeysPtr> Wait(const KeyQuery& query, absl::Time deadline);

  /// To be called once a request of `server` has passed row 8: what was fetched for it goes to the store (once, in the
  /// background).
  void Keep(const matrix::ServerName& server);

  /// What is in memory.
  KeyStanding StandingOf(const matrix::ServerName& server);
  /// Drops what is known of `server`, failures too, here and in the store: the next request of it costs a fetch.
  /// Refuses: what the store refuses; then memory is empty all the same (pitfall K06).
  absl::Status Forget(const rpc::CallContext& call, const matrix::ServerName& server);

 private:
  struct Entry {
    KnownKeysPtr known;
    bool in_store = false;
    bool looked_in_store = false;
    absl::Time asked_for_unknown = absl::InfinitePast();
    absl::Time no_fetch_before = absl::InfinitePast();
    absl::Duration backoff;
    std::string last_error;
    bool in_flight = false;
    std::list<std::string>::iterator age;
  };
  struct Waiter {
    KeyQuery query;
    Then then;
  };
  struct Flight {
    std::string client_address;
    std::vector<Waiter> waiters;
  };

  bool Suffices(const Entry& entry, const KeyQuery& query, absl::Time now) const;
  Entry& Touch(const std::string& server);
  /// An answer that needs no flight, or nullopt.
  std::optional<absl::StatusOr<KnownKeysPtr>> AnswerNow(Entry& entry, const KeyQuery& query, absl::Time now);
  absl::Status Board(Entry& entry, const KeyQuery& query, Then& then, bool& first);
  void Fly(const KeyQuery& query);
  void LookInStore(const KeyQuery& query);
  void AskSource(const KeyQuery& query);
  /// Takes what was fetched, unless what is known is better. Returns whether it can authenticate anything now.
  bool Take(Entry& entry, FetchedKeys fetched, absl::Time now);
  void Land(const KeyQuery& query);
  void Save(const std::string& server, const KnownKeysPtr& known);

  StoreClient& store_;
  KeySource& source_;
  rpc::WorkerPool& fetchers_;
  const Clock clock_;
  telemetry::Metrics& metrics_;
  const KeyRingLimits limits_;

  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> by_age_;  // the longest unused first
  std::map<std::string, Flight> flights_;
  std::map<std::string, std::size_t> flights_by_address_;
};

}  // namespace postern::gateway
