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

TEST(Names, AreForgottenOnceTheyTakeTooMuchTheLongestUnusedFirst) {
  RecentNames<int> names(9, 10);
  names.Put("a", 1, 4);
  names.Put("b", 2, 4);
  names.Put("c", 3, 2);
  names.Find("a");
  names.Put("d", 4, 1);  // one more than there is room for: b goes
  EXPECT_EQ(names.Find("b"), nullptr);
  EXPECT_EQ(names.size(), 3U);
  names.Put("a", 5, 7);  // its own four are free
  EXPECT_EQ(names.size(), 3U);
  names.Put("e", 6, 10);
  EXPECT_EQ(names.size(), 1U);
  names.Put("f", 7, 11);
  EXPECT_EQ(names.Find("f"), nullptr);
  EXPECT_EQ(*names.Find("e"), 6);
  names.Put("e", 8, 11);
  EXPECT_EQ(names.size(), 0U);
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
