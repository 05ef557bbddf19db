#include "services/store/postgres_event_store.h"

#include <pqxx/pqxx>

#include "absl/time/clock.h"
#include "fmt/format.h"
#include "matrix/event.h"
#include "matrix/refusal.h"
#include "services/store/context_reader.h"
#include "services/store/event_columns.h"
#include "services/store/migrations.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;
namespace proto = matrix::v1;

constexpr std::size_t kMaxStateKeys = 64;
// As the database function persist_event answers.
enum class PersistStatus { kNoRoom = 0, kStored = 1, kReplay = 2, kConflict = 3 };

struct KeyColumns {
  std::vector<std::string> types, state_keys, event_ids;
};

template <typename Keys>
KeyColumns ColumnsOf(const Keys& keys) {
  KeyColumns columns;
  for (const auto& key : keys) {
    columns.types.push_back(key.type());
    columns.state_keys.push_back(key.state_key());
    if constexpr (requires { key.event_id(); }) columns.event_ids.push_back(key.event_id());
  }
  return columns;
}

/// Those asked for, and always the create event.
KeyColumns WithCreate(KeyColumns columns) {
  for (std::size_t i = 0; i < columns.types.size(); ++i) {
    if (columns.types[i] == "m.room.create" && columns.state_keys[i].empty()) return columns;
  }
  columns.types.emplace_back("m.room.create");
  columns.state_keys.emplace_back();
  return columns;
}

std::vector<std::string> ToVector(const google::protobuf::RepeatedPtrField<std::string>& items) {
  return {items.begin(), items.end()};
}

std::string ContextQuery(const v1::GetEventContextRequest& request) {
  const KeyColumns keys = WithCreate(ColumnsOf(request.state_keys()));
  return fmt::format("select * from event_context({},{},{},{},{},{},{})", Bytea(std::string_view(request.room_id())),
                     Bytea(std::string_view(request.event_id())), Bytea(std::string_view(request.sender())),
                     ByteaArray(ToVector(request.prev_events())), ByteaArray(ToVector(request.auth_events())),
                     ByteaArray(keys.types), ByteaArray(keys.state_keys));
}

absl::Status UnknownRoom() { return Refuse(Reason::kUnknownRoom, "no such room is known here"); }

std::string PersistQuery(const v1::PersistEventRequest& request, const matrix::Event& event, const ContextToken& token,
                         const PostgresOptions& options, std::int64_t now_ms) {
  const proto::Verdict& verdict = request.verdict();
  const bool accepted = verdict.outcome() == proto::OUTCOME_ACCEPTED;
  const KeyColumns read = ColumnsOf(verdict.read_set());
  const KeyColumns change = ColumnsOf(verdict.current_state_change());
  const bool moves_member = accepted && verdict.current_state_change_size() > 0;
  return fmt::format(
      "select * from persist_event({},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{})",
      Bytea(std::string_view(event.room_id())),
      EventRow(event, request.pdu(), verdict.SerializeAsString(), request.origin()), static_cast<int>(verdict.outcome()),
      static_cast<int>(verdict.reason()), token.position,
      token.group_before == 0 ? "null::bigint" : std::to_string(token.group_before), verdict.commutes() ? "true" : "false",
      ByteaArray(read.types), ByteaArray(read.state_keys), ByteaArray(change.types), ByteaArray(change.state_keys),
      ByteaArray(change.event_ids),
      moves_member ? MemberRow(event) : "row(null,null,null,null,null,null,null,null,null)::member_columns",
      fmt::format("convert_from({},'UTF8')", Bytea(std::string_view(options.server_name))), options.refusals_limit,
      options.remote_servers_limit, now_ms);
}

absl::Status CheckPersist(const v1::PersistEventRequest& request) {
  const proto::Outcome outcome = request.verdict().outcome();
  const bool kept = outcome == proto::OUTCOME_ACCEPTED || outcome == proto::OUTCOME_SOFT_FAILED ||
                    outcome == proto::OUTCOME_REJECTED;
  if (!kept) return Refuse(Reason::kInvalidArgument, "only accepted, soft-failed and rejected events are kept");
  if (request.origin().empty()) return Refuse(Reason::kInvalidArgument, "origin is missing");
  return absl::OkStatus();
}

