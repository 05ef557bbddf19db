// Step 3 of server discovery: what a host's web server may answer, where it may lead, and for how long it is believed.
#include "services/gateway/well_known.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/gateway/well_known_document.h"
#include "tests/gateway/discovery_rig.h"
#include "tests/gateway/tls_host.h"

namespace postern::gateway {
namespace {

using testing::IsEmpty;

constexpr int kServerFailure = 2;

/// remote.example has a web server on an allowed address; without a good document it would be served by step 6.
class HostedTest {
 protected:
  HostedTest() {
    rig_.Trust(web_.certificate());
    rig_.well_known_limits.https_port = web_.port();
    rig_.dns().Set("remote.example", "A", R"(["127.0.0.2"])");
  }

  void Answer(int status, std::string body, http::Headers headers = {}) {
    web_.Answer({.status = status, .headers = std::move(headers), .body = std::move(body)});
  }
  void Delegate(http::Headers headers = {}) { Answer(200, kGood, std::move(headers)); }
  void Redirect(std::string location) { Answer(302, "", {{"Location", std::move(location)}}); }
  std::string Step() { return rig_.StepOf("remote.example"); }
  /// The step once what is remembered of addresses is over, which is sooner than a well-known document is.
  std::string StepAfter(absl::Duration time) {
    rig_.Pass(time);
    return Step();
  }
  std::size_t asked() const { return web_.seen().size(); }

