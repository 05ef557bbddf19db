// Where a server name is served: each step of the specification and each wrong turn, with a real DNS server and real
// TLS servers.
#include "services/gateway/server_discovery.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "matrix/canonical_json.h"
#include "tests/gateway/discovery_rig.h"
#include "tests/gateway/remote_server.h"
#include "tests/gateway/tls_host.h"

namespace postern::gateway {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr int kServerFailure = 2;

struct Records {
  const char* name;
  const char* type;
  const char* records;
};

struct StepCase {
  const char* name;
  const char* server = "remote.example";  // PORT stands for the port of the federation server
  const char* well_known = "";            // empty: 404
  std::vector<Records> dns{};
  const char* certificate = "remote.example";
  const char* address = kAllowed;
  // What is expected.
  const char* step;
  const char* host_header = "remote.example";
  const char* sni = "remote.example";
};

void PrintTo(const StepCase& c, std::ostream* out) { *out << c.name; }

std::string CaseName(const testing::TestParamInfo<StepCase>& info) { return info.param.name; }

class Step : public testing::TestWithParam<StepCase> {
 protected:
  std::string WithPort(const char* text) const {
    return absl::StrReplaceAll(text, {{"PORT", std::to_string(server_.port())}});
  }

  DiscoveryRig rig_;
  TlsHost server_{GetParam().address, GetParam().certificate};
  TlsHost web_{kAllowed, "remote.example"};
};

TEST_P(Step, IsFollowedWithItsHostAndItsCertificate) {
  const StepCase& c = GetParam();
  const std::string name = WithPort(c.server);
  if (*c.well_known != '\0') web_.Answer({.status = 200, .headers = {}, .body = WithPort(c.well_known)});
  server_.Answer({.status = 200,
                  .headers = {},
                  .body = matrix::CanonicalJson(RemoteServer(name).KeyDocument(absl::Now() + absl::Hours(1)))});
  rig_.dns().Set("remote.example", "A", R"(["127.0.0.2"])");
  for (const Records& set : c.dns) rig_.dns().Set(set.name, set.type, WithPort(set.records));
  rig_.Trust(server_.certificate());
  rig_.Trust(web_.certificate());
  rig_.well_known_limits.https_port = web_.port();
  rig_.limits.federation_port = server_.port();

  const auto keys = rig_.FetchKeys(*matrix::ServerName::Parse(name));
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(rig_.StepOf(name), c.step);
  ASSERT_EQ(server_.seen().size(), 1U);
  EXPECT_EQ(server_.seen()[0].host_header, WithPort(c.host_header));
  EXPECT_EQ(server_.seen()[0].sni, c.sni);
  EXPECT_EQ(server_.seen()[0].target, "/_matrix/key/v2/server");
  if (std::string_view(c.step) < "3") {
    EXPECT_THAT(web_.seen(), IsEmpty());
  } else {
    ASSERT_EQ(web_.seen().size(), 1U);
    EXPECT_EQ(web_.seen()[0].target, "/.well-known/matrix/server");
    EXPECT_EQ(web_.seen()[0].sni, "remote.example");
  }
}

INSTANTIATE_TEST_SUITE_P(
    OfTheSpecification, Step,
    testing::Values(
        StepCase{.name = "LiteralWithPort",
                 .server = "127.0.0.2:PORT",
                 .certificate = "127.0.0.2",
                 .step = "1",
                 .host_header = "127.0.0.2:PORT",
                 .sni = ""},
        StepCase{.name = "LiteralWithoutPort",
                 .server = "127.0.0.2",
                 .certificate = "127.0.0.2",
                 .step = "1",
                 .host_header = "127.0.0.2",
                 .sni = ""},
        StepCase{.name = "Port", .server = "remote.example:PORT", .step = "2", .host_header = "remote.example:PORT"},
        StepCase{.name = "PortBehindAnAlias",
                 .server = "alias.example:PORT",
                 .dns = {{"alias.example", "CNAME", R"(["remote.example"])"}},
                 .certificate = "alias.example",
                 .step = "2",
                 .host_header = "alias.example:PORT",
                 .sni = "alias.example"},
        StepCase{.name = "PortInCapitals",
                 .server = "Remote.Example:PORT",
                 .step = "2",
                 .host_header = "remote.example:PORT"},
        StepCase{.name = "PortAtAMappedAddress",
                 .server = "mapped.example:PORT",
                 .dns = {{"mapped.example", "AAAA", R"(["::ffff:127.0.0.2"])"}},
                 .certificate = "mapped.example",
                 .step = "2",
                 .host_header = "mapped.example:PORT",
                 .sni = "mapped.example"},
        StepCase{.name = "DelegatedToLiteral",
                 .well_known = R"({"m.server": "127.0.0.2:PORT"})",
                 .certificate = "127.0.0.2",
                 .step = "3.1",
                 .host_header = "127.0.0.2:PORT",
                 .sni = ""},
        StepCase{.name = "DelegatedToLiteralWithoutPort",
                 .well_known = R"({"m.server": "127.0.0.2"})",
                 .certificate = "127.0.0.2",
                 .step = "3.1",
                 .host_header = "127.0.0.2",
                 .sni = ""},
        StepCase{.name = "DelegatedToPort",
                 .well_known = R"({"m.server": "delegated.example:PORT"})",
                 .dns = {{"delegated.example", "A", R"(["127.0.0.2"])"},
                         {"_matrix-fed._tcp.delegated.example", "SRV", R"([[1, 1, 1, "wrong.example"]])"}},
                 .certificate = "delegated.example",
                 .step = "3.2",
                 .host_header = "delegated.example:PORT",
                 .sni = "delegated.example"},
        StepCase{.name = "DelegatedToService",
                 .well_known = R"({"m.server": "delegated.example"})",
                 .dns = {{"_matrix-fed._tcp.delegated.example", "SRV", R"([[1, 1, PORT, "target.example"]])"},
                         {"_matrix._tcp.delegated.example", "SRV", R"([[1, 1, 1, "wrong.example"]])"},
                         {"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, 1, "wrong.example"]])"},
                         {"target.example", "A", R"(["127.0.0.2"])"}},
                 .certificate = "delegated.example",
                 .step = "3.3",
                 .host_header = "delegated.example",
                 .sni = "delegated.example"},
        StepCase{.name = "DelegatedToOldService",
                 .well_known = R"({"m.server": "delegated.example"})",
                 .dns = {{"_matrix._tcp.delegated.example", "SRV", R"([[1, 1, PORT, "target.example"]])"},
                         {"target.example", "A", R"(["127.0.0.2"])"}},
                 .certificate = "delegated.example",
                 .step = "3.4",
                 .host_header = "delegated.example",
                 .sni = "delegated.example"},
        StepCase{.name = "DelegatedToHost",
                 .well_known = R"({"m.server": "delegated.example"})",
                 .dns = {{"delegated.example", "A", R"(["127.0.0.2"])"}},
                 .certificate = "delegated.example",
                 .step = "3.5",
                 .host_header = "delegated.example",
                 .sni = "delegated.example"},
        StepCase{.name = "Service",
                 .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, PORT, "target.example"]])"},
                         {"_matrix._tcp.remote.example", "SRV", R"([[1, 1, 1, "wrong.example"]])"},
                         {"target.example", "A", R"(["127.0.0.2"])"}},
                 .step = "4"},
        StepCase{.name = "OldService",
                 .dns = {{"_matrix._tcp.remote.example", "SRV", R"([[1, 1, PORT, "target.example"]])"},
                         {"target.example", "A", R"(["127.0.0.2"])"}},
                 .step = "5"},
        StepCase{.name = "ServiceBehindAnAlias",
                 .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, PORT, "alias.example"]])"},
                         {"alias.example", "CNAME", R"(["target.example"])"},
                         {"target.example", "A", R"(["127.0.0.2"])"}},
                 .step = "4"},
        StepCase{.name = "ServiceAtItsSecondTarget",
                 .dns = {{"_matrix-fed._tcp.remote.example", "SRV",
                          R"([[20, 1, PORT, "target.example"], [10, 1, 1, "target.example"]])"},
                         {"target.example", "A", R"(["127.0.0.2"])"}},
                 .step = "4"},
        StepCase{.name = "Host", .step = "6"}),
    CaseName);

