// The contract of the store, kept by the real server on PostgreSQL and by the fake that other tests use.
#include <fmt/format.h>

#include <memory>
#include <thread>

#include "services/store/database_connection.h"
#include "services/store/store.h"
#include "tests/contract/fetched_states_contract.h"
#include "tests/contract/received_invites_contract.h"
#include "tests/contract/store_contract.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/served_fake_store.h"
#include "tests/support/store_requests.h"

namespace postern::contract {
namespace {

class RealStore : public ServedStore {
 public:
  bool Start() {
    store::StoreConfig config;
    config.server_name = "a.example";
    config.listen = "127.0.0.1:0";
    config.admin_listen = "127.0.0.1:0";
    config.between_services.plaintext = true;
    config.database_uri = database_.dsn();
    config.connections = 4;
    config.allow_seeding = true;
    config.room_partitions = support::TestDatabase::room_partitions();
    auto started = store::Store::Start(config);
    if (!started.ok()) return false;
    running_ = *std::move(started);
    return running_->WaitUntilReady(absl::Now() + absl::Seconds(20));
  }
  std::string address() const override { return fmt::format("127.0.0.1:{}", running_->grpc_port()); }
  const std::string& dsn() const { return database_.dsn(); }

 private:
  support::TestDatabase database_;
  std::unique_ptr<store::Store> running_;
};

std::unique_ptr<ServedStore> StartReal() {
  auto real = std::make_unique<RealStore>();
  if (!real->Start()) return nullptr;
  return real;
}

class Fake : public ServedStore {
 public:
  std::string address() const override { return fake_.address(); }

 private:
  support::ServedFakeStore fake_{"a.example"};
};

std::unique_ptr<ServedStore> StartFake() { return std::make_unique<Fake>(); }

const auto kStores = testing::Values(StoreMaker{"Real", &StartReal}, StoreMaker{"Fake", &StartFake});
std::string NameOf(const testing::TestParamInfo<StoreMaker>& tested) { return tested.param.name; }

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(InCompany, StoreContract,
                         testing::Values(StoreMaker{"Real", &StartReal, true}, StoreMaker{"Fake", &StartFake, true}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, DeliveriesContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, RatesContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, PeerReadsContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, JoinReadsContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, DecisionsContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, InboundContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, ReceivedInvitesContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, FetchedStatesContract, kStores, NameOf);

/// What only PostgreSQL can bring about.
class RealStoreContract : public StoreContract {};
INSTANTIATE_TEST_SUITE_P(Stores, RealStoreContract, testing::Values(StoreMaker{"Real", &StartReal}), NameOf);

TEST_P(RealStoreContract, WhoPersistsInALockedRoomWaitsForItAndNobodyElseDoes) {
  const support::TestRoom room = MakeRoom();
  support::RoomBuilder builder("10", "@creator:elsewhere.example");
  builder.Member("@ann:b.example", "join");
  const support::TestRoom other = builder.Build();
  Create(other);
  const matrix::Event held_up = room.Leave("@bob:c.example"), leave = other.Leave("@ann:b.example");
  const auto held_up_request = support::PersistRequestFor(held_up, ContextOf(held_up));
  const auto request = support::PersistRequestFor(leave, ContextOf(leave));

  auto locker = store::DatabaseConnection::Open(dynamic_cast<RealStore&>(*served_).dsn());
  ASSERT_TRUE(locker.ok());
  ASSERT_TRUE((*locker)->Call({"begin", "begin"}, {}).ok());
  const store::Statement lock{"lock", "select 1 from rooms where room_id = $1 for update"};
  ASSERT_TRUE((*locker)->Call(lock, store::Parameters().Bytes(room.room_id())).ok());
  std::thread waiting([&] { EXPECT_TRUE(Persist(held_up_request).has_stored()); });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Persist(request).has_stored());
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "join");
  EXPECT_TRUE((*locker)->Call({"commit", "commit"}, {}).ok());
  waiting.join();
  EXPECT_EQ(MembershipOf(room, "@bob:c.example"), "leave");
}

}  // namespace
}  // namespace postern::contract
