#include "posternctl/peer/remote_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/identifiers.h"
#include "matrix/refusal.h"
#include "matrix/x_matrix.h"
#include "tests/posternctl/fake_homeserver.h"
#include "tests/posternctl/played_server.h"

namespace postern::peer {
namespace {

using matrix::Reason;
using testing::UnorderedElementsAre;

const LeaveIntent kIntent{.room_id = "!r:here.example", .user_id = "@bob:there.example", .reason = "enough"};
const absl::Time kNow = absl::FromUnixMillis(1'700'000'000'000);

matrix::KeyDirectory KeysOf(const ServerIdentity& identity) {
  return {{identity.name(),
           {.server_name = identity.name(),
            .valid_until = kNow + absl::Hours(1),
            .keys = {{identity.key().key_id(), identity.key().public_key(), std::nullopt}}}}};
}

class EachVersion : public testing::TestWithParam<const char*> {};

// Pitfall L21: a template cannot make us sign anything but our own leave.
TEST_P(EachVersion, SignsOnlyWhatTheIntentSaysAndWhereItStands) {
  const ServerIdentity identity = IdentityOf("there.example");
  const auto from = ReadLeaveTemplate(TemplateBody(GetParam()));
  ASSERT_TRUE(from.ok()) << from.status();
  const auto leave = CompleteLeave(*from, kIntent, identity, kNow);
  ASSERT_TRUE(leave.ok()) << leave.status();

  std::vector<std::string> members;
  for (const auto& [key, value] : leave->event) {
    if (key != "event_id") members.push_back(key);
  }
  EXPECT_THAT(members, UnorderedElementsAre("type", "room_id", "sender", "state_key", "content", "origin_server_ts",
                                            "depth", "prev_events", "auth_events", "hashes", "signatures"));
  EXPECT_EQ(*leave->event.Find("origin_server_ts")->AsInteger(), absl::ToUnixMillis(kNow));
  EXPECT_EQ(*leave->event.Find("depth")->AsInteger(), 7);
  EXPECT_FALSE(leave->event.Find("content")->AsObject()->Contains("injected"));
  EXPECT_EQ(leave->event_id, matrix::ComputeEventId(leave->event, *from->rules));
  EXPECT_TRUE(matrix::ContentHashMatches(leave->event));
  EXPECT_TRUE(matrix::CheckEventSignatures(leave->event, *from->rules, KeysOf(identity), kNow).ok());
}

INSTANTIATE_TEST_SUITE_P(Versions, EachVersion,
                         testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& test) { return std::string("V") + test.param; });

TEST(CompleteLeave, NamesTheEventAfterThePlayedServerInVersion1) {
  const ServerIdentity identity = IdentityOf("there.example");
  const auto from = ReadLeaveTemplate(TemplateBody("1"));
  ASSERT_TRUE(from.ok());
  const auto one = CompleteLeave(*from, kIntent, identity, kNow);
  const auto two = CompleteLeave(*from, kIntent, identity, kNow);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(matrix::DomainOf(one->event_id), "there.example");
  EXPECT_NE(one->event_id, two->event_id);
}

TEST(CompleteLeave, NeedsToKnowWhereTheEventStands) {
  auto from = ReadLeaveTemplate(TemplateBody("10"));
  ASSERT_TRUE(from.ok());
  from->event.Erase("prev_events");
  EXPECT_EQ(matrix::ReasonOf(CompleteLeave(*from, kIntent, IdentityOf("there.example"), kNow).status()),
            Reason::kBadStructure);
}

TEST(LeaveTemplate, WithoutAVersionIsOfVersion1) {
  const auto from = ReadLeaveTemplate(R"({"event":{}})");
  ASSERT_TRUE(from.ok());
  EXPECT_EQ(from->rules->version, "1");
}

TEST(LeaveTemplate, IsRefusedWhereItIsNone) {
  for (const char* body : {"[]", "{}", R"({"event":1})", R"({"event":{},"room_version":10})"}) {
    EXPECT_EQ(matrix::ReasonOf(ReadLeaveTemplate(body).status()), Reason::kBadJson) << body;
  }
  EXPECT_EQ(matrix::ReasonOf(ReadLeaveTemplate("<html>").status()), Reason::kNotJson);
  EXPECT_EQ(matrix::ReasonOf(ReadLeaveTemplate(R"({"event":{},"room_version":"99"})").status()),
            Reason::kUnsupportedVersion);
}

TEST(LeaveTemplate, MustBeForWhatWasAsked) {
  const auto fits = ReadLeaveTemplate(TemplateBody("10"));
  ASSERT_TRUE(fits.ok());
  EXPECT_TRUE(CheckLeaveTemplate(*fits, kIntent).ok());
  for (const char* member : {"type", "room_id", "sender", "state_key"}) {
    LeaveTemplate other = *fits;
    other.event.Set(member, "something else");
    EXPECT_EQ(matrix::ReasonOf(CheckLeaveTemplate(other, kIntent)), Reason::kBadStructure) << member;
  }
  LeaveTemplate joins = *fits;
  matrix::JsonObject content;
  content.Set("membership", "join");
  joins.event.Set("content", std::move(content));
  EXPECT_EQ(matrix::ReasonOf(CheckLeaveTemplate(joins, kIntent)), Reason::kBadStructure);
}

TEST(RemoteServer, SignsItsRequestsOverTheTargetAndTheBody) {
  FakeHomeserver here;
  const ServerIdentity identity = IdentityOf("there.example");
  http::HttpClient client({.allow_private_networks = true});
  const RemoteServer server(identity, client);
  const Destination to{.url = here.url(), .server_name = "here.example"};
  ASSERT_TRUE(server.MakeLeave(to, kIntent).ok());
  const SignedLeave leave{.event_id = "$e/+:x", .room_id = kIntent.room_id, .event = {}};
  ASSERT_TRUE(server.SendLeave(to, LeaveApi::kV2, leave).ok());
  ASSERT_TRUE(server.SendLeave(to, LeaveApi::kV1, leave).ok());

  const auto requests = here.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].target, "/_matrix/federation/v1/make_leave/%21r%3Ahere.example/%40bob%3Athere.example");
  EXPECT_EQ(requests[1].target, "/_matrix/federation/v2/send_leave/%21r%3Ahere.example/%24e%2F%2B%3Ax");
  EXPECT_EQ(requests[2].target, "/_matrix/federation/v1/send_leave/%21r%3Ahere.example/%24e%2F%2B%3Ax");
  const matrix::Json empty{matrix::JsonObject()};
  for (const auto& request : requests) {
    const auto header = matrix::ParseXMatrix(*http::FindHeader(request.headers, "authorization"));
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->origin, "there.example");
    EXPECT_EQ(header->destination, "here.example");
    EXPECT_EQ(request.has_body, request.method == "PUT");
    const matrix::SignedRequest covered{.method = request.method,
                                        .uri = request.target,
                                        .origin = "there.example",
                                        .destination = "here.example",
                                        .content = request.has_body ? &empty : nullptr};
    EXPECT_TRUE(matrix::VerifyRequest(covered, header->sig, identity.key().public_key())) << request.target;
  }
}

TEST(RemoteServer, AsksForTheNameOfWhomItSpeaksTo) {
  FakeHomeserver here;
  http::HttpClient client({.allow_private_networks = true});
  const auto name = AskServerName(client, here.url());
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(*name, "here.example");
  here.Answers("GET /_matrix/key/v2/server", 404, "{}");
  EXPECT_EQ(matrix::ReasonOf(AskServerName(client, here.url()).status()), Reason::kBadJson);
}

TEST(RemoteServer, KnowsAnEndpointThatIsNotThere) {
  EXPECT_TRUE(EndpointIsUnknown({.status = 404, .headers = {}, .body = ""}));
  EXPECT_TRUE(EndpointIsUnknown({.status = 400, .headers = {}, .body = R"({"errcode":"M_UNRECOGNIZED"})"}));
  EXPECT_FALSE(EndpointIsUnknown({.status = 400, .headers = {}, .body = R"({"errcode":"M_BAD_JSON"})"}));
  EXPECT_FALSE(EndpointIsUnknown({.status = 400, .headers = {}, .body = "oops"}));
  EXPECT_FALSE(EndpointIsUnknown({.status = 200, .headers = {}, .body = "{}"}));
}

}  // namespace
}  // namespace postern::peer