std::vector<StepCase> Ipv6Cases() {
  if (!HasIpv6Loopback()) return {};
  return {{.name = "LiteralWithPort",
           .server = "[::1]:PORT",
           .certificate = "::1",
           .address = "::1",
           .step = "1",
           .host_header = "[::1]:PORT",
           .sni = ""},
          {.name = "Port",
           .server = "six.example:PORT",
           .dns = {{"six.example", "AAAA", R"(["::1"])"}},
           .certificate = "six.example",
           .address = "::1",
           .step = "2",
           .host_header = "six.example:PORT",
           .sni = "six.example"},
          {.name = "DelegatedToLiteral",
           .well_known = R"({"m.server": "[::1]:PORT"})",
           .certificate = "::1",
           .address = "::1",
           .step = "3.1",
           .host_header = "[::1]:PORT",
           .sni = ""},
          {.name = "ServiceThatIsAtOneOfTwoAddresses",
           .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, PORT, "both.example"]])"},
                   {"both.example", "AAAA", R"(["::1"])"},
                   {"both.example", "A", R"(["127.0.0.2"])"}},
           .address = "::1",
           .step = "4"}};
}

INSTANTIATE_TEST_SUITE_P(ByIpv6, Step, testing::ValuesIn(Ipv6Cases()), CaseName);

