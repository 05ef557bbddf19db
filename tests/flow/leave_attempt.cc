#include "tests/flow/leave_attempt.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "matrix/base64.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"
#include "matrix/signature.h"
#include "tests/flow/handshake.h"
#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;

constexpr std::string_view kLocalpart = "ann";

bool CarriesIds(const matrix::RoomRules& rules) { return rules.event_id_format == matrix::EventIdFormat::kCarried; }

}  // namespace

std::int64_t GatewayCounter(const Scene& scene, std::string_view sample, std::size_t gateway) {
  http::Request request;
  request.method = "GET";
  request.target = "/metrics";
  const std::string metrics = scene.remote.Send(request, scene.stack.gateway(gateway).admin).body;
  const std::string line = "\n" + std::string(sample) + " ";
  const auto at = metrics.find(line);
  return at == std::string::npos ? 0 : std::atoll(metrics.c_str() + at + line.size());
}

Scene::Scene(const StackOptions& options)
    : stack(options), room_operator(stack), remote(stack), outdated(stack, -absl::Hours(1)), database(stack.dsn()) {
  http::Request request;
  request.method = "GET";
  request.target = "/_matrix/key/v2/server";
  const JsonObject document = ObjectOf(remote.Send(request).body);
  const JsonObject& keys = *document.Find("verify_keys")->AsObject();
  Must("one key of the stack", keys.size() == 1);
  our_key_id = keys.begin()->key;
  our_public_key = *matrix::DecodeBase64(*keys.begin()->value.AsObject()->Find("key")->AsString());
}

LeaveAttempt::LeaveAttempt(Scene& at, const PlayedHomeserver& from, const matrix::RoomRules& room_rules,
                           std::string_view membership)
    : scene(at), remote(from), rules(room_rules) {
  if (membership == "invite") {
    room = scene.room_operator.CreateRoom(rules.version);
    room_id = room.room_id;
    user = remote.User(kLocalpart);
    invite = scene.room_operator.Invite(room_id, user);
  } else {
    const SeededRoom seeded = scene.room_operator.Seed(rules.version, remote.name(), membership, 1);
    room_id = seeded.room_id;
    user = seeded.users.front();
  }
  AskForTemplate();
}

void LeaveAttempt::CompleteNow() {
  if (!completed) event = remote.Complete(std::move(event), rules);
  completed = true;
}

http::Request LeaveAttempt::Build() {
  CompleteNow();
  sent = event;
  http::Request request = remote.SendLeaveRequest(room_id, sent, rules, api);
  alter_request(request);
  return request;
}

std::string LeaveAttempt::EventId() const { return matrix::ComputeEventId(sent, rules); }

Json LeaveAttempt::Reference(const std::string& event_id) const { return ReferenceTo(event_id, rules); }

std::string LeaveAttempt::IdOf(const Json& reference) const {
  return *(CarriesIds(rules) ? reference.AsArray()->front() : reference).AsString();
}

JsonArray& LeaveAttempt::References(std::string_view member) { return *event.Find(member)->AsArray(); }

void ExpectRefused(const http::Response& response, int status, std::string_view errcode) {
  EXPECT_EQ(response.status, status) << response.body;
  EXPECT_EQ(ErrcodeOf(response), errcode) << response.body;
  EXPECT_EQ(http::FindHeader(response.headers, "Content-Type"), "application/json");
}

void ExpectToldToComeBack(const http::Response& response, int status, std::string_view errcode) {
  ExpectRefused(response, status, errcode);
  const auto seconds = http::FindHeader(response.headers, "Retry-After");
  ASSERT_TRUE(seconds) << response.body;
  EXPECT_GE(std::atoi(std::string(*seconds).c_str()), 1);
  const JsonObject body = ObjectOf(response.body);
  const Json* milliseconds = body.Find("retry_after_ms");
  EXPECT_TRUE(milliseconds != nullptr && milliseconds->AsInteger() != nullptr);
}

void ExpectStored(LeaveAttempt& attempt) {
  Scene& scene = attempt.scene;
  const LeaveRows rows = scene.database.RowsOfLeave(attempt.room_id, attempt.EventId(), attempt.user);
  EXPECT_EQ(rows.events, 1);
  EXPECT_EQ(rows.event_ids, 1);
  EXPECT_EQ(rows.outbox, 1);
  EXPECT_EQ(rows.refusals, 0);
  EXPECT_EQ(rows.membership, "leave");
  EXPECT_TRUE(rows.membership_is_by_it);
  ASSERT_NE(rows.pdu, "");
  const JsonObject protected_part = matrix::Redact(ObjectOf(rows.pdu), attempt.rules);
  EXPECT_TRUE(matrix::VerifyJson(protected_part, scene.stack.server_name(), scene.our_key_id, scene.our_public_key));
  EXPECT_TRUE(matrix::VerifyJson(protected_part, attempt.remote.name(), attempt.remote.key().key_id(),
                                 attempt.remote.key().public_key()));
}

}  // namespace postern::flow
