// What strangers can make grow is bounded.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/store/store_rig.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using support::StoreRig;
using support::TestRoom;
using support::UserOf;

TEST(Bounds, TheOldestRefusalsGo) {
  StoreRig rig({}, {.server_name = "a.example", .refusals_limit = 5});
  const TestRoom room = support::RoomOf(8);
  rig.Create(room);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(rig.Persist(room.Leave(UserOf(i)), matrix::v1::OUTCOME_REJECTED).ok());
  }
  EXPECT_EQ(rig.Sql("select count(*) from refusals"), "5");
  EXPECT_EQ(rig.Sql("select min(number) from refusals"), "4");
}

TEST(Bounds, WhatGatewaysThatAreNoMoreHaveSaidOfOriginsGoes) {
  StoreRig rig;
  const auto share = [&](const std::string& holder, int origins, std::uint32_t milliseconds) {
    v1::ShareRatesRequest request;
    request.set_holder(holder);
    request.set_milliseconds(milliseconds);
    for (int i = 0; i < origins; ++i) request.add_origins()->set_origin(fmt::format("s{}.example", i));
    ASSERT_TRUE(rig.store().ShareRates(StoreRig::Within(absl::Seconds(30)), request).ok());
  };
  share("dead", 1000, 1);
  share("one", 1, 60'000);
  share("one", 1, 60'000);
  EXPECT_EQ(rig.Sql("select count(*) from origin_rates where until > clock_timestamp()"), "1");
  share("two", 2, 60'000);
  EXPECT_EQ(rig.Sql("select count(*) from origin_rates"), "3");
  share("two", 0, 60'000);
  EXPECT_EQ(rig.Sql("select count(*) from origin_rates"), "1");
}

TEST(Bounds, AnswersToTransactionsInNumberAndAge) {
  StoreRig rig;
  const auto keep = [&](const std::string& origin, const std::string& id) {
    v1::KeepReceivedTransactionRequest request;
    request.set_origin(origin);
    request.set_transaction_id(id);
    request.set_answer("{}");
    ASSERT_TRUE(rig.store().KeepReceivedTransaction(StoreRig::Within(absl::Seconds(30)), request).ok());
  };
  const auto is_kept = [&](const std::string& origin, const std::string& id) {
    v1::GetReceivedTransactionRequest request;
    request.set_origin(origin);
    request.set_transaction_id(id);
    return rig.store().GetReceivedTransaction(StoreRig::Within(absl::Seconds(30)), request)->has_answer();
  };
  const auto count = [&] { return rig.Sql("select count(*) from received_transactions"); };
  rig.Sql(
      "insert into received_transactions (origin, transaction_id, answer, received_at) "
      "select convert_to('s' || i, 'UTF8'), 'x', 'x', (extract(epoch from clock_timestamp()) * 1000)::bigint "
      "from generate_series(1, 20050) as i");
  keep("new.example", "1");
  EXPECT_EQ(count(), "20000") << "51 of them go at once";
  EXPECT_TRUE(is_kept("new.example", "1"));
  rig.Sql("update received_transactions set received_at = received_at - 86400000 where origin <> 'new.example'");
  EXPECT_FALSE(is_kept("s20000", "x")) << "too old, though there still";
  keep("new.example", "2");
  keep("new.example", "3");
  EXPECT_EQ(count(), "19802") << "a hundred with each call";
  rig.Sql("delete from received_transactions where origin <> 'new.example'");
  for (int i = 4; i <= kMostAnswersOfOne + 10; ++i) keep("new.example", std::to_string(i));
  EXPECT_EQ(count(), std::to_string(kMostAnswersOfOne));
  EXPECT_FALSE(is_kept("new.example", "10"));
  EXPECT_TRUE(is_kept("new.example", "11"));
}

TEST(Bounds, ServersAndTheirKeys) {
  StoreRig rig({}, {.server_name = "a.example", .remote_servers_limit = 3});
  const rpc::CallContext call = StoreRig::Within(absl::Seconds(30));
  for (int i = 0; i < 6; ++i) {
    v1::PutServerKeysRequest request;
    request.add_servers()->set_server_name(fmt::format("s{}.example", i));
    request.mutable_servers(0)->add_keys()->set_key_id("ed25519:a");
    ASSERT_TRUE(rig.store().PutServerKeys(call, request).ok());
  }
  EXPECT_EQ(rig.Sql("select count(*) from server_keys"), "3");

  support::RoomBuilder builder("10");
  for (int i = 0; i < 6; ++i) builder.Member(fmt::format("@u:s{}.example", i), "join");
  TestRoom room = builder.Build();
  rig.Create(room);
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(rig.Persist(room.Leave(fmt::format("@u:s{}.example", i))).ok());
  }
  EXPECT_EQ(rig.Sql("select count(*) from remote_servers"), "3");
  EXPECT_EQ(rig.Sql("select server_name from remote_servers order by server_name limit 1"), "\\x73332e6578616d706c65");
}

TEST(Bounds, SeeingABusyServerWritesOnceAnHour) {
  StoreRig rig;
  const TestRoom room = support::RoomOf(3);
  rig.Create(room);
  ASSERT_TRUE(rig.Persist(room.Leave(UserOf(0))).ok());
  const std::string row = rig.Sql("select xmin::text || last_seen from remote_servers");
  ASSERT_TRUE(rig.Persist(room.Leave(UserOf(1))).ok());
  EXPECT_EQ(rig.Sql("select xmin::text || last_seen from remote_servers"), row);
  rig.Sql("update remote_servers set last_seen = last_seen - 3600000");
  ASSERT_TRUE(rig.Persist(room.Leave(UserOf(2))).ok());
  EXPECT_NE(rig.Sql("select xmin::text || last_seen from remote_servers"), row);
  EXPECT_EQ(rig.Sql("select count(*) from remote_servers"), "1");
}

}  // namespace
}  // namespace postern::store
