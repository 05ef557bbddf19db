// The answer to a join of a large room: it is sent while it is read, so that no process holds it. POSTERN_MEMBERS says
// how large; what was measured is on standard output.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "tests/flow/handshake.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/process_memory.h"
#include "tests/http/raw_connection.h"
#include "tests/support/case_count.h"

namespace postern::flow {
namespace {

using matrix::Json;
using matrix::JsonObject;

int Members() {
  const char* given = std::getenv("POSTERN_MEMBERS");
  return given == nullptr ? support::CaseCount(20'000) : std::atoi(given);
}

struct Read {
  int status = 0;
  absl::Duration first_byte, whole;
  std::size_t bytes = 0;
  std::string end;
};

class LargeJoin : public testing::Test {
 protected:
  http::Request SendJoin(const std::string& user, std::string_view query) {
    const auto answer = scene_.remote.Send(MakeRequest(scene_.remote, "make_join", room_.room_id, user, rules_));
    const JsonObject event = scene_.remote.Complete(DraftOf(answer), rules_);
    const Json content(event);
    const auto target = SendRequest(scene_.remote, "v2/send_join", room_.room_id, event, rules_).target;
    return scene_.remote.Request("PUT", target + std::string(query), &content);
  }

  /// Members that never joined, for their number only: minted, a hundred thousand would take minutes.
  void Fill() {
    const std::string user = fmt::format("('@m' || n || ':{}')::bytea", scene_.remote.name());
    const std::string rows = fmt::format("from rooms o cross join generate_series(1, {}) as n where o.room_id = '{}'",
                                         members_, room_.room_id);
    const std::string cited =
        fmt::format("'{}'::bytea, '{}', '{}'", room_.event_ids.at("m.room.create"),
                    room_.event_ids.at("m.room.power_levels"), room_.event_ids.at("m.room.join_rules"));
    scene_.database.Execute(fmt::format(
        "insert into state_entries select o.room_id, 0, 'm.room.member', {0}, o.state_group + n, ('$' || n)::bytea "
        "{1}; "
        "insert into event_ids select ('$' || n)::bytea, o.room_id {1}; "
        "insert into memberships (room_id, user_id, membership, event_id, updated_at) "
        "select o.room_id, {0}, 'join', ('$' || n)::bytea, 0 {1}; "
        "insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, "
        "state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin, "
        "prev_events, auth_events, pdu) "
        "select o.room_id, ('$' || n)::bytea, o.stream_ordering + n, 1, 0, 10 + n, 0, 0, o.state_group + n - 1, 0, "
        "o.state_group + n, 0, 'm.room.member', {0}, {0}, '', array[('$' || n - 1)::bytea], array[{2}], "
        "convert_to('{{\"content\":{{\"membership\":\"join\",\"displayname\":\"' || repeat('x', 600) || '\"}}}}', "
        "'UTF8') {1}; "
        "insert into room_servers values ('{3}', '{4}', {5}); "
        "update rooms set stream_ordering = stream_ordering + {5}, accepted_ordering = accepted_ordering + {5}, "
        "fixed_ordering = fixed_ordering + {5}, state_group = state_group + {5}, extremities = array['${5}'::bytea] "
        "where room_id = '{3}'",
        user, rows, cited, room_.room_id, scene_.remote.name(), members_));
    scene_.database.Execute("analyze");
  }

  /// Over a connection of its own, which the server closes.
  Read Ask(const http::Request& request) {
    const std::string& url = scene_.stack.gateway().federation;
    http::RawConnection peer(std::atoi(url.c_str() + url.rfind(':') + 1), std::chrono::seconds(60));
    std::string wire = fmt::format("{} {} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n",
                                   request.method, request.target, request.body.size());
    for (const auto& [name, value] : request.headers) wire += fmt::format("{}: {}\r\n", name, value);
    Read read;
    const absl::Time begun = absl::Now();
    peer.Send(wire + "\r\n" + request.body);
    const std::string head = peer.ReadUntil("\r\n\r\n");
    read.first_byte = absl::Now() - begun;
    std::from_chars(head.data() + 9, head.data() + 12, read.status);
    read.bytes = peer.SkipAll(read.end);
    read.whole = absl::Now() - begun;
    return read;
  }

  Scene scene_;
  const matrix::RoomRules& rules_ = *matrix::FindRoomRules("10");
  const int members_ = Members();
  const NewRoom room_ = scene_.room_operator.CreateRoom("10");
};

TEST_F(LargeJoin, IsAnsweredWithoutAnyProcessHoldingTheAnswer) {
  Fill();
  static_cast<void>(Ask(SendJoin(scene_.remote.User("warm"), "?omit_members=true")));
  const ServiceProcess& gateway = scene_.stack.gateway();
  const ServiceProcess& store = scene_.stack.store();
  const std::int64_t gateway_before = MemoryKib(gateway, "VmRSS"), store_before = MemoryKib(store, "VmRSS");
  for (const char* query : {"?omit_members=true", "", ""}) {
    ForgetPeak(gateway);
    ForgetPeak(store);
    const Read read = Ask(SendJoin(scene_.remote.User(fmt::format("u{}", absl::ToUnixNanos(absl::Now()))), query));
    fmt::print(
        "{} members, '{}': {} bytes, first byte {}, whole {}; RSS before, peak: gateway {}, {} KiB, store {}, {} KiB\n",
        members_, query, read.bytes, absl::FormatDuration(read.first_byte), absl::FormatDuration(read.whole),
        gateway_before, MemoryKib(gateway, "VmHWM"), store_before, MemoryKib(store, "VmHWM"));
    std::fflush(stdout);
    EXPECT_EQ(read.status, 200);
    if (*query != '\0') {
      EXPECT_LT(read.bytes, 100'000U);
      continue;
    }
    EXPECT_TRUE(read.end.ends_with("]}\r\n0\r\n\r\n")) << read.end;
    EXPECT_GT(read.bytes, static_cast<std::size_t>(members_) * 500);
    if (support::kSanitized) continue;
    EXPECT_LT(MemoryKib(gateway, "VmHWM") - gateway_before, 48 * 1024);
    EXPECT_LT(MemoryKib(store, "VmHWM") - store_before, 48 * 1024);
  }
}

}  // namespace
}  // namespace postern::flow