struct DeadEnd {
  const char* name;
  const char* server = "remote.example";
  const char* well_known = "";
  std::vector<Records> dns{};
};

void PrintTo(const DeadEnd& c, std::ostream* out) { *out << c.name; }

std::string NameOfEnd(const testing::TestParamInfo<DeadEnd>& info) { return info.param.name; }

class Way : public testing::TestWithParam<DeadEnd> {
 protected:
  DiscoveryRig rig_;
  TlsHost web_{kAllowed, "remote.example"};
};

// In each of them something else than what is forbidden could have been reached by going on to a later step.
TEST_P(Way, EndsWhereItMayNotGoOn) {
  const DeadEnd& c = GetParam();
  if (*c.well_known != '\0') web_.Answer({.status = 200, .headers = {}, .body = c.well_known});
  for (const char* name : {"remote.example", "target.example", "fine.example"}) {
    rig_.dns().Set(name, "A", R"(["127.0.0.2"])");
  }
  for (const Records& set : c.dns) rig_.dns().Set(set.name, set.type, set.records);
  rig_.Trust(web_.certificate());
  rig_.well_known_limits.https_port = web_.port();
  const auto location = rig_.Locate(c.server);
  EXPECT_EQ(location.status().code(), absl::StatusCode::kUnavailable) << location.status();
}

