// Random events of every version: what hashes, names, redaction and signatures promise of each other. A failure names
// its seed.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"
#include "matrix/signature.h"
#include "tests/matrix/sample_events.h"
#include "tests/support/choices.h"

namespace postern::matrix {
namespace {

using support::BytesOfSeed;
using support::Choices;

constexpr std::uint32_t kSeeds = 150;
constexpr std::array<const char*, 9> kTypes{"m.room.member",       "m.room.create",     "m.room.join_rules",
                                            "m.room.power_levels", "m.room.aliases",    "m.room.history_visibility",
                                            "m.room.redaction",    "m.room.server_acl", "org.example.thing"};
/// Those that some version's redaction keeps, and others.
constexpr std::array<const char*, 20> kNames{"membership",
                                             "creator",
                                             "join_rule",
                                             "allow",
                                             "ban",
                                             "events",
                                             "events_default",
                                             "kick",
                                             "redact",
                                             "state_default",
                                             "users",
                                             "invite",
                                             "aliases",
                                             "redacts",
                                             "reason",
                                             "third_party_invite",
                                             "history_visibility",
                                             "join_authorised_via_users_server",
                                             "signed",
                                             "\xf0\x9f\x98\x80"};
constexpr std::array<const char*, 8> kTopLevel{"origin", "membership", "prev_state", "redacts",
                                               "age_ts", "surprise",   "unsigned2",  "\xc3\xa9"};

Json SomeValue(Choices& choices, int depth) {
  switch (choices.Below(depth > 0 ? 7 : 5)) {
    case 0:
      return choices.OneOf(kNames);
    case 1:
      return static_cast<std::int64_t>(choices.Below(60000)) - 30000;
    case 2:
      return choices.Chance(50);
    case 3:
      return nullptr;
    case 4:
      return std::string(1, static_cast<char>(choices.Below(128)));
    case 5: {
      JsonArray array(choices.Below(4));
      for (Json& item : array) item = SomeValue(choices, depth - 1);
      return array;
    }
    default: {
      JsonObject object;
      for (std::size_t left = choices.Below(5); left > 0; --left) {
        object.Set(choices.OneOf(kNames), SomeValue(choices, depth - 1));
      }
      return object;
    }
  }
}

JsonObject SomeEvent(Choices& choices, std::string_view version) {
  JsonObject event = samples::EventOf(version);
  event.Set("type", choices.OneOf(kTypes));
  JsonObject content;
  for (std::size_t left = choices.Below(8); left > 0; --left) {
    content.Set(choices.OneOf(kNames), SomeValue(choices, 3));
  }
  event.Set("content", std::move(content));
  for (std::size_t left = choices.Below(4); left > 0; --left) {
    event.Set(choices.OneOf(kTopLevel), SomeValue(choices, 2));
  }
  return event;
}

class EventProperty : public testing::TestWithParam<std::string> {
 protected:
  template <typename Check>
  void ForEvents(Check check) {
    for (std::uint32_t seed = 1; seed <= kSeeds; ++seed) {
      const std::string bytes = BytesOfSeed(seed, 400);
      Choices choices(bytes);
      const JsonObject event = SomeEvent(choices, GetParam());
      SCOPED_TRACE("seed " + std::to_string(seed) + ": " + CanonicalJson(event));
      check(event);
      if (HasFatalFailure()) return;
    }
  }
  const RoomRules& rules() const { return samples::Rules(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Versions, EventProperty,
                         testing::Values("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
                         [](const auto& tested) { return "V" + tested.param; });

TEST_P(EventProperty, CanonicalJsonReadsBackAsTheSameEvent) {
  ForEvents([&](const JsonObject& event) {
    const std::string text = CanonicalJson(event);
    const auto again = Event::Parse(text, rules());
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_EQ(CanonicalJson(again->json()), text);
    ASSERT_TRUE(again->json() == event);
  });
}

TEST_P(EventProperty, RedactingAgainChangesNothing) {
  ForEvents([&](const JsonObject& event) {
    const JsonObject once = Redact(event, rules());
    ASSERT_EQ(CanonicalJson(Redact(once, rules())), CanonicalJson(once));
  });
}

TEST_P(EventProperty, WhatIsSignedIsTheCanonicalJsonOfTheRedactedCopy) {
  ForEvents([&](const JsonObject& event) {
    ASSERT_EQ(CanonicalRedacted(event, rules()),
              CanonicalJsonWithout(Redact(event, rules()), {"signatures", "unsigned"}));
  });
}

TEST_P(EventProperty, FitsInAsManyBytesAsItsCanonicalJsonHas) {
  ForEvents([&](const JsonObject& event) {
    const std::size_t size = CanonicalJson(event).size();
    ASSERT_TRUE(FitsCanonically(event, size));
    ASSERT_FALSE(FitsCanonically(event, size - 1));
  });
}

TEST_P(EventProperty, RedactionUnsignedAndSignaturesLeaveTheIdAsItIs) {
  const SigningKey key = *SigningKey::FromSeed("ed25519:x", std::string(kSeedBytes, 'k'));
  ForEvents([&](const JsonObject& event) {
    const std::string id = ComputeEventId(event, rules());
    ASSERT_EQ(ComputeEventId(Redact(event, rules()), rules()), id);
    ASSERT_EQ(ReferenceHash(Redact(event, rules()), rules()), ReferenceHash(event, rules()));
    JsonObject changed = event;
    changed.Erase("unsigned");
    SignEvent(changed, "c.example", key, rules());
    ASSERT_EQ(ComputeEventId(changed, rules()), id);
  });
}

TEST_P(EventProperty, ASignatureHoldsOnTheRedactedCopyAndOnNoOtherEvent) {
  const SigningKey key = *SigningKey::FromSeed("ed25519:x", std::string(kSeedBytes, 'k'));
  ForEvents([&](JsonObject event) {
    HashAndSignEvent(event, "c.example", key, rules());
    ASSERT_TRUE(ContentHashMatches(event));
    const JsonObject redacted = Redact(event, rules());
    ASSERT_TRUE(VerifyJson(redacted, "c.example", key.key_id(), key.public_key()));
    JsonObject other = redacted;
    other.Set("depth", 6);
    ASSERT_FALSE(VerifyJson(other, "c.example", key.key_id(), key.public_key()));
    JsonObject more = event;
    more.Set("added", 1);
    ASSERT_FALSE(ContentHashMatches(more));
    ASSERT_TRUE(VerifyJson(Redact(more, rules()), "c.example", key.key_id(), key.public_key()));
  });
}

}  // namespace
}  // namespace postern::matrix
