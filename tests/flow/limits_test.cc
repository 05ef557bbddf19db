// Rows 2 and 5 of "Answers of send_leave", where they speak of time and of numbers, on real processes: slow peers, one
// address's and one origin's share.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>

#include "absl/time/clock.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"
#include "tests/http/raw_connection.h"

namespace postern::flow {
namespace {

// A proxy in front names the clients, so that each case has an address of its own. An address regains one request a
// second.
constexpr int kBurst = 200;
constexpr const char* kSettings = R"(
client_address_header: X-Forwarded-For
address_limit: {per_second: 1, burst: 200}
rc_federation: {window_size: 3600000, sleep_limit: 1, sleep_delay: 600000, reject_limit: 0, concurrent: 64}
shutdown_grace: 1s
)";
// The listener gives a request 20 s.
constexpr std::chrono::seconds kSlowPatience(60);
constexpr absl::Duration kPatience = absl::Seconds(30);

int PortOf(const std::string& url) { return std::atoi(url.c_str() + url.rfind(':') + 1); }

std::string Head(const http::Request& request) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: here\r\n", request.method, request.target);
  for (const auto& [name, value] : request.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (request.has_body) head += fmt::format("Content-Length: {}\r\n", request.body.size());
  return head + "\r\n";
}

/// One family's leave, by a homeserver of its own.
struct FamilyLeave {
  FamilyLeave(Scene& scene, const char* version)
      : remote(scene.stack), attempt(scene, remote, *matrix::FindRoomRules(version)) {}

  PlayedHomeserver remote;
  LeaveAttempt attempt;
};

/// A leave of which half has been sent.
struct SlowLeave {
  SlowLeave(Scene& scene, const char* version, int port) : leave(scene, version), connection(port, kSlowPatience) {
    const http::Request request = leave.attempt.Build();
    before = scene.database.RowsOfRoom(leave.attempt.room_id);
    connection.Send(Head(request) + request.body.substr(0, request.body.size() / 2));
  }

  FamilyLeave leave;
  http::RawConnection connection;
  RoomRows before;
};

class LimitsOfSendLeave : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scene_ = std::make_unique<Scene>(StackOptions{.gateway_settings = kSettings});
    // Their time runs while the other cases do.
    for (const char* version : kFamilies) slow_.emplace_back(*scene_, version, Port());
  }
  static void TearDownTestSuite() {
    slow_.clear();
    scene_.reset();
  }

  static int Port() { return PortOf(scene_->stack.gateway().federation); }
  static void ExpectUnchanged(const LeaveAttempt& attempt, const RoomRows& before) {
    EXPECT_EQ(scene_->database.RowsOfRoom(attempt.room_id), before);
  }
  static http::Response From(const std::string& address, http::Request request) {
    request.headers.emplace_back("X-Forwarded-For", address);
    return scene_->remote.Send(request);
  }

  static std::unique_ptr<Scene> scene_;
  static std::deque<SlowLeave> slow_;
};
std::unique_ptr<Scene> LimitsOfSendLeave::scene_;
std::deque<SlowLeave> LimitsOfSendLeave::slow_;

/// Uses up what the address may ask, and sends `leave` from it. `slow`: so much time has passed that it regained some.
http::Response FromAUsedUpAddress(const std::function<http::Response(http::Request)>& send, const http::Request& leave,
                                  bool& slow) {
  http::Request version;
  version.method = "GET";
  version.target = "/_matrix/federation/v1/version";
  int left = 2 * kBurst;
  while (left > 0 && send(version).status == 200) --left;
  Must("an end of what an address may ask", left > 0);
  const absl::Time used_up = absl::Now();
  http::Response response = send(leave);
  slow = absl::Now() - used_up > absl::Milliseconds(500);
  return response;
}

TEST_F(LimitsOfSendLeave, AnAddressMaySendNoMoreThanItsShare) {
  int number = 0;
  for (const char* version : kFamilies) {
    SCOPED_TRACE(version);
    bool slow = true;
    // On a machine that stands still for a second the address regains a request, and the leave is rightly accepted.
    for (int left = 5; left > 0 && slow; --left) {
      FamilyLeave leave(*scene_, version);
      const http::Request request = leave.attempt.Build();
      const RoomRows before = scene_->database.RowsOfRoom(leave.attempt.room_id);
      const std::string address = fmt::format("192.0.2.{}", ++number);
      const http::Response response =
          FromAUsedUpAddress([&](http::Request r) { return From(address, std::move(r)); }, request, slow);
      if (slow && response.status == 200) continue;
      slow = false;
      ExpectToldToComeBack(response, 429, "M_LIMIT_EXCEEDED");
      ExpectUnchanged(leave.attempt, before);
    }
    EXPECT_FALSE(slow);
  }
}

/// How many requests the gateway has let wait, as it counts them.
std::int64_t Delayed(const Scene& scene) {
  return GatewayCounter(scene, R"(postern_gateway_rate_limited_total{action="delayed",scope="origin"})");
}

TEST_F(LimitsOfSendLeave, AnOriginMaySendNoMoreThanItsShare) {
  for (const char* version : kFamilies) {
    SCOPED_TRACE(version);
    FamilyLeave leave(*scene_, version);  // its template was the one request that need not wait
    const http::Request request = leave.attempt.Build();
    const RoomRows before = scene_->database.RowsOfRoom(leave.attempt.room_id);
    const std::int64_t delayed = Delayed(*scene_);
    http::RawConnection waiting(Port());
    waiting.Send(Head(request) + request.body);
    const absl::Time deadline = absl::Now() + kPatience;
    while (Delayed(*scene_) == delayed && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
    ExpectToldToComeBack(leave.remote.Send(request), 429, "M_LIMIT_EXCEEDED");
    ExpectUnchanged(leave.attempt, before);
  }
}

TEST_F(LimitsOfSendLeave, ASlowBodyIsNotAwaitedForever) {
  for (SlowLeave& slow : slow_) {
    SCOPED_TRACE(slow.leave.attempt.rules.version);
    const http::RawAnswer answer = slow.connection.Receive();
    EXPECT_EQ(answer.status, 408);
    EXPECT_EQ(ErrcodeOf({.status = answer.status, .headers = {}, .body = answer.body}), "M_UNKNOWN");
    EXPECT_NE(answer.head.find("Content-Type: application/json\r\n"), std::string::npos) << answer.head;
    ExpectUnchanged(slow.leave.attempt, slow.before);
  }
}

}  // namespace
}  // namespace postern::flow