INSTANTIATE_TEST_SUITE_P(
    To, Way,
    testing::Values(
        DeadEnd{.name = "PrivateLiteral", .server = "127.0.0.3"},
        DeadEnd{.name = "PrivateLiteralWithPort", .server = "10.0.0.1:8448"},
        DeadEnd{.name = "Ipv6Literal", .server = "[fe80::1]:8448"},
        DeadEnd{.name = "MappedLiteral", .server = "[::ffff:127.0.0.3]:8448"},
        DeadEnd{.name = "EmbeddedLiteral", .server = "[64:ff9b::7f00:3]:8448"},
        DeadEnd{.name = "MetadataService", .server = "169.254.169.254:80"},
        DeadEnd{.name = "PortZero", .server = "remote.example:0"}, DeadEnd{.name = "OddNumber", .server = "127.2:8448"},
        DeadEnd{.name = "OddNumberWithoutPort", .server = "0x7f000002"},
        DeadEnd{.name = "NoSuchName", .server = "none.example:8448"},
        DeadEnd{.name = "PrivateAddress",
                .server = "inner.example:8448",
                .dns = {{"inner.example", "A", R"(["127.0.0.3"])"}}},
        DeadEnd{.name = "PrivateAddressBehindAnAlias",
                .server = "alias.example:8448",
                .dns = {{"alias.example", "CNAME", R"(["inner.example"])"}, {"inner.example", "A", R"(["10.0.0.1"])"}}},
        DeadEnd{.name = "MappedAddress",
                .server = "inner.example:8448",
                .dns = {{"inner.example", "AAAA", R"(["::ffff:127.0.0.3"])"}}},
        DeadEnd{.name = "UniqueLocalAddress",
                .server = "inner.example:8448",
                .dns = {{"inner.example", "AAAA", R"(["fd00::1"])"}}},
        DeadEnd{.name = "DelegatedPrivateLiteral", .well_known = R"({"m.server": "127.0.0.3:8448"})"},
        DeadEnd{.name = "DelegatedPrivateAddress",
                .well_known = R"({"m.server": "inner.example:8448"})",
                .dns = {{"inner.example", "A", R"(["127.0.0.3"])"}}},
        DeadEnd{.name = "DelegatedNoSuchName", .well_known = R"({"m.server": "none.example:8448"})"},
        DeadEnd{.name = "DelegatedOddNumber", .well_known = R"({"m.server": "127.2"})"},
        DeadEnd{.name = "DelegatedToADelegation", .well_known = R"({"m.server": "none.example"})"},
        DeadEnd{.name = "TargetThatIsAnAddress",
                .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, 8448, "127.0.0.2"]])"}}},
        DeadEnd{.name = "TargetAtAPrivateAddress",
                .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, 8448, "inner.example"]])"},
                        {"_matrix._tcp.remote.example", "SRV", R"([[1, 1, 8448, "fine.example"]])"},
                        {"inner.example", "A", R"(["127.0.0.3"])"}}},
        DeadEnd{.name = "TargetThatDoesNotExist",
                .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, 8448, "none.example"]])"},
                        {"_matrix._tcp.remote.example", "SRV", R"([[1, 1, 8448, "fine.example"]])"}}},
        DeadEnd{.name = "TargetAtPortZero",
                .dns = {{"_matrix._tcp.remote.example", "SRV", R"([[1, 1, 0, "target.example"]])"}}},
        DeadEnd{.name = "ServiceThatIsNotThere",
                .dns = {{"_matrix-fed._tcp.remote.example", "SRV", R"([[0, 0, 0, "."]])"},
                        {"_matrix._tcp.remote.example", "SRV", R"([[1, 1, 8448, "fine.example"]])"}}}),
    NameOfEnd);

class Discovery : public testing::Test {
 protected:
  /// The web server of remote.example, and what its well-known document says.
  void Delegate(const std::string& server, http::Headers headers = {}) {
    web_.Answer({.status = 200, .headers = std::move(headers), .body = fmt::format(R"({{"m.server": "{}"}})", server)});
  }
  void Open() {
    rig_.Trust(web_.certificate());
    rig_.well_known_limits.https_port = web_.port();
    rig_.dns().Set("remote.example", "A", R"(["127.0.0.2"])");
  }

  DiscoveryRig rig_;
  TlsHost web_{kAllowed, "remote.example"};
};

TEST_F(Discovery, LeavesOutAddressesThatAreForbiddenAndUsesTheOthers) {
  rig_.dns().Set("mixed.example", "A", R"(["127.0.0.3", "127.0.0.2"])");
  const auto location = rig_.Locate("mixed.example:8448");
  ASSERT_TRUE(location.ok()) << location.status();
  ASSERT_EQ(location->endpoints.size(), 1U);
  EXPECT_THAT(location->endpoints[0].addresses, ElementsAre("127.0.0.2"));
  EXPECT_EQ(location->endpoints[0].port, 8448);
}

