#include "services/gateway/event_auth_route.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {

EventAuthRoute::EventAuthRoute(StoreClient& store, KeyRing& key_ring, LargeAnswers& large_answers)
    : store_(store), key_ring_(key_ring), large_answers_(large_answers) {}

absl::StatusOr<http::Response> EventAuthRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  store::v1::GetAuthChainRequest read;
  read.set_room_id(exchange.path_arguments()[0]);
  read.set_event_id(exchange.path_arguments()[1]);
  read.set_asker(request.origin().text());
  auto place = AdmitLargeAnswer(request, read.room_id(), read.event_id(), store_, key_ring_, large_answers_);
  if (!place.ok()) return place.status();
  const auto chain = store_.GetAuthChain(exchange.call(), read);
  if (!chain.ok()) return chain.status();
  return http::Response{.status = 200,
                        .headers = {},
                        .body = absl::StrCat("{\"auth_chain\":[", absl::StrJoin(chain->pdus(), ","), "]}"),
                        .held_until_sent = *std::move(place)};
}

}  // namespace postern::gateway
