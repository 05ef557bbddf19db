// The signing key is used for typed purposes only (pitfall K08).
#include "services/gateway/event_signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>
#include <vector>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event_id.h"
#include "matrix/refusal.h"
#include "matrix/x_matrix.h"
#include "services/gateway/key_document.h"
#include "services/gateway/key_route.h"
#include "tests/gateway/remote_server.h"
#include "tests/gateway/test_signer.h"

namespace postern::gateway {
namespace {

using matrix::Reason;

const matrix::RoomRules& Rules() { return *matrix::FindRoomRules("10"); }

matrix::JsonObject LeaveOf(std::string_view user) {
  matrix::JsonObject event = ObjectOrDie(
      R"({"type":"m.room.member","content":{"membership":"leave"},"room_id":"!r:here.example","depth":3,
          "origin_server_ts":1700000000000,"auth_events":["$a"],"prev_events":["$p"]})");
  event.Set("sender", user);
  event.Set("state_key", user);
  return event;
}

matrix::v1::Verdict Accepted(const matrix::JsonObject& event) {
  matrix::v1::Verdict verdict;
  verdict.set_outcome(matrix::v1::OUTCOME_ACCEPTED);
  verdict.set_judged_copy(matrix::CanonicalJson(event));
  verdict.set_judged_sha256(matrix::Sha256(verdict.judged_copy()));
  verdict.set_event_id(matrix::ComputeEventId(event, Rules()));
  return verdict;
}

class Signer : public testing::Test {
 protected:
  const EventSigner signer_ = TestSigner();
  const RemoteServer remote_;
  const matrix::JsonObject leave_ = remote_.Complete(LeaveOf("@ann:remote.example:8448"), Rules());
};

TEST_F(Signer, CountersignsWhatWasAccepted) {
  const auto verdict = Accepted(leave_);
  const auto copy = signer_.Countersign(verdict.judged_copy(), verdict, Rules());
  ASSERT_TRUE(copy.ok()) << copy.status();
  const auto event = ObjectOrDie(copy->pdu());
  EXPECT_EQ(*event.Find("hashes"), *leave_.Find("hashes"));
  const auto* signatures = event.Find("signatures")->AsObject();
  EXPECT_EQ(*signatures->Find(remote_.name()), *leave_.Find("signatures")->AsObject()->Find(remote_.name()));
  EXPECT_TRUE(signatures->Contains(kOurName));
  EXPECT_EQ(copy->pdu().size(), signer_.CountersignedBytes(leave_, matrix::CanonicalJson(leave_).size()));
}

TEST_F(Signer, CountersignedBytesHoldWhateverSignaturesAreThere) {
  for (const std::string_view signatures :
       {R"({})", R"({"here.example":{}})", R"({"here.example":{"ed25519:other":"abc"}})",
        R"({"here.example":{"ed25519:h1":"x"}})", R"({"here.example":{"ed25519:h1":"x","ed25519:z":"y"}})"}) {
    matrix::JsonObject event = leave_;
    event.Set("signatures", ParseOrDie(signatures));
    const auto verdict = Accepted(event);
    const auto copy = signer_.Countersign(verdict.judged_copy(), verdict, Rules());
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ(copy->pdu().size(), signer_.CountersignedBytes(event, verdict.judged_copy().size())) << signatures;
  }
}

TEST_F(Signer, RefusesOtherBytesThanThoseJudged) {
  const auto verdict = Accepted(leave_);
  matrix::JsonObject other = leave_;
  other.Set("depth", 4);
  EXPECT_EQ(matrix::ReasonOf(signer_.Countersign(matrix::CanonicalJson(other), verdict, Rules()).status()),
            Reason::kInternal);
}

TEST_F(Signer, RefusesWithoutAnAcceptedVerdict) {
  for (const auto outcome :
       {matrix::v1::OUTCOME_UNSPECIFIED, matrix::v1::OUTCOME_REJECTED, matrix::v1::OUTCOME_INVALID}) {
    auto verdict = Accepted(leave_);
    verdict.set_outcome(outcome);
    EXPECT_FALSE(signer_.Countersign(verdict.judged_copy(), verdict, Rules()).ok()) << outcome;
  }
}

TEST_F(Signer, CountersignsAUsersOwnJoinAndKnockToo) {
  for (const char* content : {R"({"membership":"join"})", R"({"membership":"knock"})"}) {
    matrix::JsonObject event = leave_;
    event.Set("content", ParseOrDie(content));
    const auto verdict = Accepted(event);
    EXPECT_TRUE(signer_.Countersign(verdict.judged_copy(), verdict, Rules()).ok()) << content;
  }
}

TEST_F(Signer, RefusesWhatIsNoMembershipOfTheUsersOwn) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, matrix::Json>>{{"type", "m.room.message"},
                                                         {"state_key", "@bob:remote.example:8448"},
                                                         {"content", ParseOrDie(R"({"membership":"invite"})")},
                                                         {"content", ParseOrDie(R"({"membership":"ban"})")}}) {
    matrix::JsonObject event = leave_;
    event.Set(key, value);
    const auto verdict = Accepted(event);
    EXPECT_FALSE(signer_.Countersign(verdict.judged_copy(), verdict, Rules()).ok()) << key;
  }
}

TEST_F(Signer, RefusesAVerdictOnAnotherEvent) {
  auto verdict = Accepted(leave_);
  verdict.set_event_id("$another");
  EXPECT_FALSE(signer_.Countersign(verdict.judged_copy(), verdict, Rules()).ok());
}

