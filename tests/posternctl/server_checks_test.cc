// What is said of a server by its answers.
#include "posternctl/server_checks.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "matrix/refusal.h"
#include "tests/posternctl/played_server.h"

namespace postern::posternctl {
namespace {

using testing::HasSubstr;

constexpr CheckOutcome kOk = CheckOutcome::kOk, kWarning = CheckOutcome::kWarning, kFailed = CheckOutcome::kFailed,
                       kSkipped = CheckOutcome::kSkipped;
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

http::Response Answer(std::string body, int status = 200) {
  return {.status = status, .headers = {}, .body = std::move(body)};
}

std::string KeyDocument(absl::Time now = kNow) {  // valid for a day
  return matrix::CanonicalJson(peer::IdentityOf("here.example").KeyDocument(now));
}

TEST(ServerChecks, NameWhatAServerIs) {
  struct VersionCase {
    http::Response answer;
    CheckOutcome outcome;
    const char* says;
  };
  for (const VersionCase& c : {
           VersionCase{Answer(R"({"server":{"name":"Postern","version":"2"}})"), kOk, "Postern 2"},
           VersionCase{Answer(R"({"server":{"name":"Postern","version":"1"}})"), kWarning, "this posternctl is 2"},
           VersionCase{Answer(R"({"server":{"name":"Synapse","version":"1"}})"), kOk, "Synapse 1"},
           VersionCase{Answer("{}"), kWarning, "does not say"},
           VersionCase{Answer("{}", 502), kFailed, "502"},
           VersionCase{Answer("<html>"), kFailed, "no JSON"},
       }) {
    const CheckResult result = CheckVersion(c.answer, "2");
    EXPECT_EQ(result.outcome, c.outcome) << c.answer.body;
    EXPECT_THAT(result.detail, HasSubstr(c.says));
  }
}

TEST(ServerChecks, CompareClocks) {
  struct ClockCase {
    absl::Duration ahead;
    CheckOutcome outcome;
    const char* says;
  };
  for (const ClockCase& c : {
           ClockCase{absl::ZeroDuration(), kOk, "within 5 s"},
           ClockCase{absl::Seconds(5), kOk, "within 5 s"},
           ClockCase{-absl::Seconds(5), kOk, "within 5 s"},
           ClockCase{absl::Seconds(40), kWarning, "s ahead of"},
           ClockCase{-absl::Seconds(40), kWarning, "s behind"},
           ClockCase{absl::Hours(1), kFailed, "s ahead of"},
           ClockCase{-absl::Hours(1), kFailed, "s behind"},
       }) {
    http::Response answer = Answer("{}");
    answer.headers.emplace_back("Date",
                                absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", kNow + c.ahead, absl::UTCTimeZone()));
    const CheckResult result = CheckClock(answer, kNow, kNow + absl::Milliseconds(300));
    EXPECT_EQ(result.outcome, c.outcome) << c.ahead;
    EXPECT_THAT(result.detail, HasSubstr(c.says)) << c.ahead;
  }
  EXPECT_EQ(CheckClock(Answer("{}"), kNow, kNow).outcome, kSkipped);
}

TEST(ServerChecks, BelieveKeysThatSignTheirDocument) {
  struct KeyCase {
    http::Response answer;
    const char* expected;
    absl::Time now;
    CheckOutcome outcome;
    const char* says;
  };
  std::string other_name = KeyDocument();
  other_name.replace(other_name.find(R"("server_name":"here)"), 19, R"("server_name":"gone)");
  for (const KeyCase& c : {
           KeyCase{Answer(KeyDocument()), "here.example", kNow, kOk, "here.example signs with ed25519:p_1"},
           KeyCase{Answer(KeyDocument()), "", kNow, kOk, "here.example"},
           KeyCase{Answer(KeyDocument()), "there.example", kNow, kFailed,
                   "those of here.example, not of there.example"},
           KeyCase{Answer(KeyDocument()), "", kNow + absl::Hours(25), kFailed, "past"},
           KeyCase{Answer(KeyDocument()), "", kNow + absl::Hours(24) - absl::Minutes(5), kWarning, "soon"},
           KeyCase{Answer(other_name), "", kNow, kFailed, "not signed"},
           KeyCase{Answer(KeyDocument(), 404), "", kNow, kFailed, "404"},
           KeyCase{Answer(R"({"server_name":"here.example","verify_keys":{}})"), "", kNow, kFailed, "missing"},
           KeyCase{Answer(R"({"server_name":"h","verify_keys":{"ed25519:a":{"key":"AAAA"}}})"), "", kNow, kFailed,
                   "is none"},
           KeyCase{Answer(R"({"server_name":"h","verify_keys":{"other:a":{"key":"AAAA"}}})"), "", kNow, kFailed,
                   "no ed25519 key"},
       }) {
    const CheckResult result = CheckKeys(ReadPublishedKeys(c.answer), c.expected, c.now);
    EXPECT_EQ(result.outcome, c.outcome) << c.answer.body;
    EXPECT_THAT(result.detail, HasSubstr(c.says));
  }
}

TEST(ServerChecks, WantOthersToFindTheSameServer) {
  const PublishedKeys here = *ReadPublishedKeys(Answer(KeyDocument()));
  PublishedKeys other_keys = here, other_name = here;
  other_keys.keys[0].public_key = std::string(32, 'x');
  other_name.server_name = "gone.example";
  EXPECT_EQ(CheckFound("h:8448", here, here).outcome, kOk);
  EXPECT_EQ(CheckFound("h:8448", other_keys, here).outcome, kFailed);
  EXPECT_EQ(CheckFound("h:8448", other_name, here).outcome, kFailed);
  EXPECT_EQ(CheckFound("h:8448", absl::UnavailableError("nobody"), here).outcome, kFailed);
}

TEST(ServerChecks, ReadWellKnownDocuments) {
  EXPECT_EQ(ReadDelegation(Answer(R"({"m.server":"matrix.here.example:443"})"))->text(), "matrix.here.example:443");
  for (const char* body : {"{}", R"({"m.server":"https://here"})", R"({"m.server":1})", "here.example"}) {
    EXPECT_EQ(matrix::ReasonOf(ReadDelegation(Answer(body)).status()), matrix::Reason::kBadJson) << body;
  }
}

TEST(ServerChecks, LookAtCertificates) {
  const http::ShownCertificate good{.names = {"here.example", "*.here.example"},
                                    .from = kNow - absl::Hours(1),
                                    .until = kNow + absl::Hours(24 * 60),
                                    .is_for_host = true};
  struct CertificateCase {
    void (*spoil)(http::ShownCertificate&);
    CheckOutcome outcome;
    const char* says;
  };
  for (const CertificateCase& c : {
           CertificateCase{[](auto&) {}, kOk, "here.example, *.here.example, until 2027-"},
           CertificateCase{[](auto& shown) { shown.until = kNow + absl::Hours(24 * 3 + 1); }, kWarning,
                           "3 days are left"},
           CertificateCase{[](auto& shown) { shown.until = kNow; }, kFailed, "past"},
           CertificateCase{[](auto& shown) { shown.from = kNow + absl::Hours(1); }, kFailed, "not good before"},
           CertificateCase{[](auto& shown) { shown.is_for_host = false; }, kFailed, "not for asked.example"},
           CertificateCase{[](auto& shown) { shown.mistrust = "self-signed"; }, kFailed, "not trusted: self-signed"},
       }) {
    http::ShownCertificate shown = good;
    c.spoil(shown);
    const CheckResult result = CheckCertificate(shown, "asked.example", kNow);
    EXPECT_EQ(result.outcome, c.outcome) << c.says;
    EXPECT_THAT(result.detail, HasSubstr(c.says));
  }
  EXPECT_EQ(CheckCertificate(absl::UnavailableError("nobody"), "h", kNow).outcome, kFailed);
}

TEST(ServerChecks, SayWhatAServiceLacks) {
  EXPECT_EQ(CheckReady("http://a", Answer(R"({"ready":true})")).outcome, kOk);
  const CheckResult lacking = CheckReady("http://a", Answer("{\"missing\":[\"database\"]}\n", 503));
  EXPECT_EQ(lacking.outcome, kFailed);
  EXPECT_THAT(lacking.detail, HasSubstr("database"));
  EXPECT_EQ(CheckReady("http://a", absl::UnavailableError("nobody")).outcome, kFailed);
}

}  // namespace
}  // namespace postern::posternctl
