// The rotation of signing keys between two servers, ours and theirs (pitfalls K01, K02, X07): whoever knew the old key
// finds what came before still good, learns the new one at once, and takes nothing more by the old one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/time/clock.h"
#include "matrix/base64.h"
#include "matrix/redaction.h"
#include "matrix/signature.h"
#include "matrix/x_matrix.h"
#include "tests/flow/leave_attempt.h"
#include "tests/flow/must.h"
#include "tests/flow/played_destination.h"
#include "tests/posternctl/program.h"

namespace postern::flow {
namespace {

using matrix::JsonObject;
using matrix::VerifyKey;
using testing::Contains;
using testing::Key;
using testing::Not;

/// A server that is told things, and what it knows of our keys: a document is fetched when one is named that it does
/// not know, and at no other time.
class Listener {
 public:
  explicit Listener(const Scene& scene) : scene_(scene) { destination.Listen(); }

  /// Waits for the `number`th transaction, checks who sent it, and returns its one event.
  JsonObject Hear(std::size_t number) {
    destination.AwaitTold(number);
    const ToldTransaction transaction = destination.told().at(number - 1);
    const auto header =
        Must("X-Matrix", matrix::ParseXMatrix(*http::FindHeader(transaction.request.headers, "Authorization")));
    if (!keys.contains(header.key)) Fetch();
    EXPECT_THAT(keys, Contains(Key(header.key)));
    const matrix::Json content = Must("a body", matrix::ParseJson(transaction.request.body));
    const matrix::SignedRequest request{.method = transaction.request.method,
                                        .uri = transaction.request.target,
                                        .origin = scene_.stack.server_name(),
                                        .destination = destination.name(),
                                        .content = &content};
    EXPECT_FALSE(keys.at(header.key).expired) << "an old key signs no request";
    EXPECT_TRUE(matrix::VerifyRequest(request, header.sig, keys.at(header.key).public_key));
    request_key = header.key;
    Must("one event", transaction.pdus().size() == 1);
    return *transaction.pdus().front().AsObject();
  }

  void Fetch() {
    ++fetches;
    http::Request request;
    request.method = "GET";
    request.target = "/_matrix/key/v2/server";
    const JsonObject document = ObjectOf(scene_.remote.Send(request).body);
    valid_until = absl::FromUnixMillis(*document.Find("valid_until_ts")->AsInteger());
    keys.clear();
    for (const char* member : {"verify_keys", "old_verify_keys"}) {
      for (const auto& [id, entry] : *document.Find(member)->AsObject()) {
        VerifyKey key{id, *matrix::DecodeBase64(*entry.AsObject()->Find("key")->AsString()), std::nullopt};
        if (const matrix::Json* expired = entry.AsObject()->Find("expired_ts")) {
          key.expired = absl::FromUnixMillis(*expired->AsInteger());
        }
        if (!key.expired) {
          EXPECT_TRUE(matrix::VerifyJson(document, scene_.stack.server_name(), id, key.public_key));
        }
        keys.emplace(id, std::move(key));
      }
    }
  }

  /// Whether the event is signed by us under that key, at a time when the key was one.
  bool Believes(const JsonObject& event, const std::string& key_id) const {
    const auto key = keys.find(key_id);
    if (key == keys.end()) return false;
    const absl::Time at = absl::FromUnixMillis(*event.Find("origin_server_ts")->AsInteger());
    const JsonObject redacted = matrix::Redact(event, *matrix::FindRoomRules("10"));
    return at <= key->second.expired.value_or(valid_until) &&
           matrix::VerifyJson(redacted, scene_.stack.server_name(), key_id, key->second.public_key);
  }

  PlayedDestination destination;
  std::map<std::string, VerifyKey> keys;
  absl::Time valid_until;
  std::string request_key;  // of the last request
  int fetches = 0;

 private:
  const Scene& scene_;
};

class KeyRotation : public testing::Test {
 protected:
  void RotateOurs() const {
    const auto rotated =
        posternctl::RunPosternctl({"key", "rotate", "--key", scene_.stack.state_directory() + "/signing.key",
                                   "--old-keys", scene_.stack.state_directory() + "/old_verify_keys", "--grace", "0"},
                                  {"POSTERN_GATEWAY=" + scene_.stack.gateway().grpc});
    ASSERT_EQ(rotated.status, 0) << rotated.errors;
  }
  void Write(const SeededRoom& room, int number) const {
    scene_.room_operator.SetState(room.room_id, "org.test.event", fmt::format(R"({{"number":{}}})", number));
  }

