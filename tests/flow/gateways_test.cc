// Several gateways as one server: what is set through one of them binds on the others, and limits hold over all of them
// (pitfalls R02, R03, R06).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "matrix/event_id.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr int kLimit = 20;
// The window outlasts the test. Whoever is beyond the limit is let wait for a moment only, and counted.
constexpr const char* kSettings = R"(
rc_federation: {window_size: 3600000, sleep_limit: 20, sleep_delay: 1, reject_limit: 100, concurrent: 64}
)";

class SeveralGateways : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scene_ = std::make_unique<Scene>(StackOptions{.gateways = 2, .gateway_settings = kSettings});
  }
  static void TearDownTestSuite() { scene_.reset(); }

  static const std::string& Other() { return scene_->stack.gateway(1).federation; }
  static http::Response MakeLeave(const LeaveAttempt& attempt, const std::string& gateway) {
    const std::string target =
        peer::MakeLeaveTarget({.room_id = attempt.room_id, .user_id = attempt.user, .reason = ""});
    return attempt.remote.Send(attempt.remote.Request("GET", target, nullptr), gateway);
  }
  static void SetAcl(const LeaveAttempt& attempt, std::string_view content) {
    scene_->room_operator.SetState(attempt.room_id, "m.room.server_acl", content);
  }

  static std::unique_ptr<Scene> scene_;
};
std::unique_ptr<Scene> SeveralGateways::scene_;

// What is set goes through the first gateway's admin port.
TEST_F(SeveralGateways, R06_AnAclBindsOnTheOtherGatewayByItsNextRequest) {
  for (const char* version : {"10", "12"}) {
    SCOPED_TRACE(version);
    LeaveAttempt attempt(*scene_, scene_->remote, *matrix::FindRoomRules(version));
    const http::Request leave = attempt.Build();
    SetAcl(attempt, R"({"allow":["*"],"deny":["LOCALHOST"]})");
    ExpectRefused(attempt.remote.Send(leave, Other()), 403, "M_FORBIDDEN");
    ExpectRefused(MakeLeave(attempt, Other()), 403, "M_FORBIDDEN");
    SetAcl(attempt, R"({"allow":["*"]})");
    EXPECT_EQ(MakeLeave(attempt, Other()).status, 200);
    SetAcl(attempt, R"({"allow":["*.example"]})");
    ExpectRefused(MakeLeave(attempt, Other()), 403, "M_FORBIDDEN");
    ExpectRefused(attempt.remote.Send(leave, Other()), 403, "M_FORBIDDEN");
    SetAcl(attempt, R"({"allow":["local*"],"deny":["*.example"]})");
    const http::Response response = attempt.remote.Send(leave, Other());
    EXPECT_EQ(response.status, 200) << response.body;
    ExpectStored(attempt);
  }
}

TEST_F(SeveralGateways, R03_ARoomThatDoesNotFederateIsShutOnBoth) {
  LeaveAttempt attempt(*scene_, scene_->remote, *matrix::FindRoomRules("10"));
  const http::Request elsewhere = attempt.Build();
  attempt.room = scene_->room_operator.CreateRoom("10", R"({"m.federate":false})");
  attempt.room_id = attempt.room.room_id;
  attempt.event.Set("room_id", attempt.room_id);
  attempt.event.Erase("hashes");
  attempt.event.Erase("signatures");
  attempt.completed = false;
  const http::Request leave = attempt.Build();
  for (const ServiceProcess& gateway : scene_->stack.gateways()) {
    ExpectRefused(MakeLeave(attempt, gateway.federation), 403, "M_FORBIDDEN");
    ExpectRefused(attempt.remote.Send(leave, gateway.federation), 403, "M_FORBIDDEN");
  }
  EXPECT_EQ(attempt.remote.Send(elsewhere, Other()).status, 200) << "the server itself is welcome";
}

/// The leave of a request's body, as another member event: what comes before the room is looked at finds nothing amiss.
matrix::Json WithMembership(const std::string& leave, std::string_view membership) {
  matrix::JsonObject event = ObjectOf(leave);
  matrix::JsonObject content = *event.Find("content")->AsObject();
  content.Set("membership", membership);
  event.Set("content", std::move(content));
  return matrix::Json(std::move(event));
}

/// An invite of a user of ours to the room, as its server would send it by v1 or v2 of the API.
http::Request InviteRequest(const LeaveAttempt& attempt, const std::string& ours, bool by_v2) {
  const matrix::RoomRules& rules = *matrix::FindRoomRules(by_v2 ? "10" : "1");
  matrix::JsonObject event = ObjectOf(R"({"type":"m.room.member","content":{"membership":"invite"},"depth":5,)"
                                      R"("origin_server_ts":1,"prev_events":[],"auth_events":[]})");
  event.Set("sender", attempt.user);
  event.Set("state_key", "@invited:" + ours);
  event.Set("room_id", attempt.room_id);
  event = attempt.remote.Complete(std::move(event), rules);
  const std::string id = matrix::ComputeEventId(event, rules);
  matrix::JsonObject told;
  if (by_v2) {
    told.Set("room_version", "10");
    told.Set("invite_room_state", matrix::JsonArray());
    told.Set("event", std::move(event));
  } else {
    told = std::move(event);
  }
  const matrix::Json content(std::move(told));
  return attempt.remote.Request("PUT",
                                fmt::format("/_matrix/federation/{}/invite/{}/{}", by_v2 ? "v2" : "v1",
                                            http::PercentEncode(attempt.room_id), http::PercentEncode(id)),
                                &content);
}

