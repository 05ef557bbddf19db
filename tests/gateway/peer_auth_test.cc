// Row 4: which server is asking (pitfalls X01-X09).
#include "services/gateway/peer_auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "matrix/x_matrix.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

/// make_leave, authenticated in one way or another: 200 or 401.
struct AuthCase {
  const char* name;
  std::function<void(LeaveRig&, http::Request&)> alter;
  int status = 401;
};

void AddRaw(http::Request& request, std::string value) {
  request.headers.emplace_back("Authorization", std::move(value));
}

/// The same request by another key, id and destination.
void Resign(LeaveRig& rig, http::Request& request, const matrix::SigningKey& key,
            std::string_view destination = kOurName) {
  request.headers.clear();
  rig.remote_.AddHeader(request, key, nullptr, destination);
}

std::string WithoutDestination(LeaveRig& rig, const http::Request& request, std::string_view signed_for) {
  const matrix::SignedRequest to_sign{.method = request.method,
                                      .uri = request.target,
                                      .origin = kRemoteName,
                                      .destination = signed_for,
                                      .content = nullptr};
  return matrix::FormatXMatrix({.origin = std::string(kRemoteName),
                                .destination = std::nullopt,
                                .key = rig.remote_.key().key_id(),
                                .sig = matrix::SignRequest(to_sign, rig.remote_.key())});
}

class PeerAuthCases : public testing::TestWithParam<AuthCase> {};

