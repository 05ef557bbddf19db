// What a well-known document says, and for how long it is believed.
#include "services/gateway/well_known_document.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::gateway {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT, as in RFC 9110

Chance Least() {
  return [](std::uint32_t) { return 0U; };
}
Chance Most() {
  return [](std::uint32_t most) { return most; };
}

TEST(Document, NamesTheServer) {
  const struct {
    const char* body;
    const char* server;
  } cases[] = {
      {R"({"m.server": "a.example"})", "a.example"},
      {R"({"m.server": "a.example:443", "other": [1, {"x": null}]})", "a.example:443"},
      {R"({"m.server": "[2001:db8::1]:8448"})", "[2001:db8::1]:8448"},
      {R"({"m.server": "192.0.2.1"})", "192.0.2.1"},
  };
  for (const auto& c : cases) {
    const auto server = ReadWellKnown(c.body);
    ASSERT_TRUE(server.ok()) << c.body;
    EXPECT_EQ(server->text(), c.server);
  }
}

TEST(Document, IsRefusedWhereItNamesNone) {
  for (const std::string& body :
       {std::string(), std::string("no json"), std::string("[]"), std::string("{}"), std::string(R"("a.example")"),
        std::string(R"({"m.server": 8448})"), std::string(R"({"m.server": null})"), std::string(R"({"m.server": ""})"),
        std::string(R"({"m.server": "a example"})"), std::string(R"({"m.server": "https://a.example"})"),
        std::string(R"({"m.server": "a.example:"})"), std::string(R"({"m.server": "a.example:0"})"),
        std::string(R"({"m.server": "a.example:65536"})"), std::string(R"({"m.server": "a.example/x"})"),
        std::string(R"({"m.server": "a.example", "m.server": "b.example"})"),
        R"({"m.server": ")" + std::string(256, 'a') + R"("})",
        R"({"m.server": "a.example"})" + std::string(kMaxWellKnownBytes, ' ')}) {
    EXPECT_FALSE(ReadWellKnown(body).ok()) << body.substr(0, 80);
  }
}

struct LifetimeCase {
  const char* name;
  http::Headers headers;
  absl::Duration lifetime;
};

void PrintTo(const LifetimeCase& c, std::ostream* out) { *out << c.name; }

class Lifetime : public testing::TestWithParam<LifetimeCase> {};

TEST_P(Lifetime, FollowsTheHeadersWithinTheBounds) {
  const absl::Duration lifetime = GetParam().lifetime;
  EXPECT_EQ(WellKnownLifetime(GetParam().headers, kNow, Least()), lifetime);
  // A tenth less where chance wants it so, but never below the least.
  EXPECT_EQ(WellKnownLifetime(GetParam().headers, kNow, Most()), std::max(kShortestBelief, lifetime - lifetime / 10));
}

INSTANTIATE_TEST_SUITE_P(
    Headers, Lifetime,
    testing::Values(
        LifetimeCase{"NothingSaid", {}, absl::Hours(24)},
        LifetimeCase{"MaxAge", {{"Cache-Control", "max-age=3600"}}, absl::Hours(1)},
        LifetimeCase{"AmongOthers", {{"cache-control", "public, Max-Age=3600 ,must-revalidate"}}, absl::Hours(1)},
        LifetimeCase{"Quoted", {{"Cache-Control", "max-age=\"3600\""}}, absl::Hours(1)},
        LifetimeCase{"TheLeastOfSeveral",
                     {{"Cache-Control", "max-age=7200"}, {"Cache-Control", "max-age=3600"}},
                     absl::Hours(1)},
        LifetimeCase{"NotForSharedCaches", {{"Cache-Control", "s-maxage=3600"}}, absl::Hours(24)},
        LifetimeCase{"TooShort", {{"Cache-Control", "max-age=1"}}, absl::Minutes(5)},
        LifetimeCase{"TooLong", {{"Cache-Control", "max-age=31536000"}}, absl::Hours(48)},
        LifetimeCase{"BeyondNumbers", {{"Cache-Control", "max-age=99999999999999999999"}}, absl::Hours(48)},
        LifetimeCase{"Negative", {{"Cache-Control", "max-age=-3600"}}, absl::Minutes(5)},
        LifetimeCase{"NoNumber", {{"Cache-Control", "max-age=soon"}}, absl::Minutes(5)},
        LifetimeCase{"NoStore", {{"Cache-Control", "no-store"}}, absl::Minutes(5)},
        LifetimeCase{"NoCacheAndMaxAge", {{"Cache-Control", "max-age=3600, no-cache"}}, absl::Minutes(5)},
        LifetimeCase{"LessItsAge", {{"Cache-Control", "max-age=3600"}, {"Age", "1800"}}, absl::Minutes(30)},
        LifetimeCase{"OlderThanItMayBe", {{"Cache-Control", "max-age=3600"}, {"Age", "7200"}}, absl::Minutes(5)},
        LifetimeCase{"Expires", {{"Expires", "Sun, 06 Nov 1994 09:49:37 GMT"}}, absl::Hours(1)},
        LifetimeCase{"ExpiresAsLongAgo", {{"Expires", "Sunday, 06-Nov-94 09:49:37 GMT"}}, absl::Hours(1)},
        LifetimeCase{"ExpiresAsInC", {{"Expires", "Sun Nov  6 09:49:37 1994"}}, absl::Hours(1)},
        LifetimeCase{"ByTheirClock",
                     {{"Expires", "Mon, 07 Nov 1994 09:49:37 GMT"}, {"Date", "Mon, 07 Nov 1994 08:49:37 GMT"}},
                     absl::Hours(1)},
        LifetimeCase{"ExpiredAlready", {{"Expires", "Sun, 06 Nov 1994 07:49:37 GMT"}}, absl::Minutes(5)},
        LifetimeCase{"ExpiresZero", {{"Expires", "0"}}, absl::Minutes(5)},
        LifetimeCase{"MaxAgeBeforeExpires", {{"Expires", "0"}, {"Cache-Control", "max-age=3600"}}, absl::Hours(1)}));

TEST(Backoff, DoublesUpToAnHour) {
  const std::vector<int> minutes{5, 10, 20, 40, 60, 60};
  for (std::size_t i = 0; i < minutes.size(); ++i) {
    EXPECT_EQ(WellKnownBackoff(static_cast<int>(i) + 1, Least()), absl::Minutes(minutes[i]));
  }
  EXPECT_EQ(WellKnownBackoff(1000000000, Least()), absl::Hours(1));
  EXPECT_EQ(WellKnownBackoff(1, Most()), absl::Minutes(5));
  EXPECT_EQ(WellKnownBackoff(5, Most()), absl::Minutes(54));
}

}  // namespace
}  // namespace postern::gateway
