// The token of a context: what is put into it comes out, and nothing else is taken for one.
#include "services/store/context_token.h"

#include <gtest/gtest.h>

#include "matrix/refusal.h"

namespace postern::store {
namespace {

constexpr std::string_view kRoom = "!room:a.example";

ContextToken Token() {
  return {.room_id = std::string(kRoom),
          .ordering = 7,
          .before = std::int64_t{1} << 33,
          .merged = false,
          .fixed = -5,
          .now = 9,
          .branching = Branching{.extends_all_extremities = false, .states_diverge = true},
          .extremities = {"$one", std::string(255, 'x'), ""}};
}

TEST(ContextTokens, ComeBackAsTheyWere) {
  const ContextToken token = Token();
  const auto read = DecodeToken(EncodeToken(token), kRoom);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->ordering, token.ordering);
  EXPECT_EQ(read->before, token.before);
  EXPECT_EQ(read->fixed, token.fixed);
  EXPECT_EQ(read->now, token.now);
  EXPECT_EQ(read->extremities, token.extremities);
  ASSERT_TRUE(read->branching);
  EXPECT_TRUE(read->branching->states_diverge);
}

TEST(ContextTokens, OfAnotherRoomAreRefused) {
  ContextToken token = Token();
  EXPECT_FALSE(DecodeToken(EncodeToken(token), "!other:a.example").ok());
  token.extremities.clear();
  // A room whose id begins with this one's.
  token.room_id += "x";
  EXPECT_FALSE(DecodeToken(EncodeToken(token), kRoom).ok());
}

TEST(ContextTokens, ThatAreCutShortAreRefused) {
  const std::string whole = EncodeToken(Token());
  // The last extremity is empty, so that its length is the last byte.
  for (std::size_t size : {std::size_t{0}, std::size_t{20}, whole.size() - 2, whole.size() - 100}) {
    const auto read = DecodeToken(std::string_view(whole).substr(0, size), kRoom);
    EXPECT_EQ(matrix::ReasonOf(read.status()), matrix::Reason::kInvalidArgument) << size;
  }
}

}  // namespace
}  // namespace postern::store