  Scene scene_;
};

TEST_F(KeyRotation, OfOursIsLearntWithTheFirstRequestAndSpoilsNoEventFromBefore) {
  Listener listener(scene_);
  const SeededRoom room =
      scene_.room_operator.Seed("10", scene_.remote.name(), "invite", 1, {listener.destination.name()});
  Write(room, 1);
  const JsonObject before = listener.Hear(1);
  const std::string old_key = listener.request_key;
  EXPECT_EQ(old_key, scene_.our_key_id);
  EXPECT_TRUE(listener.Believes(before, old_key));
  EXPECT_GE(listener.valid_until, absl::Now() + absl::Hours(1));

  RotateOurs();
  Write(room, 2);
  const JsonObject after = listener.Hear(2);
  const std::string new_key = listener.request_key;
  EXPECT_NE(new_key, old_key);
  EXPECT_EQ(listener.fetches, 2) << "one for each key that it had not known";
  EXPECT_TRUE(listener.Believes(after, new_key));
  EXPECT_FALSE(listener.Believes(after, old_key));
  EXPECT_TRUE(listener.keys.at(old_key).expired) << "it is an old one";
  EXPECT_TRUE(listener.Believes(before, old_key)) << "and what it signed stays good";
  EXPECT_FALSE(listener.Believes(before, new_key));

  scene_.stack.KillAndRestart(scene_.stack.gateway());
  scene_.stack.WaitUntilReady();
  const auto keys_before = listener.keys;
  listener.Fetch();
  EXPECT_THAT(listener.keys, testing::SizeIs(keys_before.size()));
  EXPECT_TRUE(listener.Believes(before, old_key));
  EXPECT_TRUE(listener.Believes(after, new_key));
}

TEST_F(KeyRotation, OfTheirsIsLearntWithOneFetchAndTheirOldKeySignsEventsFromBeforeOnly) {
  PlayedHomeserver remote(scene_.stack);
  const matrix::RoomRules& rules = *matrix::FindRoomRules("10");
  // Signed with the key that is about to be an old one; each has asked for a template, so that the key is known.
  LeaveAttempt in_time(scene_, remote, rules), too_late(scene_, remote, rules), by_request(scene_, remote, rules);
  EXPECT_EQ(remote.key_requests(), 1);
  const absl::Time expired = absl::Now() + absl::Minutes(10);
  in_time.CompleteNow();
  by_request.CompleteNow();
  too_late.event.Set("origin_server_ts", absl::ToUnixMillis(expired + absl::Seconds(1)));
  too_late.CompleteNow();
  remote.Rotate(expired);

  // The first request by the new key. The event's key is not the request's.
  EXPECT_EQ(in_time.Send().status, 200);
  EXPECT_EQ(remote.key_requests(), 1);
  const LeaveRows rows = scene_.database.RowsOfLeave(in_time.room_id, in_time.EventId(), in_time.user);
  EXPECT_EQ(rows.membership, "leave");
  EXPECT_TRUE(matrix::VerifyJson(matrix::Redact(ObjectOf(rows.pdu), rules), remote.name(), remote.key_before().key_id(),
                                 remote.key_before().public_key()));

  RoomRows before = scene_.database.RowsOfRoom(too_late.room_id);
  ExpectRefused(too_late.Send(), 400, "M_INVALID_PARAM");
  EXPECT_EQ(scene_.database.RowsOfRoom(too_late.room_id).written, before.written);

  by_request.alter_request = [&](http::Request& request) {
    request.headers.clear();
    remote.Sign(request, remote.name(), remote.key_before());
  };
  before = scene_.database.RowsOfRoom(by_request.room_id);
  ExpectRefused(by_request.Send(), 401, "M_UNAUTHORIZED");
  EXPECT_EQ(scene_.database.RowsOfRoom(by_request.room_id), before);
  by_request.alter_request = [](auto&) {};
  EXPECT_EQ(by_request.Send().status, 200) << "the same leave, by a request that the new key signs";
  EXPECT_LE(remote.key_requests(), 2) << "whatever an unknown key costs, it is no fetch for each request";
}

}  // namespace
}  // namespace postern::flow
