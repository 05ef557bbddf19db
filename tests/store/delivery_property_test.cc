// Whatever senders and destinations do, each server has each event that was for it: at least once and in its room's
// order, or one that follows from it after a long outage, or it refused it; the sum is what was written (pitfalls O01,
// O02, O05, O07).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "tests/store/store_rig.h"
#include "tests/support/case_count.h"
#include "tests/support/fake_store.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Event;
using support::StoreRig;
using support::TestRoom;
using v1::DeliveryReport;

constexpr int kRooms = 3;
constexpr int kUsers = 40;  // in each room, and as many events
constexpr int kSteps = 300;
constexpr std::array kServers{"c", "d", "e"};

std::uint32_t Below(std::uint32_t limit, std::mt19937& random) { return static_cast<std::uint32_t>(random() % limit); }

/// A store under test.
class Outbox {
 public:
  virtual ~Outbox() = default;
  virtual EventStore& store() = 0;
  /// Those that fail have done so for that much longer.
  virtual void LetFailFor(absl::Duration time) = 0;
};

class RealOutbox final : public Outbox {
 public:
  EventStore& store() override { return rig_.store(); }
  void LetFailFor(absl::Duration time) override {
    rig_.Sql(
        fmt::format("update destinations set failing_since = failing_since - {}", absl::ToInt64Milliseconds(time)));
  }

 private:
  StoreRig rig_;
};

class FakeOutbox final : public Outbox {
 public:
  EventStore& store() override { return fake_; }
  void LetFailFor(absl::Duration time) override { fake_.LetFailFor(time); }

 private:
  support::FakeStore fake_{"a.example"};
};

/// What was written, and what each server has had of it. Thread-safe.
class Ledger {
 public:
  void Write(const Event& event, const std::vector<std::string>& prev) {
    const std::lock_guard lock(mutex_);
    const int place = ++places_[event.room_id()];
    written_.emplace(event.event_id(), Written{event.room_id(), place, prev});
  }

  /// A sender was given this. The same id is the same content, whoever has it.
  void Given(const v1::OutboundTransaction& transaction) {
    const std::lock_guard lock(mutex_);
    EXPECT_GT(transaction.pdus_size(), 0);
    std::string content;
    for (const auto& pdu : transaction.pdus()) content += pdu.SerializeAsString();
    const auto [known, is_new] = transactions_.emplace(transaction.transaction_id(), content);
    EXPECT_EQ(known->second, content) << "another content under the same id";
    repeats_ += is_new ? 0 : 1;
  }

  /// It is at its server, where what is new in it follows what that server has of the room.
  void Arrived(const v1::OutboundTransaction& transaction) {
    const std::lock_guard lock(mutex_);
    Standing& at = servers_[transaction.destination()];
    for (const auto& pdu : transaction.pdus()) {
      const auto written = written_.find(pdu.event_id());
      ASSERT_NE(written, written_.end());
      if (!at.arrived.insert(pdu.event_id()).second || at.parked.contains(pdu.event_id())) continue;
      int& last = at.last[written->second.room];
      EXPECT_GT(written->second.place, last) << transaction.destination();
      last = std::max(last, written->second.place);
    }
  }

