#include "services/gateway/missing_events_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "services/gateway/peer_access.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr std::int64_t kDefaultLimit = 10;
constexpr std::int64_t kMostEvents = 20;
/// Of each list; what follows is not looked at.
constexpr std::size_t kMostEnds = 20;

absl::Status ReadEnds(const JsonObject& content, std::string_view name,
                      google::protobuf::RepeatedPtrField<std::string>& ends) {
  const Json* list = content.Find(name);
  if (list == nullptr || list->AsArray() == nullptr) {
    return Refuse(Reason::kBadJson, fmt::format("'{}' must be a list of event ids", name));
  }
  for (const Json& entry : *list->AsArray()) {
    if (entry.AsString() == nullptr || !matrix::IsEventId(*entry.AsString())) {
      return Refuse(Reason::kBadJson, fmt::format("'{}' must be a list of event ids", name));
    }
    if (static_cast<std::size_t>(ends.size()) < kMostEnds) ends.Add(std::string(*entry.AsString()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> ReadNumber(const JsonObject& content, std::string_view name, std::int64_t least,
                                        std::int64_t otherwise) {
  const Json* number = content.Find(name);
  if (number == nullptr) return otherwise;
  if (number->AsInteger() != nullptr && *number->AsInteger() >= least) return *number->AsInteger();
  return Refuse(Reason::kBadJson, fmt::format("'{}' must be an integer of at least {}", name, least));
}

absl::StatusOr<store::v1::GetMissingEventsRequest> ReadRequest(const JsonObject& content) {
  store::v1::GetMissingEventsRequest read;
  if (absl::Status status = ReadEnds(content, "latest_events", *read.mutable_latest()); !status.ok()) return status;
  if (absl::Status status = ReadEnds(content, "earliest_events", *read.mutable_earliest()); !status.ok()) return status;
  const auto limit = ReadNumber(content, "limit", 1, kDefaultLimit);
  if (!limit.ok()) return limit.status();
  read.set_limit(static_cast<std::uint32_t>(std::min(*limit, kMostEvents)));
  const auto min_depth = ReadNumber(content, "min_depth", 0, 0);
  if (!min_depth.ok()) return min_depth.status();
  read.set_min_depth(*min_depth);
  return read;
}

}  // namespace

MissingEventsRoute::MissingEventsRoute(StoreClient& store, KeyRing& key_ring) : store_(store), key_ring_(key_ring) {}

absl::StatusOr<http::Response> MissingEventsRoute::Handle(AuthenticRequest request) {
  Exchange& exchange = request.exchange();
  auto read = ReadRequest(*request.content()->AsObject());
  if (!read.ok()) return read.status();
  read->set_room_id(exchange.path_arguments()[0]);
  read->set_asker(request.origin().text());
  if (!matrix::IsRoomId(read->room_id())) return Refuse(Reason::kUnknownRoom, "the room is not known");
  const auto found = store_.GetMissingEvents(exchange.call(), *read);
  if (!found.ok()) return found.status();
  const auto rules = RulesFor(found->room(), request.origin());
  if (!rules.ok()) return rules.status();
  const auto shown = ShownOf(*found, **rules);
  if (!shown.ok()) return shown.status();
  if (!found->room().asker_joined() && shown->empty()) {
    return Refuse(Reason::kNotResident, "this server is not in the room, and may see none of these events");
  }
  key_ring_.Keep(request.origin());
  return http::Response{
      .status = 200, .headers = {}, .body = absl::StrCat("{\"events\":[", absl::StrJoin(*shown, ","), "]}")};
}

}  // namespace postern::gateway
