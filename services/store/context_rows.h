// What event_contexts, event_context and template_context answer (functions/contexts.sql), and kContextRests
// (statements.h), as the messages of the rpcs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "postern/store/v1/store.pb.h"
#include "services/store/branch_rows.h"
#include "services/store/context_token.h"
#include "services/store/database_connection.h"
#include "services/store/remembered_rooms.h"

namespace postern::store {

/// Columns of a row; what they hold hangs on its kind. The last: which of several requests it answers, from 1.
enum ContextColumn { kKind, kId, kA, kB, kN1, kN2, kN3, kF1, kF2, kF3, kPlace };

/// A row that says which event a key of state has.
void DecodeEntry(const Rows& rows, std::size_t row, matrix::v1::StateEntry& entry);
/// The same of the current state, with since when.
RememberedEntry DecodeRememberedEntry(const Rows& rows, std::size_t row);
RememberedEvent DecodeRememberedEvent(const Rows& rows, std::size_t row);
/// Of a one-dimensional bytea[] without nulls, as array_send writes it.
std::vector<std::string> DecodeArray(std::string_view array);

struct ContextRows {
  matrix::v1::JudgingContext judging;
  std::string membership;
  bool resident = false;
  /// Of a template: of its prev events.
  std::vector<std::int64_t> prev_depths;
  std::optional<v1::ExistingEvent> existing;
  ContextToken token;
  /// Where the room's head was told: what is worth remembering of it.
  std::optional<RoomNews> news;
};

/// Gathers the rows of one request.
class ContextDecoder {
 public:
  explicit ContextDecoder(const std::string& room_id);

  /// What the event cites: of these the rows only say which are there.
  template <typename Ids>
  void Cite(const Ids& prev, const Ids& auth) {
    for (const std::string& id : prev) context_.judging.add_prev_events()->set_event_id(id);
    for (const std::string& id : auth) context_.judging.add_auth_events()->set_event_id(id);
  }
  void Add(const Rows& rows, std::size_t row);

  /// Whether the room is known: its own row has come.
  bool known() const { return known_; }
  /// When all rows have been added; once.
  ContextRows Take();

 private:
  void AddRoom(const Rows& rows, std::size_t row);
  void AddStoredEvent(const Rows& rows, std::size_t row);
  void AddEntryNow(const Rows& rows, std::size_t row);
  void AddHead(const Rows& rows, std::size_t row);
  void FindPrev(google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references) const;
  void FindAuth(google::protobuf::RepeatedPtrField<matrix::v1::Reference>& references) const;

  bool known_ = false;
  ContextRows context_;
  BranchRows branches_;
  /// Ids of judging.events, in its own memory.
  std::unordered_set<std::string_view> held_;
  /// Of these.
  std::unordered_set<std::string_view> outliers_, soft_failed_;
  std::unordered_set<std::string> refused_;
  /// The state before the event is one that another server told.
  bool given_before_ = false;
  RoomNews news_;
  bool has_head_ = false;
};

}  // namespace postern::store
