// Requests as the store understands them once they are checked: the same for PostgreSQL and for the fake of the tests.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "matrix/room_rules.h"
#include "postern/store/v1/store.pb.h"
#include "services/store/context_token.h"
#include "services/store/event_columns.h"

namespace postern::store {

inline constexpr int kMaxStateKeys = 64;

/// A persist request, checked: the columns are those of `pdu`, which is the event that context and verdict speak of.
struct PersistRequest {
  EventColumns columns;
  ContextToken token;
  /// The change of the state after the event: the verdict's; of a soft-failed state event its own key.
  std::vector<matrix::v1::StateEntry> after_change;
};

/// Refuses: kInvalidArgument.
absl::Status CheckContextRequest(const v1::GetEventContextRequest& request);
absl::Status CheckContextRequest(const v1::GetTemplateContextRequest& request);
/// How many forward extremities a template is to cite.
std::uint32_t MostPrevEvents(const v1::GetTemplateContextRequest& request);
/// The keys asked for, and m.room.create, without duplicates. Refuses: kInvalidArgument where they are too many.
absl::StatusOr<std::vector<matrix::v1::StateKey>> WantedKeys(
    const google::protobuf::RepeatedPtrField<matrix::v1::StateKey>& asked);

/// Refuses: kInvalidArgument.
absl::StatusOr<PersistRequest> CheckPersistRequest(const v1::PersistEventRequest& request);

/// Refuses: kInvalidArgument.
absl::Status CheckLeaseRequest(const v1::LeaseExtremitiesRequest& request);

/// Refuse: kInvalidArgument.
absl::Status CheckLeaseRequest(const v1::LeaseDeliveriesRequest& request);
absl::Status CheckReports(const v1::ReportDeliveriesRequest& request);
absl::Status CheckBackOffRequest(const v1::EndBackOffRequest& request);

/// Refuses: kInvalidArgument.
absl::Status CheckRates(const v1::ShareRatesRequest& request);
absl::Status CheckMissingEventsRequest(const v1::GetMissingEventsRequest& request);
absl::Status CheckRoomEventsRequest(const v1::GetRoomEventsRequest& request);
absl::Status CheckJoinConditionsRequest(const v1::GetJoinConditionsRequest& request);
absl::Status CheckBackfillRequest(const v1::GetBackfillRequest& request);
/// Of the ends that a peer gives, those that are looked at: the first 20.
std::vector<std::string> LookedAt(const google::protobuf::RepeatedPtrField<std::string>& ends);

/// Of answers to transactions of other servers that are kept. The newest stay.
inline constexpr absl::Duration kAnswersKept = absl::Hours(24);
inline constexpr int kMostAnswersOfOne = 64;
inline constexpr int kMostAnswers = 20'000;
/// Refuses: kInvalidArgument.
absl::Status CheckReceivedTransaction(const v1::KeepReceivedTransactionRequest& request);

/// `alias` is one of `server_name`. Refuses: kInvalidArgument.
absl::Status CheckAlias(const std::string& alias, std::string_view server_name);

/// A repeated field as parameters of statements take it.
std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& field);

/// An event that is appended as given.
struct GivenEvent {
  std::string event_id;
  const std::string* pdu;
  EventColumns columns;
};
/// Reads events that are to extend each other one by one, each a state event. Refuses: kInvalidArgument.
absl::StatusOr<std::vector<GivenEvent>> CheckGivenEvents(
    const google::protobuf::RepeatedPtrField<v1::InitialEvent>& events);
/// Besides: the first is m.room.create, of a version that is supported. Refuses: kInvalidArgument.
absl::StatusOr<std::vector<GivenEvent>> CheckNewRoom(const v1::CreateRoomRequest& request,
                                                     const matrix::RoomRules** rules);

}  // namespace postern::store
