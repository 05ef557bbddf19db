// Memory, then the store, then the server itself: once, bounded, and never for ever (pitfalls K03, K05, S09, X07).
#include "services/gateway/key_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/gateway/remote_server.h"
#include "tests/gateway/scripted_peers.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

class KeyRingTest : public testing::Test {
 protected:
  explicit KeyRingTest(KeyRingLimits limits = {})
      : ring_(
            store_, source_, fetchers_, [this] { return clock_.now(); }, metrics_, limits) {
    source_.Set(remote_.Keys(kStart + absl::Hours(24)));
  }
  ~KeyRingTest() override {
    source_.Open();
    fetchers_.Drain();  // what flies uses the ring
  }

  static KeyQuery Query(std::string_view server = kRemoteName, std::string_view key_id = "ed25519:r1",
                        std::string_view address = "192.0.2.1") {
    return {*matrix::ServerName::Parse(server), {std::string(key_id)}, KeyUse::kRequest, std::string(address)};
  }
  absl::StatusOr<KnownKeysPtr> Ask(const KeyQuery& query = Query()) {
    return ring_.Wait(query, absl::Now() + absl::Seconds(20));
  }
  bool Has(const absl::StatusOr<KnownKeysPtr>& known, std::string_view key_id = "ed25519:r1") {
    return known.ok() && (*known)->Current(key_id, clock_.now()) != nullptr;
  }

  StandingClock clock_{kStart};
  const RemoteServer remote_;
  telemetry::Metrics metrics_;
  ScriptedStore store_;
  ScriptedKeySource source_;
  rpc::WorkerPool fetchers_{4, 64};
  KeyRing ring_;
};

TEST_F(KeyRingTest, FetchesOnceAndRemembers) {
  EXPECT_TRUE(Has(Ask()));
  EXPECT_TRUE(Has(Ask()));
  EXPECT_EQ(source_.fetches(), 1);
  EXPECT_EQ(store_.key_reads(), 1);
}

TEST_F(KeyRingTest, TakesFromTheStoreBeforeItAsksTheServer) {
  ring_.Keep(Query().server);  // nothing is known: nothing is kept
  ASSERT_TRUE(Ask().ok());
  EXPECT_EQ(store_.key_writes(), 0);  // not before a request has passed row 8
  ring_.Keep(Query().server);
  ring_.Keep(Query().server);
  fetchers_.Drain();
  EXPECT_EQ(store_.key_writes(), 1);

  KeyRing another(
      store_, source_, fetchers_, [this] { return clock_.now(); }, metrics_);
  EXPECT_TRUE(Has(another.Wait(Query(), absl::Now() + absl::Seconds(20))));
  EXPECT_EQ(source_.fetches(), 1);
  another.Keep(Query().server);
  fetchers_.Drain();
  EXPECT_EQ(store_.key_writes(), 1);
}

TEST_F(KeyRingTest, ManyWhoAskAtOnceCostOneFetch) {
  source_.Close();
  std::atomic<int> answered = 0;
  for (int i = 0; i < 100; ++i) {
    ring_.Find(Query(), [&](absl::StatusOr<KnownKeysPtr> known) { answered += Has(known) ? 1 : 0; });
  }
  source_.WaitUntilAsked(1);
  EXPECT_EQ(answered, 0);
  source_.Open();
  fetchers_.Drain();
  EXPECT_EQ(answered, 100);
  EXPECT_EQ(source_.fetches(), 1);
}

TEST_F(KeyRingTest, AFailureIsRememberedForAWhileThatGrows) {
  source_.Remove(remote_.name());
  EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kOriginKeyUnavailable);
  EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kOriginKeyUnavailable);
  EXPECT_EQ(source_.fetches(), 1);
  clock_.Advance(KeyRingLimits().first_backoff);
  EXPECT_FALSE(Ask().ok());
  EXPECT_EQ(source_.fetches(), 2);
  clock_.Advance(KeyRingLimits().first_backoff);
  EXPECT_FALSE(Ask().ok());  // twice as long now
  EXPECT_EQ(source_.fetches(), 2);
  source_.Set(remote_.Keys(kStart + absl::Hours(24)));
  clock_.Advance(KeyRingLimits().longest_backoff);
  EXPECT_TRUE(Has(Ask()));
}

TEST_F(KeyRingTest, BackOffHoldsWhileTheStoreIsAwayToo) {
  store_.on_keys = matrix::Refuse(Reason::kStoreDown, "away");
  source_.Remove(remote_.name());
  EXPECT_FALSE(Ask().ok());
  EXPECT_FALSE(Ask().ok());
  EXPECT_EQ(source_.fetches(), 1);
}

