// What the database holds, read beside the store: the rows of a room, of a leave, and what does not fit together.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "matrix/state_resolution.h"
#include "services/store/database_connection.h"

namespace postern::flow {

/// One room's rows.
struct RoomRows {
  /// Events, state, extremities, members and outbox as text: equal if nothing was written.
  std::string written;
  std::int64_t refusals = 0;
  bool operator==(const RoomRows&) const = default;
};

/// What is stored of one event of one user.
struct LeaveRows {
  std::int64_t events = 0;
  std::int64_t event_ids = 0;
  std::int64_t outbox = 0;
  std::int64_t refusals = 0;
  std::string pdu;                   // "" without an event
  std::string membership;            // the user's, now
  bool membership_is_by_it = false;  // the membership row names this event
};

/// Calls throw where the database says no. Not thread-safe.
class Database {
 public:
  explicit Database(const std::string& dsn);

  RoomRows RowsOfRoom(const std::string& room_id);
  /// How many are stored, accepted or soft-failed.
  std::int64_t EventsOfRoom(const std::string& room_id);
  /// The current state, by event ids.
  matrix::StateMap CurrentState(const std::string& room_id);
  /// The forward extremities.
  std::vector<std::string> Extremities(const std::string& room_id);
  LeaveRows RowsOfLeave(const std::string& room_id, const std::string& event_id, const std::string& user_id);
  /// One line for each event, membership, outbox row or extremity that lacks its counterpart.
  std::vector<std::string> HalfWritten();
  /// Processes of PostgreSQL that serve a client, but for this connection's own.
  std::vector<std::int64_t> Backends();
  store::Rows Call(const store::Statement& statement, const store::Parameters& parameters);
  /// Runs SQL as it stands.
  void Execute(const std::string& statements);

 private:
  std::unique_ptr<store::DatabaseConnection> connection_;
};

}  // namespace postern::flow
