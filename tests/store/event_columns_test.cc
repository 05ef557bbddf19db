// Columns of strangers' events.
#include "services/store/event_columns.h"

#include <gtest/gtest.h>

#include <string>

#include "matrix/refusal.h"

namespace postern::store {
namespace {

std::string Member(const std::string& content) {
  return R"({"type":"m.room.member","state_key":"@a:x","sender":"@b:y","depth":3,"origin_server_ts":4,)"
         R"("prev_events":[["$p",{"sha256":"h"}]],"auth_events":["$q"],"content":)" +
         content + "}";
}

TEST(EventColumns, ReadBothKindsOfReferences) {
  const auto columns = ReadEventColumns(Member(R"({"membership":"invite"})"));
  ASSERT_TRUE(columns.ok());
  EXPECT_EQ(columns->prev_events, std::vector<std::string>{"$p"});
  EXPECT_EQ(columns->auth_events, std::vector<std::string>{"$q"});
  EXPECT_EQ(columns->member->invited_by, "@b:y");
}

TEST(EventColumns, WhatIsNoStringIsAbsent) {
  const auto columns = ReadEventColumns(Member(
      R"({"membership":"join","displayname":[],"avatar_url":null,"reason":1,"third_party_invite":{"b":1,"a":2}})"));
  ASSERT_TRUE(columns.ok());
  EXPECT_FALSE(columns->member->displayname || columns->member->avatar_url || columns->member->reason);
  EXPECT_FALSE(columns->member->invited_by);
  EXPECT_EQ(columns->member->third_party_invite, R"({"a":2,"b":1})");
}

TEST(EventColumns, RefuseWhatPassedNoFormatCheck) {
  for (const std::string& pdu : {std::string("nonsense"), std::string("[]"), std::string("{}"),
                                 Member(R"({"membership":"maybe"})"), Member("[]"), Member(R"({"membership":7})")}) {
    EXPECT_EQ(matrix::ReasonOf(ReadEventColumns(pdu).status()), matrix::Reason::kInvalidArgument) << pdu;
  }
}

}  // namespace
}  // namespace postern::store
