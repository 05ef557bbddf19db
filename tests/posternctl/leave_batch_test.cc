// posternctl leave --batch, as a process, against a homeserver of a few answers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/time/clock.h"
#include "tests/posternctl/fake_homeserver.h"
#include "tests/posternctl/program.h"

namespace postern::posternctl {
namespace {

using peer::TemplateBody;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kMakeLeave = "GET /_matrix/federation/v1/make_leave/%21r%3Ahere.example/";
constexpr const char* kSendLeave = "PUT /_matrix/federation/v2/send_leave";

std::string Encoded(const std::string& name) { return fmt::format("%40{}%3Athere.example", name); }
std::string UserId(const std::string& name) { return fmt::format("@{}:there.example", name); }
std::string LineFor(const std::string& user) {
  return fmt::format(R"({{"room":"!r:here.example","user":"{}"}})", user);
}

class LeaveBatch : public testing::Test {
 protected:
  LeaveBatch() {
    std::filesystem::create_directories(directory_);
    EXPECT_EQ(RunPosternctl({"key", "generate", "--output", File("key")}).status, 0);
    for (const char* name : {"ann", "bob", "cat"}) {
      here_.Answers(kMakeLeave + Encoded(name), 200, TemplateBody("10", UserId(name)));
    }
    here_.Answers(kSendLeave, 200, "{}");
  }
  ~LeaveBatch() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name) const { return (directory_ / name).string(); }
  Ended Leave(const std::string& batch, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"leave", "--batch", batch, "--key", File("key"), "--to", here_.url()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunPosternctl(arguments);
  }
  std::string Batch(const std::vector<std::string>& lines) {
    std::ofstream file(File("batch"), std::ios::binary);
    for (const std::string& line : lines) file << line << '\n';
    return File("batch");
  }
  std::string BatchOfThree() { return Batch({LineFor(UserId("ann")), LineFor(UserId("bob")), LineFor(UserId("cat"))}); }
  std::size_t Asked(const std::string& method) const {
    const auto requests = here_.requests();
    return static_cast<std::size_t>(
        std::ranges::count_if(requests, [&](const auto& request) { return request.method == method; }));
  }

  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("posternctl-batch-" + std::to_string(getpid()));
  peer::FakeHomeserver here_;
};

std::vector<matrix::JsonObject> Lines(const std::string& output) {
  std::vector<matrix::JsonObject> lines;
  std::istringstream text(output);
  for (std::string line; std::getline(text, line);) {
    const auto json = matrix::ParseJson(line);
    if (json.ok() && json->AsObject() != nullptr) lines.push_back(*json->AsObject());
  }
  return lines;
}

matrix::JsonObject LineOf(const std::string& user, const std::string& output) {
  for (const auto& line : Lines(output)) {
    if (*line.Find("user")->AsString() == user) return line;
  }
  return {};
}

TEST_F(LeaveBatch, AnswersEachLeaveWithALine) {
  const Ended ended = Leave(BatchOfThree());
  EXPECT_EQ(ended.status, 0) << ended.errors;
  ASSERT_THAT(Lines(ended.output), SizeIs(3));
  for (const auto& line : Lines(ended.output)) {
    EXPECT_EQ(*line.Find("room")->AsString(), "!r:here.example");
    EXPECT_EQ(*line.Find("stage")->AsString(), "send_leave");
    EXPECT_EQ(*line.Find("status")->AsInteger(), 200);
    EXPECT_EQ(line.Find("event_id")->AsString()->size(), 44U);
    EXPECT_GT(*line.Find("us")->AsInteger(), 0);
  }
  EXPECT_EQ(Asked("PUT"), 3U);
}

TEST_F(LeaveBatch, EndsWith1WhereOneIsRefusedAndSaysWhich) {
  here_.Answers(kMakeLeave + Encoded("bob"), 403, R"({"errcode":"M_FORBIDDEN","error":"not in the room"})");
  const Ended ended = Leave(BatchOfThree());
  EXPECT_EQ(ended.status, 1);
  const matrix::JsonObject bob = LineOf(UserId("bob"), ended.output);
  EXPECT_EQ(*bob.Find("stage")->AsString(), "make_leave");
  EXPECT_EQ(*bob.Find("status")->AsInteger(), 403);
  EXPECT_EQ(*bob.Find("errcode")->AsString(), "M_FORBIDDEN");
  EXPECT_EQ(*LineOf(UserId("cat"), ended.output).Find("status")->AsInteger(), 200);
}

TEST_F(LeaveBatch, SignsNothingThatIsForSomebodyElse) {
  here_.Answers(kMakeLeave + Encoded("bob"), 200, TemplateBody("10", UserId("ann")));
  const Ended ended = Leave(BatchOfThree());
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(*LineOf(UserId("bob"), ended.output).Find("error")->AsString(), HasSubstr("sender"));
  EXPECT_EQ(Asked("PUT"), 2U);
}

TEST_F(LeaveBatch, TakesTemplatesBeforehand) {
  EXPECT_EQ(Leave(BatchOfThree(), {"--template-only", File("with-templates")}).status, 0);
  EXPECT_EQ(Asked("PUT"), 0U);
  EXPECT_EQ(Asked("GET"), 4U);  // the destination's name, too
  here_.Answers("GET /_matrix/federation/v1/make_leave", 500, "{}");
  const Ended ended = Leave(File("with-templates"), {"--destination", "here.example"});
  EXPECT_EQ(ended.status, 0) << ended.output;
  EXPECT_EQ(Asked("PUT"), 3U);
  EXPECT_EQ(Asked("GET"), 4U);
}

TEST_F(LeaveBatch, BeginsNoMoreInASecondThanItIsTold) {
  const absl::Time began = absl::Now();
  EXPECT_EQ(Leave(BatchOfThree(), {"--per-second", "10"}).status, 0);
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(200));  // the third begins 200 ms after the first
}

