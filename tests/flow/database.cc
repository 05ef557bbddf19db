#include "tests/flow/database.h"

#include <utility>

#include "tests/flow/must.h"

namespace postern::flow {
namespace {

using store::Parameters;
using store::Rows;
using store::Statement;

constexpr Statement kRoom{"flow_room", R"(
  select concat_ws(E'\n',
    (select r::text from rooms r where room_id = $1),
    (select string_agg(concat(stream_ordering, ' ', encode(event_id, 'escape'), ' ', outcome), E'\n' order by stream_ordering)
     from events where room_id = $1),
    (select string_agg(encode(event_id, 'escape'), E'\n' order by event_id) from event_ids where room_id = $1),
    (select string_agg(m::text, E'\n' order by user_id) from memberships m where room_id = $1),
    (select string_agg(s::text, E'\n' order by type, state_key) from current_state s where room_id = $1),
    (select string_agg(o::text, E'\n' order by stream_ordering) from outbox o where room_id = $1)),
    (select count(*) from refusals where room_id = $1))"};

constexpr Statement kState{"flow_state", R"(
  select type, state_key, event_id from current_state where room_id = $1
  union all select 'm.room.member', user_id, event_id from memberships where room_id = $1)"};

constexpr Statement kExtremities{"flow_extremities", "select unnest(extremities) from rooms where room_id = $1"};

constexpr Statement kEvents{"flow_events", "select count(*) from events where room_id = $1"};

constexpr Statement kLeave{"flow_leave", R"(
  select (select count(*) from events where room_id = $1 and event_id = $2),
         (select count(*) from event_ids where room_id = $1 and event_id = $2),
         (select count(*) from outbox where room_id = $1 and event_id = $2),
         (select count(*) from refusals where room_id = $1 and event_id = $2),
         (select pdu from events where room_id = $1 and event_id = $2),
         (select membership from memberships where room_id = $1 and user_id = $3),
         exists (select from memberships where room_id = $1 and user_id = $3 and event_id = $2))"};

// Of accepted events only: all that these tests make. An extremity is an event that no other cites. This server, which
// the sender of the create event is of, tells others of the events that it has signed, and of none that it has only
// received from a server that tells of it; of events that were seeded it need not.
constexpr Statement kHalfWritten{"flow_half_written", R"(
  with ours as (
    select e.room_id, substring(convert_from(e.sender, 'UTF8') from ':(.*)$') as server from events e where e.type = 'm.room.create'),
  entry as (
    select s.room_id, s.type, s.state_key, s.event_id from current_state s
    union all
    select m.room_id, 'm.room.member', m.user_id, m.event_id from memberships m),
  newest as (
    select distinct on (e.room_id, e.type, e.state_key) e.room_id, e.type, e.state_key, e.event_id
    from events e where e.state_key is not null and e.outcome = 1
    order by e.room_id, e.type, e.state_key, e.stream_ordering desc),
  tip as (
    select room_id, event_id from events where outcome = 1
    except select room_id, unnest(prev_events) from events where outcome = 1),
  extremity as (select r.room_id, unnest(r.extremities) as event_id from rooms r)
  select 'an event without its id: ' || encode(event_id, 'escape')
    from events e where not exists (select from event_ids i where i.event_id = e.event_id and i.room_id = e.room_id)
  union all select 'an id without its event: ' || encode(event_id, 'escape')
    from event_ids i where not exists (select from events e where e.event_id = i.event_id and e.room_id = i.room_id)
  union all select 'an event without its outbox row: ' || encode(event_id, 'escape')
    from events e join ours u using (room_id)
    where convert_from(e.pdu, 'UTF8')::jsonb -> 'signatures' ? u.server
      and not exists (select from outbox o where o.event_id = e.event_id and o.room_id = e.room_id)
  union all select 'an outbox row without its event: ' || encode(event_id, 'escape')
    from outbox o where not exists (select from events e where e.event_id = o.event_id and e.room_id = o.room_id)
  union all select 'a state event that is not in the state: ' || encode(event_id, 'escape')
    from (table newest except table entry) as lost
  union all select 'an entry of the state that no newest event made: ' || encode(event_id, 'escape')
    from (table entry except table newest) as odd
  union all select 'a tip that is no extremity: ' || encode(event_id, 'escape') from (table tip except table extremity) as lost
  union all select 'an extremity that is no tip: ' || encode(event_id, 'escape') from (table extremity except table tip) as odd
  union all select 'a room that counts other events than it has: ' || encode(room_id, 'escape')
    from rooms r where stream_ordering <> (select max(stream_ordering) from events e where e.room_id = r.room_id)
      or stream_ordering <> (select count(*) from events e where e.room_id = r.room_id)
  union all select 'a membership that its event does not say: ' || encode(m.event_id, 'escape')
    from memberships m join events e using (room_id, event_id)
    where convert_from(e.pdu, 'UTF8')::jsonb -> 'content' ->> 'membership' <> m.membership)"};

constexpr Statement kBackends{"flow_backends", R"(
  select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by pid)"};

}  // namespace

Database::Database(const std::string& dsn) : connection_(Must("the database", store::DatabaseConnection::Open(dsn))) {}

Rows Database::Call(const Statement& statement, const Parameters& parameters) {
  return Must(statement.name, connection_->Call(statement, parameters));
}

RoomRows Database::RowsOfRoom(const std::string& room_id) {
  const Rows rows = Call(kRoom, Parameters().Bytes(room_id));
  return {.written = std::string(rows.Text(0, 0)), .refusals = rows.Integer(0, 1)};
}

std::int64_t Database::EventsOfRoom(const std::string& room_id) {
  return Call(kEvents, Parameters().Bytes(room_id)).Integer(0, 0);
}

matrix::StateMap Database::CurrentState(const std::string& room_id) {
  const Rows rows = Call(kState, Parameters().Bytes(room_id));
  matrix::StateMap state;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    state.insert_or_assign({rows.Bytes(row, 0), rows.Bytes(row, 1)}, rows.Bytes(row, 2));
  }
  return state;
}