  void Parked(const v1::OutboundTransaction& transaction) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(transaction.pdus_size(), 1);
    servers_[transaction.destination()].parked.insert(transaction.pdus(0).event_id());
  }

  /// That nothing is lost, at a server that the store describes so. `caught_up`: it may have had descendants only.
  void ExpectWhole(const v1::Destination& described, bool caught_up) {
    const std::lock_guard lock(mutex_);
    const Standing& at = servers_[described.destination()];
    EXPECT_EQ(described.pending(), 0);
    EXPECT_EQ(described.parked(), static_cast<std::int64_t>(at.parked.size()));
    std::set<std::string> reached;
    for (const std::string& id : at.arrived) AddAncestors(id, reached);
    for (const std::string& id : at.parked) AddAncestors(id, reached);
    std::size_t left_out = 0;
    for (const auto& [id, written] : written_) {
      if (at.arrived.contains(id) || at.parked.contains(id)) continue;
      EXPECT_TRUE(caught_up && reached.contains(id)) << id << " is lost";
      ++left_out;
    }
    const auto refused = static_cast<std::size_t>(
        std::ranges::count_if(at.parked, [&](const std::string& id) { return !at.arrived.contains(id); }));
    EXPECT_EQ(at.arrived.size() + refused + left_out, written_.size());
    had_ += at.arrived.size();
    refused_ += refused;
    left_out_ += left_out;
  }

  struct Sum {
    std::size_t written = 0, had = 0, refused = 0, left_out = 0, repeats = 0;
  };
  void AddTo(Sum& sum) const {
    sum.written += written_.size() * servers_.size();
    sum.had += had_;
    sum.refused += refused_;
    sum.left_out += left_out_;
    sum.repeats += repeats_;
  }

 private:
  struct Written {
    std::string room;
    int place = 0;
    std::vector<std::string> prev;
  };
  struct Standing {
    std::set<std::string> arrived;
    std::set<std::string> parked;
    std::map<std::string, int> last;  // by room
  };

  void AddAncestors(const std::string& id, std::set<std::string>& reached) const {
    std::vector<std::string> to_visit{id};
    while (!to_visit.empty()) {
      const auto written = written_.find(to_visit.back());
      to_visit.pop_back();
      if (written == written_.end()) continue;  // from before
      for (const std::string& prev : written->second.prev) {
        if (reached.insert(prev).second) to_visit.push_back(prev);
      }
    }
  }

  std::mutex mutex_;
  std::map<std::string, Written> written_;
  std::map<std::string, int> places_;
  std::map<std::string, std::string> transactions_;
  std::map<std::string, Standing> servers_;
  std::size_t had_ = 0, refused_ = 0, left_out_ = 0, repeats_ = 0;
};

/// Writes the events of one room.
class Writer {
 public:
  Writer(EventStore& store, Ledger& ledger, const std::string& name, const std::vector<std::string>& servers)
      : store_(store), ledger_(ledger), room_(Room(name, servers)) {
    const absl::Status created = store_.CreateRoom(Call(), support::CreateRoomRequestFor(room_));
    EXPECT_TRUE(created.ok()) << created;
    tips_.push_back(&room_.tip());
  }

  /// A leave that follows one of the last events, so that the room forks. Does nothing when everybody has left.
  void Write(std::mt19937& random) {
    if (user_ == kUsers) return;
    const std::string user = support::UserOf(user_++);
    const Event* prev = tips_.at(tips_.size() - 1 - random() % std::min<std::size_t>(tips_.size(), 3));
    matrix::JsonObject content;
    content.Set("membership", "leave");
    const Event& leave = events_.emplace_back(room_.Mint({.type = "m.room.member",
                                                          .state_key = user,
                                                          .sender = user,
                                                          .content = std::move(content),
                                                          .prev_events = {prev}}));
    ledger_.Write(leave, {prev->event_id()});  // before anybody can have it
    EXPECT_TRUE(Persist(leave));
    tips_.push_back(&leave);
  }

 private:
  static rpc::CallContext Call() { return StoreRig::Within(absl::Seconds(30)); }
  static TestRoom Room(const std::string& name, const std::vector<std::string>& servers) {
    support::RoomBuilder builder("12", fmt::format("@{}:a.example", name));
    for (int i = 0; i < kUsers; ++i) builder.Member(support::UserOf(i), "join");
    for (const std::string& server : servers) builder.Member("@far:" + server, "join");
    return builder.Build();
  }
  bool Persist(const Event& event) {
    auto context = store_.GetEventContext(Call(), support::ContextRequestFor(event));
    while (context.ok()) {
      auto answer = store_.PersistEvent(Call(), support::PersistRequestFor(event, *context));
      if (!answer.ok()) return false;
      if (answer->has_stored()) return true;
      context = answer->fresh_context();
    }
    return false;
  }

  EventStore& store_;
  Ledger& ledger_;
  const TestRoom room_;
  std::deque<Event> events_;
  std::vector<const Event*> tips_;
  int user_ = 0;
};

/// A sender as the store sees it. What a server makes of a transaction is drawn; what is told of that may be late, or
/// never come.
class Sender {
 public:
  Sender(EventStore& store, Ledger& ledger, std::string name)
      : store_(store), ledger_(ledger), name_(std::move(name)) {}