TEST_F(Discovery, OrdersTargetsAndTakesFourAtMost) {
  Open();
  rig_.dns().Set("_matrix-fed._tcp.remote.example", "SRV",
                 R"([[9, 1, 9, "t.example"], [1, 1, 1, "t.example"], [3, 1, 3, "none.example"], [2, 1, 2, "t.example"],
                     [5, 1, 5, "t.example"]])");
  rig_.dns().Set("t.example", "A", R"(["127.0.0.2"])");
  const auto location = rig_.Locate("remote.example");
  ASSERT_TRUE(location.ok()) << location.status();
  std::vector<int> ports;
  for (const ServerEndpoint& endpoint : location->endpoints) ports.push_back(endpoint.port);
  EXPECT_THAT(ports, ElementsAre(1, 2, 5));
}

TEST_F(Discovery, DoesNotTakeAFailedLookupForNoRecord) {
  Open();
  rig_.dns().Fail("_matrix-fed._tcp.remote.example", "SRV", kServerFailure);
  rig_.dns().Set("_matrix._tcp.remote.example", "SRV", R"([[1, 1, 8448, "remote.example"]])");
  EXPECT_EQ(rig_.StepOf("remote.example"), "");
  // Nothing is asked for a while; then it is there.
  rig_.dns().Set("_matrix-fed._tcp.remote.example", "SRV", R"([[1, 1, 8448, "remote.example"]])");
  EXPECT_EQ(rig_.StepOf("remote.example"), "");
  rig_.Pass(absl::Seconds(31));
  EXPECT_EQ(rig_.StepOf("remote.example"), "4");
}

TEST_F(Discovery, ConnectsToWhatWasCheckedAndNotToALaterAnswer) {
  TlsHost server(kAllowed, "rebound.example");
  TlsHost inner(kForbidden, "rebound.example", server.port());
  rig_.Trust(server.certificate());
  rig_.Trust(inner.certificate());
  rig_.dns().SetInTurn("rebound.example", "A", R"([["127.0.0.2"], ["127.0.0.3"]])");
  const std::string name = fmt::format("rebound.example:{}", server.port());
  const auto parsed = *matrix::ServerName::Parse(name);
  EXPECT_FALSE(rig_.FetchKeys(parsed).ok());  // a 404
  EXPECT_EQ(server.seen().size(), 1U);
  EXPECT_THAT(rig_.dns().Asked(), ElementsAre("A rebound.example", "AAAA rebound.example"));
  rig_.Pass(absl::Minutes(2));
  EXPECT_FALSE(rig_.FetchKeys(parsed).ok());
  EXPECT_THAT(rig_.Locate(name).status().message(), testing::HasSubstr("public"));
  EXPECT_THAT(inner.seen(), IsEmpty());
}

TEST_F(Discovery, BelievesNoCertificateForAnotherName) {
  // The target of SRV records and the host that delegates are not who must be proved (notes of the specification).
  TlsHost target(kAllowed, "target.example");
  rig_.Trust(target.certificate());
  rig_.dns().Set("target.example", "A", R"(["127.0.0.2"])");
  rig_.dns().Set("_matrix._tcp.served.example", "SRV", fmt::format(R"([[1, 1, {}, "target.example"]])", target.port()));
  Open();
  EXPECT_EQ(rig_.StepOf("served.example"), "5");
  EXPECT_FALSE(rig_.FetchKeys(*matrix::ServerName::Parse("served.example")).ok());
  Delegate(fmt::format("127.0.0.2:{}", target.port()));
  EXPECT_EQ(rig_.StepOf("remote.example"), "3.1");
  EXPECT_FALSE(rig_.FetchKeys(*matrix::ServerName::Parse("remote.example")).ok());
  EXPECT_THAT(target.seen(), IsEmpty());
}

