// posternctl leave, as a process, against a homeserver of a few answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/posternctl/fake_homeserver.h"
#include "tests/posternctl/program.h"

namespace postern::posternctl {
namespace {

using peer::TemplateBody;
using testing::HasSubstr;

class LeaveCommand : public testing::Test {
 protected:
  LeaveCommand() {
    std::filesystem::create_directories(directory_);
    EXPECT_EQ(RunPosternctl({"key", "generate", "--output", File("key")}).status, 0);
    here_.Answers("GET /_matrix/federation/v1/make_leave", 200, TemplateBody("10"));
    here_.Answers("PUT /_matrix/federation/v2/send_leave", 200, "{}");
    here_.Answers("PUT /_matrix/federation/v1/send_leave", 200, "[200,{}]");
  }
  ~LeaveCommand() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name) const { return (directory_ / name).string(); }
  Ended Leave(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--json",    "leave", "--as",      "@bob:there.example", "--key",
                                       File("key"), "--to",  here_.url(), "!r:here.example"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunPosternctl(arguments);
  }
  std::vector<std::string> Asked() const {
    std::vector<std::string> asked;
    for (const auto& request : here_.requests()) asked.push_back(request.method + " " + request.target.substr(0, 36));
    return asked;
  }

  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("posternctl-leave-" + std::to_string(getpid()));
  peer::FakeHomeserver here_;
};

TEST_F(LeaveCommand, EndsWith0On200AndTellsWhatItSent) {
  const Ended ended = Leave({"--reason", "enough"});
  EXPECT_EQ(ended.status, 0) << ended.errors;
  const matrix::Json answer = ended.json();
  ASSERT_NE(answer.AsObject(), nullptr) << ended.output;
  EXPECT_EQ(*Member(answer, "status").AsInteger(), 200);
  EXPECT_EQ(Member(answer, "body"), matrix::Json(matrix::JsonObject()));
  EXPECT_EQ(*Member(answer, "api").AsString(), "v2");
  EXPECT_EQ(*Member(answer, "room_version").AsString(), "10");
  EXPECT_EQ(Member(answer, "event_id").AsString()->size(), 44U);
  EXPECT_EQ(*Member(Member(Member(answer, "event"), "content"), "reason").AsString(), "enough");
  EXPECT_TRUE(Member(answer, "template").AsObject()->Contains("injected"));
}

TEST_F(LeaveCommand, EndsWith1OnARefusal) {
  here_.Answers("PUT /_matrix/federation/v2/send_leave", 403, R"({"errcode":"M_FORBIDDEN"})");
  const Ended ended = Leave();
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(*Member(ended.json(), "status").AsInteger(), 403);
}

TEST_F(LeaveCommand, SendsNothingWithoutATemplate) {
  here_.Answers("GET /_matrix/federation/v1/make_leave", 403, R"({"errcode":"M_FORBIDDEN"})");
  const Ended ended = Leave();
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(*Member(ended.json(), "stage").AsString(), "make_leave");
  EXPECT_EQ(here_.requests().back().method, "GET");
}

TEST_F(LeaveCommand, SignsNothingThatIsForSomebodyElse) {
  here_.Answers("GET /_matrix/federation/v1/make_leave", 200, TemplateBody("10", "@ann:there.example"));
  const Ended ended = Leave();
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.errors, HasSubstr("sender"));
  EXPECT_EQ(here_.requests().back().method, "GET");
}

TEST_F(LeaveCommand, FallsBackToVersion1WhereVersion2IsUnknown) {
  for (const int status : {404, 400}) {
    here_.Answers("PUT /_matrix/federation/v2/send_leave", status, R"({"errcode":"M_UNRECOGNIZED"})");
    const Ended ended = Leave();
    EXPECT_EQ(ended.status, 0) << status;
    EXPECT_EQ(*Member(ended.json(), "api").AsString(), "v1");
  }
}

TEST_F(LeaveCommand, FallsBackForNothingElse) {
  here_.Answers("PUT /_matrix/federation/v2/send_leave", 400, R"({"errcode":"M_BAD_JSON"})");
  EXPECT_EQ(Leave().status, 1);
  here_.Answers("PUT /_matrix/federation/v2/send_leave", 404, R"({"errcode":"M_UNRECOGNIZED"})");
  EXPECT_EQ(Leave({"--api", "v2"}).status, 1);
}

TEST_F(LeaveCommand, TakesATemplateBeforehand) {
  EXPECT_EQ(Leave({"--template-only", File("template")}).status, 0);
  EXPECT_EQ(here_.requests().back().method, "GET");
  here_.Answers("GET /_matrix/federation/v1/make_leave", 500, "{}");
  const Ended ended = Leave({"--template", File("template")});
  EXPECT_EQ(ended.status, 0) << ended.errors;
}

TEST_F(LeaveCommand, SpoilsOnlyTheSignature) {
  here_.Answers("PUT /_matrix/federation/v2/send_leave", 400, R"({"errcode":"M_INVALID_PARAM"})");
  const Ended fine = Leave();
  const Ended spoilt = Leave({"--tamper-signature"});
  EXPECT_EQ(spoilt.status, 1);
  const matrix::Json signatures = Member(Member(spoilt.json(), "event"), "signatures");
  EXPECT_EQ(Member(signatures, "there.example").AsObject()->begin()->value.AsString()->size(), 86U);
}

TEST_F(LeaveCommand, EndsWith3WhereNobodyAnswers) {
  const Ended ended = RunPosternctl({"--json", "leave", "--as", "@bob:there.example", "--key", File("key"), "--to",
                                     "http://127.0.0.1:1", "--destination", "here.example", "!r:here.example"});
  EXPECT_EQ(ended.status, 3);
  EXPECT_EQ(*Member(ended.json(), "status").AsInteger(), 0);
  EXPECT_NE(ended.errors, "");
}

TEST_F(LeaveCommand, IsReadableForPeople) {
  const Ended ended = RunPosternctl(
      {"leave", "--as", "@bob:there.example", "--key", File("key"), "--to", here_.url(), "!r:here.example"});
  EXPECT_EQ(ended.status, 0);
  EXPECT_THAT(ended.output, HasSubstr("make_leave"));
  EXPECT_THAT(ended.output, HasSubstr("200 {}"));
}

}  // namespace
}  // namespace postern::posternctl
