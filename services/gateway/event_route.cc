#include "services/gateway/event_route.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {

using matrix::Reason;
using matrix::Refuse;

EventRoute::EventRoute(matrix::ServerName server_name, StoreClient& store, KeyRing& key_ring, Clock clock)
    : server_name_(std::move(server_name)), store_(store), key_ring_(key_ring), clock_(std::move(clock)) {}

absl::StatusOr<http::Response> EventRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  store::v1::GetEventForPeerRequest read;
  read.set_event_id(exchange.path_arguments()[0]);
  read.set_asker(request.origin().text());
  if (!matrix::IsEventId(read.event_id())) return Refuse(Reason::kUnknownEvent, "this is no event's id");
  const auto event = store_.GetEventForPeer(exchange.call(), read);
  if (!event.ok()) return event.status();
  exchange.notes().room_id = event->room().room().room_id();
  const auto rules = RulesFor(event->room(), request.origin());
  if (!rules.ok()) return rules.status();
  if (absl::Status status = CheckMaySee(event->room(), event->seen()); !status.ok()) return status;
  key_ring_.Keep(request.origin());
  const auto pdu = ShownTo(event->room(), event->seen(), event->pdu(), **rules);
  if (!pdu.ok()) return pdu.status();
  return http::Response{.status = 200,
                        .headers = {},
                        // A server name needs no escapes.
                        .body = absl::StrCat("{\"origin\":\"", server_name_.text(), "\",\"origin_server_ts\":",
                                             absl::ToUnixMillis(clock_()), ",\"pdus\":[", *pdu, "]}")};
}

}  // namespace postern::gateway