TEST_F(Discovery, BelievesNoCertificateWithoutAnAuthority) {
  TlsHost unknown(kAllowed, "remote.example");
  Open();
  const std::string name = fmt::format("remote.example:{}", unknown.port());
  EXPECT_EQ(rig_.StepOf(name), "2");
  EXPECT_FALSE(rig_.FetchKeys(*matrix::ServerName::Parse(name)).ok());
  EXPECT_THAT(unknown.seen(), IsEmpty());
}

TEST_F(Discovery, DoesNotFollowRedirectsOfAServer) {
  TlsHost server(kAllowed, "remote.example");
  server.Answer({.status = 302, .headers = {{"Location", "https://127.0.0.2/"}}, .body = ""});
  rig_.Trust(server.certificate());
  Open();
  const auto name = *matrix::ServerName::Parse(fmt::format("remote.example:{}", server.port()));
  EXPECT_FALSE(rig_.FetchKeys(name).ok());
  EXPECT_EQ(server.seen().size(), 1U);
}

TEST_F(Discovery, UsesALocationAsLongAsItsAddressesSayWithinBounds) {
  rig_.dns().Set("short.example", "A", R"(["127.0.0.2"])", 1);
  rig_.dns().Set("usual.example", "A", R"(["127.0.0.2"])", 30);
  rig_.dns().Set("long.example", "A", R"(["127.0.0.2"])", 86400);
  for (const auto& [host, lifetime] :
       std::vector<std::pair<std::string, absl::Duration>>{{"short.example", absl::Seconds(5)},
                                                           {"usual.example", absl::Seconds(30)},
                                                           {"long.example", absl::Minutes(1)}}) {
    EXPECT_EQ(rig_.StepOf(host + ":1"), "2");
    EXPECT_THAT(rig_.dns().Asked(), Contains("A " + host));
    rig_.Pass(lifetime - absl::Seconds(1));
    EXPECT_EQ(rig_.StepOf(host + ":1"), "2");
    EXPECT_THAT(rig_.dns().Asked(), IsEmpty()) << host;
    rig_.Pass(absl::Seconds(1));
    EXPECT_EQ(rig_.StepOf(host + ":1"), "2");
    EXPECT_THAT(rig_.dns().Asked(), Contains("A " + host));
  }
}

TEST_F(Discovery, RemembersSoManyNamesOnly) {
  rig_.limits.max_names = 2;
  for (const char* host : {"a.example", "b.example", "c.example"}) {
    rig_.dns().Set(host, "A", R"(["127.0.0.2"])");
    EXPECT_EQ(rig_.StepOf(host + std::string(":1")), "2");
  }
  rig_.dns().Asked();
  EXPECT_EQ(rig_.StepOf("c.example:1"), "2");
  EXPECT_THAT(rig_.dns().Asked(), IsEmpty());
  EXPECT_EQ(rig_.StepOf("a.example:1"), "2");
  EXPECT_THAT(rig_.dns().Asked(), Contains("A a.example"));
}

TEST_F(Discovery, AsksOnceForManyWhoWantOneName) {
  Open();
  Delegate("remote.example:8448");
  web_.Hold();
  std::vector<std::thread> threads;
  for (const char* spelling : {"remote.example", "REMOTE.example", "remote.EXAMPLE", "Remote.Example"}) {
    threads.emplace_back([this, spelling] { EXPECT_EQ(rig_.StepOf(spelling), "3.2"); });
    if (threads.size() == 1) web_.AwaitRequests(1);
  }
  // One who cannot wait does not.
  EXPECT_FALSE(rig_.Locate("remote.example", absl::Milliseconds(10)).ok());
  web_.Release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(web_.seen().size(), 1U);
}

TEST_F(Discovery, LearnsNothingFromACallerWithoutTime) {
  Open();
  EXPECT_FALSE(rig_.Locate("remote.example", -absl::Seconds(1)).ok());
  Delegate("remote.example:8448");
  EXPECT_EQ(rig_.StepOf("remote.example"), "3.2");
}

}  // namespace
}  // namespace postern::gateway
