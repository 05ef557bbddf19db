// EventStore on PostgreSQL. Each call is one round trip to a function in the database.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "services/store/connection_pool.h"
#include "services/store/event_store.h"
#include "telemetry/metrics.h"

namespace postern::store {

struct PostgresOptions {
  std::string uri;  // multi-host strings with target_session_attrs=read-write work
  std::size_t connections = 8;
  std::string server_name;  // ours: never a destination
  std::int64_t refusals_limit = 100000;
  std::int64_t remote_servers_limit = 100000;
};

class PostgresEventStore final : public EventStore {
 public:
  PostgresEventStore(PostgresOptions options, telemetry::Metrics& metrics);

  /// Brings the schema up to date. Refuses: kStoreDown while there is no database.
  absl::Status Prepare(absl::Time deadline);
  /// Whether PostgreSQL answers just now.
  absl::Status Ping(absl::Time deadline);

  absl::StatusOr<v1::EventContext> GetEventContext(const rpc::CallContext&, const v1::GetEventContextRequest&) override;
  absl::StatusOr<v1::TemplateContext> GetTemplateContext(const rpc::CallContext&,
                                                         const v1::GetTemplateContextRequest&) override;
  absl::StatusOr<v1::PersistEventResponse> PersistEvent(const rpc::CallContext&, const v1::PersistEventRequest&) override;
  absl::Status CreateRoom(const rpc::CallContext&, const v1::CreateRoomRequest&) override;
  absl::Status SeedEvents(const rpc::CallContext&, const v1::SeedEventsRequest&) override;
  absl::StatusOr<v1::RoomDescription> GetRoom(const rpc::CallContext&, const v1::GetRoomRequest&) override;
  absl::StatusOr<v1::ListRoomsResponse> ListRooms(const rpc::CallContext&, const v1::ListRoomsRequest&) override;
  absl::StatusOr<v1::Member> GetMember(const rpc::CallContext&, const v1::GetMemberRequest&) override;
  absl::StatusOr<v1::ListMembersResponse> ListMembers(const rpc::CallContext&, const v1::ListMembersRequest&) override;
  absl::StatusOr<v1::EventRecord> GetEvent(const rpc::CallContext&, const v1::GetEventRequest&) override;
  absl::StatusOr<v1::ListOutboxResponse> ListOutbox(const rpc::CallContext&, const v1::ListOutboxRequest&) override;
  absl::StatusOr<v1::GetServerKeysResponse> GetServerKeys(const rpc::CallContext&,
                                                          const v1::GetServerKeysRequest&) override;
  absl::Status PutServerKeys(const rpc::CallContext&, const v1::PutServerKeysRequest&) override;

 private:
  const PostgresOptions options_;
  telemetry::Metrics& metrics_;
  ConnectionPool pool_;
};

}  // namespace postern::store
