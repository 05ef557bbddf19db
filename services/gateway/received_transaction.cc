#include "services/gateway/received_transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "matrix/refusal.h"

namespace postern::gateway {
namespace {

using matrix::Json;
using matrix::JsonArray;
using matrix::JsonObject;
using matrix::Reason;
using matrix::Refuse;

constexpr std::array<std::string_view, 6> kEduKinds{"m.direct_to_device", "m.device_list_update", "m.presence",
                                                    "m.receipt",          "m.signing_key_update", "m.typing"};

absl::Status BadMember(std::string_view name, std::string_view expected) {
  return Refuse(Reason::kBadStructure, fmt::format("'{}' must be {}", name, expected));
}

/// What a metric calls it: a stranger's words are no label.
std::string_view KindOf(const Json& edu) {
  const Json* type = edu.AsObject() == nullptr ? nullptr : edu.AsObject()->Find("edu_type");
  if (type == nullptr || type->AsString() == nullptr) return "other";
  const auto known = std::ranges::find(kEduKinds, std::string_view(*type->AsString()));
  return known == kEduKinds.end() ? "other" : *known;
}

}  // namespace

absl::StatusOr<ReceivedTransaction> ReadTransaction(JsonObject& content, const matrix::ServerName& origin) {
  const Json* from = content.Find("origin");
  if (from == nullptr || from->AsString() == nullptr) return BadMember("origin", "a server name");
  if (*from->AsString() != origin.text()) return BadMember("origin", "the server that has signed the request");
  const Json* sent_at = content.Find("origin_server_ts");
  if (sent_at == nullptr || sent_at->AsInteger() == nullptr) return BadMember("origin_server_ts", "an integer");
  Json* pdus = content.Find("pdus");
  if (pdus == nullptr || pdus->AsArray() == nullptr) return BadMember("pdus", "a list");
  if (pdus->AsArray()->size() > kMostPdus) return BadMember("pdus", "50 at most");
  const Json* edus = content.Find("edus");
  if (edus != nullptr && edus->AsArray() == nullptr) return BadMember("edus", "a list");
  if (edus != nullptr && edus->AsArray()->size() > kMostEdus) return BadMember("edus", "100 at most");

  ReceivedTransaction transaction;
  transaction.pdus = std::move(*pdus->AsArray());
  if (edus == nullptr) return transaction;
  for (const Json& edu : *edus->AsArray()) ++transaction.edus[KindOf(edu)];
  return transaction;
}

}  // namespace postern::gateway