std::string AppendQuery(const std::string& room_id, const matrix::RoomRules& rules,
                        const google::protobuf::RepeatedPtrField<v1::InitialEvent>& events, const std::string& server_name,
                        std::int64_t now_ms, absl::Status& status) {
  std::string rows, members;
  for (const v1::InitialEvent& initial : events) {
    const auto event = matrix::Event::Parse(initial.pdu(), rules);
    if (!event.ok() || !event->is_state() || event->event_id() != initial.event_id() || event->room_id() != room_id) {
      status = Refuse(Reason::kInvalidArgument, "each first event is a state event of the room, under its own id");
      return {};
    }
    rows += (rows.empty() ? "" : ",") + EventRow(*event, initial.pdu(), "", server_name);
    members += (members.empty() ? "" : ",") + MemberRow(*event);
  }
  return fmt::format("select append_events({},array[{}]::new_event[],array[{}]::member_columns[],convert_from({},'UTF8'),{})",
                     Bytea(std::string_view(room_id)), rows, members, Bytea(std::string_view(server_name)), now_ms);
}

}  // namespace

PostgresEventStore::PostgresEventStore(PostgresOptions options, telemetry::Metrics& metrics)
    : options_(std::move(options)), metrics_(metrics), pool_(options_.uri, options_.connections) {}

absl::Status PostgresEventStore::Prepare(absl::Time deadline) {
  return pool_.Use(deadline, [](pqxx::connection& connection) { ApplyMigrations(connection, EmbeddedMigrations()); });
}

absl::Status PostgresEventStore::Ping(absl::Time deadline) {
  return pool_.Use(deadline, [](pqxx::connection& connection) { pqxx::nontransaction(connection).exec("select 1"); });
}

absl::StatusOr<v1::EventContext> PostgresEventStore::GetEventContext(const rpc::CallContext& call,
                                                                     const v1::GetEventContextRequest& request) {
  if (static_cast<std::size_t>(request.state_keys_size()) > kMaxStateKeys) {
    return Refuse(Reason::kInvalidArgument, "at most 64 state keys");
  }
  const std::string query = ContextQuery(request);
  pqxx::result rows;
  const absl::Status status = pool_.Use(
      call.deadline, [&](pqxx::connection& connection) { rows = pqxx::nontransaction(connection).exec(query); });
  if (!status.ok()) return status;
  if (rows.empty()) return UnknownRoom();
  return ReadEventContext(request.room_id(), rows);
}

absl::StatusOr<v1::TemplateContext> PostgresEventStore::GetTemplateContext(const rpc::CallContext& call,
                                                                           const v1::GetTemplateContextRequest& request) {
  const KeyColumns keys = WithCreate(ColumnsOf(request.state_keys()));
  const std::string query = fmt::format(
      "select * from template_context({},{},convert_from({},'UTF8'),{},{})", Bytea(std::string_view(request.room_id())),
      Bytea(std::string_view(request.user_id())), Bytea(std::string_view(options_.server_name)), ByteaArray(keys.types),
      ByteaArray(keys.state_keys));
  pqxx::result rows;
  const absl::Status status = pool_.Use(
      call.deadline, [&](pqxx::connection& connection) { rows = pqxx::nontransaction(connection).exec(query); });
  if (!status.ok()) return status;
  if (rows.empty()) return UnknownRoom();
  return ReadTemplateContext(request.room_id(), rows);
}

