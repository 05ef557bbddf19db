-- Rooms, events and state. What a stranger wrote is bytea, times are milliseconds since 1970. Every table that grows has
-- room_id (or destination) first in its key, so that it can be partitioned or distributed by it.

create table rooms (
  room_id       bytea primary key,
  room_version  text not null,
  -- Rises with each event that changes the room: what a context token remembers.
  position      bigint not null default 0,
  extremities   bytea[] not null default '{}',
  current_group bigint
);

create table events (
  room_id          bytea not null,
  event_id         bytea not null,
  pdu              bytea not null,
  type             bytea not null,
  state_key        bytea,
  sender           bytea not null,
  depth            bigint not null,
  origin_server_ts bigint not null,
  -- Outcome and Reason by their proto numbers. Only accepted (1) and soft-failed (2) events are here.
  outcome          smallint not null,
  reason           integer not null,
  -- The room's position once this event was in; for a soft-failed one, the position it was judged at.
  position         bigint not null,
  prev_events      bytea[] not null,
  auth_events      bytea[] not null,
  group_before     bigint,
  group_after      bigint,
  -- What a later persist asks of the events since its token.
  commutes         boolean not null,
  changed_types    bytea[] not null,
  changed_keys     bytea[] not null,
  verdict          bytea,
  origin           text not null,
  stored_at        bigint not null,
  primary key (room_id, event_id)
);
create index events_by_position on events (room_id, position);

-- Finds the room of an event id; in versions 1-2 two rooms may hold one id.
create table event_ids (
  event_id bytea not null,
  room_id  bytea not null,
  primary key (event_id, room_id)
);

-- A state group is a room's state at one place of the graph, as what differs from its base. At chain depth d with z trailing
-- zero hex digits (3 at most) the base lies 16^z back: looking a key up visits at most 15 groups a digit, and a group
-- repeats what changed since its base, so that each change is written about three times more, ever.
create sequence state_group_ids;
create table state_groups (
  room_id  bytea not null,
  group_id bigint not null,
  base     bigint,
  depth    bigint not null,
  primary key (room_id, group_id)
);
create table state_group_entries (
  room_id   bytea not null,
  group_id  bigint not null,
  type      bytea not null,
  state_key bytea not null,
  event_id  bytea not null,
  primary key (room_id, group_id, type, state_key)
);

-- The current state that belonged to each set of forward extremities the room has had: the resolution of exactly these
-- prev events. extremity_key is SHA-256 over the sorted ids' SHA-256.
create table extremity_states (
  room_id       bytea not null,
  extremity_key bytea not null,
  group_id      bigint not null,
  primary key (room_id, extremity_key)
);

create table current_state (
  room_id   bytea not null,
  type      bytea not null,
  state_key bytea not null,
  event_id  bytea not null,
  primary key (room_id, type, state_key)
);

-- A projection of the member events in current_state.
create table memberships (
  room_id            bytea not null,
  user_id            bytea not null,
  membership         bytea not null,
  event_id           bytea not null,
  reason             bytea,
  displayname        bytea,
  avatar_url         bytea,
  is_direct          boolean not null default false,
  invited_by         bytea,
  third_party_invite bytea,
  join_authorised_via_users_server bytea,
  updated_at         bigint not null,
  primary key (room_id, user_id)
);

create table room_servers (
  room_id bytea not null,
  server  text not null,
  joined  bigint not null,
  primary key (room_id, server)
);

-- One row for each accepted event; its destinations are fixed at commit.
create table outbox (
  room_id      bytea not null,
  event_id     bytea not null,
  destinations text[] not null,
  created_at   bigint not null,
  primary key (room_id, event_id)
);

-- Verdicts of events that were rejected; bounded in number, the oldest go.
create table refusals (
  room_id    bytea not null,
  event_id   bytea not null,
  outcome    smallint not null,
  reason     integer not null,
  verdict    bytea not null,
  origin     text not null,
  refused_at bigint not null,
  primary key (room_id, event_id)
);
create index refusals_by_age on refusals (refused_at);

create table server_keys (
  server         text not null,
  key_id         text not null,
  public_key     bytea not null,
  -- Set for a key that its server lists as old.
  expired_at     bigint,
  primary key (server, key_id)
);
create table server_key_documents (
  server      text primary key,
  valid_until bigint not null,
  fetched_at  bigint not null,
  source      text not null
);

-- Servers that have sent us something; last_seen to the hour, for a busy server would make its row a hot one.
create table remote_servers (
  server     text primary key,
  first_seen bigint not null,
  last_seen  bigint not null
);
