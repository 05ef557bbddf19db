#include "matrix/auth_rules.h"

#include <algorithm>

#include "fmt/format.h"
#include "matrix/auth_events.h"
#include "matrix/identifiers.h"
#include "matrix/member_rules.h"
#include "matrix/power_level_rules.h"
#include "matrix/power_levels.h"

namespace postern::matrix {
namespace {

bool AreUserIds(const Json& value) {
  if (!value.AsArray()) return false;
  return std::ranges::all_of(*value.AsArray(),
                             [](const Json& id) { return id.AsString() && IsUserId(*id.AsString()); });
}

RuleResult CheckCreate(const Event& event) {
  const RoomRules& rules = event.rules();
  const JsonObject& content = event.content();
  if (!event.prev_events().empty()) return RefusedBy(AuthRule::kCreateHasPrevEvents, rules);
  if (rules.room_id_is_create_hash) {
    if (event.json().Contains("room_id")) return RefusedBy(AuthRule::kCreateHasRoomId, rules);
  } else if (DomainOf(event.room_id()) != DomainOf(event.sender())) {
    return RefusedBy(AuthRule::kCreateRoomDomain, rules);
  }
  if (const Json* version = content.Find("room_version")) {
    if (!version->AsString() || !FindRoomRules(*version->AsString())) return RefusedBy(AuthRule::kCreateVersion, rules);
  }
  if (rules.creator_in_content && !content.Contains("creator")) return RefusedBy(AuthRule::kCreateNoCreator, rules);
  if (rules.room_id_is_create_hash) {
    const Json* creators = content.Find("additional_creators");
    if (creators && !AreUserIds(*creators)) return RefusedBy(AuthRule::kCreateAdditionalCreators, rules);
  }
  return AllowedBy(AuthRule::kCreateAllowed, rules);
}

bool IsClosedTo(const Event& create, std::string_view sender) {
  const Json* federate = create.content().Find("m.federate");
  const bool closed = federate && federate->AsBool() && !*federate->AsBool();
  return closed && DomainOf(sender) != DomainOf(create.sender());
}

RuleResult CheckAliases(const Event& event) {
  if (!event.is_state()) return RefusedBy(AuthRule::kAliasesNoStateKey, event.rules());
  if (DomainOf(event.sender()) != *event.state_key()) return RefusedBy(AuthRule::kAliasesDomain, event.rules());
  return AllowedBy(AuthRule::kAliasesAllowed, event.rules());
}

RuleResult CheckRedaction(const Event& event, const PowerLevels& levels) {
  if (levels.OfUser(event.sender()) >= levels.ToRedact()) return AllowedBy(AuthRule::kRedactionLevel, event.rules());
  const Json* redacts = event.json().Find("redacts");
  const std::string_view domain = DomainOf(event.event_id());
  if (redacts && redacts->AsString() && !domain.empty() && DomainOf(*redacts->AsString()) == domain) {
    return AllowedBy(AuthRule::kRedactionOwnServer, event.rules());
  }
  return RefusedBy(AuthRule::kRedactionRefused, event.rules());
}

/// The rules below that on the sender's membership.
RuleResult CheckByLevel(const Event& event, const RoomState& state, const PowerLevels& levels) {
  const RoomRules& rules = event.rules();
  const std::int64_t sender = levels.OfUser(event.sender());
  if (event.type() == "m.room.third_party_invite") {
    if (sender >= levels.ToInvite()) return AllowedBy(AuthRule::kThirdPartyInviteEvent, rules);
    return RefusedBy(AuthRule::kThirdPartyInviteLevel, rules, event.sender());
  }
  const std::int64_t required = levels.ToSend(event.type(), event.is_state());
  if (required > sender) {
    return RefusedBy(AuthRule::kRequiredLevel, rules,
                     fmt::format("{} has {}, it takes {}", event.sender(), sender, required));
  }
  if (event.is_state() && event.state_key()->starts_with('@') && *event.state_key() != event.sender()) {
    return RefusedBy(AuthRule::kAnothersStateKey, rules);
  }
  if (event.type() == "m.room.power_levels") return CheckPowerLevelRules(event, state, levels);
  if (event.type() == "m.room.redaction" && rules.special_redaction_rule) return CheckRedaction(event, levels);
  return AllowedBy(AuthRule::kOtherwise, rules);
}

RuleResult RefuseCited(AuthRule rule, const RoomRules& rules, std::string_view detail) {
  return RefusedBy(rule, rules, detail, Reason::kBadAuthEvents);
}

bool IsExpected(const Event& cited, const std::vector<StateKey>& expected) {
  return cited.is_state() && std::ranges::any_of(expected, [&](const StateKey& key) {
           return key.type == cited.type() && key.state_key == *cited.state_key();
         });
}

}  // namespace

void RoomState::Set(const Event& event) {
  const auto [entry, added] = entries_.try_emplace(Key(event.type(), *event.state_key()), &event);
  if (added) return;
  entries_.erase(entry);  // the key looks into the event that is replaced
  entries_.emplace(Key(event.type(), *event.state_key()), &event);
}

RuleResult AllowedBy(AuthRule rule, const RoomRules& rules) {
  return {.reason = Reason::kNone, .rule = AuthRuleNumber(rule, rules), .text = std::string(AuthRuleText(rule))};
}

RuleResult RefusedBy(AuthRule rule, const RoomRules& rules, std::string_view detail, Reason reason) {
  const std::string_view words = AuthRuleText(rule);
  return {.reason = reason,
          .rule = AuthRuleNumber(rule, rules),
          .text = detail.empty() ? std::string(words) : fmt::format("{}: {}", words, detail)};
}

RuleResult CheckCitedEvents(const Event& event, const std::vector<CitedEvent>& auth_events, const Event* create) {
  const RoomRules& rules = event.rules();
  if (event.type() == "m.room.create") return {};
  if (rules.room_id_is_create_hash && (!create || create->room_id() != event.room_id())) {
    return RefuseCited(AuthRule::kRoomIdOfNoCreate, rules, event.room_id());
  }
  RoomState seen;
  for (const CitedEvent& cited : auth_events) {
    if (!cited.event->is_state()) continue;
    if (seen.Find(cited.event->type(), *cited.event->state_key())) {
      return RefuseCited(AuthRule::kCitedTwice, rules, cited.event->event_id());
    }
    seen.Set(*cited.event);
  }
  const std::vector<StateKey> expected = SelectAuthEvents(event);
  for (const CitedEvent& cited : auth_events) {
    if (!IsExpected(*cited.event, expected)) {
      return RefuseCited(AuthRule::kCitedUnexpected, rules, cited.event->event_id());
    }
  }
  for (const CitedEvent& cited : auth_events) {
    if (cited.rejected) return RefuseCited(AuthRule::kCitedRejected, rules, cited.event->event_id());
  }
  if (!rules.room_id_is_create_hash && !seen.create()) return RefuseCited(AuthRule::kCitedNoCreate, rules, {});
  for (const CitedEvent& cited : auth_events) {
    if (cited.event->room_id() != event.room_id()) {
      return RefuseCited(AuthRule::kCitedOtherRoom, rules, cited.event->event_id());
    }
  }
  return {};
}

RuleResult CheckAuthRules(const Event& event, const RoomState& state) {
  const RoomRules& rules = event.rules();
  if (event.type() == "m.room.create") return CheckCreate(event);
  const Event* create = state.create();
  if (!create) {
    return RefusedBy(rules.room_id_is_create_hash ? AuthRule::kRoomIdOfNoCreate : AuthRule::kCitedNoCreate, rules);
  }
  if (IsClosedTo(*create, event.sender())) return RefusedBy(AuthRule::kNotFederated, rules, event.sender());
  if (event.type() == "m.room.aliases" && rules.special_aliases_rule) return CheckAliases(event);
  const PowerLevels levels(state);
  if (event.type() == "m.room.member") return CheckMemberRules(event, state, levels);
  if (MembershipIn(state, event.sender()) != "join") {
    return RefusedBy(AuthRule::kSenderNotJoined, rules, event.sender());
  }
  return CheckByLevel(event, state, levels);
}

}  // namespace postern::matrix
