-- What each gateway has of the servers that ask much of it, for the others to reckon with. Worth nothing after a crash, and so not
-- logged: writing it waits for no disk and no standby. Rows are overwritten some times a second, in their place.
create unlogged table origin_rates (
  origin   bytea not null,
  holder   bytea not null,
  requests bigint not null,
  waiting  bigint not null,
  working  bigint not null,
  until    timestamptz not null,
  primary key (origin, holder)
) with (fillfactor = 50);
create index origin_rates_by_holder on origin_rates (holder);
