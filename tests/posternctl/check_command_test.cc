// posternctl check, as a process, against homeservers of a few answers, plain and over TLS.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>

#include "absl/time/clock.h"
#include "http/self_signed_certificate.h"
#include "matrix/canonical_json.h"
#include "tests/posternctl/fake_homeserver.h"
#include "tests/posternctl/played_server.h"
#include "tests/posternctl/program.h"

namespace postern::posternctl {
namespace {

using testing::HasSubstr;

class CheckCommand : public testing::Test {
 protected:
  CheckCommand()
      : directory_(std::filesystem::temp_directory_path() / ("posternctl-check-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(directory_);
    EXPECT_TRUE(http::WritePem(*http::MakeSelfSignedCertificate("127.0.0.1"), File("crt"), File("key")).ok());
    over_tls_.emplace(http::ListenerOptions{
        .listen = "127.0.0.1:0", .certificate_file = File("crt"), .key_file = File("key"), .io_threads = 1});
    for (peer::FakeHomeserver* server : {&plain_, &*over_tls_}) {
      server->Answers("GET /_matrix/federation/v1/version", 200,
                      R"({"server":{"name":"Postern","version":")" POSTERN_VERSION R"("}})");
      server->Answers("GET /readyz", 200, "{}");
    }
    PublishKeys(plain_, "here.example");
    PublishKeys(*over_tls_, over_tls_->authority());
  }
  ~CheckCommand() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name) const { return (directory_ / name).string(); }
  static void PublishKeys(peer::FakeHomeserver& server, const std::string& name) {
    server.Answers("GET /_matrix/key/v2/server", 200,
                   matrix::CanonicalJson(peer::IdentityOf(name).KeyDocument(absl::Now())));
  }
  static Ended Check(const std::string& url, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--json", "check", "--to", url};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunPosternctl(arguments);
  }
  /// Outcomes by check; of several of one name, the last.
  static std::map<std::string, std::string> Outcomes(const Ended& ended) {
    std::map<std::string, std::string> outcomes;
    const matrix::Json said = ended.json();
    if (said.AsObject() == nullptr) return outcomes;
    for (const matrix::Json& check : *Member(said, "checks").AsArray()) {
      outcomes[Text(check, "check")] = Text(check, "outcome");
    }
    return outcomes;
  }
  using Outcome = std::map<std::string, std::string>;

  const std::filesystem::path directory_;
  peer::FakeHomeserver plain_;
  std::optional<peer::FakeHomeserver> over_tls_;
};

TEST_F(CheckCommand, EndsWith0WhereOthersFindTheServerAndBelieveIt) {
  const Ended ended = Check(over_tls_->url("https"), {"--federation-ca", File("crt"), "--admin", plain_.url() + "/"});
  EXPECT_EQ(ended.status, 0) << ended.output << ended.errors;
  EXPECT_EQ(Outcomes(ended), (Outcome{{"reach", "ok"},
                                      {"version", "ok"},
                                      {"clock", "ok"},
                                      {"keys", "ok"},
                                      {"discovery", "ok"},
                                      {"certificate", "ok"},
                                      {"ready", "ok"}}));
  EXPECT_TRUE(*Member(ended.json(), "good").AsBool());
}

TEST_F(CheckCommand, EndsWith1AndNamesWhatIsWrong) {
  const Ended mistrusted = Check(over_tls_->url("https"));
  EXPECT_EQ(mistrusted.status, 1);
  EXPECT_EQ(Outcomes(mistrusted)["certificate"], "failed");
  EXPECT_EQ(Outcomes(mistrusted)["discovery"], "failed");
  EXPECT_EQ(Outcomes(mistrusted)["keys"], "ok");

  const Ended other = Check(plain_.url(), {"--server-name", "there.example", "--no-discovery"});
  EXPECT_EQ(other.status, 1);
  EXPECT_EQ(Outcomes(other)["keys"], "failed");

  plain_.Answers("GET /readyz", 503, R"({"missing":["database"]})");
  const Ended lacking = Check(plain_.url(), {"--no-discovery", "--admin", plain_.url()});
  EXPECT_EQ(lacking.status, 1);
  EXPECT_EQ(Outcomes(lacking)["ready"], "failed");
  EXPECT_THAT(lacking.output, HasSubstr("database"));

  PublishKeys(*over_tls_, "127.0.0.1:1");  // nobody is there
  const Ended lost = Check(over_tls_->url("https"), {"--federation-ca", File("crt")});
  EXPECT_EQ(lost.status, 1);
  EXPECT_EQ(Outcomes(lost)["discovery"], "failed");
}

TEST_F(CheckCommand, PrintsALineForEachThing) {
  const Ended ended = RunPosternctl({"check", "--to", plain_.url(), "--no-discovery"});
  EXPECT_EQ(ended.status, 0) << ended.output << ended.errors;
  EXPECT_THAT(ended.output, testing::MatchesRegex("ok +reach +http://127.0.0.1:[0-9]+ answered in [0-9]+ ms\n"
                                                  "ok +version +Postern [^\n]+\n"
                                                  "ok +clock +[^\n]+\n"
                                                  "ok +keys +here.example signs with ed25519:p_1[^\n]+\n"
                                                  "skipped +certificate +plain HTTP[^\n]+\n"));
}

TEST_F(CheckCommand, EndsWith3WhereNobodyAnswersAnd2WhereItIsToldNonsense) {
  const Ended nobody = Check("http://127.0.0.1:1");
  EXPECT_EQ(nobody.status, 3);
  EXPECT_EQ(Outcomes(nobody), (Outcome{{"reach", "failed"}}));
  EXPECT_EQ(Check("127.0.0.1 8448").status, 2);
  EXPECT_EQ(Check(plain_.url(), {"--server-name", "https://here"}).status, 2);
}

}  // namespace
}  // namespace postern::posternctl
