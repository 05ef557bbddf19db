// Where states that are put together come to a position of the trunk: that is said only where it is so, of any events
// of a room; and of a room that many leave from one template, of whatever takes their leaves together one after
// another.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "matrix/event.h"
#include "tests/store/store_rig.h"
#include "tests/support/case_count.h"
#include "tests/support/store_requests.h"

namespace postern::store {
namespace {

using matrix::Event;
using support::Draft;
using support::Object;
using support::StoreRig;
using support::TestRoom;
using support::UserOf;

using Events = std::vector<const Event*>;

/// A room whose users leave from old templates, and whose creator takes what they leave behind together.
class LeftRoom {
 public:
  LeftRoom(int users, int number, std::mt19937& random) : random_(random), room_(Build(users, number)) {
    rig_.Create(room_);
    places_.push_back(&room_.tip());
    tips_ = places_;
  }

  /// From a template of one event.
  const Event& SetMember(int user, std::string_view membership, const Event& tip) {
    Draft draft{.type = "m.room.member",
                .state_key = UserOf(user),
                .sender = UserOf(user),
                .content = Object(fmt::format(R"({{"membership":"{}"}})", membership)),
                .prev_events = {&tip}};
    return Take(draft);
  }
  const Event& Gather(Events cited) {
    Draft draft{.type = "org.matrix.dummy_event",
                .state_key = std::nullopt,
                .sender = room_.creator(),
                .content = {},
                .prev_events = std::move(cited)};
    return Take(draft);
  }

  const Event& Tip() const { return room_.tip(); }
  /// In the order of their arrival.
  const Events& tips() const { return tips_; }
  Events Some() {
    Events some;
    const bool of_tips = Below(2) == 0;
    const Events& from = of_tips ? tips_ : places_;
    const std::size_t first = of_tips ? 0 : static_cast<std::size_t>(Below(static_cast<int>(from.size())));
    const std::size_t count = 1 + static_cast<std::size_t>(Below(static_cast<int>(matrix::kMaxPrevEvents)));
    for (std::size_t i = first; i < from.size() && some.size() < count; ++i) {
      if (Below(12) != 0) some.push_back(from[i]);
    }
    return some;
  }
  int Below(int limit) { return std::uniform_int_distribution(0, limit - 1)(random_); }

  /// The position of the trunk that the states after these come to; "" where none is said.
  std::string TrunkAfter(const Events& events) {
    return rig_.Sql(fmt::format("select fn.trunk_after('{}', {}, '{{}}', '{{}}')", room_.room_id(), Array(events)));
  }
  /// Whether they differ by commuting changes alone: those are what is asked about.
  bool DifferByCommutingChanges(const Events& events) {
    return rig_.Sql(fmt::format("select count(distinct fixed_ordering) = 1 and bool_and(state_group_after is not null) "
                                "from events where room_id = '{}' and event_id = any ({})",
                                room_.room_id(), Array(events))) == "t";
  }
  /// Of how many keys this state says something else than the states after the events put together by their definition.
  std::string Differences(const std::string& group, const Events& events) {
    return rig_.Sql(
        fmt::format("with found as (select s.*, x.stream_ordering from events e "
                    "cross join lateral fn.whole_state('{0}', e.state_group_after) s "
                    "join events x on x.room_id = e.room_id and x.event_id = s.event_id "
                    "where e.room_id = '{0}' and e.event_id = any ({1})), "
                    "together as (select distinct on (type, state_key) type, state_key, event_id from found "
                    "order by type, state_key, stream_ordering desc), "
                    "told as (select * from fn.whole_state('{0}', {2})) "
                    "select (select count(*) from (select * from together except select * from told) d) + "
                    "(select count(*) from (select * from told except select * from together) d)",
                    room_.room_id(), Array(events), group));
  }
  std::string GroupAfter(const Event& event) {
    return rig_.Sql(fmt::format("select state_group_after from events where event_id = '{}'", event.event_id()));
  }

 private:
  static TestRoom Build(int users, int number) {
    support::RoomBuilder builder("10", fmt::format("@creator:a{}.example", number));
    for (int user = 0; user < users; ++user) builder.Member(UserOf(user), "join");
    return builder.Build();
  }
  static std::string Array(const Events& events) {
    std::vector<std::string> ids;
    for (const Event* event : events) ids.push_back(fmt::format("'{}'", event->event_id()));
    return fmt::format("array[{}]::bytea[]", fmt::join(ids, ", "));
  }

  const Event& Take(Draft draft) {
    draft.origin_server_ts = room_.tip().origin_server_ts() + ++minted_;
    const Event& event = taken_.emplace_back(room_.Mint(draft));
    const auto stored = rig_.Persist(event);
    EXPECT_TRUE(stored.ok()) << stored.status();
    std::erase_if(
        tips_, [&](const Event* tip) { return std::ranges::find(draft.prev_events, tip) != draft.prev_events.end(); });
    tips_.push_back(&event);
    places_.push_back(&event);
    return event;
  }

  std::mt19937& random_;
  TestRoom room_;
  StoreRig rig_;
  std::deque<Event> taken_;
  Events places_;
  Events tips_;
  std::int64_t minted_ = 0;
};

TEST(TrunkStates, AreSaidOnlyOfWhatComesToThem) {
  std::mt19937 random(5);
  int said = 0, not_said = 0;
  for (int number = 0; number < support::CaseCount(6); ++number) {
    LeftRoom room(20, number, random);
    const Event* old = &room.Tip();
    for (int step = 0; step < 60; ++step) {
      if (room.Below(10) == 0) old = room.tips().back();
      switch (room.Below(8)) {
        case 0:
        case 1:
          room.Gather(room.Some());
          break;
        case 2:
          room.SetMember(room.Below(20), "join", *old);
          break;
        default:
          room.SetMember(room.Below(20), "leave", *old);
      }
      ASSERT_FALSE(testing::Test::HasFailure()) << "room " << number << ", step " << step;
      const Events asked = room.Some();
      if (asked.empty() || !room.DifferByCommutingChanges(asked)) continue;
      const std::string trunk = room.TrunkAfter(asked);
      trunk.empty() ? ++not_said : ++said;
      if (!trunk.empty()) {
        ASSERT_EQ(room.Differences(trunk, asked), "0") << "room " << number << ", step " << step;
      }
    }
  }
  EXPECT_GE(said, support::CaseCount(20));
  EXPECT_GE(not_said, support::CaseCount(20));
}

TEST(TrunkStates, AreThoseOfAChainThatTakesABurstTogether) {
  constexpr int kUsers = 60;
  std::mt19937 random(5);
  LeftRoom room(kUsers, 0, random);
  const Event& old = room.Tip();
  for (int user = 0; user < kUsers; ++user) room.SetMember(user, "leave", old);
  const Events leaves = room.tips();
  const Event* last = nullptr;
  for (std::size_t next = 0; next < leaves.size();) {
    Events cited;
    if (last != nullptr) cited.push_back(last);
    while (cited.size() < matrix::kMaxPrevEvents && next < leaves.size()) cited.push_back(leaves[next++]);
    const std::string trunk = room.TrunkAfter(cited);
    ASSERT_NE(trunk, "");
    EXPECT_EQ(room.Differences(trunk, cited), "0");
    last = &room.Gather(cited);
    EXPECT_EQ(room.GroupAfter(*last), trunk);
  }
  EXPECT_THAT(room.tips(), testing::ElementsAre(last));
}

}  // namespace
}  // namespace postern::store