  static constexpr const char* kGood = R"({"m.server": "remote.example:8448"})";
  DiscoveryRig rig_;
  TlsHost web_{kAllowed, "remote.example"};
};

struct AnswerCase {
  const char* name;
  http::Response response;
};

void PrintTo(const AnswerCase& c, std::ostream* out) { *out << c.name; }

std::string NameOfAnswer(const testing::TestParamInfo<AnswerCase>& info) { return info.param.name; }

class BadAnswer : public HostedTest, public testing::TestWithParam<AnswerCase> {};

TEST_P(BadAnswer, LeadsToTheNextStep) {
  web_.Answer(GetParam().response);
  EXPECT_EQ(Step(), "6");
  EXPECT_GE(asked(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Of, BadAnswer,
    testing::Values(AnswerCase{"NotFound", {404, {}, R"({"m.server": "remote.example:8448"})"}},
                    AnswerCase{"ServerError", {500, {}, R"({"m.server": "remote.example:8448"})"}},
                    AnswerCase{"OtherSuccess", {202, {}, R"({"m.server": "remote.example:8448"})"}},
                    AnswerCase{"NoJson", {200, {}, "<html>"}}, AnswerCase{"Nothing", {200, {}, ""}},
                    AnswerCase{"NoServer", {200, {}, "{}"}}, AnswerCase{"NoString", {200, {}, R"({"m.server": 8448})"}},
                    AnswerCase{"NoServerName", {200, {}, R"({"m.server": "https://remote.example"})"}},
                    AnswerCase{"TooLarge",
                               {200, {}, R"({"m.server": "remote.example:8448"})" + std::string(50 * 1024, ' ')}},
                    AnswerCase{"NowhereElse", {302, {}, ""}},
                    AnswerCase{"ToPlainHttp", {302, {{"Location", "http://remote.example/"}}, ""}},
                    AnswerCase{"ToAFile", {302, {{"Location", "file:///etc/passwd"}}, ""}},
                    AnswerCase{"WithAPassword", {302, {{"Location", "https://a:b@remote.example/"}}, ""}},
                    AnswerCase{"ToItself", {307, {{"Location", "/.well-known/matrix/server"}}, ""}},
                    AnswerCase{"ToAPrivateLiteral", {301, {{"Location", "https://127.0.0.3/"}}, ""}},
                    AnswerCase{"ToAMappedLiteral", {301, {{"Location", "https://[::ffff:127.0.0.3]/"}}, ""}},
                    AnswerCase{"ToAnOddNumber", {301, {{"Location", "https://2130706435/"}}, ""}},
                    AnswerCase{"ToNoSuchName", {308, {{"Location", "https://none.example/"}}, ""}}),
    NameOfAnswer);

class WellKnownTest : public HostedTest, public testing::Test {};

TEST_F(WellKnownTest, MayBeAsLargeAsItsLimit) {
  Answer(200, kGood + std::string(kMaxWellKnownBytes - std::string_view(kGood).size(), ' '));
  EXPECT_EQ(Step(), "3.2");
}

TEST_F(WellKnownTest, IsFollowedToAnotherHost) {
  TlsHost other(kAllowed, "other.example");
  rig_.Trust(other.certificate());
  rig_.dns().Set("other.example", "A", R"(["127.0.0.2"])");
  Redirect(fmt::format("https://other.example:{}/there?x#y", other.port()));
  other.Answer({.status = 200, .headers = {}, .body = kGood});
  EXPECT_EQ(Step(), "3.2");
  ASSERT_EQ(other.seen().size(), 1U);
  EXPECT_EQ(other.seen()[0].target, "/there?x");
  EXPECT_EQ(other.seen()[0].sni, "other.example");
  EXPECT_EQ(other.seen()[0].host_header, fmt::format("other.example:{}", other.port()));
}

TEST_F(WellKnownTest, IsFollowedSoManyTimesOnly) {
  Redirect("/again");
  EXPECT_EQ(Step(), "6");
  EXPECT_EQ(asked(), 6U);
}

TEST_F(WellKnownTest, IsNotFollowedToAPrivateAddress) {
  TlsHost inner(kForbidden, "inner.example");
  rig_.Trust(inner.certificate());
  rig_.dns().Set("inner.example", "A", R"(["127.0.0.3"])");
  inner.Answer({.status = 200, .headers = {}, .body = kGood});
  Redirect(fmt::format("https://inner.example:{}/", inner.port()));
  EXPECT_EQ(Step(), "6");
  EXPECT_EQ(asked(), 1U);
  EXPECT_THAT(inner.seen(), IsEmpty());
}

TEST_F(WellKnownTest, IsCheckedAgainAtEachRedirect) {
  // A name that was allowed, and is looked up anew for the next request, must be allowed anew.
  rig_.dns().SetInTurn("remote.example", "A", R"([["127.0.0.2"], ["127.0.0.3"], ["127.0.0.2"]])");
  Redirect("/there");
  EXPECT_EQ(Step(), "6");
  EXPECT_EQ(asked(), 1U);
}

TEST_F(WellKnownTest, IsNotBelievedUnderAWrongCertificate) {
  TlsHost wrong(kAllowed, "wrong.example");
  rig_.Trust(wrong.certificate());
  wrong.Answer({.status = 200, .headers = {}, .body = kGood});
  rig_.well_known_limits.https_port = wrong.port();
  EXPECT_EQ(Step(), "6");
  EXPECT_THAT(wrong.seen(), IsEmpty());
}

TEST_F(WellKnownTest, IsNotAskedAtAPrivateAddress) {
  TlsHost inner(kForbidden, "inner.example", web_.port());
  rig_.Trust(inner.certificate());
  inner.Answer({.status = 200, .headers = {}, .body = kGood});
  rig_.dns().Set("inner.example", "A", R"(["127.0.0.3"])");
  EXPECT_EQ(rig_.StepOf("inner.example"), "");
  EXPECT_THAT(inner.seen(), IsEmpty());
}

TEST_F(WellKnownTest, IsGivenUpWhenTheHostIsSilent) {
  rig_.well_known_limits.longest = absl::Milliseconds(200);
  web_.Hold();
  EXPECT_EQ(Step(), "6");
  EXPECT_LE(asked(), 1U);
}

TEST_F(WellKnownTest, IsNotNeededWhereTheHostHasNoAddress) {
  rig_.dns().Set("_matrix-fed._tcp.bare.example", "SRV", R"([[1, 1, 8448, "remote.example"]])");
  EXPECT_EQ(rig_.StepOf("bare.example"), "4");
}

TEST_F(WellKnownTest, IsBelievedForADayWhereNothingElseIsSaid) {
  Delegate();
  EXPECT_EQ(Step(), "3.2");
  EXPECT_EQ(StepAfter(absl::Hours(19)), "3.2");
  EXPECT_EQ(asked(), 1U);
  EXPECT_EQ(StepAfter(absl::Hours(5) + absl::Seconds(1)), "3.2");
  EXPECT_EQ(asked(), 2U);
}

TEST_F(WellKnownTest, IsBelievedAsLongAsItsHeadersSayWithinTheBounds) {
  const struct {
    const char* max_age;
    absl::Duration lifetime;
  } cases[] = {
      {"max-age=0", absl::Minutes(5)}, {"max-age=360", absl::Minutes(6)}, {"max-age=999999999", absl::Hours(48)}};
  Delegate();
  Step();
  rig_.Pass(absl::Hours(49));
  for (const auto& c : cases) {
    Delegate({{"Cache-Control", c.max_age}});
    const std::size_t before = asked();
    EXPECT_EQ(Step(), "3.2");
    EXPECT_EQ(asked(), before + 1) << c.max_age;
    // Until a fifth before the end, but five minutes at least, nothing is asked.
    const absl::Duration quiet = std::max(absl::Minutes(5), c.lifetime - c.lifetime / 5);
    EXPECT_EQ(StepAfter(quiet - absl::Seconds(1)), "3.2");
    EXPECT_EQ(asked(), before + 1) << c.max_age;
    rig_.Pass(c.lifetime - quiet + absl::Minutes(2));
  }
}

TEST_F(WellKnownTest, IsUsedToItsEndWhileTheHostIsDown) {
  Delegate({{"Cache-Control", "max-age=3600"}});
  EXPECT_EQ(Step(), "3.2");
  Answer(503, "");
  EXPECT_EQ(StepAfter(absl::Minutes(49)), "3.2");  // asked again, in vain
  EXPECT_EQ(asked(), 2U);
  EXPECT_EQ(StepAfter(absl::Minutes(4)), "3.2");  // not asked so soon
  EXPECT_EQ(asked(), 2U);
  EXPECT_EQ(StepAfter(absl::Minutes(8)), "6");  // an hour and more
  EXPECT_EQ(asked(), 3U);
}

TEST_F(WellKnownTest, IsGivenUpAtOnceWhenTheHostSaysSo) {
  Delegate({{"Cache-Control", "max-age=3600"}});
  EXPECT_EQ(Step(), "3.2");
  Answer(404, "");
  EXPECT_EQ(StepAfter(absl::Minutes(49)), "6");
}

TEST_F(WellKnownTest, IsAskedForLessAndLessOftenWhereThereIsNone) {
  EXPECT_EQ(Step(), "6");
  std::size_t expected = 1;
  for (const int minutes : {5, 10, 20, 40, 60, 60}) {
    EXPECT_EQ(StepAfter(absl::Minutes(minutes) - absl::Seconds(1)), "6");
    EXPECT_EQ(asked(), expected) << minutes;
    EXPECT_EQ(StepAfter(absl::Minutes(2)), "6");  // beyond what is remembered of the addresses, too
    EXPECT_EQ(asked(), ++expected) << minutes;
  }
  Delegate();
  EXPECT_EQ(StepAfter(absl::Hours(1) + absl::Minutes(1)), "3.2");
  Answer(404, "");
  EXPECT_EQ(StepAfter(absl::Hours(25)), "6");
  EXPECT_EQ(StepAfter(absl::Minutes(6)), "6");  // five minutes again
  EXPECT_EQ(asked(), expected + 3);
}

TEST_F(WellKnownTest, IsAskedSoonAgainAfterTroubleOfOurOwn) {
  for (const char* type : {"A", "AAAA"}) rig_.dns().Fail("remote.example", type, kServerFailure);
  EXPECT_EQ(Step(), "");
  rig_.dns().Set("remote.example", "A", R"(["127.0.0.2"])");
  rig_.dns().Set("remote.example", "AAAA", "[]");
  Delegate();
  EXPECT_EQ(StepAfter(absl::Seconds(31)), "3.2");
}

TEST_F(WellKnownTest, IsRememberedForSoManyHostsOnly) {
  rig_.well_known_limits.max_hosts = 1;
  Delegate();
  EXPECT_EQ(Step(), "3.2");
  EXPECT_EQ(rig_.StepOf("other.example"), "");
  EXPECT_EQ(StepAfter(absl::Minutes(2)), "3.2");
  EXPECT_EQ(asked(), 2U);
}

}  // namespace
}  // namespace postern::gateway
