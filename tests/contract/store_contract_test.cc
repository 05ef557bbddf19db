// The contract of the store, kept by the real server on PostgreSQL and by the fake that other tests use.
#include <fmt/format.h>

#include <memory>

#include "services/store/store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/served_fake_store.h"

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
    auto started = store::Store::Start(config);
    if (!started.ok()) return false;
    running_ = *std::move(started);
    return running_->WaitUntilReady(absl::Now() + absl::Seconds(20));
  }
  std::string address() const override { return fmt::format("127.0.0.1:{}", running_->grpc_port()); }

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
INSTANTIATE_TEST_SUITE_P(Stores, DeliveriesContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, RatesContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, PeerReadsContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Stores, DecisionsContract, kStores, NameOf);

}  // namespace
}  // namespace postern::contract
