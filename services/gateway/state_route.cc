#include "services/gateway/state_route.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {

using matrix::Reason;
using matrix::Refuse;

StateRoute::StateRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers)
    : store_(store), key_ring_(key_ring), large_answers_(large_answers) {}

absl::StatusOr<http::Response> StateRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  store::v1::GetStateRequest read;
  read.set_room_id(exchange.path_arguments()[0]);
  read.set_asker(request.origin().text());
  const auto event_id = http::QueryParameter(exchange.request().target, "event_id");
  if (!event_id || !matrix::IsEventId(*event_id)) return Refuse(Reason::kBadQuery, "event_id: expected an event's id");
  read.set_event_id(*event_id);
  exchange.notes().event_id = *event_id;
  auto place = AdmitLargeAnswer(request, read.room_id(), read.event_id(), store_, key_ring_, large_answers_);
  if (!place.ok()) return place.status();
  const auto state = store_.GetState(exchange.call(), read);
  if (!state.ok()) return state.status();
  return http::Response{.status = 200,
                        .headers = {},
                        .body = absl::StrCat("{\"auth_chain\":[", absl::StrJoin(state->auth_chain(), ","),
                                             "],\"pdus\":[", absl::StrJoin(state->state(), ","), "]}"),
                        .held_until_sent = *std::move(place)};
}

}  // namespace postern::gateway
