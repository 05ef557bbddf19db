-- An event that was fetched as part of a state or of its auth chain: it passed the checks that do not hang on its place in the graph.
alter table events add column outlier boolean not null default false;

-- The state before an event as another server told it, where events before it could not be had. What was judged on it is seen by this row,
-- for good.
create table given_states (
  room_id     bytea not null,
  event_id    bytea not null,
  state_group bigint not null,
  told_by     bytea not null,
  given_at    bigint not null,
  primary key (room_id, event_id)
);
