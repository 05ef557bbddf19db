-- The tables. What a stranger writes is bytea, times are milliseconds since 1970, and every table that grows has room_id first in
-- its key (or the name of a server), so that it can be hash-partitioned or distributed without another schema.

-- One row a room: also the lock under which its events are persisted.
create table rooms (
  room_id           bytea primary key,
  room_version      text not null,
  -- Versions 1-2: events carry their ids, so that one id may come with two contents.
  ids_are_carried   boolean not null,
  -- Of the newest event stored, the newest accepted, and the newest accepted whose change does not commute.
  stream_ordering   bigint not null,
  accepted_ordering bigint not null,
  fixed_ordering    bigint not null,
  -- The current state; always a group of lineage 0 (see ../functions/state_groups.sql).
  state_group       bigint not null,
  -- The greatest lineage in use.
  lineages          integer not null,
  -- In the order of their arrival.
  extremities       bytea[] not null,
  created_at        bigint not null
) with (fillfactor = 50);
alter table rooms alter column extremities set storage external;

-- Accepted and soft-failed events. Outcomes and reasons have the numbers of proto/postern/matrix/v1.
create table events (
  room_id            bytea not null,
  event_id           bytea not null,
  stream_ordering    bigint not null,
  outcome            smallint not null check (outcome in (1, 2)),
  reason             integer not null,
  depth              bigint not null,
  origin_server_ts   bigint not null,
  stored_at          bigint not null,
  -- When it was judged, and on which state: with the keys in the verdict, all that judging it again needs.
  judged_at          bigint,
  state_group_before bigint,
  state_group_now    bigint,
  state_group_after  bigint,
  -- The newest event whose change does not commute, of those that led to the state after this one: two states that have it in common
  -- differ by commuting changes alone.
  fixed_ordering     bigint not null,
  soft_failed        boolean not null generated always as (outcome = 2) stored,
  rejected           boolean not null generated always as (outcome = 3) stored,
  type               bytea not null,
  state_key          bytea,
  sender             bytea not null,
  origin             bytea not null,
  prev_events        bytea[] not null,
  auth_events        bytea[] not null,
  -- Canonical JSON, as it was countersigned.
  pdu                bytea not null,
  -- postern.matrix.v1.Verdict without its judged_copy; null for the first events of a room made here and for seeded ones.
  verdict            bytea,
  primary key (room_id, event_id)
) with (toast_tuple_target = 8160);

-- Going through a room's events in the order of their time: decisions since some day, and what was stored after an event.
create index events_by_time on events (room_id, stored_at);

-- Who cites an event as an auth event.
create table auth_edges (
  room_id       bytea not null,
  auth_event_id bytea not null,
  event_id      bytea not null,
  primary key (room_id, auth_event_id, event_id)
);

-- Which room an event is in. In versions 1-2 two rooms may hold one id.
create table event_ids (
  event_id bytea not null,
  room_id  bytea not null,
  primary key (event_id, room_id)
);

-- Rejected events: the verdict, the id and the hash, not the event. Bounded in number, the oldest go.
create table refusals (
  room_id       bytea not null,
  event_id      bytea not null,
  number        bigint generated always as identity,
  reason        integer not null,
  judged_sha256 bytea not null,
  verdict       bytea not null,
  origin        bytea not null,
  stored_at     bigint not null,
  primary key (room_id, event_id)
);
create index refusals_by_event on refusals (event_id);
create index refusals_by_number on refusals (number);

-- State groups: see ../functions/state_groups.sql.
create table state_lineages (
  room_id        bytea not null,
  lineage        integer not null,
  path_lineages  integer[] not null,
  path_positions integer[] not null,
  primary key (room_id, lineage)
);
create table state_entries (
  room_id   bytea not null,
  lineage   integer not null,
  type      bytea not null,
  state_key bytea not null,
  position  integer not null,
  -- Null: from here on the state has no such key.
  event_id  bytea,
  primary key (room_id, lineage, type, state_key, position)
);
-- What has changed on a lineage since a position.
create index state_entries_by_position on state_entries (room_id, lineage, position);

-- The state group of the current state for each set of 2 to 20 forward extremities that a room has had (no event cites more), with
-- the room's fixed_ordering then.
create table extremity_states (
  room_id            bytea not null,
  extremities_digest bytea not null,
  state_group        bigint not null,
  fixed_ordering     bigint not null,
  primary key (room_id, extremities_digest)
);

-- Who gathers a room's forward extremities just now; a lease that has run out is as good as none.
create table extremity_leases (
  room_id bytea primary key,
  holder  bytea not null,
  until   timestamptz not null
) with (fillfactor = 50);

-- The current state, written out: members in `memberships`, everything else here.
create table current_state (
  room_id   bytea not null,
  type      bytea not null,
  state_key bytea not null,
  event_id  bytea not null,
  primary key (room_id, type, state_key)
) with (fillfactor = 70);

create table memberships (
  room_id                          bytea not null,
  user_id                          bytea not null,
  membership                       text not null check (membership in ('invite', 'join', 'leave', 'ban', 'knock')),
  event_id                         bytea not null,
  reason                           bytea,
  displayname                      bytea,
  avatar_url                       bytea,
  is_direct                        boolean not null default false,
  invited_by                       bytea,
  third_party_invite               bytea,
  join_authorised_via_users_server bytea,
  updated_at                       bigint not null,
  primary key (room_id, user_id)
) with (fillfactor = 70);

-- For people: bytes as text, with octal escapes for what is not ASCII.
create view readable_memberships as
  select encode(room_id, 'escape') as room_id, encode(user_id, 'escape') as user_id, membership,
         encode(event_id, 'escape') as event_id, encode(reason, 'escape') as reason,
         encode(displayname, 'escape') as displayname, encode(avatar_url, 'escape') as avatar_url, is_direct,
         encode(invited_by, 'escape') as invited_by, encode(third_party_invite, 'escape') as third_party_invite,
         encode(join_authorised_via_users_server, 'escape') as join_authorised_via_users_server,
         to_timestamp(updated_at / 1000.0) as updated_at
  from memberships;

-- Servers with joined members in a room.
create table room_servers (
  room_id        bytea not null,
  server_name    bytea not null,
  joined_members integer not null,
  primary key (room_id, server_name)
) with (fillfactor = 70);

-- One row for each accepted event, with the servers that are to hear of it as they were before it.
create table outbox (
  room_id         bytea not null,
  event_id        bytea not null,
  stream_ordering bigint not null,
  destinations    bytea[] not null,
  created_at      bigint not null,
  primary key (room_id, event_id)
);

-- Keys of other servers, as last put: one row a server, the keys as arrays of one length.
create table server_keys (
  server_name bytea primary key,
  number      bigint generated always as identity,
  valid_until bigint not null,
  fetched_at  bigint not null,
  source      bytea not null,
  key_ids     bytea[] not null,
  public_keys bytea[] not null,
  expired_at  bigint[] not null
);
create index server_keys_by_number on server_keys (number);

-- Servers that have sent us an event. last_seen moves once an hour at most; `number` orders by it. Bounded like refusals.
create table remote_servers (
  server_name bytea primary key,
  number      bigint generated by default as identity,
  first_seen  bigint not null,
  last_seen   bigint not null
);
create index remote_servers_by_number on remote_servers (number);
