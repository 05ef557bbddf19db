// The authorization rules by name, and what each room version's own page calls them ("auth rule 5.4.1").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "matrix/room_rules.h"

namespace postern::matrix {

/// One point of the rules at which an event is allowed or refused.
enum class AuthRule : std::uint8_t {
  kCreateAllowed,
  kCreateHasPrevEvents,
  kCreateRoomDomain,
  kCreateHasRoomId,
  kCreateVersion,
  kCreateNoCreator,
  kCreateAdditionalCreators,

  kRoomIdOfNoCreate,
  kCitedTwice,
  kCitedUnexpected,
  kCitedRejected,
  kCitedNoCreate,
  kCitedOtherRoom,
  kNotFederated,

  kAliasesNoStateKey,
  kAliasesDomain,
  kAliasesAllowed,

  kMemberIncomplete,
  kFirstJoin,
  kJoinForAnother,
  kJoinBanned,
  kJoinInvited,
  kJoinRestrictedMember,
  kJoinNotVouchedFor,
  kJoinVouchedFor,
  kJoinPublic,
  kJoinRefused,

  kThirdPartyBanned,
  kThirdPartyUnsigned,
  kThirdPartyIncomplete,
  kThirdPartyOtherUser,
  kThirdPartyUnknown,
  kThirdPartyOtherSender,
  kThirdPartyAllowed,
  kThirdPartyBadSignature,
  kInviteNotJoined,
  kInviteNotNeeded,
  kInviteAllowed,
  kInviteLevel,

  kOwnLeave,
  kOwnLeaveRefused,
  kKickNotJoined,
  kUnbanLevel,
  kKickAllowed,
  kKickLevel,
  kBanNotJoined,
  kBanAllowed,
  kBanLevel,
  kKnockJoinRule,
  kKnockForAnother,
  kKnockAllowed,
  kKnockNotNeeded,
  kMembershipUnknown,

  kSenderNotJoined,
  kThirdPartyInviteEvent,
  kThirdPartyInviteLevel,
  kRequiredLevel,
  kAnothersStateKey,

  kLevelNotInteger,
  kLevelsNotIntegers,
  kUsersMalformed,
  kUsersHasCreator,
  kFirstPowerLevels,
  kLevelAbove,
  kLevelToAbove,
  kEventLevelAbove,
  kEventLevelToAbove,
  kUserLevelAbove,
  kUserLevelToAbove,
  kPowerLevelsAllowed,

  kRedactionLevel,
  kRedactionOwnServer,
  kRedactionRefused,
  kOtherwise,
};

/// "auth rule 5.4.1", as the page of that room version numbers it when it is read (a list there counts on by itself,
/// whatever number its source gives). Just "auth rules" where that version's page has no such rule.
std::string AuthRuleNumber(AuthRule rule, const RoomRules& rules);

/// What the rule found, in words.
std::string_view AuthRuleText(AuthRule rule);

}  // namespace postern::matrix