/// What the specification has guarded by the ACL (server-server API, "Server Access Control Lists"), and `event`.
std::vector<http::Request> GuardedRequests(LeaveAttempt& attempt, const std::string& ours) {
  const std::string v1 = "/_matrix/federation/v1/", v2 = "/_matrix/federation/v2/";
  const std::string room = http::PercentEncode(attempt.room_id), user = "/" + http::PercentEncode(attempt.user);
  const std::string id = http::PercentEncode(attempt.room.event_ids.at("m.room.member"));
  const matrix::Json gap(ObjectOf(R"({"earliest_events":[],"latest_events":["$x"],"limit":10})"));
  std::vector<http::Request> requests;
  for (const peer::LeaveApi api : {peer::LeaveApi::kV1, peer::LeaveApi::kV2}) {
    attempt.api = api;
    requests.push_back(attempt.Build());
  }
  const auto add = [&](std::string_view method, const std::string& target, const matrix::Json* content) {
    requests.push_back(attempt.remote.Request(method, target, content));
  };
  for (const char* membership : {"join", "leave", "knock"})
    add("GET", v1 + "make_" + membership + "/" + room + user, nullptr);
  const matrix::Json join = WithMembership(requests.front().body, "join");
  const matrix::Json knock = WithMembership(requests.front().body, "knock");
  for (const std::string& api : {v1, v2}) {
    add("PUT", api + "send_join/" + room + "/" + id, &join);
    requests.push_back(InviteRequest(attempt, ours, api == v2));
  }
  add("PUT", v1 + "send_knock/" + room + "/" + id, &knock);
  for (const char* path : {"state/", "state_ids/"}) add("GET", v1 + path + room + "?event_id=" + id, nullptr);
  add("GET", v1 + "backfill/" + room + "?limit=10&v=" + id, nullptr);
  add("GET", v1 + "event_auth/" + room + "/" + id, nullptr);
  add("GET", v1 + "event/" + id, nullptr);
  add("POST", v1 + "get_missing_events/" + room, &gap);
  return requests;
}

// An endpoint that is not served here tells a denied server nothing either.
TEST_F(SeveralGateways, R03_ADeniedServerIsRefusedByEveryEndpointThatIsServed) {
  LeaveAttempt attempt(*scene_, scene_->remote, *matrix::FindRoomRules("10"));
  const auto requests = GuardedRequests(attempt, scene_->stack.server_name());
  SetAcl(attempt, R"({"allow":["*"],"deny":["localhost"]})");
  int served = 0;
  for (const http::Request& request : requests) {
    for (const ServiceProcess& gateway : scene_->stack.gateways()) {
      const http::Response response = attempt.remote.Send(request, gateway.federation);
      if (response.status == 404 && ErrcodeOf(response) == "M_UNRECOGNIZED") continue;
      SCOPED_TRACE(request.method + " " + request.target);
      ExpectRefused(response, 403, "M_FORBIDDEN");
      ++served;
    }
  }
  EXPECT_GE(served, 2 * 3) << "send_leave by both versions of its API, and make_leave";
}

/// Until the gateway has told the others of what it has had so far.
void AwaitExchange(const Scene& scene, std::size_t gateway) {
  const auto exchanges = [&] {
    return GatewayCounter(
        scene,
        R"(postern_gateway_rpc_seconds_count{caller="background",method="ShareRates",outcome="none",peer="store"})",
        gateway);
  };
  const std::int64_t before = exchanges();
  const absl::Time deadline = absl::Now() + kPatience;
  // The first that is counted from now on may have begun before.
  while (exchanges() < before + 2 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
  Must("an exchange with the store", exchanges() >= before + 2);
}

TEST_F(SeveralGateways, R02_WhatOneHasLetThroughCountsOnTheOther) {
  const PlayedHomeserver busy(scene_->stack);
  const std::string target = peer::MakeLeaveTarget(
      {.room_id = "!nowhere:" + scene_->stack.server_name(), .user_id = busy.User("ann"), .reason = ""});
  const http::Request request = busy.Request("GET", target, nullptr);
  const auto ask = [&](std::size_t gateway, int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_EQ(busy.Send(request, scene_->stack.gateway(gateway).federation).status, 404);
    }
    return GatewayCounter(
        *scene_, fmt::format(R"(postern_gateway_limited_requests_total{{action="delayed",origin="{}"}})", busy.name()),
        gateway);
  };
  EXPECT_EQ(ask(0, kLimit), 0) << "alone it has the whole limit";
  AwaitExchange(*scene_, 0);
  ask(1, 2);  // the second brings it near its limit
  AwaitExchange(*scene_, 1);
  EXPECT_GE(ask(1, kLimit), kLimit - 3) << "the other has let through all that it may";
}

}  // namespace
}  // namespace postern::flow
