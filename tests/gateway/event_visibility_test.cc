// Who may see an event, by its room's history visibility.
#include "services/gateway/event_visibility.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace postern::gateway {
namespace {

struct VisibilityCase {
  std::string name;
  std::string visibility;
  bool resident = false;
  bool joined = false;
  bool invited = false;
  Visibility expected = Visibility::kNothing;
};

class HistoryVisibility : public testing::TestWithParam<VisibilityCase> {};

TEST_P(HistoryVisibility, DecidesWhatAServerIsGiven) {
  const VisibilityCase& c = GetParam();
  store::v1::SeenByPeer seen;
  seen.set_history_visibility(c.visibility);
  seen.set_asker_joined(c.joined);
  seen.set_asker_invited(c.invited);
  EXPECT_EQ(VisibilityOf(seen, c.resident), c.expected);
}

constexpr Visibility kWhole = Visibility::kWhole;
constexpr Visibility kRedacted = Visibility::kRedacted;
constexpr Visibility kNothing = Visibility::kNothing;

INSTANTIATE_TEST_SUITE_P(
    Rules, HistoryVisibility,
    testing::ValuesIn(std::to_array<VisibilityCase>({
        {.name = "WorldReadableToAnybody", .visibility = "world_readable", .expected = kWhole},
        {.name = "SharedToAResident", .visibility = "shared", .resident = true, .expected = kWhole},
        {.name = "SharedToOneThatWasThereThen", .visibility = "shared", .joined = true, .expected = kWhole},
        {.name = "SharedToOneThatWasInvitedThen", .visibility = "shared", .invited = true, .expected = kNothing},
        {.name = "SharedToAStranger", .visibility = "shared", .expected = kNothing},
        {.name = "AbsentIsSharedToAResident", .visibility = "", .resident = true, .expected = kWhole},
        {.name = "AbsentIsSharedToAStranger", .visibility = "", .expected = kNothing},
        {.name = "UnknownIsSharedToAResident", .visibility = "everyone", .resident = true, .expected = kWhole},
        {.name = "UnknownIsSharedToAStranger", .visibility = "everyone", .expected = kNothing},
        {.name = "InvitedToOneInvited", .visibility = "invited", .invited = true, .expected = kWhole},
        {.name = "InvitedToOneJoined", .visibility = "invited", .joined = true, .expected = kWhole},
        {.name = "InvitedToALaterResident", .visibility = "invited", .resident = true, .expected = kRedacted},
        {.name = "InvitedToAStranger", .visibility = "invited", .expected = kNothing},
        {.name = "JoinedToOneJoined", .visibility = "joined", .resident = true, .joined = true, .expected = kWhole},
        {.name = "JoinedToOneThatHasLeft", .visibility = "joined", .joined = true, .expected = kWhole},
        {.name = "JoinedToOneInvited", .visibility = "joined", .invited = true, .expected = kNothing},
        {.name = "JoinedToALaterResident", .visibility = "joined", .resident = true, .expected = kRedacted},
        {.name = "JoinedToAResidentInvitedThen",
         .visibility = "joined",
         .resident = true,
         .invited = true,
         .expected = kRedacted},
    })),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace postern::gateway
