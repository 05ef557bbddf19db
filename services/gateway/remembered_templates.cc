#include "services/gateway/remembered_templates.h"

#include <algorithm>
#include <utility>

#include "matrix/auth_events.h"
#include "matrix/room_rules.h"

namespace postern::gateway {
namespace {

using matrix::v1::JudgingContext;
using store::v1::GetEventContextRequest;

/// No id holds U+0000.
std::string NameOf(const std::string& room_id, const std::string& user_id) { return room_id + '\0' + user_id; }

bool AsksAsForALeave(const GetEventContextRequest& request) {
  const auto keys = matrix::KeysForLeave(request.sender());
  return !request.with_branches() &&
         std::equal(keys.begin(), keys.end(), request.state_keys().begin(), request.state_keys().end(),
                    [](const matrix::StateKey& one, const matrix::v1::StateKey& other) {
                      return one.type == other.type() && one.state_key == other.state_key();
                    });
}

bool CitesTheExtremities(const GetEventContextRequest& request, const JudgingContext& room) {
  return room.extends_all_extremities() &&
         std::equal(request.prev_events().begin(), request.prev_events().end(), room.prev_events().begin(),
                    room.prev_events().end(), [](const std::string& cited, const matrix::v1::Reference& tip) {
                      return cited == tip.event_id() && tip.known() && !tip.rejected();
                    });
}

bool CitesTheState(const GetEventContextRequest& request, const JudgingContext& room) {
  return std::ranges::all_of(request.auth_events(), [&room](const std::string& cited) {
    return std::ranges::any_of(room.state_now(), [&cited](const auto& entry) { return entry.event_id() == cited; });
  });
}

bool FollowsFrom(const store::v1::TemplateContext& given, const GetEventContextRequest& request) {
  const JudgingContext& room = given.judging();
  const matrix::RoomRules* rules = matrix::FindRoomRules(room.room_version());
  return rules != nullptr && rules->event_id_format != matrix::EventIdFormat::kCarried &&
         room.room_id() == request.room_id() && AsksAsForALeave(request) && CitesTheExtremities(request, room) &&
         CitesTheState(request, room);
}

store::v1::EventContext ContextOf(store::v1::TemplateContext given, const GetEventContextRequest& request) {
  store::v1::EventContext context;
  context.mutable_judging()->Swap(given.mutable_judging());
  context.mutable_judging()->clear_auth_events();
  for (const std::string& cited : request.auth_events()) {
    matrix::v1::Reference& reference = *context.mutable_judging()->add_auth_events();
    reference.set_event_id(cited);
    reference.set_known(true);
  }
  context.mutable_sender_membership()->swap(*given.mutable_user_membership());
  context.mutable_token()->swap(*given.mutable_token());
  return context;
}

}  // namespace

void RememberedTemplates::Keep(const std::string& user_id, store::v1::TemplateContext given, absl::Time now) {
  const std::string name = NameOf(given.judging().room_id(), user_id);
  const std::size_t bytes = given.ByteSizeLong();
  const std::lock_guard lock(mutex_);
  if (bytes > limits_.most_bytes_of_one) return given_.Forget(name);
  given_.Put(name, {.context = std::move(given), .at = now}, bytes);
}

std::optional<store::v1::EventContext> RememberedTemplates::Take(const GetEventContextRequest& request,
                                                                 absl::Time now) {
  const std::string name = NameOf(request.room_id(), request.sender());
  std::optional<Given> taken;
  {
    const std::lock_guard lock(mutex_);
    const Given* given = given_.Find(name);
    if (given == nullptr) return std::nullopt;
    const bool is_of_use = now - given->at <= limits_.longest;
    if (is_of_use && !FollowsFrom(given->context, request)) return std::nullopt;
    taken = given_.Take(name);
    if (!is_of_use) return std::nullopt;
  }
  if (!taken) return std::nullopt;
  return ContextOf(std::move(taken->context), request);
}

std::size_t RememberedTemplates::size() const {
  const std::lock_guard lock(mutex_);
  return given_.size();
}

}  // namespace postern::gateway