  void Lease(std::mt19937& random) {
    v1::LeaseDeliveriesRequest request;
    request.set_holder(holder());
    request.set_milliseconds(random() % 3 == 0 ? 1 : 60'000);
    for (const auto& report : reports_) request.add_busy(report.first.destination());
    request.set_most(1 + Below(3, random));
    request.set_most_of_failing(Below(4, random));
    const auto leased = store_.LeaseDeliveries(StoreRig::Within(absl::Seconds(30)), request);
    ASSERT_TRUE(leased.ok()) << leased.status();
    EXPECT_LE(leased->transactions_size(), static_cast<int>(request.most()));
    for (const auto& transaction : leased->transactions()) {
      for (const auto& busy : request.busy()) EXPECT_NE(busy, transaction.destination());
      ledger_.Given(transaction);
      reports_.emplace_back(transaction, Try(transaction, random));
    }
  }

  void Report(std::mt19937& random) {
    if (reports_.empty()) return;
    const auto chosen = reports_.begin() + static_cast<std::ptrdiff_t>(random() % reports_.size());
    v1::ReportDeliveriesRequest request;
    DeliveryReport& report = *request.add_reports();
    report.set_destination(chosen->first.destination());
    report.set_transaction_id(chosen->first.transaction_id());
    report.set_outcome(chosen->second);
    report.set_error(chosen->second == DeliveryReport::OUTCOME_DELIVERED ? "" : "drawn");
    report.set_next_try_ms(absl::ToUnixMillis(absl::Now()));
    const auto reported = store_.ReportDeliveries(StoreRig::Within(absl::Seconds(30)), request);
    ASSERT_TRUE(reported.ok()) << reported.status();
    if (reported->parked() > 0) ledger_.Parked(chosen->first);
    reports_.erase(chosen);
  }

  /// Nobody hears of what it was doing, and its leases are as good as run out.
  void Die() {
    v1::LeaseDeliveriesRequest request;
    request.set_holder(holder());
    EXPECT_TRUE(store_.LeaseDeliveries(StoreRig::Within(absl::Seconds(30)), request).ok());
    reports_.clear();
    ++lives_;
  }

  /// Sends all that waits, to servers that take everything.
  void Drain() {
    v1::LeaseDeliveriesRequest request;
    request.set_holder(holder());
    request.set_milliseconds(60'000);
    request.set_most(100);
    request.set_most_of_failing(100);
    for (;;) {
      const auto leased = store_.LeaseDeliveries(StoreRig::Within(absl::Seconds(30)), request);
      ASSERT_TRUE(leased.ok()) << leased.status();
      if (leased->transactions().empty()) return;
      for (const auto& transaction : leased->transactions()) {
        ledger_.Given(transaction);
        ledger_.Arrived(transaction);
        reports_.emplace_back(transaction, DeliveryReport::OUTCOME_DELIVERED);
      }
      std::mt19937 any;
      while (!reports_.empty()) Report(any);
    }
  }

 private:
  std::string holder() const { return fmt::format("{}-{}", name_, lives_); }

  DeliveryReport::Outcome Try(const v1::OutboundTransaction& transaction, std::mt19937& random) {
    const auto drawn = random() % 10;
    if (drawn < 6) ledger_.Arrived(transaction);
    if (drawn < 4) return DeliveryReport::OUTCOME_DELIVERED;
    if (drawn < 8) return DeliveryReport::OUTCOME_FAILED;  // with 4 and 5 only the answer was lost
    return drawn == 8 ? DeliveryReport::OUTCOME_PUT_OFF : DeliveryReport::OUTCOME_REFUSED;
  }

  EventStore& store_;
  Ledger& ledger_;
  const std::string name_;
  int lives_ = 1;
  std::vector<std::pair<v1::OutboundTransaction, DeliveryReport::Outcome>> reports_;
};

/// A case: its rooms, and servers that no other case knows.
struct Scene {
  Scene(EventStore& to, const std::string& name) : store(to) {
    for (const char* server : kServers) servers.push_back(fmt::format("{}{}.example", server, name));
    for (int i = 0; i < kRooms; ++i) writers.emplace_back(store, ledger, fmt::format("r{}-{}", name, i), servers);
  }

  void Drain() {
    Sender last(store, ledger, "last");
    last.Drain();
  }
  void ExpectWhole(bool caught_up) {
    v1::ListDestinationsRequest request;
    std::size_t found = 0;
    for (;;) {
      const auto page = store.ListDestinations(StoreRig::Within(absl::Seconds(30)), request);
      ASSERT_TRUE(page.ok()) << page.status();
      if (page->destinations().empty()) break;
      for (const v1::Destination& destination : page->destinations()) {
        request.set_after(destination.destination());
        if (std::ranges::find(servers, destination.destination()) == servers.end()) continue;
        ledger.ExpectWhole(destination, caught_up);
        ++found;
      }
    }
    EXPECT_EQ(found, servers.size());
  }

  EventStore& store;
  Ledger ledger;
  std::vector<std::string> servers;
  std::deque<Writer> writers;
};

struct OutboxMaker {
  const char* name;
  std::unique_ptr<Outbox> (*make)();
  /// Of cases.
  int count;
};

void Print(const Ledger::Sum& sum) {
  std::cout << fmt::format(
      "{} deliveries: {} had, {} refused, {} left to what follows from them; {} transactions repeated\n", sum.written,
      sum.had, sum.refused, sum.left_out, sum.repeats);
}

class EveryDelivery : public testing::TestWithParam<OutboxMaker> {};

TEST_P(EveryDelivery, IsMadeOrCounted) {
  const auto outbox = GetParam().make();
  Ledger::Sum sum;
  for (int seed = 1; seed <= support::CaseCount(GetParam().count); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(static_cast<std::uint32_t>(seed));
    const bool with_long_outages = seed % 2 == 0;
    Scene scene(outbox->store(), std::to_string(seed));
    std::vector<Sender> senders;
    for (const char* name : {"one", "two"}) senders.emplace_back(outbox->store(), scene.ledger, name);
    for (int step = 0; step < kSteps; ++step) {
      Sender& sender = senders[random() % senders.size()];
      const auto drawn = random() % 100;
      if (drawn < 40) {
        scene.writers[random() % kRooms].Write(random);
      } else if (drawn < 65) {
        sender.Lease(random);
      } else if (drawn < 92) {
        sender.Report(random);
      } else if (drawn < 96) {
        sender.Die();
      } else if (with_long_outages) {
        outbox->LetFailFor(absl::Hours(2));
      }
    }
    for (Sender& sender : senders) sender.Die();
    scene.Drain();
    scene.ExpectWhole(with_long_outages);
    if (HasFailure()) return;
    scene.ledger.AddTo(sum);
  }
  Print(sum);
}

// Threads, so that commits, leases and reports overlap as they may in PostgreSQL.
TEST_P(EveryDelivery, IsMadeOrCountedWhereAllHappensAtOnce) {
  const auto outbox = GetParam().make();
  Ledger::Sum sum;
  for (int seed = 1; seed <= support::CaseCount(5); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Scene scene(outbox->store(), fmt::format("t{}", seed));
    std::deque<Sender> senders;
    for (const char* name : {"one", "two", "three"}) senders.emplace_back(outbox->store(), scene.ledger, name);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kRooms; ++i) {
        threads.emplace_back([&, i] {
          std::mt19937 random(static_cast<std::uint32_t>(seed * 100 + i));
          for (int event = 0; event < kUsers; ++event) scene.writers[static_cast<std::size_t>(i)].Write(random);
        });
      }
      for (std::size_t i = 0; i < senders.size(); ++i) {
        threads.emplace_back([&, i] {
          std::mt19937 random(static_cast<std::uint32_t>(seed * 100 + 50) + static_cast<std::uint32_t>(i));
          for (int step = 0; step < kSteps / 2; ++step) {
            const auto drawn = random() % 10;
            if (drawn < 5) {
              senders[i].Lease(random);
            } else if (drawn < 9) {
              senders[i].Report(random);
            } else {
              senders[i].Die();
            }
          }
        });
      }
    }
    for (Sender& sender : senders) sender.Die();
    scene.Drain();
    scene.ExpectWhole(/*caught_up=*/false);
    if (HasFailure()) return;
    scene.ledger.AddTo(sum);
  }
  Print(sum);
}

INSTANTIATE_TEST_SUITE_P(
    Stores, EveryDelivery,
    testing::Values(OutboxMaker{"Real", []() -> std::unique_ptr<Outbox> { return std::make_unique<RealOutbox>(); }, 10},
                    OutboxMaker{"Fake", []() -> std::unique_ptr<Outbox> { return std::make_unique<FakeOutbox>(); },
                                100}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::store