absl::StatusOr<v1::PersistEventResponse> PostgresEventStore::PersistEvent(const rpc::CallContext& call,
                                                                          const v1::PersistEventRequest& request) {
  if (auto status = CheckPersist(request); !status.ok()) return status;
  ContextToken token;
  if (!DecodeToken(request.token(), token)) return Refuse(Reason::kInvalidArgument, "not a context token");
  // The context's room tells the version; it was read when the token was made.
  std::string version;
  absl::Time began = absl::Now();
  absl::Status status = pool_.Use(call.deadline, [&](pqxx::connection& connection) {
    const auto rows = pqxx::nontransaction(connection)
                          .exec("select room_version from rooms where room_id = " +
                                Bytea(std::string_view(request.context_request().room_id())));
    if (!rows.empty()) version = rows[0][0].c_str();
  });
  if (!status.ok()) return status;
  const matrix::RoomRules* rules = matrix::FindRoomRules(version);
  if (rules == nullptr) return UnknownRoom();
  const auto event = matrix::Event::Parse(request.pdu(), *rules);
  if (!event.ok()) return Refuse(Reason::kInvalidArgument, "the event to store is malformed");
  const std::string query = PersistQuery(request, *event, token, options_, absl::ToUnixMillis(absl::Now()));
  // One statement is one transaction, and an id that is stored is not stored again: a broken connection may repeat it.
  pqxx::result rows;
  status = pool_.Use(call.deadline,
                     [&](pqxx::connection& connection) { rows = pqxx::nontransaction(connection).exec(query); });
  metrics_.Observe("postern_store_transaction_seconds", absl::Now() - began);
  if (!status.ok()) return status;
  v1::PersistEventResponse response;
  const auto outcome = static_cast<PersistStatus>(rows[0][0].as<int>());
  if (outcome == PersistStatus::kNoRoom) return UnknownRoom();
  if (outcome == PersistStatus::kConflict) {
    metrics_.Count("postern_store_conflicts_total");
    auto fresh = GetEventContext(call, request.context_request());
    if (!fresh.ok()) return fresh.status();
    *response.mutable_fresh_context() = *std::move(fresh);
    return response;
  }
  v1::Stored& stored = *response.mutable_stored();
  stored.set_outcome(static_cast<proto::Outcome>(rows[0][1].as<int>()));
  stored.set_reason(static_cast<proto::Reason>(rows[0][2].as<int>()));
  stored.set_replay(outcome == PersistStatus::kReplay);
  return response;
}

absl::Status PostgresEventStore::CreateRoom(const rpc::CallContext& call, const v1::CreateRoomRequest& request) {
  const matrix::RoomRules* rules = matrix::FindRoomRules(request.room_version());
  if (rules == nullptr) return Refuse(Reason::kUnsupportedVersion, request.room_version());
  if (request.events().empty()) return Refuse(Reason::kInvalidArgument, "a room has a create event");
  absl::Status status;
  const std::string append = AppendQuery(request.room_id(), *rules, request.events(), options_.server_name,
                                         absl::ToUnixMillis(absl::Now()), status);
  if (!status.ok()) return status;
  bool exists = false;
  status = pool_.Use(call.deadline, [&](pqxx::connection& connection) {
    pqxx::work work(connection);
    const auto made = work.exec(fmt::format(
        "insert into rooms (room_id, room_version) values ({}, {}) on conflict do nothing returning 1",
        Bytea(std::string_view(request.room_id())), work.quote(std::string(rules->version))));
    exists = made.empty();
    if (exists) return;
    work.exec(append);
    work.commit();
  });
  if (!status.ok()) return status;
  return exists ? Refuse(Reason::kAlreadyExists, "a room of that id is there already") : absl::OkStatus();
}

absl::Status PostgresEventStore::SeedEvents(const rpc::CallContext& call, const v1::SeedEventsRequest& request) {
  if (request.events().empty()) return absl::OkStatus();
  auto room = GetTemplateContext(call, [&] {
    v1::GetTemplateContextRequest template_request;
    template_request.set_room_id(request.room_id());
    return template_request;
  }());
  if (!room.ok()) return room.status();
  const matrix::RoomRules* rules = matrix::FindRoomRules(room->judging().room_version());
  if (rules == nullptr) return Refuse(Reason::kUnsupportedVersion, room->judging().room_version());
  absl::Status status;
  const std::string append = AppendQuery(request.room_id(), *rules, request.events(), options_.server_name,
                                         absl::ToUnixMillis(absl::Now()), status);
  if (!status.ok()) return status;
  return pool_.Use(call.deadline, [&](pqxx::connection& connection) { pqxx::nontransaction(connection).exec(append); });
}

}  // namespace postern::store