TEST_P(PeerAuthCases, AreLetInOrAnswered401) {
  LeaveRig rig;
  http::Request request = rig.remote_.Request("GET", rig.MakeLeavePath(), nullptr);
  GetParam().alter(rig, request);
  const auto response = rig.Send(request);
  EXPECT_EQ(response.status, GetParam().status) << response.body;
  if (response.status == 401) {
    EXPECT_EQ(response.body, R"({"errcode":"M_UNAUTHORIZED","error":"The request could not be authenticated."})");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Requests, PeerAuthCases,
    testing::ValuesIn(std::vector<AuthCase>{
        {"Good", [](auto&, auto&) {}, 200},
        {"NoHeader", [](auto&, auto& r) { r.headers.clear(); }},
        {"AnotherSchemeOnly",
         [](auto&, auto& r) {
           r.headers.clear();
           AddRaw(r, "Bearer abc");
         }},
        {"AnotherSchemeBeside", [](auto&, auto& r) { AddRaw(r, "Bearer abc"); }, 200},
        {"BrokenHeaderBeside", [](auto&, auto& r) { AddRaw(r, "X-Matrix origin"); }},
        {"RepeatedName", [](auto&, auto& r) { r.headers.back().second += ",origin=\"remote.example:8448\""; }},
        {"OriginIsNoServerName",
         [](auto&, auto& r) {
           r.headers.clear();
           AddRaw(r, R"(X-Matrix origin="re mote",key="ed25519:r1",sig="AAAA")");
         }},
        {"OriginIsThisServer",
         [](LeaveRig& rig, auto& r) {
           const RemoteServer us(kOurName);
           rig.source_.Set(us.Keys(rig.clock_.now() + absl::Hours(1)));
           r.headers.clear();
           us.AddHeader(r, us.key(), nullptr);
         }},
        {"DestinationIsAnother", [](LeaveRig& rig, auto& r) { Resign(rig, r, rig.remote_.key(), "else.example"); }},
        {"NoDestination",
         [](LeaveRig& rig, auto& r) {
           r.headers.clear();
           AddRaw(r, WithoutDestination(rig, r, kOurName));
         },
         200},
        {"NoDestinationSignedForAnother",
         [](LeaveRig& rig, auto& r) {
           r.headers.clear();
           AddRaw(r, WithoutDestination(rig, r, "else.example"));
         }},
        {"UnknownKeyId", [](LeaveRig& rig, auto& r) { Resign(rig, r, KeyOf('r', "ed25519:unknown")); }},
        {"KnownIdAnotherKey", [](LeaveRig& rig, auto& r) { Resign(rig, r, KeyOf('x', "ed25519:r1")); }},
        {"UnknownKeyBesideAGoodOne",
         [](LeaveRig& rig, auto& r) { rig.remote_.AddHeader(r, KeyOf('x', "ed25519:unknown"), nullptr); }, 200},
        {"BadSignatureBesideAGoodOne",
         [](LeaveRig& rig, auto& r) { rig.remote_.AddHeader(r, KeyOf('x', "ed25519:r1"), nullptr); }},
        {"FourHeaders",
         [](LeaveRig& rig, auto& r) {
           for (int i = 0; i < 3; ++i) rig.remote_.AddHeader(r, rig.remote_.key(), nullptr);
         },
         200},
        {"FiveHeaders",
         [](LeaveRig& rig, auto& r) {
           for (int i = 0; i < 4; ++i) rig.remote_.AddHeader(r, rig.remote_.key(), nullptr);
         }},
        {"TwoOrigins",
         [](LeaveRig& rig, auto& r) {
           const RemoteServer other("other.example", 'o', "ed25519:o1");
           rig.source_.Set(other.Keys(rig.clock_.now() + absl::Hours(1)));
           other.AddHeader(r, other.key(), nullptr);
         }},
        {"ExpiredDocument",
         [](LeaveRig& rig, auto&) { rig.source_.Set(rig.remote_.Keys(rig.clock_.now() - absl::Seconds(1))); }},
        {"OldVerifyKey",
         [](LeaveRig& rig, auto&) {
           auto keys = rig.remote_.Keys(rig.clock_.now() + absl::Hours(1));
           keys.keys[0].expired = rig.clock_.now() + absl::Hours(1);
           rig.source_.Set(keys);
         }},
        {"OtherAlgorithmOnly",
         [](auto&, auto& r) {
           r.headers.clear();
           AddRaw(r, R"(X-Matrix origin="remote.example:8448",key="rsa:1",sig="AAAA")");
         }},
        {"MethodAltered",
         [](LeaveRig& rig, auto& r) {
           r.method = "PUT";
           r.headers.clear();
           rig.remote_.AddHeader(r, rig.remote_.key(), nullptr);
           r.method = "GET";
         }},
        // The same path otherwise spelled: what was signed is what came over the wire.
        {"TargetSpelledOtherwise", [](auto&, auto& r) { r.target = r.target.replace(r.target.find("%21"), 3, "!"); }},
    }),
    [](const auto& test) { return test.param.name; });

TEST(PeerAuth, TheRawTargetIsSignedHoweverItIsSpelled) {
  LeaveRig rig;
  const std::string room = rig.room_.room_id();
  const std::string head = "/_matrix/federation/v1/make_leave/";
  for (const std::string& target :
       {head + room + "/" + std::string(kAnn), head + http::PercentEncode(room) + "/" + std::string(kAnn),
        head + room + "/%40ann%3aremote.example%3A8448", rig.MakeLeavePath() + "?", rig.MakeLeavePath() + "?a=%2F&b"}) {
    EXPECT_EQ(rig.Send(rig.remote_.Request("GET", target, nullptr)).status, 200) << target;
  }
}

TEST(PeerAuth, AnEmptyObjectIsSignedAsContent) {
  LeaveRig rig;
  const matrix::Json empty{matrix::JsonObject()};
  // Authentic, and then no leave (row 6).
  EXPECT_EQ(ErrcodeOf(rig.Send(rig.remote_.Request("PUT", rig.SendLeavePath(rig.Leave()), &empty))), "M_BAD_JSON");
}

TEST(PeerAuth, OddNumbersAreSignedAsTheyWereWritten) {
  LeaveRig rig({.version = "1"});
  matrix::JsonObject event = rig.remote_.Complete(rig.Leave(), rig.rules());
  event.Set("odd", ParseOrDie("1.50e3"));
  EXPECT_EQ(rig.SendLeave(event).status, 200);
}

TEST(PeerAuth, ASlowKeyServerHoldsNoWorker) {
  LeaveRig rig({.workers = 1});
  rig.source_.Close();
  std::atomic<int> answered = 0;
  for (int i = 0; i < 20; ++i) {
    rig.router_->OnRequest(rig.remote_.Request("GET", rig.MakeLeavePath(), nullptr),
                           [&](http::Response response) { answered += response.status == 200 ? 1 : 0; });
  }
  rig.source_.WaitUntilAsked(1);
  EXPECT_EQ(rig.Send(rig.remote_.Request("GET", "/_matrix/federation/v1/version", nullptr)).status, 200);
  EXPECT_EQ(answered, 0);
  rig.source_.Open();
  rig.fetchers_.Drain();
  rig.workers_.Drain();
  EXPECT_EQ(answered, 20);
  EXPECT_EQ(rig.source_.fetches(), 1);
}

}  // namespace
}  // namespace postern::gateway
