// RFC 2782: lower priorities first, and among equals by weight.
#include "services/gateway/srv_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace postern::gateway {
namespace {

/// Draws these numbers, and afterwards the greatest that is allowed.
Chance Drawing(std::vector<std::uint32_t> numbers) {
  return [numbers = std::move(numbers), next = std::size_t{0}](std::uint32_t most) mutable {
    return next < numbers.size() ? std::min(most, numbers[next++]) : most;
  };
}

std::vector<std::string> Targets(const std::vector<SrvRecord>& records) {
  std::vector<std::string> targets;
  for (const SrvRecord& record : records) targets.push_back(record.target);
  return targets;
}

struct OrderCase {
  const char* name;
  std::vector<SrvRecord> records;
  std::vector<std::uint32_t> drawn;
  std::vector<std::string> order;
};

void PrintTo(const OrderCase& c, std::ostream* out) { *out << c.name; }

class Order : public testing::TestWithParam<OrderCase> {};

TEST_P(Order, IsByPriorityThenByChanceInProportionToWeight) {
  EXPECT_EQ(Targets(InOrderOfTrial(GetParam().records, Drawing(GetParam().drawn))), GetParam().order);
}

INSTANTIATE_TEST_SUITE_P(
    Records, Order,
    testing::Values(
        OrderCase{"None", {}, {}, {}}, OrderCase{"One", {{1, 0, 1, "a"}}, {0}, {"a"}},
        OrderCase{"LowerPriorityFirst", {{20, 9, 1, "a"}, {10, 1, 1, "b"}, {15, 0, 1, "c"}}, {}, {"b", "c", "a"}},
        OrderCase{"FirstOfTheRange", {{1, 10, 1, "a"}, {1, 20, 1, "b"}}, {1}, {"a", "b"}},
        OrderCase{"LastOfTheFirst", {{1, 10, 1, "a"}, {1, 20, 1, "b"}}, {10}, {"a", "b"}},
        OrderCase{"FirstOfTheSecond", {{1, 10, 1, "a"}, {1, 20, 1, "b"}}, {11}, {"b", "a"}},
        OrderCase{"ZeroWeightByADrawOfZero", {{1, 10, 1, "a"}, {1, 0, 1, "b"}}, {0}, {"b", "a"}},
        OrderCase{"ZeroWeightLastOtherwise", {{1, 10, 1, "a"}, {1, 0, 1, "b"}}, {1}, {"a", "b"}},
        OrderCase{"AllOfZeroWeight", {{1, 0, 1, "a"}, {1, 0, 1, "b"}}, {}, {"a", "b"}},
        OrderCase{
            "DrawnAgainAmongTheRest", {{1, 10, 1, "a"}, {1, 20, 1, "b"}, {1, 30, 1, "c"}}, {31, 11}, {"c", "b", "a"}}));

TEST(FairOrder, PicksInProportion) {
  std::map<std::string, int> first;
  const Chance chance = FairChance();
  for (int i = 0; i < 2000; ++i) {
    ++first[InOrderOfTrial({{1, 10, 1, "light"}, {1, 90, 1, "heavy"}, {2, 100, 1, "never"}}, chance)[0].target];
  }
  EXPECT_GT(first["light"], 50);  // 218 expected; 50 is 12 standard deviations away
  EXPECT_GT(first["heavy"], 1500);
  EXPECT_EQ(first["never"], 0);
}

}  // namespace
}  // namespace postern::gateway
