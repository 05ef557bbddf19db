#include "services/gateway/peer_states.h"

#include <fmt/format.h>

#include <utility>

#include "http/http_message.h"
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
constexpr std::size_t kMostIdBytes = 2 * 1024 * 1024;
constexpr std::size_t kMostStateBytes = 8 * 1024 * 1024;
constexpr std::size_t kMostEventBytes = 128 * 1024;

absl::Status NoAnswer(std::string_view why) { return Refuse(Reason::kPeerUnavailable, why); }

absl::StatusOr<JsonArray> ListIn(JsonObject& answer, std::string_view name) {
  Json* list = answer.Find(name);
  if (list == nullptr || list->AsArray() == nullptr) return NoAnswer(fmt::format("answered 200 without '{}'", name));
  return std::move(*list->AsArray());
}

absl::StatusOr<std::vector<std::string>> IdsIn(JsonObject& answer, std::string_view name) {
  const auto list = ListIn(answer, name);
  if (!list.ok()) return list.status();
  std::vector<std::string> ids;
  ids.reserve(list->size());
  for (const Json& id : *list) {
    if (id.AsString() == nullptr) return NoAnswer(fmt::format("'{}' holds what is no id", name));
    ids.push_back(*id.AsString());
  }
  return ids;
}

std::string OfState(std::string_view endpoint, std::string_view room_id, std::string_view event_id) {
  return fmt::format("/_matrix/federation/v1/{}/{}?event_id={}", endpoint, http::PercentEncode(room_id),
                     http::PercentEncode(event_id));
}

}  // namespace

absl::StatusOr<JsonObject> FederatedStates::Get(const matrix::ServerName& server, std::string target,
                                                std::size_t most_bytes, absl::Time deadline) {
  FederationRequest request = SignedGetTo(server, std::move(target), signer_);
  request.response_limit_bytes = most_bytes;
  const auto response = client_.Send(server, request, deadline);
  if (!response.ok()) return NoAnswer(matrix::DetailOf(response.status()));
  if (response->status != kOk) return NoAnswer(fmt::format("answered {}", response->status));
  auto answer = matrix::ParseJson(response->body);
  if (!answer.ok() || answer->AsObject() == nullptr) return NoAnswer("answered 200 without an object");
  return std::move(*answer->AsObject());
}

absl::StatusOr<ToldStateIds> FederatedStates::StateIds(const matrix::ServerName& server, std::string_view room_id,
                                                       std::string_view event_id, absl::Time deadline) {
  auto answer = Get(server, OfState("state_ids", room_id, event_id), kMostIdBytes, deadline);
  if (!answer.ok()) return answer.status();
  auto state = IdsIn(*answer, "pdu_ids");
  if (!state.ok()) return state.status();
  auto auth_chain = IdsIn(*answer, "auth_chain_ids");
  if (!auth_chain.ok()) return auth_chain.status();
  return ToldStateIds{*std::move(state), *std::move(auth_chain)};
}

absl::StatusOr<JsonArray> FederatedStates::State(const matrix::ServerName& server, std::string_view room_id,
                                                 std::string_view event_id, absl::Time deadline) {
  auto answer = Get(server, OfState("state", room_id, event_id), kMostStateBytes, deadline);
  if (!answer.ok()) return answer.status();
  auto events = ListIn(*answer, "pdus");
  if (!events.ok()) return events.status();
  auto auth_chain = ListIn(*answer, "auth_chain");
  if (!auth_chain.ok()) return auth_chain.status();
  for (Json& event : *auth_chain) events->push_back(std::move(event));
  return events;
}

absl::StatusOr<Json> FederatedStates::Event(const matrix::ServerName& server, std::string_view event_id,
                                            absl::Time deadline) {
  auto answer = Get(server, fmt::format("/_matrix/federation/v1/event/{}", http::PercentEncode(event_id)),
                    kMostEventBytes, deadline);
  if (!answer.ok()) return answer.status();
  auto events = ListIn(*answer, "pdus");
  if (!events.ok()) return events.status();
  if (events->size() != 1) return NoAnswer("answered 200 without one event");
  return std::move(events->front());
}

}  // namespace postern::gateway
