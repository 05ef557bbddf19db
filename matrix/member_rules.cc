#include "matrix/member_rules.h"

#include "fmt/format.h"
#include "matrix/third_party_invite.h"

namespace postern::matrix {
namespace {

/// One member event under judgement, with what every branch looks at.
struct MemberCheck {
  const Event& event;
  const RoomState& state;
  const PowerLevels& levels;
  const RoomRules& rules = event.rules();
  const std::string& target = *event.state_key();
  std::string_view sender_membership = MembershipIn(state, event.sender());
  std::string_view target_membership = MembershipIn(state, target);

  bool own() const { return event.sender() == target; }
  RuleResult Allow(AuthRule rule) const { return AllowedBy(rule, rules); }
  RuleResult Refuse(AuthRule rule, std::string_view detail = {}) const { return RefusedBy(rule, rules, detail); }
  RuleResult RefuseSender(AuthRule rule) const {
    return Refuse(rule, fmt::format("{} has membership {}", event.sender(), Named(sender_membership)));
  }
  RuleResult RefuseTarget(AuthRule rule) const {
    return Refuse(rule, fmt::format("{} has membership {}", target, Named(target_membership)));
  }
  RuleResult RefuseLevels(AuthRule rule, std::int64_t needed) const {
    return Refuse(rule, fmt::format("{} has {}, {} has {}, it takes {}", event.sender(), levels.OfUser(event.sender()),
                                    target, levels.OfUser(target), needed));
  }
  static std::string_view Named(std::string_view membership) { return membership.empty() ? "none" : membership; }
};

std::string_view JoinRule(const RoomState& state) {
  const Event* event = state.Find("m.room.join_rules", "");
  if (!event) return "invite";
  const std::string* rule = event->ContentString("join_rule");
  return rule ? std::string_view(*rule) : std::string_view();
}

bool IsRestricted(std::string_view join_rule, const RoomRules& rules) {
  return (rules.restricted_joins && join_rule == "restricted") ||
         (rules.knock_restricted && join_rule == "knock_restricted");
}

bool IsFirstJoin(const MemberCheck& check) {
  const Event& create = *check.state.create();
  const auto& previous = check.event.prev_events();
  return previous.size() == 1 && previous.front() == create.event_id() && CreatorOf(create) == check.target;
}

RuleResult CheckRestrictedJoin(const MemberCheck& check) {
  if (check.target_membership == "join" || check.target_membership == "invite") {
    return check.Allow(AuthRule::kJoinRestrictedMember);
  }
  const std::string* voucher = check.event.ContentString("join_authorised_via_users_server");
  if (!voucher || MembershipIn(check.state, *voucher) != "join" ||
      check.levels.OfUser(*voucher) < check.levels.ToInvite()) {
    return check.Refuse(AuthRule::kJoinNotVouchedFor, voucher ? std::string_view(*voucher) : "nobody is named");
  }
  return check.Allow(AuthRule::kJoinVouchedFor);
}

RuleResult CheckJoin(const MemberCheck& check) {
  if (IsFirstJoin(check)) return check.Allow(AuthRule::kFirstJoin);
  if (!check.own()) return check.Refuse(AuthRule::kJoinForAnother);
  if (check.target_membership == "ban") return check.RefuseTarget(AuthRule::kJoinBanned);
  const std::string_view join_rule = JoinRule(check.state);
  const bool by_invite = join_rule == "invite" || (check.rules.knocking && join_rule == "knock");
  if (by_invite && (check.target_membership == "invite" || check.target_membership == "join")) {
    return check.Allow(AuthRule::kJoinInvited);
  }
  if (IsRestricted(join_rule, check.rules)) return CheckRestrictedJoin(check);
  if (join_rule == "public") return check.Allow(AuthRule::kJoinPublic);
  return check.Refuse(AuthRule::kJoinRefused,
                      fmt::format("{} has membership {}", check.target, check.Named(check.target_membership)));
}

RuleResult CheckThirdPartyInvite(const MemberCheck& check, const Json& third_party_invite) {
  if (check.target_membership == "ban") return check.RefuseTarget(AuthRule::kThirdPartyBanned);
  const JsonObject* invite = third_party_invite.AsObject();
  const Json* signed_part = invite ? invite->Find("signed") : nullptr;
  if (!signed_part || !signed_part->AsObject()) return check.Refuse(AuthRule::kThirdPartyUnsigned);
  const Json* mxid = signed_part->AsObject()->Find("mxid");
  const Json* token = signed_part->AsObject()->Find("token");
  if (!mxid || !mxid->AsString() || !token || !token->AsString()) {
    return check.Refuse(AuthRule::kThirdPartyIncomplete);
  }
  if (*mxid->AsString() != check.target) return check.Refuse(AuthRule::kThirdPartyOtherUser);
  const Event* promise = check.state.Find("m.room.third_party_invite", *token->AsString());
  if (!promise) return check.Refuse(AuthRule::kThirdPartyUnknown);
  if (promise->sender() != check.event.sender()) return check.Refuse(AuthRule::kThirdPartyOtherSender);
  if (HasThirdPartySignature(*signed_part->AsObject(), promise->content())) {
    return check.Allow(AuthRule::kThirdPartyAllowed);
  }
  return check.Refuse(AuthRule::kThirdPartyBadSignature);
}

RuleResult CheckInvite(const MemberCheck& check) {
  if (const Json* third_party = check.event.content().Find("third_party_invite")) {
    return CheckThirdPartyInvite(check, *third_party);
  }
  if (check.sender_membership != "join") return check.RefuseSender(AuthRule::kInviteNotJoined);
  if (check.target_membership == "join" || check.target_membership == "ban") {
    return check.RefuseTarget(AuthRule::kInviteNotNeeded);
  }
  const std::int64_t needed = check.levels.ToInvite();
  if (check.levels.OfUser(check.event.sender()) >= needed) return check.Allow(AuthRule::kInviteAllowed);
  return check.RefuseLevels(AuthRule::kInviteLevel, needed);
}

RuleResult CheckLeave(const MemberCheck& check) {
  if (check.own()) {
    const std::string_view now = check.target_membership;
    const bool can_leave = now == "invite" || now == "join" || (check.rules.knocking && now == "knock");
    return can_leave ? check.Allow(AuthRule::kOwnLeave) : check.RefuseTarget(AuthRule::kOwnLeaveRefused);
  }
  if (check.sender_membership != "join") return check.RefuseSender(AuthRule::kKickNotJoined);
  const std::int64_t sender = check.levels.OfUser(check.event.sender());
  if (check.target_membership == "ban" && sender < check.levels.ToBan()) {
    return check.RefuseLevels(AuthRule::kUnbanLevel, check.levels.ToBan());
  }
  const std::int64_t needed = check.levels.ToKick();
  if (sender >= needed && check.levels.OfUser(check.target) < sender) return check.Allow(AuthRule::kKickAllowed);
  return check.RefuseLevels(AuthRule::kKickLevel, needed);
}

RuleResult CheckBan(const MemberCheck& check) {
  if (check.sender_membership != "join") return check.RefuseSender(AuthRule::kBanNotJoined);
  const std::int64_t sender = check.levels.OfUser(check.event.sender());
  const std::int64_t needed = check.levels.ToBan();
  if (sender >= needed && check.levels.OfUser(check.target) < sender) return check.Allow(AuthRule::kBanAllowed);
  return check.RefuseLevels(AuthRule::kBanLevel, needed);
}

RuleResult CheckKnock(const MemberCheck& check) {
  const std::string_view join_rule = JoinRule(check.state);
  const bool open = join_rule == "knock" || (check.rules.knock_restricted && join_rule == "knock_restricted");
  if (!open) return check.Refuse(AuthRule::kKnockJoinRule);
  if (!check.own()) return check.Refuse(AuthRule::kKnockForAnother);
  const std::string_view now = check.sender_membership;
  if (now != "ban" && now != "invite" && now != "join") return check.Allow(AuthRule::kKnockAllowed);
  return check.RefuseSender(AuthRule::kKnockNotNeeded);
}

}  // namespace

std::string_view MembershipIn(const RoomState& state, std::string_view user) {
  const Event* member = state.Find("m.room.member", user);
  return member ? member->membership() : std::string_view();
}

RuleResult CheckMemberRules(const Event& event, const RoomState& state, const PowerLevels& levels) {
  if (!event.is_state() || !event.ContentString("membership")) {
    return RefusedBy(AuthRule::kMemberIncomplete, event.rules());
  }
  const MemberCheck check{.event = event, .state = state, .levels = levels};
  const std::string_view membership = event.membership();
  if (membership == "join") return CheckJoin(check);
  if (membership == "invite") return CheckInvite(check);
  if (membership == "leave") return CheckLeave(check);
  if (membership == "ban") return CheckBan(check);
  if (membership == "knock" && event.rules().knocking) return CheckKnock(check);
  return check.Refuse(AuthRule::kMembershipUnknown);
}

}  // namespace postern::matrix
