#include "services/gateway/peer_events.h"

#include <fmt/format.h>

#include <utility>

#include "matrix/refusal.h"
#include "services/gateway/signed_request.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr int kOk = 200;
constexpr std::size_t kMostBytes = 2 * 1024 * 1024;

JsonArray ListOf(const std::vector<std::string>& ids) {
  JsonArray list;
  for (const std::string& id : ids) list.emplace_back(id);
  return list;
}

}  // namespace

absl::StatusOr<JsonArray> FederatedEvents::MissingEvents(const matrix::ServerName& server,
                                                         const MissingEventsQuery& query, absl::Time deadline) {
  JsonObject body;
  body.Set("earliest_events", ListOf(query.earliest));
  body.Set("latest_events", ListOf(query.latest));
  body.Set("limit", query.limit);
  body.Set("min_depth", 0);
  FederationRequest request = SignedRequestTo(
      server, "POST", fmt::format("/_matrix/federation/v1/get_missing_events/{}", http::PercentEncode(query.room_id)),
      Json(std::move(body)), signer_);
  request.response_limit_bytes = kMostBytes;
  const auto response = client_.Send(server, request, deadline);
  if (!response.ok()) return Refuse(Reason::kPeerUnavailable, matrix::DetailOf(response.status()));
  if (response->status != kOk) return Refuse(Reason::kPeerUnavailable, fmt::format("answered {}", response->status));
  auto answer = matrix::ParseJson(response->body);
  Json* events = answer.ok() && answer->AsObject() != nullptr ? answer->AsObject()->Find("events") : nullptr;
  if (events == nullptr || events->AsArray() == nullptr) {
    return Refuse(Reason::kPeerUnavailable, "answered 200 without a list of events");
  }
  return std::move(*events->AsArray());
}

}  // namespace postern::gateway
