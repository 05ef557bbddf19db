-- Transactions of other servers that are done, with what was answered. Bounded in number for each origin and in all, and in age: the
-- oldest go.
create table received_transactions (
  origin         bytea not null,
  transaction_id bytea not null,
  number         bigint generated always as identity,
  answer         bytea not null,
  received_at    bigint not null,
  primary key (origin, transaction_id)
);
create index received_transactions_by_number on received_transactions (number);

-- Aliases of this server, as operators set them. Like event_ids the key is what is asked for; it names the room.
create table room_aliases (
  alias   bytea not null,
  room_id bytea not null,
  primary key (alias)
);
create index room_aliases_by_room on room_aliases (room_id, alias);

-- A user's memberships in all rooms. No column that a change of membership writes: such an update stays within its page.
create index memberships_of_user on memberships (user_id);
