// Where a setting comes from, and what a mistake is told as.
#include "configuration/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postern::configuration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Values {
  std::string name = "default";
  std::int64_t window = 5;
  bool v1 = true;
  bool plaintext = false;
  absl::Duration grace = absl::Seconds(2);
  std::vector<std::string> keys;
  std::map<std::string, std::map<std::string, std::int64_t>> origins;
};

struct Outcome {
  Start start;
  Values values;
  std::string printed;   // standard output
  std::string mistakes;  // standard error
};

class SettingsTest : public testing::Test {
 protected:
  SettingsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-settings-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~SettingsTest() override {
    for (const std::string& name : variables_) ::unsetenv(name.c_str());
    std::filesystem::remove_all(directory_);
  }

  void Set(const std::string& variable, const std::string& text) {
    variables_.push_back(variable);
    ::setenv(variable.c_str(), text.c_str(), 1);
  }

  std::string File(const std::string& text) const {
    std::ofstream(directory_ / "a.yaml") << text;
    return (directory_ / "a.yaml").string();
  }

  static Outcome Read(std::vector<std::string> arguments) {
    Outcome outcome{};
    Values& values = outcome.values;
    Settings settings("postern-thing", "does a thing");
    settings.Text("name", &values.name, "what it is called");
    settings.Integer("rc.window_size", &values.window, 1, 10, "how much");
    settings.Flag("v1_send_leave", &values.v1, "the old way too");
    settings.Flag("plaintext", &values.plaintext, "no TLS");
    settings.Time("grace", &values.grace, absl::ZeroDuration(), absl::Minutes(1), "how long");
    settings.List("keys", &values.keys, "which");
    settings.Table("rc.origins", {"window_size", "concurrent"}, &values.origins, "limits of their own");
    settings.Check([&values] {
      return values.name == "bad" ? absl::InvalidArgumentError("name: expected a good name") : absl::OkStatus();
    });
    settings.CheckFiles([&values]() -> std::vector<absl::Status> {
      if (values.name != "unreadable") return {absl::OkStatus()};
      return {absl::InvalidArgumentError("name: cannot be read"), absl::InvalidArgumentError("another thing is wrong")};
    });
    std::vector<const char*> argv{"postern-thing"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    outcome.start = settings.Read(static_cast<int>(argv.size()), argv.data());
    outcome.printed = testing::internal::GetCapturedStdout();
    outcome.mistakes = testing::internal::GetCapturedStderr();
    return outcome;
  }

  std::filesystem::path directory_;
  std::vector<std::string> variables_;
};

TEST_F(SettingsTest, HaveTheirDefaults) {
  const Outcome outcome = Read({});
  EXPECT_EQ(outcome.start, Start::kRun);
  EXPECT_EQ(outcome.values.name, "default");
  EXPECT_EQ(outcome.mistakes, "");
}

TEST_F(SettingsTest, ComeFromTheFile) {
  const Outcome outcome = Read({"--config", File("name: a\n"
                                                 "rc:\n"
                                                 "  window_size: 7\n"
                                                 "  origins:\n"
                                                 "    big.example: {concurrent: 9}\n"
                                                 "v1_send_leave: false\n"
                                                 "grace: 500ms\n"
                                                 "keys: [x, \"y z\"]\n")});
  EXPECT_EQ(outcome.start, Start::kRun) << outcome.mistakes;
  EXPECT_EQ(outcome.values.name, "a");
  EXPECT_EQ(outcome.values.window, 7);
  EXPECT_FALSE(outcome.values.v1);
  EXPECT_EQ(outcome.values.grace, absl::Milliseconds(500));
  EXPECT_THAT(outcome.values.keys, ElementsAre("x", "y z"));
  EXPECT_EQ(outcome.values.origins.at("big.example").at("concurrent"), 9);
}

TEST_F(SettingsTest, ComeFromTheEnvironmentBeforeTheFile) {
  Set("POSTERN_NAME", "b");
  Set("POSTERN_RC_WINDOW_SIZE", "8");
  Set("POSTERN_KEYS", "p,q");
  Set("POSTERN_SOMETHING_ELSE", "of no concern");
  const Outcome outcome = Read({"--config", File("name: a\nkeys: [x]\n")});
  EXPECT_EQ(outcome.start, Start::kRun) << outcome.mistakes;
  EXPECT_EQ(outcome.values.name, "b");
  EXPECT_EQ(outcome.values.window, 8);
  EXPECT_THAT(outcome.values.keys, ElementsAre("p", "q"));
}

TEST_F(SettingsTest, ComeFromFlagsBeforeTheEnvironment) {
  Set("POSTERN_NAME", "b");
  const Outcome outcome = Read({"--name", "c", "--rc-window-size=9", "--v1-send-leave=false", "--plaintext", "--grace",
                                "1m", "--keys", "r", "--keys", "s,t"});
  EXPECT_EQ(outcome.start, Start::kRun) << outcome.mistakes;
  EXPECT_EQ(outcome.values.name, "c");
  EXPECT_EQ(outcome.values.window, 9);
  EXPECT_FALSE(outcome.values.v1);
  EXPECT_TRUE(outcome.values.plaintext);
  EXPECT_EQ(outcome.values.grace, absl::Minutes(1));
  EXPECT_THAT(outcome.values.keys, ElementsAre("r", "s", "t"));
}

TEST_F(SettingsTest, MayNameTheFileInTheEnvironment) {
  Set("POSTERN_CONFIG", File("name: a\n"));
  EXPECT_EQ(Read({}).values.name, "a");
}

TEST_F(SettingsTest, TakeAnEmptyFile) {
  EXPECT_EQ(Read({"--config", File("")}).start, Start::kRun);
  EXPECT_EQ(Read({"--config", File("# nothing yet\nrc:\n")}).start, Start::kRun);
}

struct Mistake {
  const char* name;
  const char* file;
  std::vector<std::string> told;
};

class InTheFile : public SettingsTest, public testing::WithParamInterface<Mistake> {};

TEST_P(InTheFile, IsToldByLineAndKey) {
  const Outcome outcome = Read({"--config", File(GetParam().file)});
  EXPECT_EQ(outcome.start, Start::kExitError);
  for (const std::string& told : GetParam().told) EXPECT_THAT(outcome.mistakes, HasSubstr(told));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, InTheFile,
    testing::ValuesIn(std::to_array<Mistake>({
        {"Unknown", "name: a\nnmae: b\n", {"a.yaml:2: nmae: unknown key", "did you mean name?"}},
        {"UnknownInAGroup", "rc:\n  size: 1\n", {"a.yaml:2: rc.size: unknown key"}},
        {"Twice", "name: a\nname: b\n", {"a.yaml:2: name: the key is there twice"}},
        {"TwiceInAGroup", "rc:\n  window_size: 1\n  window_size: 2\n", {"a.yaml:3: "}},
        {"NoInteger",
         "rc: {window_size: many}\n",
         {"a.yaml:1: rc.window_size: expected an integer from 1 to 10", "'many'"}},
        {"TooLarge", "\n\nrc:\n  window_size: 11\n", {"a.yaml:4: rc.window_size: expected an integer from 1 to 10"}},
        {"NoTime", "grace: 5\n", {"a.yaml:1: grace: expected a time such as 500ms, 2s or 5m, from 0 to 1m"}},
        {"EndlessTime", "grace: inf\n", {"a.yaml:1: grace: expected a time"}},
        {"NoBool", "plaintext: yes please\n", {"a.yaml:1: plaintext: expected true or false"}},
        {"NoList", "keys: x\n", {"a.yaml:1: keys: expected a list"}},
        {"ListOfMaps", "keys: [{a: b}]\n", {"a.yaml:1: keys: expected single values"}},
        {"NoScalar", "name: [a]\n", {"a.yaml:1: name: expected a single value, found a list"}},
        {"Nothing", "name:\n", {"a.yaml:1: name: expected a single value, found nothing"}},
        {"NoGroup", "rc: 5\n", {"a.yaml:1: rc: expected a map"}},
        {"NoMap", "- name\n", {"a.yaml:1: expected a map"}},
        {"UnknownField",
         "rc:\n  origins:\n    big: {windw: 1}\n",
         {"a.yaml:2: rc.origins: big: expected one of window_size, concurrent", "line 3"}},
        {"NegativeField",
         "rc: {origins: {big: {concurrent: -1}}}\n",
         {"rc.origins: big.concurrent: expected an integer from 0"}},
        {"NoYaml", "name: [a\n", {"a.yaml:2: "}},
        {"TwoDocuments", "name: a\n---\nname: b\n", {"a.yaml:", "expected one document"}},
        {"FailsTheCheck", "grace: 1s\nname: bad\n", {"a.yaml:2: name: expected a good name"}},
        {"SeveralAtOnce", "grace: x\nplaintext: x\n", {"a.yaml:1: grace", "a.yaml:2: plaintext"}},
    })),
    [](const auto& c) { return std::string(c.param.name); });

TEST_F(SettingsTest, TellMistakesOfEnvironmentAndFlags) {
  Set("POSTERN_GRACE", "soon");
  Outcome outcome = Read({"--rc-window-size", "0"});
  EXPECT_EQ(outcome.start, Start::kExitError);
  EXPECT_THAT(outcome.mistakes, HasSubstr("POSTERN_GRACE: grace: expected a time"));
  EXPECT_THAT(outcome.mistakes, HasSubstr("--rc-window-size: rc.window_size: expected an integer from 1 to 10"));
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--unknown"},
                                                    {"stray"},
                                                    {"--name"},
                                                    {"--name", "a", "--name", "b"},
                                                    {"--config", "/nonexistent"}}) {
    outcome = Read(arguments);
    EXPECT_EQ(outcome.start, Start::kExitError) << arguments.front();
    EXPECT_NE(outcome.mistakes, "") << arguments.front();
  }
}

