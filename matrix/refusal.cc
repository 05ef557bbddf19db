#include "matrix/refusal.h"

#include <array>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"

namespace postern::matrix {
namespace {

using absl::StatusCode;

constexpr absl::string_view kPayloadUrl = "postern.matrix.v1.Reason";

constexpr std::array kRefusals{
    //      reason                          between services                  to the peer               in logs
    Refusal{Reason::kNone, StatusCode::kOk, 200, "", "none"},
    Refusal{Reason::kUnknownPath, StatusCode::kNotFound, 404, "M_UNRECOGNIZED", "unknown_path"},
    Refusal{Reason::kUnknownMethod, StatusCode::kUnimplemented, 405, "M_UNRECOGNIZED", "unknown_method"},
    Refusal{Reason::kBodyTooLarge, StatusCode::kInvalidArgument, 413, "M_TOO_LARGE", "body_too_large"},
    Refusal{Reason::kRequestTimeout, StatusCode::kDeadlineExceeded, 408, "M_UNKNOWN", "request_timeout"},
    Refusal{Reason::kHeadersTooLarge, StatusCode::kInvalidArgument, 431, "M_UNKNOWN", "headers_too_large"},
    Refusal{Reason::kAddressLimited, StatusCode::kResourceExhausted, 429, "M_LIMIT_EXCEEDED", "address_limited"},
    Refusal{Reason::kMalformedHttp, StatusCode::kInvalidArgument, 400, "M_UNKNOWN", "malformed_http"},
    Refusal{Reason::kNotJson, StatusCode::kInvalidArgument, 400, "M_NOT_JSON", "not_json"},
    Refusal{Reason::kBadJson, StatusCode::kInvalidArgument, 400, "M_BAD_JSON", "bad_json"},
    Refusal{Reason::kUnauthenticated, StatusCode::kUnauthenticated, 401, "M_UNAUTHORIZED", "unauthenticated"},
    Refusal{Reason::kOriginKeyUnavailable, StatusCode::kUnauthenticated, 401, "M_UNAUTHORIZED",
            "origin_key_unavailable"},
    Refusal{Reason::kOriginLimited, StatusCode::kResourceExhausted, 429, "M_LIMIT_EXCEEDED", "origin_limited"},
    Refusal{Reason::kBadStructure, StatusCode::kInvalidArgument, 400, "M_BAD_JSON", "bad_structure"},
    Refusal{Reason::kNotThisLeave, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "not_this_leave"},
    Refusal{Reason::kUnknownRoom, StatusCode::kNotFound, 404, "M_NOT_FOUND", "unknown_room"},
    Refusal{Reason::kUnsupportedVersion, StatusCode::kInvalidArgument, 403, "M_FORBIDDEN", "unsupported_version"},
    Refusal{Reason::kFederationForbidden, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "federation_forbidden"},
    Refusal{Reason::kEventIdMismatch, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "event_id_mismatch"},
    Refusal{Reason::kEventIdTaken, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "event_id_taken"},
    Refusal{Reason::kEventTooLarge, StatusCode::kInvalidArgument, 413, "M_TOO_LARGE", "event_too_large"},
    Refusal{Reason::kAlreadyLeft, StatusCode::kFailedPrecondition, 400, "M_BAD_STATE", "already_left"},
    Refusal{Reason::kNotAMember, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "not_a_member"},
    Refusal{Reason::kBadFormat, StatusCode::kInvalidArgument, 400, "M_BAD_JSON", "bad_format"},
    Refusal{Reason::kBadSignature, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "bad_signature"},
    Refusal{Reason::kUnknownEvents, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "unknown_events"},
    Refusal{Reason::kBadAuthEvents, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "bad_auth_events"},
    Refusal{Reason::kNotAuthorised, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "not_authorised"},
    Refusal{Reason::kSigningKeyUnavailable, StatusCode::kUnavailable, 503, "M_UNKNOWN", "signing_key_unavailable"},
    Refusal{Reason::kStateUnresolved, StatusCode::kUnavailable, 503, "M_UNKNOWN", "state_unresolved"},
    Refusal{Reason::kRoomBusy, StatusCode::kUnavailable, 503, "M_UNKNOWN", "room_busy"},
    Refusal{Reason::kStoreDown, StatusCode::kUnavailable, 503, "M_UNKNOWN", "store_down"},
    Refusal{Reason::kValidatorDown, StatusCode::kUnavailable, 503, "M_UNKNOWN", "validator_down"},
    Refusal{Reason::kOverloaded, StatusCode::kResourceExhausted, 503, "M_UNKNOWN", "overloaded"},
    Refusal{Reason::kDeadlineExceeded, StatusCode::kDeadlineExceeded, 503, "M_UNKNOWN", "deadline_exceeded"},
    Refusal{Reason::kCancelled, StatusCode::kCancelled, 503, "M_UNKNOWN", "cancelled"},
    Refusal{Reason::kInternal, StatusCode::kInternal, 503, "M_UNKNOWN", "internal"},
    Refusal{Reason::kNoTemplate, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "no_template"},
    Refusal{Reason::kNotFound, StatusCode::kNotFound, 404, "M_NOT_FOUND", "not_found"},
    Refusal{Reason::kInvalidArgument, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "invalid_argument"},
    Refusal{Reason::kSeedingOff, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "seeding_off"},
    Refusal{Reason::kAlreadyExists, StatusCode::kAlreadyExists, 400, "M_INVALID_PARAM", "already_exists"},
    Refusal{Reason::kInviteRefused, StatusCode::kFailedPrecondition, 400, "M_INVALID_PARAM", "invite_refused"},
    Refusal{Reason::kPeerUnavailable, StatusCode::kUnavailable, 503, "M_UNKNOWN", "peer_unavailable"},
    Refusal{Reason::kUnknownEvent, StatusCode::kNotFound, 404, "M_NOT_FOUND", "unknown_event"},
    Refusal{Reason::kNotResident, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "not_resident"},
    Refusal{Reason::kBadQuery, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "bad_query"},
    Refusal{Reason::kAnswerTooLarge, StatusCode::kResourceExhausted, 413, "M_TOO_LARGE", "answer_too_large"},
    Refusal{Reason::kIncompatibleVersion, StatusCode::kInvalidArgument, 400, "M_INCOMPATIBLE_ROOM_VERSION",
            "incompatible_version"},
    Refusal{Reason::kNotThisMembership, StatusCode::kInvalidArgument, 400, "M_INVALID_PARAM", "not_this_membership"},
    Refusal{Reason::kUnableToAuthoriseJoin, StatusCode::kFailedPrecondition, 400, "M_UNABLE_TO_AUTHORISE_JOIN",
            "unable_to_authorise_join"},
    Refusal{Reason::kUnableToGrantJoin, StatusCode::kFailedPrecondition, 400, "M_UNABLE_TO_GRANT_JOIN",
            "unable_to_grant_join"},
    Refusal{Reason::kConditionsNotMet, StatusCode::kPermissionDenied, 403, "M_FORBIDDEN", "conditions_not_met"},
};

constexpr bool OneRowPerReasonInOrder() {
  for (std::size_t i = 0; i < kRefusals.size(); ++i) {
    if (static_cast<std::size_t>(kRefusals[i].reason) != i) return false;
  }
  return kRefusals.back().reason == Reason::kLast;
}
static_assert(OneRowPerReasonInOrder());  // a new Reason without a row does not compile

Reason ClosestTo(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return Reason::kNone;
    case StatusCode::kNotFound:
      return Reason::kNotFound;
    case StatusCode::kInvalidArgument:
      return Reason::kInvalidArgument;
    case StatusCode::kDeadlineExceeded:
      return Reason::kDeadlineExceeded;
    case StatusCode::kCancelled:
      return Reason::kCancelled;
    case StatusCode::kResourceExhausted:
      return Reason::kOverloaded;
    default:
      return Reason::kInternal;
  }
}

}  // namespace

const Refusal& RefusalOf(Reason reason) {
  return kRefusals[static_cast<std::size_t>(ReasonFromNumber(static_cast<std::int32_t>(reason)))];
}

Reason ReasonFromNumber(std::int32_t number) {
  const bool known = number >= 0 && static_cast<std::size_t>(number) < kRefusals.size();
  return known ? static_cast<Reason>(number) : Reason::kInternal;
}

absl::Status Refuse(Reason reason, std::string_view detail) {
  const Refusal& row = RefusalOf(reason);
  absl::Status status(row.between_services, absl::string_view(detail.data(), detail.size()));
  status.SetPayload(kPayloadUrl, absl::Cord(std::to_string(static_cast<int>(row.reason))));
  return status;
}

Reason ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  std::int32_t number = 0;
  if (payload && absl::SimpleAtoi(std::string(*payload), &number)) return ReasonFromNumber(number);
  return ClosestTo(status.code());
}

std::string_view DetailOf(const absl::Status& status) {
  const absl::string_view message = status.message();
  return {message.data(), message.size()};
}

}  // namespace postern::matrix
