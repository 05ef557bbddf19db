#include "matrix/event_id.h"

#include "matrix/base64.h"
#include "matrix/content_hash.h"
#include "matrix/redaction.h"

namespace postern::matrix {

std::string ReferenceHash(const JsonObject& event, const RoomRules& rules) {
  return Sha256(CanonicalRedacted(event, rules));
}

std::string ComputeEventId(const JsonObject& event, const RoomRules& rules) {
  if (rules.event_id_format == EventIdFormat::kCarried) {
    const Json* id = event.Find("event_id");
    return id && id->AsString() ? *id->AsString() : std::string();
  }
  const std::string hash = ReferenceHash(event, rules);
  return "$" + (rules.event_id_format == EventIdFormat::kBase64 ? EncodeBase64(hash) : EncodeUrlSafeBase64(hash));
}

}  // namespace postern::matrix
