-- What other servers have not had yet: a row for each destination of an accepted event, gone once it is there. Numbers follow the order
-- of a room's events. `xid`: the transaction that wrote the row, by which readers know up to where they have seen everything.
create table deliveries (
  destination bytea not null,
  number      bigint not null generated always as identity,
  room_id     bytea not null,
  event_id    bytea not null,
  created_at  bigint not null,
  xid         xid8 not null default pg_current_xact_id(),
  primary key (destination, number)
);
create index deliveries_by_xid on deliveries (xid);

-- Up to which transaction `deliveries` have been looked at for destinations that nobody knew to wait.
create table deliveries_seen (
  only_row boolean primary key default true check (only_row),
  xid      xid8 not null
);
insert into deliveries_seen (xid) values ('0');

create table destinations (
  destination    bytea primary key,
  -- When it is to be tried next; null: nothing waits.
  next_try       bigint,
  -- The sender that has it; a lease that has run out is as good as none.
  holder         bytea,
  held_until     timestamptz,
  -- In a row, and since when.
  failures       integer not null default 0,
  failing_since  bigint,
  last_error     bytea,
  delivered_at   bigint,
  -- The transaction under way, by the numbers in it: the same until its outcome is known.
  transaction_id bytea,
  transaction    bigint[] not null default '{}',
  -- Up to this number each goes alone: something among them was refused.
  singly_until   bigint not null default 0,
  -- Up to this number only what nothing else that waits follows from: it was away for long.
  catch_up_until bigint not null default 0
) with (fillfactor = 50);
create index destinations_by_next_try on destinations (next_try) where next_try is not null;
create index destinations_by_holder on destinations (holder) where holder is not null;

-- What a destination refused for good, for an operator to look at. Bounded in number for each destination, the oldest go.
create table parked_deliveries (
  destination bytea not null,
  number      bigint not null,
  room_id     bytea not null,
  event_id    bytea not null,
  created_at  bigint not null,
  error       bytea not null,
  parked_at   bigint not null,
  primary key (destination, number)
);

insert into deliveries (destination, room_id, event_id, created_at)
select d.name, o.room_id, o.event_id, o.created_at
from outbox o cross join unnest(o.destinations) as d(name)
order by o.created_at, o.room_id, o.stream_ordering;
