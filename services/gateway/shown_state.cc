#include "services/gateway/shown_state.h"

#include <string>
#include <utility>

#include "matrix/refusal.h"
#include "services/gateway/room_access.h"

namespace postern::gateway {
namespace {

constexpr std::string_view kShown[] = {"m.room.create",         "m.room.name",       "m.room.avatar",
                                       "m.room.topic",          "m.room.join_rules", "m.room.encryption",
                                       "m.room.canonical_alias"};

void AddKey(store::v1::GetTemplateContextRequest& request, std::string_view type, std::string_view state_key) {
  auto* key = request.add_state_keys();
  key->set_type(std::string(type));
  key->set_state_key(std::string(state_key));
}

}  // namespace

void AskForShownState(store::v1::GetTemplateContextRequest& request, std::string_view inviter) {
  for (const std::string_view type : kShown) AddKey(request, type, "");
  if (!inviter.empty()) AddKey(request, "m.room.member", inviter);
  AddKey(request, "m.room.server_acl", "");
}

absl::StatusOr<matrix::JsonArray> ShownState(const matrix::v1::JudgingContext& room, std::string_view inviter) {
  matrix::JsonArray state;
  const auto show = [&](std::string_view type, std::string_view state_key) -> absl::Status {
    const matrix::v1::StoredEvent* stored = CurrentStateEvent(room, type, state_key);
    if (stored == nullptr) return absl::OkStatus();
    auto event = matrix::ParseJson(stored->pdu());
    if (!event.ok() || event->AsObject() == nullptr) {
      return matrix::Refuse(matrix::Reason::kInternal, "a stored event cannot be read");
    }
    state.push_back(*std::move(event));
    return absl::OkStatus();
  };
  for (const std::string_view type : kShown) {
    if (absl::Status status = show(type, ""); !status.ok()) return status;
  }
  if (inviter.empty()) return state;
  if (absl::Status status = show("m.room.member", inviter); !status.ok()) return status;
  return state;
}

}  // namespace postern::gateway
