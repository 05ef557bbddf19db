// What DNS answers, asked of a real server: the kinds of answers, and what counts as none.
#include "services/gateway/dns_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "services/gateway/peer_addresses.h"
#include "tests/gateway/played_dns.h"

namespace postern::gateway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int kServerFailure = 2;
constexpr int kRefused = 5;

class Dns : public testing::Test {
 protected:
  absl::StatusOr<AddressRecords> Addresses(const std::string& host) const {
    return resolver_.FindAddresses(host, absl::Now() + absl::Seconds(20));
  }
  absl::StatusOr<std::vector<SrvRecord>> Services(const std::string& name) const {
    return resolver_.FindServices(name, absl::Now() + absl::Seconds(20));
  }

  PlayedDns& dns_ = PlayedDns::Emptied();
  DnsResolver resolver_{{.servers = {dns_.address()}, .first_wait = absl::Seconds(5), .longest = absl::Seconds(20)}};
  /// For servers that do not answer.
  DnsResolver hasty_{
      {.servers = {dns_.address()}, .first_wait = absl::Milliseconds(20), .longest = absl::Milliseconds(100)}};
};

TEST_F(Dns, HasBothKindsOfAddresses) {
  dns_.Set("a.example", "A", R"(["127.0.0.2", "127.0.0.3"])", 60);
  dns_.Set("a.example", "AAAA", R"(["::1"])", 40);
  const auto found = Addresses("a.example");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->literals, UnorderedElementsAre("127.0.0.2", "127.0.0.3", "::1"));
  EXPECT_EQ(found->ttl, absl::Seconds(40));
}

TEST_F(Dns, HasAddressesOfOneKindOnly) {
  dns_.Set("four.example", "A", R"(["127.0.0.2"])");
  dns_.Set("six.example", "AAAA", R"(["2001:db8::1"])");
  EXPECT_THAT(Addresses("four.example")->literals, ElementsAre("127.0.0.2"));
  EXPECT_THAT(Addresses("six.example")->literals, ElementsAre("2001:db8::1"));
}

TEST_F(Dns, FollowsAliases) {
  dns_.Set("a.example", "CNAME", R"(["b.example"])");
  dns_.Set("b.example", "CNAME", R"(["c.example"])");
  dns_.Set("c.example", "A", R"(["127.0.0.2"])");
  EXPECT_THAT(Addresses("a.example")->literals, ElementsAre("127.0.0.2"));
}

TEST_F(Dns, TellsWhatIsNotThereFromWhatCouldNotBeFoundOut) {
  dns_.Set("below.some.example", "A", R"(["127.0.0.2"])");
  EXPECT_THAT(Addresses("none.example")->literals, IsEmpty());
  EXPECT_THAT(Addresses("some.example")->literals, IsEmpty());  // it exists, without addresses
  EXPECT_THAT(*Services("_matrix._tcp.none.example"), IsEmpty());
  for (const int rcode : {kServerFailure, kRefused}) {
    for (const char* type : {"A", "AAAA", "SRV"}) dns_.Fail("ill.example", type, rcode);
    EXPECT_EQ(Addresses("ill.example").status().code(), absl::StatusCode::kUnavailable) << rcode;
    EXPECT_EQ(Services("ill.example").status().code(), absl::StatusCode::kUnavailable) << rcode;
  }
}

