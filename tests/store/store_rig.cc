#include "tests/store/store_rig.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "telemetry/trace.h"
#include "tests/support/store_requests.h"

namespace postern::support {

StoreRig::StoreRig(std::string dsn, store::PostgresEventStoreOptions options, std::size_t connections)
    : database_(dsn.empty() ? std::make_unique<TestDatabase>() : nullptr),
      dsn_(dsn.empty() ? database_->dsn() : std::move(dsn)),
      pool_(dsn_, store::ReachedBy::kItself, connections, metrics_),
      watch_(
          dsn_, store::ReachedBy::kItself, [](bool) {}, TestDatabase::room_partitions()),
      store_(pool_, watch_, metrics_, std::move(options)) {
  EXPECT_TRUE(watch_.WaitUntilReady(absl::Now() + absl::Seconds(30)));
}

rpc::CallContext StoreRig::Within(absl::Duration time) { return {absl::Now() + time, telemetry::NewTrace()}; }

int StoreRig::Calls(const std::string& statement) const {
  const std::string name = "postern_store_transaction_seconds_count{statement=\"" + statement + "\"} ";
  const std::string exposed = metrics_.Expose();
  const std::size_t at = exposed.find(name);
  return at == std::string::npos ? 0 : std::stoi(exposed.substr(at + name.size()));
}

std::string StoreRig::Sql(const std::string& text) {
  auto connection = store::DatabaseConnection::Open(dsn_);
  EXPECT_TRUE(connection.ok());
  if (!connection.ok()) return {};
  auto rows = (*connection)->Call({"test", text.c_str()}, {});
  EXPECT_TRUE(rows.ok()) << text;
  return rows.ok() && rows->size() > 0 ? std::string(rows->Text(0, 0)) : std::string();
}

void StoreRig::Create(const TestRoom& room) {
  const absl::Status status = store_.CreateRoom(Within(absl::Seconds(30)), CreateRoomRequestFor(room));
  ASSERT_TRUE(status.ok()) << status.ToString();
}

store::v1::EventContext StoreRig::ContextOf(const matrix::Event& event) {
  auto context = store_.GetEventContext(Within(absl::Seconds(30)), ContextRequestFor(event));
  EXPECT_TRUE(context.ok()) << context.status().ToString();
  return context.ok() ? *std::move(context) : store::v1::EventContext();
}

absl::StatusOr<store::v1::Stored> StoreRig::Persist(const matrix::Event& event, matrix::v1::Outcome outcome,
                                                    absl::Duration time) {
  const rpc::CallContext call = Within(time);
  auto context = store_.GetEventContext(call, ContextRequestFor(event));
  while (context.ok()) {
    auto answer = store_.PersistEvent(call, PersistRequestFor(event, *context, outcome));
    if (!answer.ok()) return answer.status();
    if (answer->has_stored()) return answer->stored();
    context = answer->fresh_context();
  }
  return context.status();
}

std::string UserOf(int number) { return fmt::format("@u{}:b.example", number); }

TestRoom RoomOf(int users) {
  RoomBuilder builder("10");
  for (int i = 0; i < users; ++i) builder.Member(UserOf(i), "join");
  return builder.Build();
}

}  // namespace postern::support
