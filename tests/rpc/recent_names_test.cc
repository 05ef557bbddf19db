#include "rpc/recent_names.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::rpc {
namespace {

TEST(Names, AreForgottenOnceTooManyAreKnownTheLongestUnusedFirst) {
  RecentNames<int> names(2);
  names.Put("a", 1);
  names.Put("b", 2);
  ASSERT_NE(names.Find("a"), nullptr);  // used: b is now the older one
  names.Put("c", 3);
  EXPECT_EQ(names.size(), 2U);
  EXPECT_EQ(names.Find("b"), nullptr);
  ASSERT_NE(names.Find("a"), nullptr);
  EXPECT_EQ(*names.Find("c"), 3);
}

TEST(Names, AreReplacedInPlace) {
  RecentNames<int> names(2);
  names.Put("a", 1);
  names.Put("b", 2);
  names.Put("a", 3);
  EXPECT_EQ(names.size(), 2U);
  EXPECT_EQ(*names.Find("a"), 3);
  EXPECT_EQ(*names.Find("b"), 2);
}

TEST(Names, AreGivenBackTheLongestUnusedFirst) {
  RecentNames<int> names(3);
  names.Put("a", 1);
  names.Put("b", 2);
  names.Put("c", 3);
  names.Find("a");
  EXPECT_EQ(names.Take("c"), 3);
  EXPECT_EQ(names.Take("c"), std::nullopt);
  EXPECT_EQ(names.TakeOldest(), 2);
  EXPECT_EQ(names.TakeOldest(), 1);
  EXPECT_EQ(names.TakeOldest(), std::nullopt);
}

TEST(Names, AreForgottenOnRequest) {
  RecentNames<int> names(2);
  names.Put("a", 1);
  names.Put("b", 2);
  names.Forget("a");
  names.Forget("c");
  names.Put("c", 3);
  EXPECT_EQ(names.Find("a"), nullptr);
  EXPECT_EQ(*names.Find("b"), 2);
  EXPECT_EQ(*names.Find("c"), 3);
}

}  // namespace
}  // namespace postern::rpc
