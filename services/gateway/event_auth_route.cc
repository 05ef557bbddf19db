#include "services/gateway/event_auth_route.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {

using matrix::Reason;
using matrix::Refuse;

EventAuthRoute::EventAuthRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers)
    : store_(store), key_ring_(key_ring), large_answers_(large_answers) {}

absl::StatusOr<http::Response> EventAuthRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  store::v1::GetAuthChainRequest read;
  read.set_room_id(exchange.path_arguments()[0]);
  read.set_event_id(exchange.path_arguments()[1]);
  read.set_asker(request.origin().text());
  if (!matrix::IsRoomId(read.room_id())) return Refuse(Reason::kUnknownRoom, "the room is not known");
  const absl::Status may =
      CheckMayReadAbout(read.room_id(), read.event_id(), request.origin(), store_, exchange.call());
  if (!may.ok()) return may;
  key_ring_.Keep(request.origin());
  auto place = large_answers_.Take(read.asker());
  if (place == nullptr) return Refuse(Reason::kOverloaded, "too many large answers at once");
  const auto chain = store_.GetAuthChain(exchange.call(), read);
  if (!chain.ok()) return chain.status();
  return http::Response{.status = 200,
                        .headers = {},
                        .body = absl::StrCat("{\"auth_chain\":[", absl::StrJoin(chain->pdus(), ","), "]}"),
                        .held_until_sent = std::move(place)};
}

}  // namespace postern::gateway
