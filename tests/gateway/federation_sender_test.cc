// From what is due in the store to another server and back, with a real request over TLS (pitfalls O02, O06, O08).
#include "services/gateway/federation_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>

#include "absl/time/clock.h"
#include "tests/gateway/key_endpoint.h"
#include "tests/gateway/loopback_federation.h"
#include "tests/gateway/scripted_peers.h"
#include "tests/gateway/test_signer.h"

namespace postern::gateway {
namespace {

using store::v1::DeliveryReport;
using testing::ElementsAre;
using testing::IsEmpty;

/// The store's side: gives what a test queues, once each, and keeps what it is told.
class Outbox {
 public:
  explicit Outbox(ScriptedStore& store) {
    store.on_lease_deliveries = [this](const store::v1::LeaseDeliveriesRequest& request) { return Lease(request); };
    store.on_report = [this](const store::v1::ReportDeliveriesRequest& request) { return Report(request); };
    store.on_end_back_off = [this](const store::v1::EndBackOffRequest& request) {
      const std::lock_guard lock(mutex_);
      heard_of_.insert(heard_of_.end(), request.destinations().begin(), request.destinations().end());
      changed_.notify_all();
      return absl::OkStatus();
    };
  }

  void Queue(const std::string& destination, const std::string& id) {
    const std::lock_guard lock(mutex_);
    auto& transaction = due_.emplace_back();
    transaction.set_destination(destination);
    transaction.set_transaction_id(id);
    transaction.add_pdus()->set_pdu(R"({"depth":1})");
  }
  void FailReports(bool fail) {
    const std::lock_guard lock(mutex_);
    fail_reports_ = fail;
  }
  std::vector<DeliveryReport> AwaitReports(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reports_.size() >= count; });
    return reports_;
  }
  std::vector<std::string> AwaitHeardOf(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return heard_of_.size() >= count; });
    return heard_of_;
  }
  void AwaitFailedReports(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_reports_ >= count; });
  }
  void AwaitRounds(int more) {
    std::unique_lock lock(mutex_);
    const int until = rounds_ + more;
    changed_.wait(lock, [&] { return rounds_ >= until; });
  }
  int rounds() const {
    const std::lock_guard lock(mutex_);
    return rounds_;
  }
  store::v1::LeaseDeliveriesRequest last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  store::v1::LeaseDeliveriesResponse Lease(const store::v1::LeaseDeliveriesRequest& request) {
    const std::lock_guard lock(mutex_);
    store::v1::LeaseDeliveriesResponse response;
    for (auto& transaction : due_) *response.add_transactions() = std::move(transaction);
    due_.clear();
    last_ = request;
    ++rounds_;
    changed_.notify_all();
    return response;
  }
  absl::StatusOr<store::v1::ReportDeliveriesResponse> Report(const store::v1::ReportDeliveriesRequest& request) {
    const std::lock_guard lock(mutex_);
    if (fail_reports_) {
      ++failed_reports_;
      changed_.notify_all();
      return matrix::Refuse(matrix::Reason::kStoreDown, "away");
    }
    reports_.insert(reports_.end(), request.reports().begin(), request.reports().end());
    changed_.notify_all();
    return store::v1::ReportDeliveriesResponse();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<store::v1::OutboundTransaction> due_;
  std::vector<DeliveryReport> reports_;
  std::vector<std::string> heard_of_;
  store::v1::LeaseDeliveriesRequest last_;
  int rounds_ = 0;
  bool fail_reports_ = false;
  int failed_reports_ = 0;
};

SenderOptions Hurried() {
  SenderOptions options;
  options.pause = absl::Milliseconds(10);
  options.shortest_pause = absl::Milliseconds(1);
  return options;
}

class SenderTest : public testing::Test {
 protected:
  SenderTest() { endpoint_.Answer({.status = 200, .headers = {}, .body = "{}"}); }

  KeyEndpoint endpoint_;
  LoopbackFederation federation_{{.allow_private_networks = true, .ca_file = endpoint_.certificate()}};
  telemetry::Metrics metrics_;
  const EventSigner signer_ = TestSigner();
  ScriptedStore store_;
  Outbox outbox_{store_};
  FederationSender sender_{signer_, federation_.client(), store_, absl::Now, FairChance(), metrics_, Hurried()};
};

