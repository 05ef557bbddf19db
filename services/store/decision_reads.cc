// What explaining and replaying decisions needs, on PostgreSQL.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "matrix/refusal.h"
#include "services/store/context_rows.h"
#include "services/store/neighbourhood.h"
#include "services/store/postgres_event_store.h"
#include "services/store/recorded_decision.h"
#include "services/store/statements.h"

namespace postern::store {
namespace {

using matrix::Reason;
using matrix::Refuse;

enum Column { kRoomId, kEventId, kPdu, kVerdict, kStoredAt, kOrigin, kVersion, kNumber };

absl::StatusOr<v1::Decision> DecodeDecision(const Rows& rows, std::size_t row, const std::string& server_name) {
  v1::Decision decision;
  decision.set_room_id(rows.Bytes(row, kRoomId));
  decision.set_event_id(rows.Bytes(row, kEventId));
  decision.set_room_version(std::string(rows.Text(row, kVersion)));
  decision.set_stored_at_ms(rows.Integer(row, kStoredAt));
  decision.set_origin(rows.Bytes(row, kOrigin));
  decision.set_minted_here(decision.origin() == server_name);
  if (!decision.mutable_verdict()->ParseFromString(rows.Bytes(row, kVerdict))) {
    return Refuse(Reason::kInternal, "a stored verdict cannot be read");
  }
  decision.set_pdu(JudgedPdu(rows.Bytes(row, kPdu), decision.verdict(), server_name));
  return decision;
}

/// Fills the page with rows, until it is full. `place_of` says where the list goes on after a decision.
template <typename PlaceOf>
absl::Status FillPage(const Rows& rows, const std::string& server_name, v1::ListDecisionsResponse& page,
                      PlaceOf place_of) {
  std::size_t bytes = 0;
  for (std::size_t row = 0; row < rows.size() && !PageIsFull(page, bytes); ++row) {
    absl::StatusOr<v1::Decision> decision = DecodeDecision(rows, row, server_name);
    if (!decision.ok()) return decision.status();
    bytes += decision->ByteSizeLong();
    *page.mutable_next() = place_of(row, *decision);
    *page.add_decisions() = *std::move(decision);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::ListDecisionsResponse> PostgresEventStore::ListDecisions(const rpc::CallContext& call,
                                                                            const v1::ListDecisionsRequest& request) {
  if (request.after().has_refusal()) return ListRefusals(call, request);
  const v1::DecisionPlace& after = request.after();
  const auto rows = Read(call, kDecisions,
                         Parameters()
                             .Bytes(after.room_id())
                             .Integer(request.since_ms())
                             .Integer(UntilOf(request))
                             .Integer(after.stored_at_ms())
                             .Bytes(after.event_id())
                             .Bytes(request.room_id())
                             .Integer(kDecisionsPerPage));
  if (!rows.ok()) return rows.status();
  v1::ListDecisionsResponse page;
  const absl::Status filled =
      FillPage(*rows, options_.server_name, page, [](std::size_t, const v1::Decision& decision) {
        v1::DecisionPlace place;
        place.set_room_id(decision.room_id());
        place.set_stored_at_ms(decision.stored_at_ms());
        place.set_event_id(decision.event_id());
        return place;
      });
  if (!filled.ok()) return filled;
  if (page.decisions_size() > 0) return page;

  // Nothing more in the rooms that were looked at: on with the next ones, or with the refusals.
  if (request.room_id().empty()) {
    const auto next_room = Read(call, kNextRoom, Parameters().Bytes(after.room_id()));
    if (!next_room.ok()) return next_room.status();
    if (next_room->size() > 0) {
      page.mutable_next()->set_room_id(next_room->Bytes(0, 0));
      return page;
    }
  }
  v1::ListDecisionsRequest refusals = request;
  refusals.mutable_after()->set_refusal(0);
  return ListRefusals(call, refusals);
}

absl::StatusOr<v1::ListDecisionsResponse> PostgresEventStore::ListRefusals(const rpc::CallContext& call,
                                                                           const v1::ListDecisionsRequest& request) {
  const auto rows = Read(call, kRefusedDecisions,
                         Parameters()
                             .Integer(request.after().refusal())
                             .Integer(request.since_ms())
                             .Integer(UntilOf(request))
                             .Bytes(request.room_id())
                             .Integer(kDecisionsPerPage));
  if (!rows.ok()) return rows.status();
  v1::ListDecisionsResponse page;
  const absl::Status filled =
      FillPage(*rows, options_.server_name, page, [&rows](std::size_t row, v1::Decision& decision) {
        decision.set_refused(true);
        v1::DecisionPlace place;
        place.set_refusal(rows->Integer(row, kNumber));
        return place;
      });
  if (!filled.ok()) return filled;
  return page;
}

absl::StatusOr<v1::DecisionContext> PostgresEventStore::GetDecisionContext(
    const rpc::CallContext& call, const v1::GetDecisionContextRequest& request) {
  const auto keys = WantedKeys(request.state_keys());
  if (!keys.ok()) return keys.status();
  const auto row = Read(call, request.refused() ? kRefusedDecision : kDecision,
                        Parameters().Bytes(request.room_id()).Bytes(request.event_id()));
  if (!row.ok()) return row.status();
  matrix::v1::Verdict verdict;
  if (row->size() == 0 || row->IsNull(0, 1)) return Refuse(Reason::kNotFound, "there is no such decision");
  if (!verdict.ParseFromString(row->Bytes(0, 1))) return Refuse(Reason::kInternal, "the stored verdict cannot be read");
  const matrix::v1::RecordedInputs& inputs = verdict.inputs();
  const std::string pdu = inputs.pdu().empty() ? row->Bytes(0, 0) : inputs.pdu();
  if (!verdict.has_inputs() || pdu.empty()) {
    return Refuse(Reason::kNotFound, "what the event was judged on was not kept");
  }
  const auto cited = ReadEventColumns(pdu);
  if (!cited.ok()) return Refuse(Reason::kInternal, "the stored event cannot be read");

  ContextDecoder decoder(request.room_id());
  decoder.Cite(cited->prev_events, cited->auth_events);
  std::vector<std::string> types, state_keys;
  for (const matrix::v1::StateKey& key : *keys) {
    types.push_back(key.type());
    state_keys.push_back(key.state_key());
  }
  Parameters parameters;
  const bool branched = inputs.forward_extremities_size() > 0;
  parameters.Bytes(request.room_id());
  if (branched) parameters.Bytes(request.event_id());
  parameters.BytesArray(cited->prev_events).BytesArray(cited->auth_events).BytesArray(types).BytesArray(state_keys);
  if (branched) {
    const std::vector<std::string> extremities(inputs.forward_extremities().begin(),
                                               inputs.forward_extremities().end());
    const auto own_type = cited->state_key ? std::optional(cited->type) : std::nullopt;
    parameters.Integer(inputs.state_group_now())
        .Boolean(inputs.states_diverge())
        .BytesArray(extremities)
        .Bytes(own_type)
        .Bytes(cited->state_key);
    return ContextOfDecision(call, kDecisionBranches, parameters, std::move(decoder));
  }
  std::optional<std::int64_t> before;
  if (inputs.has_state_group_before()) {
    before = inputs.state_group_before();
  } else if (!row->IsNull(0, 2)) {
    before = row->Integer(0, 2);
  }
  parameters.Integer(before)
      .Integer(inputs.state_group_now())
      .Boolean(inputs.extends_all_extremities())
      .Boolean(inputs.states_diverge())
      .Bytes(request.event_id());
  return ContextOfDecision(call, kDecisionContext, parameters, std::move(decoder));
}

absl::StatusOr<v1::DecisionContext> PostgresEventStore::ContextOfDecision(const rpc::CallContext& call,
                                                                          const Statement& statement,
                                                                          const Parameters& parameters,
                                                                          ContextDecoder decoder) {
  const auto rows = Read(call, statement, parameters);
  if (!rows.ok()) return rows.status();
  for (std::size_t row = 0; row < rows->size(); ++row) decoder.Add(*rows, row);
  v1::DecisionContext context;
  *context.mutable_judging() = decoder.Take().judging;
  return context;
}

absl::StatusOr<v1::Neighbourhood> PostgresEventStore::GetNeighbourhood(const rpc::CallContext& call,
                                                                       const v1::GetNeighbourhoodRequest& request) {
  const auto tips = Read(call, kRoomTips, Parameters().Bytes(request.room_id()));
  if (!tips.ok()) return tips.status();
  const std::vector<std::string> extremities = tips->size() > 0 ? tips->BytesArray(0, 0) : std::vector<std::string>{};

  enum NeighbourColumn { kItsId, kItsPdu, kOutcome, kReason, kRefusedWith };
  const auto events = [&](const std::vector<std::string>& ids) -> absl::StatusOr<std::vector<v1::NeighbourEvent>> {
    const auto rows = Read(call, kNeighbours, Parameters().Bytes(request.room_id()).BytesArray(ids));
    if (!rows.ok()) return rows.status();
    std::vector<v1::NeighbourEvent> found;
    for (std::size_t row = 0; row < rows->size(); ++row) {
      matrix::v1::Verdict refusal;
      std::string pdu = rows->Bytes(row, kItsPdu);
      if (!rows->IsNull(row, kRefusedWith) && refusal.ParseFromString(rows->Bytes(row, kRefusedWith))) {
        pdu = refusal.inputs().pdu();
      }
      found.push_back(DescribeNeighbour(rows->Bytes(row, kItsId), pdu,
                                        static_cast<matrix::v1::Outcome>(rows->Integer(row, kOutcome)),
                                        static_cast<matrix::v1::Reason>(rows->Integer(row, kReason))));
      found.back().set_extremity(std::ranges::find(extremities, found.back().event_id()) != extremities.end());
    }
    return found;
  };
  const auto followers = [&](const std::vector<std::string>& ids) -> absl::StatusOr<Followers> {
    const auto rows =
        Read(call, kFollowers, Parameters().Bytes(request.room_id()).BytesArray(ids).Integer(kFollowersWindow + 1));
    if (!rows.ok()) return rows.status();
    Followers citing;
    for (std::size_t row = 0; row < rows->size(); ++row) {
      if (rows->IsNull(row, 0)) {  // how many were looked through
        citing.truncated = rows->Integer(row, 1) > kFollowersWindow;
      } else {
        citing.event_ids.push_back(rows->Bytes(row, 0));
      }
    }
    return citing;
  };
  return GatherNeighbourhood(request, {events, followers});
}

}  // namespace postern::store
