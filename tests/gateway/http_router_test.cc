// From HTTP to a route: what is known, what is not, and what never became a request.
#include "services/gateway/http_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/refusal.h"
#include "services/gateway/refusal_response.h"
#include "tests/gateway/leave_rig.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

http::Response Get(LeaveRig& rig, std::string target, std::string method = "GET") {
  return rig.Send({.method = std::move(method),
                   .target = std::move(target),
                   .headers = {},
                   .body = {},
                   .has_body = false,
                   .remote_address = "192.0.2.1"});
}

TEST(HttpRouter, AnswersUnknownPathsAndMethodsBeforeTheBody) {
  LeaveRig rig;
  for (const std::string target : {"/", "", "/_matrix/federation/v1/send_leave/a", "/_matrix/key/v2/server/",
                                   "/_matrix/federation/v1/make_leave//x", "/_matrix/federation/v1/make_leave/%zz/x",
                                   "/_MATRIX/key/v2/server", "*"}) {
    http::Request head;
    head.method = "GET";
    head.target = target;
    const auto response = rig.router_->OnHead(head);
    ASSERT_TRUE(response) << target;
    EXPECT_EQ(response->status, 404) << target;
    EXPECT_EQ(ErrcodeOf(*response), "M_UNRECOGNIZED");
  }
  for (const std::string method : {"POST", "DELETE", "HEAD", "get"}) {
    EXPECT_EQ(Get(rig, "/_matrix/key/v2/server", method).status, 405);
  }
}

TEST(HttpRouter, ServesKeysAndVersionToAnybody) {
  LeaveRig rig;
  EXPECT_EQ(Get(rig, "/_matrix/key/v2/server").status, 200);
  EXPECT_EQ(Get(rig, "/_matrix/key/v2/server?minimum_valid_until_ts=1").status, 200);
  const auto version = ObjectOrDie(Get(rig, "/_matrix/federation/v1/version").body);
  EXPECT_EQ(*version.Find("server")->AsObject()->Find("name")->AsString(), "Postern");
}

TEST(HttpRouter, AnswersWhatNeverBecameARequest) {
  LeaveRig rig;
  for (const auto& [reason, status] : std::vector<std::pair<Reason, int>>{{Reason::kBodyTooLarge, 413},
                                                                          {Reason::kRequestTimeout, 408},
                                                                          {Reason::kHeadersTooLarge, 431},
                                                                          {Reason::kMalformedHttp, 400},
                                                                          {Reason::kInternal, 503}}) {
    const auto response = rig.router_->OnRefused(matrix::Refuse(reason, "because"));
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(ErrcodeOf(response), matrix::RefusalOf(reason).errcode);
  }
}

TEST(HttpRouter, CountsByRouteAndAnswer) {
  LeaveRig rig;
  rig.SendLeave(rig.remote_.Complete(rig.Leave(), rig.rules()));
  Get(rig, "/nothing");
  rig.workers_.Drain();  // a request is counted once it has been answered
  const std::string metrics = rig.metrics_.Expose();
  EXPECT_THAT(metrics, testing::HasSubstr(R"(postern_gateway_requests_total{route="send_leave_v2",status="200"} 1)"));
  EXPECT_THAT(metrics, testing::HasSubstr("unknown_path"));
}

TEST(RefusalResponse, IsReadableWhateverItQuotes) {
  const auto response = RefusalResponse(matrix::Refuse(Reason::kInvalidArgument, "odd \xff\x01 bytes"));
  EXPECT_EQ(response.body, R"({"errcode":"M_INVALID_PARAM","error":"odd ?? bytes"})");
}

TEST(RefusalResponse, TellsNothingOfWhatIsWithin) {
  const auto response = RefusalResponse(matrix::Refuse(Reason::kStoreDown, "connect to 10.0.0.7:7102 failed"));
  EXPECT_EQ(
      response.body,
      R"({"errcode":"M_UNKNOWN","error":"This server cannot answer just now: store down.","retry_after_ms":1000})");
}

TEST(RefusalResponse, SaysWhenToComeBack) {
  const auto response = RefusalResponse(RefuseUntil(Reason::kOriginLimited, "busy", absl::Milliseconds(1500)));
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(http::FindHeader(response.headers, "Retry-After"), "2");
  EXPECT_EQ(response.body, R"({"errcode":"M_LIMIT_EXCEEDED","error":"busy","retry_after_ms":1500})");
  EXPECT_EQ(http::FindHeader(RefusalResponse(matrix::Refuse(Reason::kStoreDown, "x")).headers, "Retry-After"), "1");
}

}  // namespace
}  // namespace postern::gateway