TEST_F(KeyRingTest, AnUnknownKeyIdCostsOneFetchInFiveMinutes) {
  ASSERT_TRUE(Has(Ask()));
  EXPECT_FALSE(Has(Ask(Query(kRemoteName, "ed25519:unknown")), "ed25519:unknown"));
  EXPECT_EQ(source_.fetches(), 2);
  for (int i = 0; i < 10; ++i) {
    const auto known = Ask(Query(kRemoteName, "ed25519:unknown" + std::to_string(i)));
    EXPECT_TRUE(known.ok());  // the document is good, the key is not in it
  }
  EXPECT_EQ(source_.fetches(), 2);
  clock_.Advance(absl::Minutes(5));
  ASSERT_TRUE(Ask(Query(kRemoteName, "ed25519:unknown")).ok());
  EXPECT_EQ(source_.fetches(), 3);
}

TEST_F(KeyRingTest, ANewKeyIsFoundAndTheOldOneNoLongerAuthenticates) {
  ASSERT_TRUE(Has(Ask()));
  matrix::ServerKeys rolled = RemoteServer(kRemoteName, 's', "ed25519:r2").Keys(kStart + absl::Hours(24));
  rolled.keys.push_back({"ed25519:r1", remote_.key().public_key(), kStart});
  source_.Set(rolled);
  EXPECT_TRUE(Has(Ask(Query(kRemoteName, "ed25519:r2")), "ed25519:r2"));
  const auto known = Ask(Query());
  EXPECT_FALSE(Has(known));
  KeyQuery for_event = Query();
  for_event.use = KeyUse::kEvent;  // old events may still be by it
  const int before = source_.fetches();
  EXPECT_TRUE(Ask(for_event).ok());
  EXPECT_EQ(source_.fetches(), before);
}

TEST_F(KeyRingTest, ADocumentIsBelievedForSevenDaysAtMost) {
  source_.Set(remote_.Keys(kStart + absl::Hours(24 * 365)));
  ASSERT_TRUE(Has(Ask()));
  clock_.Advance(absl::Hours(24 * 7));
  ASSERT_TRUE(Has(Ask()));
  EXPECT_EQ(source_.fetches(), 1);
  clock_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(Has(Ask()));
  EXPECT_EQ(source_.fetches(), 2);
}

TEST_F(KeyRingTest, AFailedRefreshKeepsWhatWasKnownForEvents) {
  ASSERT_TRUE(Has(Ask()));
  clock_.Advance(absl::Hours(25));
  source_.Remove(remote_.name());
  EXPECT_FALSE(Ask().ok());
  KeyQuery for_event = Query();
  for_event.use = KeyUse::kEvent;
  const auto known = Ask(for_event);
  ASSERT_TRUE(known.ok());
  EXPECT_EQ((*known)->keys.keys.size(), 1U);
}

FetchedKeys FromNotary(const RemoteServer& server, absl::Time valid_until) {
  auto fetched = *ReadKeyDocument(server.KeyDocument(valid_until), *matrix::ServerName::Parse(server.name()));
  fetched.from = "notary.example";
  return fetched;
}

TEST_F(KeyRingTest, WhatANotarySaysDoesNotReplaceWhatIsNewer) {
  ASSERT_TRUE(Has(Ask()));
  source_.Set(FromNotary(RemoteServer(kRemoteName, 'o', "ed25519:r0"), kStart + absl::Hours(23)));
  EXPECT_FALSE(Has(Ask(Query(kRemoteName, "ed25519:unknown")), "ed25519:unknown"));
  EXPECT_EQ(source_.fetches(), 2);
  EXPECT_TRUE(Has(Ask()));
  EXPECT_EQ(source_.fetches(), 2);
}

TEST_F(KeyRingTest, KeysOverTheirTimeServeEventsAndNotariesButNoRequest) {
  source_.Set(FromNotary(remote_, kStart - absl::Hours(1)));
  EXPECT_EQ(matrix::ReasonOf(Ask().status()), Reason::kOriginKeyUnavailable);
  KeyQuery for_event = Query();
  for_event.use = KeyUse::kEvent;
  EXPECT_TRUE(Ask(for_event).ok());
  KeyQuery document = Query();
  document.use = KeyUse::kDocument;
  document.valid_until_at_least = kStart;
  const auto known = Ask(document);
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_TRUE((*known)->document);
  EXPECT_EQ(source_.fetches(), 1);  // none of it costs another while it backs off
}

TEST_F(KeyRingTest, ADocumentThatEndsTooSoonIsFetchedAgain) {
  source_.Set(FromNotary(remote_, kStart + absl::Hours(1)));
  ASSERT_TRUE(Has(Ask()));
  KeyQuery document = Query();
  document.use = KeyUse::kDocument;
  document.valid_until_at_least = kStart + absl::Hours(1);
  EXPECT_TRUE(Ask(document).ok());
  EXPECT_EQ(source_.fetches(), 1);
  document.valid_until_at_least = kStart + absl::Hours(2);
  EXPECT_EQ((*Ask(document))->keys.valid_until, kStart + absl::Hours(1));  // better than nothing
  EXPECT_EQ(source_.fetches(), 2);
  EXPECT_TRUE(Ask(document).ok());
  EXPECT_EQ(source_.fetches(), 2);  // once in five minutes, like an unknown key
}

