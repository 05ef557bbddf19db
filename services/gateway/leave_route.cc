#include "services/gateway/leave_route.h"

#include <utility>

#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Reason;
using matrix::Refuse;
using store::v1::EventContext;

/// Row 12.
absl::Status CheckCanLeave(const EventContext& context) {
  const std::string& now = context.sender_membership();
  if (now == "join" || now == "invite" || now == "knock") return absl::OkStatus();
  if (now == "leave") return Refuse(Reason::kAlreadyLeft, "the sender has left the room");
  return Refuse(Reason::kNotAMember,
                now == "ban" ? "the sender is banned from the room" : "the sender is not in the room");
}

}  // namespace

LeaveRoute::LeaveRoute(LeaveApi api, LeaveServices services, MissingEvents* missing_events)
    : api_(api), intake_(Wanted::kLeave, std::move(services), missing_events) {}

absl::StatusOr<http::Response> LeaveRoute::Handle(AuthenticRequest request) {
  const auto taken = intake_.Take(request, [](OwnMembership&, const EventContext& context, const matrix::RoomRules&) {
    return CheckCanLeave(context);
  });
  if (!taken.ok()) return taken.status();
  return http::Response{.status = 200, .headers = {}, .body = api_ == LeaveApi::kV1 ? "[200,{}]" : "{}"};
}

}  // namespace postern::gateway