std::vector<std::string> Database::Extremities(const std::string& room_id) {
  const Rows rows = Call(kExtremities, Parameters().Bytes(room_id));
  std::vector<std::string> ids;
  for (std::size_t row = 0; row < rows.size(); ++row) ids.push_back(rows.Bytes(row, 0));
  return ids;
}

LeaveRows Database::RowsOfLeave(const std::string& room_id, const std::string& event_id, const std::string& user_id) {
  const Rows rows = Call(kLeave, Parameters().Bytes(room_id).Bytes(event_id).Bytes(user_id));
  return {.events = rows.Integer(0, 0),
          .event_ids = rows.Integer(0, 1),
          .outbox = rows.Integer(0, 2),
          .refusals = rows.Integer(0, 3),
          .pdu = rows.IsNull(0, 4) ? "" : rows.Bytes(0, 4),
          .membership = std::string(rows.Text(0, 5)),
          .membership_is_by_it = rows.Boolean(0, 6)};
}

std::vector<std::string> Database::HalfWritten() {
  const Rows rows = Call(kHalfWritten, {});
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < rows.size(); ++row) lines.emplace_back(rows.Text(row, 0));
  return lines;
}

std::vector<std::int64_t> Database::Backends() {
  const Rows rows = Call(kBackends, {});
  std::vector<std::int64_t> pids;
  for (std::size_t row = 0; row < rows.size(); ++row) pids.push_back(rows.Integer(row, 0));
  return pids;
}

void Database::Execute(const std::string& statements) {
  const absl::Status status = connection_->Execute(statements);
  Must(fmt::format("{}: {}", statements, matrix::DetailOf(status)), status.ok());
}

}  // namespace postern::flow
