#include "services/store/context_reader.h"

#include <cstdio>
#include <pqxx/pqxx>

#include "fmt/format.h"
#include "services/store/bytes_column.h"

namespace postern::store {
namespace {

namespace proto = matrix::v1;

void AddReference(const pqxx::row& row, google::protobuf::RepeatedPtrField<proto::Reference>& references) {
  proto::Reference& reference = *references.Add();
  reference.set_event_id(BytesOf(row["id"]));
  reference.set_known(row["flag"].as<bool>());
}

void AddEntry(const pqxx::row& row, google::protobuf::RepeatedPtrField<proto::StateEntry>& entries) {
  proto::StateEntry& entry = *entries.Add();
  entry.set_type(BytesOf(row["type"]));
  entry.set_state_key(BytesOf(row["state_key"]));
  entry.set_event_id(BytesOf(row["id"]));
}

void AddEvent(const pqxx::row& row, proto::JudgingContext& judging) {
  proto::StoredEvent& event = *judging.add_events();
  event.set_event_id(BytesOf(row["id"]));
  event.set_pdu(BytesOf(row["pdu"]));
  event.set_soft_failed(row["n1"].as<int>() == proto::OUTCOME_SOFT_FAILED);
}

// The rows that both contexts share.
void AddRow(const pqxx::row& row, proto::JudgingContext& judging) {
  switch (row["kind"].c_str()[0]) {
    case 'p': return AddReference(row, *judging.mutable_prev_events());
    case 'a': return AddReference(row, *judging.mutable_auth_events());
    case 'b': return AddEntry(row, *judging.mutable_state_before());
    case 'n': return AddEntry(row, *judging.mutable_state_now());
    case 'e': return AddEvent(row, judging);
    default: return;
  }
}

}  // namespace

std::string EncodeToken(const ContextToken& token) { return fmt::format("{}:{}", token.position, token.group_before); }

bool DecodeToken(const std::string& text, ContextToken& token) {
  long long position = 0;
  long long group = 0;
  int read = 0;
  if (std::sscanf(text.c_str(), "%lld:%lld%n", &position, &group, &read) != 2) return false;
  token = {position, group};
  return static_cast<std::size_t>(read) == text.size();
}

v1::EventContext ReadEventContext(const std::string& room_id, const pqxx::result& rows) {
  v1::EventContext context;
  proto::JudgingContext& judging = *context.mutable_judging();
  judging.set_room_id(room_id);
  for (const pqxx::row& row : rows) {
    const char kind = row["kind"].c_str()[0];
    if (kind == 'r') {
      judging.set_room_version(BytesOf(row["id"]));
      judging.set_extends_all_extremities(row["flag"].as<bool>());
      judging.set_state_before_unresolved(row["n2"].is_null());
      context.set_sender_membership(BytesOf(row["type"]));
      context.set_token(EncodeToken({row["n1"].as<std::int64_t>(), row["n2"].as<std::int64_t>(0)}));
    } else if (kind == 'x') {
      context.mutable_existing()->set_pdu(BytesOf(row["pdu"]));
      context.mutable_existing()->set_outcome(static_cast<proto::Outcome>(row["n1"].as<int>()));
      context.mutable_existing()->set_reason(static_cast<proto::Reason>(row["n2"].as<int>()));
    } else {
      AddRow(row, judging);
    }
  }
  return context;
}

v1::TemplateContext ReadTemplateContext(const std::string& room_id, const pqxx::result& rows) {
  v1::TemplateContext context;
  proto::JudgingContext& judging = *context.mutable_judging();
  judging.set_room_id(room_id);
  judging.set_extends_all_extremities(true);
  for (const pqxx::row& row : rows) {
    if (row["kind"].c_str()[0] != 'r') {
      AddRow(row, judging);
      continue;
    }
    judging.set_room_version(BytesOf(row["id"]));
    context.set_user_membership(BytesOf(row["type"]));
    context.set_resident(row["flag"].as<bool>());
    context.set_max_depth(row["n2"].as<std::int64_t>(0));
    context.set_token(EncodeToken({row["n1"].as<std::int64_t>(), row["n3"].as<std::int64_t>(0)}));
  }
  *judging.mutable_state_before() = judging.state_now();
  return context;
}

}  // namespace postern::store
