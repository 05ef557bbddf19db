-- A new room with its first events, and events appended to one as given. p_in_doubt: an earlier attempt may have been committed; if
-- it was, its very events are there, and that is success.

create function create_room(
  p_room bytea, p_version bytea, p_ids_are_carried boolean, p_origin bytea, p_now bigint,
  p_ids bytea[], p_pdus bytea[], p_types bytea[], p_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[],
  p_prev bytea[], p_auth_ids bytea[], p_auth_places integer[],
  p_users bytea[], p_servers bytea[], p_events bytea[], p_memberships text[], p_reasons bytea[], p_displaynames bytea[],
  p_avatars bytea[], p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[], p_in_doubt boolean) returns boolean
language plpgsql as $$
begin
  insert into rooms (room_id, room_version, ids_are_carried, stream_ordering, accepted_ordering, fixed_ordering, state_group,
                     lineages, extremities, created_at)
  values (p_room, convert_from(p_version, 'UTF8'), p_ids_are_carried, 0, 0, 0, 0, 0, '{}', p_now)
  on conflict (room_id) do nothing;
  if not found then
    if p_in_doubt then
      perform pg_logical_emit_message(true, 'postern', 'in doubt');
      perform from events e where e.room_id = p_room and e.event_id = p_ids[cardinality(p_ids)];
      return found;
    end if;
    return false;
  end if;
  perform append_events(p_room, p_origin, p_now, p_ids, p_pdus, p_types, p_keys, p_senders, p_depths, p_timestamps, p_prev,
                        p_auth_ids, p_auth_places, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                        p_avatars, p_inviters, p_third_party, p_authorisers);
  return true;
end $$;

-- Answers 0 done, 1 the room is not known, 2 the first event does not extend the room's only extremity.
create function seed_events(
  p_room bytea, p_origin bytea, p_now bigint,
  p_ids bytea[], p_pdus bytea[], p_types bytea[], p_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[],
  p_prev bytea[], p_auth_ids bytea[], p_auth_places integer[],
  p_users bytea[], p_servers bytea[], p_events bytea[], p_memberships text[], p_reasons bytea[], p_displaynames bytea[],
  p_avatars bytea[], p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[], p_in_doubt boolean) returns integer
language plpgsql as $$
declare
  v_extremities bytea[];
begin
  select o.extremities into v_extremities from rooms o where o.room_id = p_room for no key update;
  if not found then
    return 1;
  end if;
  if v_extremities <> p_prev[:1] or p_prev[1] is null then
    if p_in_doubt then
      perform pg_logical_emit_message(true, 'postern', 'in doubt');
      perform from events e where e.room_id = p_room and e.event_id = p_ids[cardinality(p_ids)];
      return case when found then 0 else 2 end;
    end if;
    return 2;
  end if;
  perform append_events(p_room, p_origin, p_now, p_ids, p_pdus, p_types, p_keys, p_senders, p_depths, p_timestamps, p_prev,
                        p_auth_ids, p_auth_places, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                        p_avatars, p_inviters, p_third_party, p_authorisers);
  return 0;
end $$;

-- Keys of other servers: each row replaces what was known; of a server without keys nothing is kept. The servers whose keys were put
-- longest ago go where there are more than p_limit.
create function put_server_keys(p_server bytea, p_valid_until bigint, p_fetched_at bigint, p_source bytea, p_key_ids bytea[],
                                p_public_keys bytea[], p_expired_at bigint[], p_limit integer) returns void
language plpgsql as $$
declare
  v_number bigint;
begin
  delete from server_keys k where k.server_name = p_server;
  if cardinality(p_key_ids) = 0 then
    return;
  end if;
  insert into server_keys as k (server_name, valid_until, fetched_at, source, key_ids, public_keys, expired_at)
  values (p_server, p_valid_until, p_fetched_at, p_source, p_key_ids, p_public_keys, p_expired_at)
  on conflict (server_name) do update set
    valid_until = excluded.valid_until, fetched_at = excluded.fetched_at, source = excluded.source,
    key_ids = excluded.key_ids, public_keys = excluded.public_keys, expired_at = excluded.expired_at
  returning k.number into v_number;
  delete from server_keys k
  where k.server_name in (select o.server_name from server_keys o where o.number <= v_number - p_limit
                          for update skip locked);
end $$;