/// All are due at once, and one plays them: each waits for those before it.
TEST_F(LeaveBatch, CountsTheTimeOfAPacedLeaveFromWhenItWasDue) {
  const std::vector<std::string> lines(12, LineFor(UserId("ann")));
  const Ended ended = Leave(Batch(lines), {"--per-second", "100000", "--concurrency", "1"});
  const auto answers = Lines(ended.output);
  ASSERT_THAT(answers, SizeIs(12));
  for (std::size_t i = 1; i < answers.size(); ++i) {
    EXPECT_GT(*answers[i].Find("us")->AsInteger(), *answers[i - 1].Find("us")->AsInteger());
  }
}

TEST_F(LeaveBatch, SignsBeforehandWhatHasATemplate) {
  EXPECT_EQ(Leave(BatchOfThree(), {"--template-only", File("with-templates")}).status, 0);
  EXPECT_EQ(Leave(File("with-templates"), {"--per-second", "4"}).status, 0);
  std::vector<std::int64_t> signed_at;
  for (const auto& request : here_.requests()) {
    const auto event = matrix::ParseJson(request.body);
    if (request.method == "PUT") signed_at.push_back(Number(*event, "origin_server_ts"));
  }
  ASSERT_THAT(signed_at, SizeIs(3));
  EXPECT_LT(signed_at.back() - signed_at.front(), 500);  // they are sent 500 ms apart
}

TEST_F(LeaveBatch, MarksTheLeavesThatWarmUpAndPlaysThemFirst) {
  const Ended ended = Leave(BatchOfThree(), {"--warm-up", "2"});
  EXPECT_EQ(ended.status, 0) << ended.errors;
  const auto lines = Lines(ended.output);
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_TRUE(lines[0].Contains("warm_up"));
  EXPECT_TRUE(lines[1].Contains("warm_up"));
  EXPECT_FALSE(lines[2].Contains("warm_up"));
  EXPECT_EQ(*lines[2].Find("user")->AsString(), UserId("cat"));
}

