-- Keys of other servers: each row replaces what was known; of a server without keys nothing is kept. The servers whose keys were put
-- longest ago go where there are more than p_limit.
create function fn.put_server_keys(p_server bytea, p_valid_until bigint, p_fetched_at bigint, p_source bytea, p_key_ids bytea[],
                                p_public_keys bytea[], p_expired_at bigint[], p_limit integer, p_document bytea) returns void
language plpgsql as $$
declare
  v_number bigint;
begin
  delete from server_keys k where k.server_name = p_server;
  if cardinality(p_key_ids) = 0 then
    return;
  end if;
  insert into server_keys as k (server_name, valid_until, fetched_at, source, key_ids, public_keys, expired_at, document)
  values (p_server, p_valid_until, p_fetched_at, p_source, p_key_ids, p_public_keys, p_expired_at, p_document)
  on conflict (server_name) do update set
    valid_until = excluded.valid_until, fetched_at = excluded.fetched_at, source = excluded.source,
    key_ids = excluded.key_ids, public_keys = excluded.public_keys, expired_at = excluded.expired_at, document = excluded.document
  returning k.number into v_number;
  delete from server_keys k
  where k.server_name in (select o.server_name from server_keys o where o.number <= v_number - p_limit
                          for update skip locked);
end $$;