TEST_F(KeyRingTest, KeepsTheDocumentAndWhomItCameFrom) {
  source_.Set(FromNotary(remote_, kStart + absl::Hours(1)));
  ASSERT_TRUE(Ask().ok());
  ring_.Keep(Query().server);
  fetchers_.Drain();
  const auto stored = store_.keys().at(remote_.name());
  EXPECT_EQ(stored.from(), "notary.example");
  EXPECT_EQ(KeysOf(stored)->document->text(), matrix::CanonicalJson(remote_.KeyDocument(kStart + absl::Hours(1))));
}

TEST_F(KeyRingTest, ForgetsAServerHereAndInTheStore) {
  ASSERT_TRUE(Has(Ask()));
  ring_.Keep(Query().server);
  fetchers_.Drain();
  ASSERT_EQ(store_.keys().size(), 1U);
  const rpc::CallContext call{absl::Now() + absl::Seconds(20), telemetry::NewTrace()};
  EXPECT_TRUE(ring_.Forget(call, Query().server).ok());
  EXPECT_THAT(store_.keys(), testing::IsEmpty());
  EXPECT_EQ(ring_.StandingOf(Query().server).known, nullptr);
}

TEST_F(KeyRingTest, ForgettingEndsABackOff) {
  source_.Remove(remote_.name());
  ASSERT_FALSE(Ask().ok());
  EXPECT_THAT(ring_.StandingOf(Query().server).last_error, testing::HasSubstr("no such server"));
  EXPECT_GT(ring_.StandingOf(Query().server).no_fetch_before, kStart);
  source_.Set(remote_.Keys(kStart + absl::Hours(24)));
  const rpc::CallContext call{absl::Now() + absl::Seconds(20), telemetry::NewTrace()};
  ASSERT_TRUE(ring_.Forget(call, Query().server).ok());
  EXPECT_TRUE(Has(Ask()));
}

class KeyRingCaps : public KeyRingTest {
 protected:
  KeyRingCaps()
      : KeyRingTest({.max_servers = 3, .max_flights = 3, .max_flights_per_address = 2, .max_waiting_per_flight = 2}) {}

  /// The Reason why a flight was not begun, or nullopt if it was.
  std::optional<Reason> Begin(std::string_view server, std::string_view address) {
    auto answered = std::make_shared<std::optional<Reason>>();
    ring_.Find(Query(server, "ed25519:r1", address),
               [answered](absl::StatusOr<KnownKeysPtr> known) { *answered = matrix::ReasonOf(known.status()); });
    return *answered;
  }
};

TEST_F(KeyRingCaps, HoldForAllForAnAddressAndForAFlight) {
  source_.Close();
  EXPECT_EQ(Begin("a.example", "192.0.2.1"), std::nullopt);
  EXPECT_EQ(Begin("b.example", "192.0.2.1"), std::nullopt);
  EXPECT_EQ(Begin("c.example", "192.0.2.1"), Reason::kOriginKeyUnavailable);
  EXPECT_EQ(Begin("c.example", "192.0.2.2"), std::nullopt);
  EXPECT_EQ(Begin("d.example", "192.0.2.3"), Reason::kOriginKeyUnavailable);
  EXPECT_EQ(Begin("a.example", "192.0.2.3"), std::nullopt);  // joins the flight
  EXPECT_EQ(Begin("a.example", "192.0.2.3"), Reason::kOriginKeyUnavailable);
  source_.WaitUntilAsked(3);
  source_.Open();
  fetchers_.Drain();
  source_.Close();
  EXPECT_EQ(Begin("d.example", "192.0.2.1"), std::nullopt);  // room again
}

TEST_F(KeyRingCaps, MemoryHoldsOnlySoManyServers) {
  for (const char letter : {'a', 'b', 'c', 'd', 'e'}) {
    const std::string name = std::string(1, letter) + ".example";
    source_.Set(RemoteServer(name).Keys(kStart + absl::Hours(1)));
    EXPECT_TRUE(Has(Ask(Query(name))));
  }
  EXPECT_EQ(source_.fetches(), 5);
  EXPECT_TRUE(Has(Ask(Query("e.example"))));
  EXPECT_EQ(source_.fetches(), 5);
  EXPECT_TRUE(Has(Ask(Query("a.example"))));  // forgotten, and not in the store
  EXPECT_EQ(source_.fetches(), 6);
}

TEST_F(KeyRingTest, GivesUpAtTheDeadline) {
  source_.Close();
  const auto known = ring_.Wait(Query(), absl::Now() + absl::Milliseconds(20));
  EXPECT_EQ(matrix::ReasonOf(known.status()), Reason::kOriginKeyUnavailable);
}

}  // namespace
}  // namespace postern::gateway
