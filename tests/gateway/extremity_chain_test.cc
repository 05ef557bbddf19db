// What events that follow each other cite of a room's forward extremities.
#include "services/gateway/extremity_chain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::gateway {
namespace {

constexpr std::size_t kFew = 10;

std::vector<ExtremityChain::Tip> Tips(std::size_t count) {
  std::vector<ExtremityChain::Tip> tips;
  for (std::size_t i = 0; i < count; ++i) tips.push_back({{fmt::format("${}", i), ""}, static_cast<std::int64_t>(i)});
  return tips;
}

/// Makes events until there is to be none: what each of them cites.
std::vector<std::vector<std::string>> Play(ExtremityChain& chain) {
  std::vector<std::vector<std::string>> cited;
  for (auto next = chain.Next(); !next.empty(); next = chain.Next()) {
    std::vector<std::string>& ids = cited.emplace_back();
    for (const ExtremityChain::Tip& tip : next) ids.push_back(tip.event.event_id);
    chain.Append({{fmt::format("chain{}", cited.size()), ""}, 0});
  }
  return cited;
}

struct Case {
  std::size_t tips;
  /// How many each event cites.
  std::vector<std::size_t> cites;
  bool complete;
};

class Chain : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(OfExtremities, Chain,
                         testing::Values(Case{0, {}, true}, Case{10, {}, true}, Case{11, {11}, true},
                                         Case{20, {20}, true}, Case{29, {20}, true}, Case{30, {20, 11}, true},
                                         Case{39, {20, 20}, true}, Case{100, {20, 20, 20, 20, 20}, true},
                                         Case{152, {20, 20, 20, 20, 20, 20, 20, 19}, true},
                                         Case{153, {20, 20, 20, 20, 20, 20, 20, 20}, false}),
                         [](const auto& tested) { return fmt::format("Of{}", tested.param.tips); });

TEST_P(Chain, CitesEachExtremityOnceTheOldestFirstAndTheEventBefore) {
  ExtremityChain chain(Tips(GetParam().tips), kFew);
  const auto cited = Play(chain);
  std::vector<std::size_t> counts;
  std::size_t next = 0;
  for (std::size_t i = 0; i < cited.size(); ++i) {
    counts.push_back(cited[i].size());
    for (std::size_t k = 0; k < cited[i].size(); ++k) {
      EXPECT_EQ(cited[i][k], i > 0 && k == 0 ? fmt::format("chain{}", i) : fmt::format("${}", next++));
    }
  }
  EXPECT_EQ(counts, GetParam().cites);
  EXPECT_EQ(chain.events(), counts.size());
  EXPECT_EQ(chain.complete(), GetParam().complete);
}

}  // namespace
}  // namespace postern::gateway