TEST_F(SettingsTest, DescribeThemselves) {
  const Outcome help = Read({"--help"});
  EXPECT_EQ(help.start, Start::kExitOk);
  for (const char* part :
       {"does a thing", "--rc-window-size", "how much", "what it is called", "POSTERN_", "rc.origins"}) {
    EXPECT_THAT(help.printed, HasSubstr(part));
  }
  const Outcome version = Read({"--version"});
  EXPECT_EQ(version.start, Start::kExitOk);
  EXPECT_THAT(version.printed, HasSubstr(POSTERN_VERSION));
}

TEST_F(SettingsTest, AreCheckedWithoutRunning) {
  EXPECT_EQ(Read({"--check-config", "--config", File("name: a\n")}).start, Start::kExitOk);
  EXPECT_EQ(Read({"--check-config", "--config", File("name: bad\n")}).start, Start::kExitError);
}

TEST_F(SettingsTest, AreCheckedWithTheirFilesWhereAskedTo) {
  const std::string file = File("name: unreadable\n");
  const Outcome checked = Read({"--check-config", "--config", file});
  EXPECT_EQ(checked.start, Start::kExitError);
  EXPECT_THAT(checked.mistakes, HasSubstr("a.yaml:1: name: cannot be read\n"));
  EXPECT_THAT(checked.mistakes, HasSubstr("postern-thing: another thing is wrong\n"));
  EXPECT_EQ(Read({"--check-config", "--without-files", "--config", file}).start, Start::kExitOk);
  EXPECT_EQ(Read({"--config", file}).start, Start::kRun);
}

}  // namespace
}  // namespace postern::configuration
