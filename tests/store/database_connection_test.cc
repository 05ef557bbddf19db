// What goes to PostgreSQL as a parameter is what arrives.
#include "services/store/database_connection.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "matrix/refusal.h"
#include "tests/store/store_rig.h"

namespace postern::store {
namespace {

using support::StoreRig;
using OptionalBytes = std::vector<std::optional<std::string>>;

const std::string kOdd("\0\\x{\",}\xff", 8);

class Parameter : public testing::Test {
 protected:
  /// The text of what PostgreSQL makes of `expression` over the parameters.
  std::string Told(const char* name, const char* expression, const Parameters& parameters) {
    const auto rows = connection_->Call({name, expression}, parameters);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() && rows->size() == 1 ? std::string(rows->Text(0, 0)) : "";
  }

  StoreRig rig_;
  const std::unique_ptr<DatabaseConnection> connection_ = *DatabaseConnection::Open(rig_.dsn());
};

TEST_F(Parameter, BytesArriveAsTheyAre) {
  const char* compare = "select $1::bytea = '\\x005c787b222c7dff' and length($2::bytea) = 0";
  EXPECT_EQ(Told("bytes", compare, Parameters().Bytes(kOdd).Bytes(std::string())), "t");
}

TEST_F(Parameter, ListsOfBytesArriveWithTheirGaps) {
  const char* compare = "select $1::bytea[] = array[null, '\\x005c787b222c7dff', '']::bytea[]";
  EXPECT_EQ(Told("gaps", compare, Parameters().BytesArray(OptionalBytes{std::nullopt, kOdd, ""})), "t");
  const char* none = "select $1::bytea[] = '{}' and $2::bytea[] = '{}'";
  EXPECT_EQ(Told("none", none, Parameters().BytesArray(OptionalBytes{}).BytesArray(std::vector<std::string>{})), "t");
}

TEST_F(Parameter, ListsOfListsOfBytesArrive) {
  Parameters parameters;
  parameters.BytesLists({{std::nullopt, kOdd}, {}});
  const char* each =
      "select ($1::text[])[1]::bytea[] = array[null, '\\x005c787b222c7dff']::bytea[] and ($1::text[])[2] = '{}'";
  EXPECT_EQ(Told("lists", each, parameters), "t");
}

TEST_F(Parameter, WhatIsInAListOfListsArrivesAsInAListWhateverItIsMadeOf) {
  OptionalBytes items{"$a-Z_09",
                      "$id:a.example",
                      "@ann:a.example:8448",
                      "m.room.member",
                      "NULL",
                      "null",
                      "n.ull",
                      ".",
                      "{}.",
                      "a,b.c",
                      "a b.",
                      " .",
                      "\\.",
                      "\\x61.",
                      "\".",
                      "'.",
                      "$",
                      "",
                      std::nullopt,
                      kOdd};
  for (int byte = 0; byte < 256; ++byte) items.emplace_back(std::string{static_cast<char>(byte), '.'});
  Parameters parameters;
  parameters.BytesLists({items, {}, items}).BytesArray(items);
  const char* same = "select ($1::text[])[1]::bytea[] = $2::bytea[] and ($1::text[])[3]::bytea[] = $2::bytea[]";
  EXPECT_EQ(Told("same", same, parameters), "t");
}

TEST_F(Parameter, NothingIsNull) {
  const char* compare = "select $1::bytea is null and $2::bigint is null and $3::bytea = '\\x61'";
  EXPECT_EQ(Told("null", compare,
                 Parameters()
                     .Bytes(std::optional<std::string>())
                     .Integer(std::optional<std::int64_t>())
                     .Bytes(std::optional<std::string>("a"))),
            "t");
}

TEST_F(Parameter, EachIsTheOneOfItsNumberWhateverIsSentFirst) {
  const char* list =
      "select concat_ws(' ', $1::bigint, encode($2::bytea, 'escape'), $3::boolean, encode(($4::bytea[])[1], 'escape'), "
      "($5::bigint[])[2], $11::bigint, '$1') from (select $6::bytea, $7::bytea, $8::bytea, $9::bytea, $10::bytea) as o";
  Parameters parameters;
  parameters.Integer(1).Bytes(std::string("two")).Boolean(true).BytesArray(std::vector<std::string>{"four"});
  parameters.IntegerArray({0, 5});
  for (int i = 0; i < 5; ++i) parameters.Bytes(std::string("other"));
  parameters.Integer(11);
  EXPECT_EQ(parameters.Renumbered("$1 $2 $11 $12 $ $x"), "$8 $1 $11 $12 $ $x");
  // What is quoted is renumbered too: no statement of ours holds such a thing.
  EXPECT_EQ(Told("order", list, parameters), "1 two t four 5 11 $8");
}

TEST_F(Parameter, OfAStatementMayHaveOtherValuesEachTime) {
  for (const char* word : {"one", "other"}) {
    EXPECT_EQ(Told("again", "select encode($2::bytea, 'escape') || $1::bigint",
                   Parameters().Integer(3).Bytes(std::string(word))),
              std::string(word) + "3");
  }
}

TEST_F(Parameter, OfAnotherKindThanBeforeIsRefused) {
  const Statement statement{"kinds", "select $1::bytea is null"};
  ASSERT_TRUE(connection_->Call(statement, Parameters().Bytes(std::string("a"))).ok());
  const auto refused = connection_->Call(statement, Parameters().Bytes(std::optional<std::string>()));
  EXPECT_EQ(matrix::ReasonOf(refused.status()), matrix::Reason::kInternal);
  EXPECT_TRUE(connection_->Call(statement, Parameters().Bytes(std::string("b"))).ok());
}

}  // namespace
}  // namespace postern::store