TEST_F(Signer, SignsEventsOfOurOwnUsersOnly) {
  EXPECT_TRUE(signer_.SignOwnEvent(LeaveOf("@bob:here.example"), Rules()).ok());
  for (const std::string_view sender : {"@ann:remote.example:8448", "@bob:here.example:8448", "bob", ""}) {
    EXPECT_EQ(matrix::ReasonOf(signer_.SignOwnEvent(LeaveOf(sender), Rules()).status()), Reason::kInvalidArgument)
        << sender;
  }
}

TEST_F(Signer, SignsARequestToOneServer) {
  const auto destination = *matrix::ServerName::Parse(kRemoteName);
  const matrix::Json content = ParseOrDie(R"({"a":1})");
  const auto header = matrix::ParseXMatrix(signer_.SignRequestTo(destination, "PUT", "/_matrix/x%2Fy?z", &content));
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->origin, kOurName);
  const matrix::SignedRequest request{
      .method = "PUT", .uri = "/_matrix/x%2Fy?z", .origin = kOurName, .destination = kRemoteName, .content = &content};
  EXPECT_TRUE(matrix::VerifyRequest(request, header->sig, KeyOf('h', "ed25519:h1").public_key()));
}

TEST(KeyRoute, PublishesEveryKeySignedByEach) {
  const absl::Time start = absl::FromUnixSeconds(1700000000);
  absl::Time now = start;
  const std::string old =
      "ed25519:old " + matrix::EncodeBase64(KeyOf('o', "ed25519:old").public_key()) + " 1600000000000";
  const EventSigner signer = TestSigner({old});
  KeyRoute route(
      signer, [&] { return now; }, absl::Hours(10));
  const auto us = *matrix::ServerName::Parse(kOurName);

  const std::string first = route.Document();
  const auto fetched = ReadKeyDocument(first, us);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  const matrix::ServerKeys* keys = &fetched->keys;
  EXPECT_EQ(keys->valid_until, start + absl::Hours(10));
  ASSERT_EQ(keys->keys.size(), 3U);  // two that sign, one that did
  EXPECT_EQ(keys->keys.back().expired, absl::FromUnixSeconds(1600000000));
  // The document says of the keys what is given without it.
  const matrix::ServerKeys given = signer.PublicKeys(keys->valid_until);
  EXPECT_EQ(given.server_name, keys->server_name);
  EXPECT_EQ(given.valid_until, keys->valid_until);
  const auto of_key = [](const matrix::VerifyKey& key) { return std::tuple(key.key_id, key.public_key, key.expired); };
  std::vector<std::tuple<std::string, std::string, std::optional<absl::Time>>> published, known;
  std::ranges::transform(keys->keys, std::back_inserter(published), of_key);
  std::ranges::transform(given.keys, std::back_inserter(known), of_key);
  EXPECT_THAT(known, testing::UnorderedElementsAreArray(published));

  now = start + absl::Hours(5) - absl::Seconds(1);
  EXPECT_EQ(route.Document(), first);
  now = start + absl::Hours(5);
  EXPECT_EQ(ReadKeyDocument(route.Document(), us)->keys.valid_until, start + absl::Hours(15));
}

SigningKeys Keys(char letter, std::string_view version, const std::vector<std::string>& retired = {}) {
  return *SigningKeys::Parse(
      "ed25519 " + std::string(version) + " " + matrix::EncodeBase64(std::string(matrix::kSeedBytes, letter)), retired);
}

TEST(Rotation, IsPublishedAtOnceWithTheOldKey) {
  EventSigner signer(*matrix::ServerName::Parse(kOurName), Keys('h', "h1"));
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  KeyRoute route(signer, [&] { return now; });
  const std::string before = route.Document();
  signer.Rotate(Keys('i', "h2", {"ed25519:h1 " + matrix::EncodeBase64(KeyOf('h', "ed25519:h1").public_key()) + " 5"}));
  const auto after = ReadKeyDocument(route.Document(), signer.server_name());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(signer.key_id(), "ed25519:h2");
  ASSERT_EQ(after->keys.keys.size(), 2U);
  EXPECT_EQ(after->keys.keys[0].key_id, "ed25519:h2");
  EXPECT_EQ(after->keys.keys[1].key_id, "ed25519:h1");
  EXPECT_EQ(after->keys.keys[1].expired, absl::FromUnixMillis(5));
}

TEST(Rotation, FromThenOnTheNewKeySigns) {
  EventSigner signer(*matrix::ServerName::Parse(kOurName), Keys('h', "h1"));
  signer.Rotate(Keys('i', "h2"));
  const auto event = signer.SignOwnEvent(LeaveOf("@bob:here.example"), Rules());
  ASSERT_TRUE(event.ok()) << event.status();
  const matrix::JsonObject signed_event = ObjectOrDie(event->pdu());
  const auto* ours = signed_event.Find("signatures")->AsObject()->Find(kOurName)->AsObject();
  EXPECT_EQ(ours->size(), 1U);
  EXPECT_TRUE(ours->Contains("ed25519:h2"));
}

TEST_F(Signer, NotarisesWhatAServerSaysOfItself) {
  const auto document =
      ReadKeyDocument(remote_.KeyDocument(absl::FromUnixSeconds(1700000000)), *matrix::ServerName::Parse(kRemoteName));
  ASSERT_TRUE(document.ok()) << document.status();
  const matrix::JsonObject notarised = ObjectOrDie(signer_.Notarise(*document->document));
  EXPECT_TRUE(matrix::VerifyJson(notarised, kRemoteName, "ed25519:r1", remote_.key().public_key()));
  EXPECT_TRUE(matrix::VerifyJson(notarised, kOurName, "ed25519:h1", KeyOf('h', "ed25519:h1").public_key()));
}

}  // namespace
}  // namespace postern::gateway
