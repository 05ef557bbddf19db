// Globs of server names (pitfall R05: whole names, without case, in linear time).
#include "matrix/server_glob.h"

#include <gtest/gtest.h>

#include <cctype>
#include <random>
#include <string>
#include <vector>

namespace postern::matrix {
namespace {

/// What a glob is, said as plainly as can be: whether the first n characters of the name match the first g of the glob.
bool MatchesByTheBook(const std::string& glob, const std::string& name) {
  std::vector<std::vector<bool>> matches(glob.size() + 1, std::vector<bool>(name.size() + 1, false));
  matches[0][0] = true;
  for (std::size_t g = 1; g <= glob.size(); ++g) {
    for (std::size_t n = 0; n <= name.size(); ++n) {
      if (glob[g - 1] == '*') {
        matches[g][n] = matches[g - 1][n] || (n > 0 && matches[g][n - 1]);
      } else {
        matches[g][n] = n > 0 && matches[g - 1][n - 1] &&
                        (glob[g - 1] == '?' || std::tolower(glob[g - 1]) == std::tolower(name[n - 1]));
      }
    }
  }
  return matches[glob.size()][name.size()];
}

std::string Random(std::mt19937& random, std::string_view letters, std::size_t longest) {
  std::string text(random() % (longest + 1), ' ');
  for (char& c : text) c = letters[random() % letters.size()];
  return text;
}

TEST(ServerGlobs, MatchAsTheBookSays) {
  std::mt19937 random(1);
  int matched = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::string name = Random(random, "abA.", 8);
    const std::string glob = Random(random, "abB.*?*", 8);
    const bool expected = MatchesByTheBook(glob, name);
    ASSERT_EQ(GlobbedName(name).Matches(glob), expected) << glob << " " << name;
    matched += expected ? 1 : 0;
  }
  EXPECT_GT(matched, 1500);
}

TEST(ServerGlobs, MatchTheLongestNamesToo) {
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    std::string name = Random(random, "ab", 0);
    while (name.size() < static_cast<std::size_t>(250 + i % 6)) name += "ab"[random() % 2];
    std::string glob = name;
    for (int changes = 0; changes < 5; ++changes) glob[random() % glob.size()] = "*?a"[random() % 3];
    if (i % 2 == 0) glob.erase(random() % glob.size(), random() % 20);
    ASSERT_EQ(GlobbedName(name).Matches(glob), MatchesByTheBook(glob, name)) << glob << " " << name;
  }
}

TEST(ServerGlobs, StrangeCharactersMatchNothing) {
  EXPECT_FALSE(GlobbedName("a.example").Matches("\xc3\xa4.example"));
  EXPECT_FALSE(GlobbedName("a.example").Matches(std::string("a.example\0", 10)));
  EXPECT_TRUE(GlobbedName("").Matches("**"));
  EXPECT_FALSE(GlobbedName("").Matches("?"));
}

// Linear: each character of a glob is taken once, by a step that knows no loop but over the 256 places of a name. Here
// is that nothing else is needed: the ways that one pass has followed are the answer, after each beginning of a glob
// that would have others go back again and again.
TEST(ServerGlobs, OnePassOverTheGlobIsEnough) {
  const std::string name(60, 'a');
  const GlobbedName globbed(name);
  GlobbedName::Way way(globbed);
  std::string taken;
  for (int i = 0; i < 70; ++i) {
    for (const char c : {'*', 'a'}) {
      way.Take(c);
      taken += c;
      ASSERT_EQ(way.Whole(), MatchesByTheBook(taken, name)) << taken.size();
    }
  }
  EXPECT_TRUE(way.Lost()) << "it asks for more than the name has";
}

TEST(ServerGlobs, AWholeEventOfBombsIsNoBomb) {
  const GlobbedName name(std::string(254, 'a') + "b");
  std::string glob;
  while (glob.size() < 65'000) glob += "*a?";
  EXPECT_FALSE(name.Matches(glob + "*c"));
  EXPECT_FALSE(name.Matches(std::string(65'000, '*') + "c"));
  EXPECT_TRUE(name.Matches(std::string(65'000, '*') + "b"));
}

}  // namespace
}  // namespace postern::matrix
