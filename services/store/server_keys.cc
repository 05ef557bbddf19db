// Keys of other servers, on PostgreSQL.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "matrix/refusal.h"
#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {

absl::StatusOr<v1::GetServerKeysResponse> PostgresEventStore::GetServerKeys(const rpc::CallContext& call,
                                                                            const v1::GetServerKeysRequest& request) {
  const std::set<std::string> names(request.server_names().begin(), request.server_names().end());
  const auto rows =
      Read(call, kGetServerKeys, Parameters().BytesArray(std::vector<std::string>(names.begin(), names.end())));
  if (!rows.ok()) return rows.status();
  v1::GetServerKeysResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    v1::StoredServerKeys& server = *response.add_servers();
    server.set_server_name(rows->Bytes(row, 0));
    server.set_valid_until_ms(rows->Integer(row, 1));
    server.set_fetched_at_ms(rows->Integer(row, 2));
    server.set_from(rows->Bytes(row, 3));
    server.set_document(rows->Bytes(row, 7));
    const std::vector<std::string> ids = rows->BytesArray(row, 4);
    const std::vector<std::string> keys = rows->BytesArray(row, 5);
    const auto expired = rows->IntegerArray(row, 6);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      v1::StoredServerKeys::Key& key = *server.add_keys();
      key.set_key_id(ids[i]);
      key.set_public_key(keys.at(i));
      if (const auto at = expired.at(i)) key.set_expired_ms(*at);
    }
  }
  return response;
}

absl::Status PostgresEventStore::PutServerKeys(const rpc::CallContext& call, const v1::PutServerKeysRequest& request) {
  for (const v1::StoredServerKeys& server : request.servers()) {
    if (server.server_name().empty()) return matrix::Refuse(matrix::Reason::kInvalidArgument, "server_name is empty");
  }
  // A transaction each: one server's keys have nothing to do with another's.
  for (const v1::StoredServerKeys& server : request.servers()) {
    std::vector<std::string> ids, keys;
    std::vector<std::optional<std::int64_t>> expired;
    for (const v1::StoredServerKeys::Key& key : server.keys()) {
      ids.push_back(key.key_id());
      keys.push_back(key.public_key());
      expired.push_back(key.has_expired_ms() ? std::optional(key.expired_ms()) : std::nullopt);
    }
    Parameters parameters;
    parameters.Bytes(server.server_name())
        .Integer(server.valid_until_ms())
        .Integer(server.fetched_at_ms())
        .Bytes(server.from())
        .BytesArray(ids)
        .BytesArray(keys)
        .IntegerArray(expired)
        .Integer(options_.remote_servers_limit)
        .Bytes(server.document());
    // Putting the same keys twice changes nothing: it may be repeated like a read.
    const auto rows = Read(call, kPutServerKeys, parameters);
    if (!rows.ok()) return rows.status();
  }
  return absl::OkStatus();
}

}  // namespace postern::store