/// Standard input ends at once here: that is a word, too.
TEST_F(LeaveBatch, SaysWhenItIsReadyAndWhatTheRestTook) {
  const Ended ended = Leave(BatchOfThree(), {"--warm-up", "1", "--measure"});
  EXPECT_EQ(ended.status, 0) << ended.errors;
  const auto lines = Lines(ended.output);
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_TRUE(lines[0].Contains("warm_up"));
  EXPECT_TRUE(lines[1].Contains("ready"));
  ASSERT_TRUE(lines[4].Contains("measured"));
  const matrix::Json& measured = *lines[4].Find("measured");
  EXPECT_EQ(Number(measured, "leaves"), 2);
  EXPECT_GT(Number(measured, "us"), 0);
  EXPECT_GT(Number(measured, "cpu_us"), 0);
}

TEST_F(LeaveBatch, KeepsItsLinesUntilAllHaveEndedWhereThatIsWanted) {
  here_.Answers(kSendLeave, 403, R"({"errcode":"M_FORBIDDEN"})");
  const Ended ended = Leave(BatchOfThree(), {"--warm-up", "1", "--measure", "--lines-at-end"});
  EXPECT_EQ(ended.status, 1) << ended.errors;
  const auto lines = Lines(ended.output);
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_TRUE(lines[0].Contains("warm_up"));
  EXPECT_TRUE(lines[1].Contains("ready"));
  for (const auto& [line, user] : {std::pair(&lines[2], "bob"), std::pair(&lines[3], "cat")}) {
    EXPECT_EQ(*line->Find("user")->AsString(), UserId(user));
    EXPECT_EQ(*line->Find("status")->AsInteger(), 403);
    EXPECT_GT(Number(*line, "us"), 0);
  }
  EXPECT_TRUE(lines[4].Contains("measured"));
}

TEST_F(LeaveBatch, FallsBackToVersion1WhereVersion2IsUnknown) {
  here_.Answers(kSendLeave, 404, R"({"errcode":"M_UNRECOGNIZED"})");
  here_.Answers("PUT /_matrix/federation/v1/send_leave", 200, "[200,{}]");
  EXPECT_EQ(Leave(BatchOfThree()).status, 0);
  EXPECT_EQ(Leave(BatchOfThree(), {"--api", "v2"}).status, 1);
}

TEST_F(LeaveBatch, EndsWith3WhereNobodyAnswers) {
  const Ended ended = RunPosternctl({"leave", "--batch", BatchOfThree(), "--key", File("key"), "--to",
                                     "http://127.0.0.1:1", "--destination", "here.example"});
  EXPECT_EQ(ended.status, 3);
  ASSERT_THAT(Lines(ended.output), SizeIs(3));
  EXPECT_EQ(*Lines(ended.output)[0].Find("status")->AsInteger(), 0);
}

TEST_F(LeaveBatch, MistakesEndWith2AndNothingIsSent) {
  EXPECT_EQ(Leave(File("nowhere")).status, 2);
  EXPECT_EQ(Leave(Batch({})).status, 2);
  EXPECT_EQ(Leave(Batch({R"({"room":"!r:here.example"})"})).status, 2);
  EXPECT_EQ(Leave(Batch({"[]"})).status, 2);
  EXPECT_EQ(Leave(Batch({LineFor(UserId("ann")), LineFor("@bob:elsewhere.example")})).status, 2);
  EXPECT_EQ(Leave(BatchOfThree(), {"--as", UserId("ann")}).status, 2);
  EXPECT_EQ(Leave(BatchOfThree(), {"--concurrency", "0"}).status, 2);
  EXPECT_EQ(Leave("-", {"--measure"}).status, 2);
  const Ended neither = RunPosternctl({"leave", "--key", File("key"), "--to", here_.url()});
  EXPECT_EQ(neither.status, 2);
  EXPECT_THAT(neither.errors, HasSubstr("--batch"));
  EXPECT_THAT(here_.requests(), SizeIs(0));
}

}  // namespace
}  // namespace postern::posternctl
