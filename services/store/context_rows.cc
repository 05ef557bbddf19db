#include "services/store/context_rows.h"

#include <set>

#include "services/store/branch_rows.h"

namespace postern::store {
namespace {

void DecodeRoom(const Rows& rows, std::size_t row, ContextRows& context) {
  context.judging.set_room_version(rows.Bytes(row, kA));
  context.judging.set_extends_all_extremities(rows.Boolean(row, kF1));
  context.membership = rows.Bytes(row, kB);
  context.resident = rows.Boolean(row, kF2);
  context.judging.set_states_diverge(rows.Boolean(row, kF3));
  context.token.ordering = rows.Integer(row, kN1);
  if (!rows.IsNull(row, kN2)) context.token.before = rows.Integer(row, kN2);
  context.token.now = rows.Integer(row, kN3);
  context.token.branching = {.extends_all_extremities = rows.Boolean(row, kF1),
                             .states_diverge = rows.Boolean(row, kF3)};
}

/// References come in no certain order: each goes to its place.
void DecodeReference(const Rows& rows, std::size_t row,
                     google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references) {
  const int place = static_cast<int>(rows.Integer(row, kN1)) - 1;
  while (references.size() <= place) references.Add();
  matrix::v1::Reference& reference = references[place];
  reference.set_event_id(rows.Bytes(row, kId));
  reference.set_known(rows.Boolean(row, kF1));
  reference.set_rejected(rows.Boolean(row, kF2));
}

void DecodeEvent(const Rows& rows, std::size_t row, matrix::v1::StoredEvent& event) {
  event.set_event_id(rows.Bytes(row, kId));
  event.set_pdu(rows.Bytes(row, kA));
  event.set_rejected(rows.Boolean(row, kF1));
  event.set_soft_failed(rows.Boolean(row, kF2));
}

}  // namespace

void DecodeEntry(const Rows& rows, std::size_t row, matrix::v1::StateEntry& entry) {
  entry.set_event_id(rows.Bytes(row, kId));
  entry.set_type(rows.Bytes(row, kA));
  entry.set_state_key(rows.Bytes(row, kB));
}

ContextRows DecodeContextRows(const Rows& rows, const std::string& room_id) {
  ContextRows context;
  context.judging.set_room_id(room_id);
  context.token.room_id = room_id;
  std::set<std::string> held;
  BranchRows branches;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    switch (rows.Text(row, kKind).front()) {
      case 'r':
        DecodeRoom(rows, row, context);
        break;
      case 'p':
        DecodeReference(rows, row, *context.judging.mutable_prev_events());
        break;
      case 'a':
        DecodeReference(rows, row, *context.judging.mutable_auth_events());
        break;
      case 'b':
        DecodeEntry(rows, row, *context.judging.add_state_before());
        break;
      case 'n':
        DecodeEntry(rows, row, *context.judging.add_state_now());
        break;
      case 'e':
        if (held.insert(rows.Bytes(row, kId)).second) DecodeEvent(rows, row, *context.judging.add_events());
        break;
      case 'i':
        context.token.extremities.push_back(rows.Bytes(row, kId));
        break;
      case 'm':
        if (!rows.IsNull(row, kN1)) context.token.fixed = rows.Integer(row, kN1);
        context.token.merged = rows.Boolean(row, kF1);
        break;
      case 'x':
        context.existing.emplace();
        context.existing->set_pdu(rows.Bytes(row, kA));
        context.existing->set_outcome(static_cast<matrix::v1::Outcome>(rows.Integer(row, kN1)));
        context.existing->set_reason(static_cast<matrix::v1::Reason>(rows.Integer(row, kN2)));
        break;
      default:
        branches.Decode(rows, row);
        break;
    }
  }
  branches.MoveTo(context.judging);
  if (context.token.merged) return context;
  if (!context.token.before) {
    context.judging.set_state_before_unresolved(true);
    context.token.before = branches.base();
  } else if (*context.token.before == context.token.now) {
    *context.judging.mutable_state_before() = context.judging.state_now();
  }
  return context;
}

}  // namespace postern::store
