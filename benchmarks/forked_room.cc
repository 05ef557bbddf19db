#include "benchmarks/forked_room.h"

#include <string>
#include <utility>

#include "fmt/format.h"

namespace postern::benchmarks {
namespace {

std::string UserId(std::size_t number) { return fmt::format("@user{}:b.example", number); }

support::TestRoom Start(std::string_view version, std::size_t users) {
  support::RoomBuilder builder(version);
  builder.JoinRule("public");
  for (std::size_t number = 0; number < users; ++number) builder.Member(UserId(number), "join");
  return builder.Build();
}

support::Draft MemberDraft(const std::string& user, std::string_view membership, const std::string& sender) {
  matrix::JsonObject content;
  content.Set("membership", membership);
  if (membership == "join") content.Set("displayname", "another name");
  return {.type = "m.room.member", .state_key = user, .sender = sender, .content = std::move(content)};
}

}  // namespace

ForkedRoom::ForkedRoom(std::string_view version, std::size_t conflicted_events)
    : room_(Start(version, conflicted_events / 2)), tips_(2, &room_.tip()), states_(2) {
  for (const matrix::Event& event : room_.events()) {
    known_.Add(event);
    for (matrix::StateMap& state : states_) state[{event.type(), *event.state_key()}] = event.event_id();
  }
  for (std::size_t number = 0; number < conflicted_events / 2; ++number) {
    const std::string user = UserId(number);
    const bool banned = number % 10 == 0;
    Add(0, MemberDraft(user, "leave", user));
    Add(1, MemberDraft(user, banned ? "ban" : "join", banned ? room_.creator() : user));
  }
}

// Auth events are those of the state before the fork: no user is changed twice, and nothing else changes.
void ForkedRoom::Add(std::size_t side, support::Draft draft) {
  draft.prev_events = {tips_[side]};
  draft.origin_server_ts = tips_[side]->origin_server_ts() + 1000;
  const matrix::Event& event = added_.emplace_back(room_.Mint(draft));
  tips_[side] = &event;
  known_.Add(event);
  states_[side][{event.type(), *event.state_key()}] = event.event_id();
}

}  // namespace postern::benchmarks
