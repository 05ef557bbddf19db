#include "services/gateway/backfill_route.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;

constexpr std::int64_t kMostEvents = 100;
/// What follows is not looked at.
constexpr std::size_t kMostEnds = 20;

absl::StatusOr<store::v1::GetBackfillRequest> ReadQuery(std::string_view target) {
  store::v1::GetBackfillRequest read;
  const auto from = http::QueryParameters(target, "v");
  if (from.empty() || !std::ranges::all_of(from, matrix::IsEventId)) {
    return Refuse(Reason::kBadQuery, "v: expected the ids of events");
  }
  for (std::size_t i = 0; i < std::min(from.size(), kMostEnds); ++i) read.add_from(from[i]);
  const auto limit = http::QueryParameter(target, "limit");
  std::int64_t number = 0;
  if (!limit || !absl::SimpleAtoi(*limit, &number) || number < 1) {
    return Refuse(Reason::kBadQuery, "limit: expected a number of at least 1");
  }
  read.set_limit(static_cast<std::uint32_t>(std::min(number, kMostEvents)));
  return read;
}

}  // namespace

BackfillRoute::BackfillRoute(matrix::ServerName server_name, StoreClient& store, KeyRing& key_ring,
                             LargeAnswers& answers, Clock clock)
    : server_name_(std::move(server_name)),
      store_(store),
      key_ring_(key_ring),
      answers_(answers),
      clock_(std::move(clock)) {}

absl::StatusOr<http::Response> BackfillRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  auto read = ReadQuery(exchange.request().target);
  if (!read.ok()) return read.status();
  read->set_room_id(exchange.path_arguments()[0]);
  read->set_asker(request.origin().text());
  if (!matrix::IsRoomId(read->room_id())) return Refuse(Reason::kUnknownRoom, "the room is not known");
  auto place = answers_.Take(request.origin().text());
  if (place == nullptr) return Refuse(Reason::kOverloaded, "too many such answers at once");
  const auto found = store_.GetBackfill(exchange.call(), *read);
  if (!found.ok()) return found.status();
  const auto rules = RulesFor(found->room(), request.origin());
  if (!rules.ok()) return rules.status();
  const auto shown = ShownOf(*found, **rules);
  if (!shown.ok()) return shown.status();
  if (!found->room().asker_joined() && shown->empty()) {
    return Refuse(Reason::kNotResident, "this server is not in the room, and may see none of these events");
  }
  key_ring_.Keep(request.origin());
  return http::Response{.status = 200,
                        .headers = {},
                        // A server name needs no escapes.
                        .body = absl::StrCat("{\"origin\":\"", server_name_.text(),
                                             "\",\"origin_server_ts\":", absl::ToUnixMillis(clock_()), ",\"pdus\":[",
                                             absl::StrJoin(*shown, ","), "]}"),
                        .held_until_sent = std::move(place)};
}

}  // namespace postern::gateway
