#include "matrix/auth_events.h"

#include <algorithm>

namespace postern::matrix {
namespace {

const std::string* StringMember(const JsonObject& object, std::string_view key) {
  const Json* value = object.Find(key);
  return value ? value->AsString() : nullptr;
}

const std::string* ThirdPartyToken(const JsonObject& content) {
  const Json* invite = content.Find("third_party_invite");
  const Json* signed_part = invite && invite->AsObject() ? invite->AsObject()->Find("signed") : nullptr;
  return signed_part && signed_part->AsObject() ? StringMember(*signed_part->AsObject(), "token") : nullptr;
}

void SelectForMember(const std::string* state_key, const JsonObject& content, const RoomRules& rules,
                     std::vector<StateKey>& keys) {
  if (state_key) keys.push_back({"m.room.member", *state_key});
  const std::string* membership = StringMember(content, "membership");
  if (!membership) return;
  if (*membership == "join" || *membership == "invite" || *membership == "knock") {
    keys.push_back({"m.room.join_rules", ""});
  }
  if (*membership == "invite") {
    if (const std::string* token = ThirdPartyToken(content)) keys.push_back({"m.room.third_party_invite", *token});
  }
  if (*membership == "join" && rules.restricted_joins) {
    if (const std::string* voucher = StringMember(content, "join_authorised_via_users_server")) {
      keys.push_back({"m.room.member", *voucher});
    }
  }
}

}  // namespace

std::vector<StateKey> SelectAuthEvents(std::string_view type, const std::string* state_key, std::string_view sender,
                                       const JsonObject& content, const RoomRules& rules) {
  if (type == "m.room.create") return {};
  std::vector<StateKey> keys;
  if (!rules.room_id_is_create_hash) keys.push_back({"m.room.create", ""});
  keys.push_back({"m.room.power_levels", ""});
  keys.push_back({"m.room.member", std::string(sender)});
  if (type == "m.room.member") SelectForMember(state_key, content, rules, keys);
  std::ranges::sort(keys);
  const auto twins = std::ranges::unique(keys);
  keys.erase(twins.begin(), twins.end());
  return keys;
}

std::vector<StateKey> SelectAuthEvents(const Event& event) {
  return SelectAuthEvents(event.type(), event.state_key(), event.sender(), event.content(), event.rules());
}

std::vector<StateKey> KeysForLeave(std::string_view user_id) {
  return {{"m.room.create", ""},
          {"m.room.member", std::string(user_id)},
          {"m.room.policy", ""},
          {"m.room.power_levels", ""},
          {"m.room.server_acl", ""}};
}

std::vector<StateKey> KeysForJoin(std::string_view user_id, std::string_view voucher) {
  std::vector<StateKey> keys = KeysForLeave(user_id);
  keys.push_back({"m.room.join_rules", ""});
  if (!voucher.empty() && voucher != user_id) keys.push_back({"m.room.member", std::string(voucher)});
  std::ranges::sort(keys);
  return keys;
}

}  // namespace postern::matrix
