// Whatever a stranger wrote, a line stays one line of JSON.
#include "telemetry/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <sstream>
#include <thread>
#include <vector>

namespace postern::telemetry {
namespace {

namespace json = boost::json;

template <class Act>
std::vector<std::string> LinesOf(Act act) {
  testing::internal::CaptureStderr();
  act();
  std::istringstream text(testing::internal::GetCapturedStderr());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

json::object OneLine(std::string_view value) {
  const auto lines = LinesOf([&] { Log(Level::kInfo, "m", {{"field", value}}); });
  EXPECT_EQ(lines.size(), 1U);
  EXPECT_TRUE(std::ranges::all_of(lines.front(), [](char c) { return c >= 0x20 && c < 0x7f; })) << lines.front();
  return json::parse(lines.front()).as_object();
}

std::string Text(const json::object& line, std::string_view name) {
  const auto& text = line.at(name).as_string();
  return {text.data(), text.size()};
}

TEST(Log, WritesEveryKindOfField) {
  StartLogging("gateway", "info");
  const auto lines = LinesOf([] {
    Log(Level::kWarning, "a message",
        {{"text", "t"},
         {"integer", 7},
         {"real", 1.5},
         {"truth", true},
         {"duration_ms", absl::Microseconds(1500)},
         {"nan", std::numeric_limits<double>::quiet_NaN()}});
  });
  ASSERT_EQ(lines.size(), 1U);
  const json::object line = json::parse(lines.front()).as_object();
  EXPECT_EQ(Text(line, "level"), "warning");
  EXPECT_EQ(Text(line, "service"), "gateway");
  EXPECT_EQ(Text(line, "message"), "a message");
  EXPECT_EQ(Text(line, "text"), "t");
  EXPECT_EQ(line.at("integer"), 7);
  EXPECT_EQ(line.at("real"), 1.5);
  EXPECT_EQ(line.at("truth"), true);
  EXPECT_EQ(line.at("duration_ms"), 1.5);
  EXPECT_TRUE(line.at("nan").is_null());
  EXPECT_TRUE(line.contains("time"));
}

TEST(Log, KeepsQuotesAndControlCharactersInside) {
  StartLogging("gateway", "info");
  const std::string hostile("a\"b\\c\nd\r\x1b[31m\0e\x7f", 17);
  EXPECT_EQ(Text(OneLine(hostile), "field"), hostile);
}

TEST(Log, ShowsUtf8AndReplacesWhatIsNone) {
  StartLogging("gateway", "info");
  EXPECT_EQ(Text(OneLine("é€😀"), "field"), "é€😀");
  EXPECT_EQ(Text(OneLine("a\xff z\xc3"), "field"), "a\uFFFD z\uFFFD");
  EXPECT_EQ(Text(OneLine("\xed\xa0\x80"), "field"), "\uFFFD");            // a surrogate
  EXPECT_EQ(Text(OneLine("\xc0\xaf"), "field"), "\uFFFD\uFFFD");          // overlong
  EXPECT_EQ(Text(OneLine("\xf4\x90\x80\x80"), "field"), "\uFFFD");        // beyond Unicode
  EXPECT_EQ(Text(OneLine("{}%s\xe2\x82"), "field"), "{}%s\uFFFD\uFFFD");  // cut short
}

TEST(Log, CutsWhatIsLong) {
  StartLogging("gateway", "info");
  const json::object line = OneLine(std::string(5000, 'x'));
  EXPECT_EQ(Text(line, "field"), std::string(1024, 'x') + "…");
}

TEST(Log, LeavesOutWhatIsBelowTheLevel) {
  StartLogging("gateway", "warning");
  EXPECT_TRUE(LinesOf([] { Log(Level::kInfo, "m"); }).empty());
  EXPECT_EQ(LinesOf([] { Log(Level::kError, "m"); }).size(), 1U);
}

TEST(Log, KeepsTheLinesOfManyThreadsApart) {
  StartLogging("gateway", "info");
  const auto lines = LinesOf([] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([] {
        for (int j = 0; j < 100; ++j) Log(Level::kInfo, "m", {{"field", std::string(300, 'x')}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_EQ(lines.size(), 800U);
  for (const std::string& line : lines) EXPECT_NO_THROW(json::parse(line));
}

}  // namespace
}  // namespace postern::telemetry
