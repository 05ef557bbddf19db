-- Invites of users of this server to rooms of other servers, and the leaves by which they are rejected. state: 1 open, 2 the leave is to be
-- made, 3 left, 4 withdrawn, 5 left here alone. Bounded in number for each user, for each origin and in all: of those that are settled
-- (3 and beyond) the oldest go.
create table received_invites (
  room_id      bytea not null,
  user_id      bytea not null,
  event_id     bytea not null,
  room_version bytea not null,
  sender       bytea not null,
  origin       bytea not null,
  pdu          bytea not null,
  shown_state  bytea not null,
  state        smallint not null default 1,
  reason       bytea not null default '',
  via          bytea[] not null default '{}',
  received_at  bigint not null,
  changed_at   bigint not null,
  attempts     integer not null default 0,
  denials      integer not null default 0,
  next_try     bigint,
  last_error   bytea not null default '',
  holder       bytea,
  held_until   timestamptz,
  primary key (room_id, user_id, event_id)
);
create index received_invites_of_user on received_invites (user_id, changed_at);
create index received_invites_of_origin on received_invites (origin, changed_at);
create index received_invites_settled on received_invites (changed_at) where state > 2;
create index received_invites_to_leave on received_invites (next_try) where next_try is not null;
