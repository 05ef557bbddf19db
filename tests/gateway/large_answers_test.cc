// How many large answers there may be at once.
#include "services/gateway/large_answers.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace postern::gateway {
namespace {

TEST(LargeAnswers, AreBoundedInAllAndForEachServer) {
  LargeAnswers answers(3, 2);
  auto first = answers.Take("a.example");
  const auto second = answers.Take("a.example");
  EXPECT_NE(first, nullptr);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(answers.Take("a.example"), nullptr);
  const auto third = answers.Take("b.example");
  EXPECT_NE(third, nullptr);
  EXPECT_EQ(answers.Take("b.example"), nullptr);
  first.reset();
  EXPECT_NE(answers.Take("a.example"), nullptr);
}

TEST(LargeAnswers, APlaceOutlivesWhoGaveIt) {
  std::optional<LargeAnswers> answers(std::in_place);
  auto place = answers->Take("a.example");
  const auto copy = place;
  answers.reset();
  place.reset();
}

}  // namespace
}  // namespace postern::gateway