TEST_F(SenderTest, SendsWhatIsDueAndReportsWhatCameOfIt) {
  outbox_.Queue(endpoint_.name(), "t1");
  sender_.Start();
  const auto reports = outbox_.AwaitReports(1);
  EXPECT_EQ(reports[0].outcome(), DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_EQ(reports[0].destination(), endpoint_.name());
  EXPECT_EQ(reports[0].transaction_id(), "t1");
  EXPECT_EQ(endpoint_.last().target, "/_matrix/federation/v1/send/t1");
  EXPECT_EQ(endpoint_.last().method, "PUT");
  EXPECT_THAT(endpoint_.last().body, testing::HasSubstr(R"("pdus":[{"depth":1}])"));
  outbox_.Queue(endpoint_.name(), "t2");
  EXPECT_EQ(outbox_.AwaitReports(2)[1].transaction_id(), "t2");
}

TEST_F(SenderTest, ReportsOneThatCannotBeHad) {
  endpoint_.Answer({.status = 502, .headers = {}, .body = "<html>"});
  outbox_.Queue(endpoint_.name(), "t1");
  outbox_.Queue("no server name", "t2");
  sender_.Start();
  for (const DeliveryReport& report : outbox_.AwaitReports(2)) {
    EXPECT_EQ(report.outcome(), DeliveryReport::OUTCOME_FAILED) << report.destination();
    EXPECT_FALSE(report.error().empty());
    EXPECT_GT(report.next_try_ms(), absl::ToUnixMillis(absl::Now()));
  }
}

TEST_F(SenderTest, KeepsAReportUntilTheStoreHasIt) {
  outbox_.FailReports(true);
  outbox_.Queue(endpoint_.name(), "t1");
  sender_.Start();
  outbox_.AwaitFailedReports(2);
  outbox_.FailReports(false);
  EXPECT_EQ(outbox_.AwaitReports(1)[0].transaction_id(), "t1");
  outbox_.AwaitRounds(2);
  EXPECT_THAT(outbox_.last().busy(), IsEmpty());
}

TEST_F(SenderTest, AsksForNoMoreThanItCanSend) {
  sender_.Start();
  outbox_.AwaitRounds(1);
  EXPECT_EQ(outbox_.last().most(), SenderOptions().at_once);
  EXPECT_EQ(outbox_.last().most_of_failing(), SenderOptions().at_once / 2);
  EXPECT_EQ(outbox_.last().milliseconds(), 30'000U);
}

TEST_F(SenderTest, KeepsWhatItHasWhileItCanSendNoMore) {
  endpoint_.Hold();
  SenderOptions options = Hurried();
  options.at_once = 1;
  FederationSender of_one(signer_, federation_.client(), store_, absl::Now, FairChance(), metrics_, options);
  outbox_.Queue(endpoint_.name(), "t1");
  of_one.Start();
  outbox_.AwaitRounds(3);
  EXPECT_EQ(outbox_.last().most(), 0U);
  EXPECT_THAT(outbox_.last().busy(), ElementsAre(endpoint_.name()));
  EXPECT_EQ(outbox_.last().milliseconds(), 30'000U);
  endpoint_.Release();
  EXPECT_EQ(outbox_.AwaitReports(1)[0].transaction_id(), "t1");
}

TEST_F(SenderTest, TellsTheStoreWhoWasHeardOfOnceAMinute) {
  sender_.Start();
  sender_.HeardFrom("a.example");
  sender_.HeardFrom("a.example");
  sender_.HeardFrom("b.example");
  EXPECT_THAT(outbox_.AwaitHeardOf(2), ElementsAre("a.example", "b.example"));
}

TEST_F(SenderTest, ThatTakesNothingStillTellsWhoWasHeardOf) {
  SenderOptions options = Hurried();
  options.takes = false;
  FederationSender serving_only(signer_, federation_.client(), store_, absl::Now, FairChance(), metrics_, options);
  serving_only.Start();
  serving_only.HeardFrom("a.example");
  EXPECT_THAT(outbox_.AwaitHeardOf(1), ElementsAre("a.example"));
  EXPECT_EQ(outbox_.rounds(), 0);
}

TEST_F(SenderTest, ReportsWhatIsUnderWayAndGivesItsDestinationsBackAtTheEnd) {
  outbox_.Queue(endpoint_.name(), "t1");
  sender_.Start();
  outbox_.AwaitRounds(1);
  sender_.Shutdown();
  EXPECT_EQ(outbox_.AwaitReports(1)[0].outcome(), DeliveryReport::OUTCOME_DELIVERED);
  EXPECT_EQ(outbox_.last().milliseconds(), 0U);
}

}  // namespace
}  // namespace postern::gateway
