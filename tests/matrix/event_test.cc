// Step 1 and what an Event is afterwards.
#include "matrix/event.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "matrix/canonical_json.h"
#include "matrix/event_format.h"
#include "matrix/refusal.h"
#include "tests/matrix/sample_events.h"

namespace postern::matrix {
namespace {

using samples::EventOf;
using samples::Rules;

struct FormatCase {
  const char* name;
  const char* version;
  const char* member;
  const char* value;  // JSON; nullptr: the member is not there
  bool ok = false;
};

class Format : public testing::TestWithParam<FormatCase> {};

TEST_P(Format, OfOneMember) {
  const FormatCase& c = GetParam();
  JsonObject event = EventOf(c.version);
  if (c.value) {
    event.Set(c.member, *ParseJson(c.value));
  } else {
    event.Erase(c.member);
  }
  const absl::Status status = CheckEventFormat(Json(event), Rules(c.version));
  EXPECT_EQ(status.ok(), c.ok) << status;
  if (!status.ok()) {
    EXPECT_EQ(ReasonOf(status), Reason::kBadFormat);
  }
}

// J05, J08: a verdict for whatever stands there, never an exception.
INSTANTIATE_TEST_SUITE_P(Members, Format,
                         testing::ValuesIn(std::vector<FormatCase>{
                             {"NoType", "10", "type", nullptr},
                             {"TypeIsANumber", "10", "type", "1"},
                             {"NoSender", "10", "sender", nullptr},
                             {"SenderIsNull", "10", "sender", "null"},
                             {"NoRoomId", "10", "room_id", nullptr},
                             {"NoContent", "10", "content", nullptr},
                             {"ContentIsAnArray", "10", "content", "[]"},
                             {"NoHashes", "10", "hashes", nullptr},
                             {"HashesIsAString", "10", "hashes", "\"x\""},
                             {"OddHashInside", "10", "hashes", "{\"sha256\":[]}", true},
                             {"NoSignatures", "10", "signatures", nullptr},
                             {"SignaturesIsAnArray", "10", "signatures", "[]"},
                             {"OddSignatureInside", "10", "signatures", "{\"a.example\":7}", true},
                             {"NoDepth", "10", "depth", nullptr},
                             {"DepthIsAString", "10", "depth", "\"1\""},
                             {"DepthIsAFraction", "3", "depth", "1.0"},
                             {"DepthIsNegative", "10", "depth", "-1"},
                             {"DepthIsZero", "10", "depth", "0", true},
                             {"GreatestDepthOfVersion5", "5", "depth", "9223372036854775807", true},
                             {"DepthBeyondVersion5", "5", "depth", "9223372036854775808"},
                             {"GreatestDepthOfVersion6", "6", "depth", "9007199254740991", true},
                             {"DepthBeyondVersion6", "6", "depth", "9007199254740992"},
                             {"NoTimestamp", "10", "origin_server_ts", nullptr},
                             {"TimestampIsAFraction", "1", "origin_server_ts", "1.5"},
                             {"TimestampIsNegative", "10", "origin_server_ts", "-5", true},
                             {"StateKeyIsNull", "10", "state_key", "null"},
                             {"NoStateKey", "10", "state_key", nullptr, true},
                             {"UnsignedIsAString", "10", "unsigned", "\"x\""},
                             {"NoUnsigned", "10", "unsigned", nullptr, true},
                             {"NoAuthEvents", "10", "auth_events", nullptr},
                             {"AuthEventsIsAnObject", "10", "auth_events", "{}"},
                             {"PairReferencesInVersion3", "3", "prev_events", "[[\"$a:b\",{}]]"},
                             {"PlainReferencesInVersion2", "2", "prev_events", "[\"$a:b\"]"},
                             {"PairReferencesInVersion2", "2", "prev_events", "[[\"$a:b\",{}]]", true},
                             {"PairOfThree", "1", "prev_events", "[[\"$a:b\",{},1]]"},
                             {"PairWithoutHashes", "1", "prev_events", "[[\"$a:b\",\"x\"]]"},
                             {"NumberAsReference", "10", "auth_events", "[1]"},
                             {"NoEventIdInVersion2", "2", "event_id", nullptr},
                             {"EventIdIsANumberInVersion2", "2", "event_id", "1"},
                             {"EventIdIsANumberInVersion3", "3", "event_id", "1", true},
                             {"FractionInVersion6", "6", "content", "{\"x\":[1.0]}"},
                             {"FractionInVersion5", "5", "content", "{\"x\":[1.0]}", true},
                             {"MinusZeroInVersion6", "6", "content", "{\"x\":-0}"},
                             {"ExponentInVersion6", "6", "unsigned", "{\"x\":1e2}"},
                             {"GreatIntegerInVersion6", "6", "content", "{\"x\":9007199254740992}"},
                             {"GreatIntegerInVersion5", "5", "content", "{\"x\":99999999999999999999}", true},
                         }),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(EventFormat, RefusesWhatIsNoObject) {
  for (const char* text : {"[]", "null", "\"x\"", "1"})
    EXPECT_FALSE(CheckEventFormat(*ParseJson(text), Rules("10")).ok());
}

// A04
TEST(EventFormat, Allows255BytesInAnIdentifier) {
  for (const char* member : {"type", "sender", "room_id", "state_key", "event_id"}) {
    JsonObject event = EventOf("1");
    event.Set(member, std::string(255, 'x'));
    EXPECT_TRUE(CheckEventFormat(Json(event), Rules("1")).ok()) << member;
    event.Set(member, std::string(254, 'x') + "\xc3\xa9");
    EXPECT_FALSE(CheckEventFormat(Json(event), Rules("1")).ok()) << member;
  }
}

TEST(EventFormat, Allows10AuthEventsAnd20PrevEvents) {
  for (const auto& [member, most] :
       {std::pair("auth_events", kMaxAuthEvents), std::pair("prev_events", kMaxPrevEvents)}) {
    JsonObject event = EventOf("10");
    event.Set(member, JsonArray(most, Json("$x")));
    EXPECT_TRUE(CheckEventFormat(Json(event), Rules("10")).ok()) << member;
    event.Set(member, JsonArray(most + 1, Json("$x")));
    EXPECT_FALSE(CheckEventFormat(Json(event), Rules("10")).ok()) << member;
  }
}

TEST(EventFormat, Allows65536BytesSignaturesAndUnsignedIncluded) {
  JsonObject event = EventOf("10");
  event.Set("unsigned", samples::Object(R"({"x":""})"));
  const std::size_t rest = kMaxEventBytes - CanonicalJson(event).size();
  JsonObject padding;
  padding.Set("x", std::string(rest, 'x'));
  event.Set("unsigned", padding);
  EXPECT_EQ(CanonicalJson(event).size(), kMaxEventBytes);
  EXPECT_TRUE(CheckEventFormat(Json(event), Rules("10")).ok());
  padding.Set("x", std::string(rest + 1, 'x'));
  event.Set("unsigned", padding);
  EXPECT_FALSE(CheckEventFormat(Json(event), Rules("10")).ok());
}

TEST(EventFormat, LetsOnlyAVersion12CreateEventGoWithoutARoomId) {
  for (const RoomRules& rules : AllRoomRules()) {
    JsonObject event = EventOf(rules.version);
    event.Erase("room_id");
    event.Set("type", "m.room.create");
    EXPECT_EQ(CheckEventFormat(Json(event), rules).ok(), rules.room_id_is_create_hash) << rules.version;
    event.Set("type", "m.room.member");
    EXPECT_FALSE(CheckEventFormat(Json(event), rules).ok()) << rules.version;
  }
}

TEST(Event, NamesAVersion12RoomAfterItsCreateEvent) {
  JsonObject json = EventOf("12");
  json.Set("type", "m.room.create");
  json.Erase("room_id");
  const auto event = Event::FromJson(Json(json), Rules("12"));
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->room_id(), "!" + event->event_id().substr(1));
}

TEST(Event, ReadsReferencesOfEveryVersion) {
  for (const RoomRules& rules : AllRoomRules()) {
    const auto event = Event::FromJson(Json(EventOf(rules.version)), rules);
    ASSERT_TRUE(event.ok()) << rules.version;
    EXPECT_THAT(event->prev_events(), testing::ElementsAre("$p1", "$p2"));
    EXPECT_THAT(event->auth_events(), testing::ElementsAre("$a1", "$a1"));
  }
}

TEST(Event, KeepsItsStateKeyWhenCopiedAndMoved) {
  const auto made = Event::FromJson(Json(EventOf("10")), Rules("10"));
  ASSERT_TRUE(made.ok());
  std::optional<Event> first = *made;
  Event copy = *first;
  Event moved = std::move(*first);
  first.reset();
  EXPECT_EQ(*copy.state_key(), "@ann:a.example");
  EXPECT_EQ(*moved.state_key(), "@ann:a.example");
  EXPECT_EQ(copy.event_id(), moved.event_id());
  copy = moved;
  EXPECT_EQ(*copy.state_key(), "@ann:a.example");
}

TEST(Event, ReadsMembershipOnlyFromAString) {
  JsonObject json = EventOf("10");
  EXPECT_EQ(Event::FromJson(Json(json), Rules("10"))->membership(), "leave");
  json.Set("content", samples::Object(R"({"membership":["leave"]})"));
  EXPECT_EQ(Event::FromJson(Json(json), Rules("10"))->membership(), "");
}

TEST(Event, ParseTellsJsonFromFormat) {
  EXPECT_EQ(ReasonOf(Event::Parse("{", Rules("10")).status()), Reason::kNotJson);
  EXPECT_EQ(ReasonOf(Event::Parse("{\"a\":1,\"a\":1}", Rules("10")).status()), Reason::kBadJson);
  EXPECT_EQ(ReasonOf(Event::Parse("{}", Rules("10")).status()), Reason::kBadFormat);
}

}  // namespace
}  // namespace postern::matrix
