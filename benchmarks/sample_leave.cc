#include "benchmarks/sample_leave.h"

#include <utility>
#include <vector>

namespace postern::benchmarks {
namespace {

constexpr std::size_t kTips = 5;

matrix::Event LeaveWithReason(const support::TestRoom& room, std::string reason) {
  matrix::JsonObject content;
  content.Set("membership", "leave");
  content.Set("reason", std::move(reason));
  support::Draft draft{
      .type = "m.room.member", .state_key = kLeavingUser, .sender = kLeavingUser, .content = std::move(content)};
  for (std::size_t i = 0; i < kTips; ++i) draft.prev_events.push_back(&room.events()[room.events().size() - 1 - i]);
  return room.Mint(draft);
}

SampleLeave Make() {
  support::TestRoom room =
      support::RoomBuilder("10").Member(kLeavingUser, "join").Member("@bob:c.example", "join").Build();
  const std::size_t without_reason = support::TestRoom::Text(LeaveWithReason(room, "")).size();
  matrix::Event event = LeaveWithReason(room, std::string(kLeaveBytes - without_reason, 'x'));
  std::string text = support::TestRoom::Text(event);
  return {std::move(room), std::move(event), std::move(text)};
}

}  // namespace

const SampleLeave& TheLeave() {
  static const SampleLeave leave = Make();
  return leave;
}

}  // namespace postern::benchmarks
