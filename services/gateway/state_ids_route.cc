#include "services/gateway/state_ids_route.h"

#include <utility>

#include "matrix/canonical_json.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

matrix::JsonArray IdsOf(google::protobuf::RepeatedPtrField<std::string>& ids) {
  matrix::JsonArray array;
  array.reserve(static_cast<std::size_t>(ids.size()));
  for (std::string& id : ids) array.emplace_back(std::move(id));
  ids.Clear();
  return array;
}

}  // namespace

StateIdsRoute::StateIdsRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers)
    : store_(store), key_ring_(key_ring), large_answers_(large_answers) {}

absl::StatusOr<http::Response> StateIdsRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  store::v1::GetStateIdsRequest read;
  read.set_room_id(exchange.path_arguments()[0]);
  read.set_asker(request.origin().text());
  const auto event_id = http::QueryParameter(exchange.request().target, "event_id");
  if (!event_id || !matrix::IsEventId(*event_id)) return Refuse(Reason::kBadQuery, "event_id: expected an event's id");
  read.set_event_id(*event_id);
  exchange.notes().event_id = *event_id;
  auto place = AdmitLargeAnswer(request, read.room_id(), read.event_id(), store_, key_ring_, large_answers_);
  if (!place.ok()) return place.status();
  auto state = store_.GetStateIds(exchange.call(), read);
  if (!state.ok()) return state.status();
  matrix::JsonObject answer;
  answer.Set("auth_chain_ids", IdsOf(*state->mutable_auth_chain()));
  answer.Set("pdu_ids", IdsOf(*state->mutable_state()));
  return http::Response{
      .status = 200, .headers = {}, .body = matrix::CanonicalJson(answer), .held_until_sent = *std::move(place)};
}

}  // namespace postern::gateway