TEST_F(Dns, GivesUpOnAServerThatDoesNotAnswer) {
  for (const char* type : {"A", "AAAA", "SRV"}) dns_.Silence("silent.example", type);
  EXPECT_EQ(hasty_.FindAddresses("silent.example", absl::InfiniteFuture()).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(hasty_.FindServices("silent.example", absl::InfiniteFuture()).status().code(),
            absl::StatusCode::kUnavailable);
  // The caller's deadline counts too.
  EXPECT_EQ(resolver_.FindServices("silent.example", absl::Now() + absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(resolver_.FindAddresses("silent.example", absl::InfinitePast()).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(Dns, UsesTheAddressesOfOneKindWhereTheOtherDoesNotCome) {
  dns_.Set("half.example", "A", R"(["127.0.0.2"])");
  dns_.Silence("half.example", "AAAA");
  const DnsResolver patient({.servers = {dns_.address()}, .first_wait = absl::Milliseconds(200)});
  const auto found = patient.FindAddresses("half.example", absl::InfiniteFuture());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->literals, ElementsAre("127.0.0.2"));
}

TEST_F(Dns, IsAskedAgainByTcpForWhatIsCutShort) {
  dns_.SetForTcp("large.example", "A", R"(["127.0.0.2"])");
  std::string many;
  for (int i = 0; i < 40; ++i)
    many += (i == 0 ? "" : ",") + std::string(R"([1, 1, 8448, "some-target.large.example"])");
  dns_.Set("_matrix._tcp.large.example", "SRV", "[" + many + "]");
  EXPECT_THAT(Addresses("large.example")->literals, ElementsAre("127.0.0.2"));
  EXPECT_EQ(Services("_matrix._tcp.large.example")->size(), 40U);
}

TEST_F(Dns, HasServices) {
  dns_.Set("_matrix-fed._tcp.a.example", "SRV", R"([[10, 5, 8448, "b.example"], [20, 0, 443, "c.example"]])");
  EXPECT_THAT(*Services("_matrix-fed._tcp.a.example"),
              UnorderedElementsAre(SrvRecord{10, 5, 8448, "b.example"}, SrvRecord{20, 0, 443, "c.example"}));
}

TEST_F(Dns, IsNotAskedForWhatIsNoName) {
  EXPECT_THAT(Addresses("a..example")->literals, IsEmpty());
  EXPECT_THAT(Addresses(std::string(64, 'a') + ".example")->literals, IsEmpty());
  std::string longest = "a";
  while (longest.size() < 250) longest += ".a";
  EXPECT_THAT(*Services("_matrix-fed._tcp." + longest), IsEmpty());
  EXPECT_THAT(dns_.Asked(), IsEmpty());
}

TEST_F(Dns, IsAskedForNamesAsTheyAre) {
  EXPECT_THAT(Addresses("postern-store")->literals, IsEmpty());
  EXPECT_THAT(dns_.Asked(), ElementsAre("A postern-store", "AAAA postern-store"));  // and no search domain
}

TEST_F(Dns, MayBeMissing) {
  DnsResolver nowhere({.servers = {"127.0.0.1:1"}, .first_wait = absl::Milliseconds(20)});
  EXPECT_EQ(nowhere.FindAddresses("a.example", absl::Now() + absl::Milliseconds(200)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(Dns, IsAskedFromManyThreadsAtOnce) {
  dns_.Set("a.example", "A", R"(["127.0.0.2"])");
  dns_.Set("_matrix._tcp.a.example", "SRV", R"([[1, 1, 8448, "a.example"]])");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < 10; ++j) {
        EXPECT_THAT(Addresses("a.example")->literals, ElementsAre("127.0.0.2"));
        EXPECT_EQ(Services("_matrix._tcp.a.example")->size(), 1U);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class Peers : public Dns {
 protected:
  absl::StatusOr<PeerHost> Find(std::string_view host) const {
    return peers_.Find(host, absl::Now() + absl::Seconds(20));
  }
  absl::StatusCode CodeFor(std::string_view host) const { return Find(host).status().code(); }

  PeerAddresses peers_{resolver_, {.allowed_networks = {*http::IpNetwork::Parse("127.0.0.2")}}};
};

TEST_F(Peers, AreReachedAtAllowedAddressesOnly) {
  dns_.Set("mixed.example", "A", R"(["127.0.0.3", "127.0.0.2", "10.0.0.1", "8.8.8.8"])");
  dns_.Set("mixed.example", "AAAA", R"(["::1", "::ffff:127.0.0.3", "fe80::1", "64:ff9b::7f00:3", "2606:4700::1111"])");
  dns_.Set("private.example", "A", R"(["127.0.0.3", "169.254.169.254", "0.0.0.0"])");
  dns_.Set("mapped.example", "AAAA", R"(["::ffff:127.0.0.2"])");
  EXPECT_THAT(Find("mixed.example")->literals, UnorderedElementsAre("127.0.0.2", "8.8.8.8", "2606:4700::1111"));
  EXPECT_THAT(Find("mapped.example")->literals, ElementsAre("::ffff:127.0.0.2"));
  EXPECT_EQ(CodeFor("private.example"), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeFor("none.example"), absl::StatusCode::kNotFound);
}

TEST_F(Peers, MayBeLiterals) {
  EXPECT_THAT(Find("127.0.0.2")->literals, ElementsAre("127.0.0.2"));
  EXPECT_THAT(Find("2606:4700::1111")->literals, ElementsAre("2606:4700::1111"));
  for (const char* literal : {"127.0.0.3", "::1", "::ffff:127.0.0.3", "169.254.169.254"}) {
    EXPECT_EQ(CodeFor(literal), absl::StatusCode::kPermissionDenied) << literal;
  }
  EXPECT_THAT(dns_.Asked(), IsEmpty());
}

TEST_F(Peers, AreNotTheirNumbersInOddSpellings) {
  for (const char* host : {"127.1", "2130706434", "0x7f000002", "0177.0.0.2", "127.0.0.2.", "a.0x7f", "1.2.3.4.5", "",
                           ".", "a b", "a/b", "[::1]", "caf\xc3\xa9.example"}) {
    EXPECT_FALSE(IsHostName(host)) << host;
    EXPECT_EQ(CodeFor(host), absl::StatusCode::kNotFound) << host;
  }
  for (const char* host :
       {"a.example", "a.example.", "localhost", "1.example", "a-b.c_d.example", "127.0.0.2.example"}) {
    EXPECT_TRUE(IsHostName(host)) << host;
  }
  EXPECT_THAT(dns_.Asked(), IsEmpty());
}

TEST_F(Peers, AreTriedAtEightAddressesAtMost) {
  dns_.Set("many.example", "A",
           R"(["8.0.0.1","8.0.0.2","8.0.0.3","8.0.0.4","8.0.0.5","8.0.0.6","8.0.0.7","8.0.0.8","8.0.0.9"])");
  EXPECT_EQ(Find("many.example")->literals.size(), 8U);
}

}  // namespace
}  // namespace postern::gateway
