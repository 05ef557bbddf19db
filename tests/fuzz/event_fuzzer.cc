// Any bytes as an event of every room version: refused, or hashed, named, redacted and signed as all versions promise.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "matrix/canonical_json.h"
#include "matrix/content_hash.h"
#include "matrix/event.h"
#include "matrix/event_id.h"
#include "matrix/redaction.h"
#include "matrix/refusal.h"
#include "matrix/signature.h"
#include "tests/fuzz/require.h"

namespace {

using namespace postern::matrix;
using postern::fuzz::Require;

void CheckEvent(const Event& event, const RoomRules& rules) {
  Require(CanonicalJson(event.json()).size() <= kMaxEventBytes, "an event is within its limit");
  Require(event.auth_events().size() <= kMaxAuthEvents && event.prev_events().size() <= kMaxPrevEvents, "few parents");
  Require(event.depth() >= 0 && event.depth() <= rules.max_depth, "depth is in range");
  const JsonObject redacted = Redact(event.json(), rules);
  Require(Redact(redacted, rules) == redacted, "redacting twice is redacting once");
  Require(ComputeEventId(redacted, rules) == event.event_id(), "redaction keeps the event id");
  Require(ReferenceHash(redacted, rules) == ReferenceHash(event.json(), rules), "redaction keeps the reference hash");
  (void)ContentHashMatches(event.json());
  (void)CheckEventSignatures(event.json(), rules, {}, absl::FromUnixSeconds(1700000000));
  (void)event.membership();
}

void CheckSigning(const Event& event, const RoomRules& rules, const SigningKey& key) {
  JsonObject signed_event = event.json();
  HashAndSignEvent(signed_event, "fuzz.example", key, rules);
  Require(ContentHashMatches(signed_event), "the hash we set is the content hash");
  const std::string id = ComputeEventId(signed_event, rules);
  SignEvent(signed_event, "fuzz.example", key, rules);
  Require(ComputeEventId(signed_event, rules) == id, "signing keeps the event id");
  Require(VerifyJson(Redact(signed_event, rules), "fuzz.example", key.key_id(), key.public_key()),
          "our signature holds");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const SigningKey key = *SigningKey::FromSeed("ed25519:fuzz", std::string(kSeedBytes, 'f'));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = ParseJson(text);
  if (!json.ok()) return 0;
  for (const RoomRules& rules : AllRoomRules()) {
    const auto event = Event::FromJson(*json, rules);
    if (!event.ok()) {
      Require(ReasonOf(event.status()) == Reason::kBadFormat, "refused for its format");
      continue;
    }
    CheckEvent(*event, rules);
    // Signing is slow under sanitizers: one version of each kind of redaction is enough of it.
    if (rules.version == "1" || rules.version == "6" || rules.version == "9" || rules.version == "12") {
      CheckSigning(*event, rules, key);
    }
  }
  return 0;
}
