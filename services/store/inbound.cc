// Transactions that other servers have sent, and what is looked up for them by name, on PostgreSQL.
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/store/postgres_event_store.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

}  // namespace

absl::StatusOr<v1::ReceivedTransaction> PostgresEventStore::GetReceivedTransaction(
    const rpc::CallContext& call, const v1::GetReceivedTransactionRequest& request) {
  Parameters parameters;
  parameters.Bytes(request.origin())
      .Bytes(request.transaction_id())
      .Integer(absl::ToUnixMillis(absl::Now() - kAnswersKept));
  const auto rows = Read(call, kReceivedTransaction, parameters);
  if (!rows.ok()) return rows.status();
  v1::ReceivedTransaction transaction;
  if (rows->size() > 0) transaction.set_answer(rows->Bytes(0, 0));
  return transaction;
}

absl::StatusOr<v1::ReceivedTransaction> PostgresEventStore::KeepReceivedTransaction(
    const rpc::CallContext& call, const v1::KeepReceivedTransactionRequest& request) {
  if (absl::Status status = CheckReceivedTransaction(request); !status.ok()) return status;
  const absl::Time now = absl::Now();
  Parameters parameters;
  parameters.Bytes(request.origin())
      .Bytes(request.transaction_id())
      .Bytes(request.answer())
      .Integer(absl::ToUnixMillis(now))
      .Integer(absl::ToUnixMillis(now - kAnswersKept))
      .Integer(kMostAnswersOfOne)
      .Integer(kMostAnswers);
  // May be repeated: then its own answer is there.
  const auto rows = Read(call, kKeepReceivedTransaction, parameters);
  if (!rows.ok()) return rows.status();
  v1::ReceivedTransaction transaction;
  transaction.set_answer(rows->Bytes(0, 0));
  return transaction;
}

absl::StatusOr<v1::Profile> PostgresEventStore::GetProfile(const rpc::CallContext& call,
                                                           const v1::GetProfileRequest& request) {
  if (matrix::DomainOf(request.user_id()) != options_.server_name) {
    return Refuse(Reason::kNotFound, "the user is not of this server");
  }
  const auto rows = Read(call, kProfile, Parameters().Bytes(request.user_id()));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return Refuse(Reason::kNotFound, "no room knows this user");
  v1::Profile profile;
  if (!rows->IsNull(0, 0)) profile.set_displayname(rows->Bytes(0, 0));
  if (!rows->IsNull(0, 1)) profile.set_avatar_url(rows->Bytes(0, 1));
  return profile;
}

absl::StatusOr<v1::AliasTarget> PostgresEventStore::GetAlias(const rpc::CallContext& call,
                                                             const v1::GetAliasRequest& request) {
  const auto rows = Read(call, kAlias, Parameters().Bytes(request.alias()).Bytes(options_.server_name));
  if (!rows.ok()) return rows.status();
  if (rows->size() == 0) return Refuse(Reason::kNotFound, "there is no such alias");
  v1::AliasTarget target;
  target.set_room_id(rows->Bytes(0, 0));
  for (std::string& server : rows->BytesArray(0, 1)) target.add_servers(std::move(server));
  return target;
}

absl::Status PostgresEventStore::SetAlias(const rpc::CallContext& call, const v1::SetAliasRequest& request) {
  if (absl::Status status = CheckAlias(request.alias(), options_.server_name); !status.ok()) return status;
  const auto rows = Read(call, kSetAlias, Parameters().Bytes(request.alias()).Bytes(request.room_id()));
  if (!rows.ok()) return rows.status();
  return rows->Boolean(0, 0) ? absl::OkStatus() : Refuse(Reason::kUnknownRoom, "the room is not known here");
}

absl::Status PostgresEventStore::RemoveAlias(const rpc::CallContext& call, const v1::RemoveAliasRequest& request) {
  const auto rows = Read(call, kRemoveAlias, Parameters().Bytes(request.alias()));
  if (!rows.ok()) return rows.status();
  return rows->Boolean(0, 0) ? absl::OkStatus() : Refuse(Reason::kNotFound, "there is no such alias");
}

absl::StatusOr<v1::ListAliasesResponse> PostgresEventStore::ListAliases(const rpc::CallContext& call,
                                                                        const v1::ListAliasesRequest& request) {
  const auto rows = Read(call, kAliases, Parameters().Bytes(request.room_id()).Bytes(request.after()));
  if (!rows.ok()) return rows.status();
  v1::ListAliasesResponse response;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    v1::ListAliasesResponse::Alias& alias = *response.add_aliases();
    alias.set_alias(rows->Bytes(row, 0));
    alias.set_room_id(rows->Bytes(row, 1));
  }
  return response;
}

}  // namespace postern::store
