// Why something was refused, and what each reason becomes: between services a status code, to a peer an HTTP status and
// an errcode. The only place that knows those.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace postern::matrix {

/// The numbers are those of proto/postern/matrix/v1/refusal.proto, for ever; a test holds the two together.
enum class Reason : std::int32_t {
  kNone = 0,
  kUnknownPath = 1,
  kUnknownMethod = 2,
  kBodyTooLarge = 3,
  kRequestTimeout = 4,
  kHeadersTooLarge = 5,
  kAddressLimited = 6,
  kMalformedHttp = 7,
  kNotJson = 8,
  kBadJson = 9,
  kUnauthenticated = 10,
  kOriginKeyUnavailable = 11,
  kOriginLimited = 12,
  kBadStructure = 13,
  kNotThisLeave = 14,
  kUnknownRoom = 15,
  kUnsupportedVersion = 16,
  kFederationForbidden = 17,
  kEventIdMismatch = 18,
  kEventIdTaken = 19,
  kEventTooLarge = 20,
  kAlreadyLeft = 21,
  kNotAMember = 22,
  kBadFormat = 23,
  kBadSignature = 24,
  kUnknownEvents = 25,
  kBadAuthEvents = 26,
  kNotAuthorised = 27,
  kSigningKeyUnavailable = 28,
  kStateUnresolved = 29,
  kRoomBusy = 30,
  kStoreDown = 31,
  kValidatorDown = 32,
  kOverloaded = 33,
  kDeadlineExceeded = 34,
  kCancelled = 35,
  kInternal = 36,
  kNoTemplate = 37,
  kNotFound = 38,
  kInvalidArgument = 39,
  kSeedingOff = 40,
  kAlreadyExists = 41,
  kInviteRefused = 42,
  kPeerUnavailable = 43,
  kUnknownEvent = 44,
  kNotResident = 45,
  kBadQuery = 46,
  kAnswerTooLarge = 47,
  kIncompatibleVersion = 48,
  kNotThisMembership = 49,
  kUnableToAuthoriseJoin = 50,
  kUnableToGrantJoin = 51,
  kConditionsNotMet = 52,
  kLast = kConditionsNotMet,
};

/// One row of the table.
struct Refusal {
  Reason reason;
  absl::StatusCode between_services;
  int http_status;
  std::string_view errcode;
  std::string_view name;  // for logs and metrics: "bad_signature"
};

/// The row of `reason`; an unknown one has the row of kInternal.
const Refusal& RefusalOf(Reason reason);

/// The reason of a number that came over the wire; an unknown one reads as kInternal.
Reason ReasonFromNumber(std::int32_t number);

/// An error that carries `reason`. `detail` is for people: which check failed and on what; no keys, tokens or event
/// content.
absl::Status Refuse(Reason reason, std::string_view detail);

/// The reason that a status carries: kNone for OK; for a status that Refuse did not make, the closest of our own
/// trouble.
Reason ReasonOf(const absl::Status& status);

/// The detail of a status, as a std::string_view into it.
std::string_view DetailOf(const absl::Status& status);

}  // namespace postern::matrix
