-- A new room with its first events, and events appended to one as given. p_in_doubt: an earlier attempt may have been committed; if
-- it was, its very events are there, and that is success.

-- Appends events to a room as given: accepted, each extending the one before, each changing its own key of state.
create function fn.append_events(
  p_room bytea, p_origin bytea, p_now bigint,
  p_ids bytea[], p_pdus bytea[], p_types bytea[], p_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[],
  p_prev bytea[], p_auth_ids bytea[], p_auth_places integer[],
  p_users bytea[], p_servers bytea[], p_events bytea[], p_memberships text[], p_reasons bytea[], p_displaynames bytea[],
  p_avatars bytea[], p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[]) returns void
language plpgsql as $$
declare
  r rooms;
  v_count constant integer := cardinality(p_ids);
  v_rooms constant bytea[] := array_fill(p_room, array[cardinality(p_users)]);
  v_moves record;
begin
  select * into strict r from rooms o where o.room_id = p_room for no key update;
  insert into state_entries (room_id, lineage, type, state_key, position, event_id)
  select p_room, 0, n.type, n.state_key, r.state_group + n.place, n.event_id
  from unnest(p_types, p_keys, p_ids) with ordinality as n(type, state_key, event_id, place);

  insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at,
                      state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin,
                      prev_events, auth_events, pdu)
  select p_room, n.event_id, r.stream_ordering + n.place, 1, 0, n.depth, n.origin_server_ts, p_now,
         r.state_group + n.place - 1, r.state_group + n.place - 1, r.state_group + n.place, r.stream_ordering + n.place, n.type,
         n.state_key, n.sender, p_origin, case when n.prev is null then '{}' else array[n.prev] end, coalesce(auth.ids, '{}'), n.pdu
  from unnest(p_ids, p_pdus, p_types, p_keys, p_senders, p_depths, p_timestamps, p_prev) with ordinality
    as n(event_id, pdu, type, state_key, sender, depth, origin_server_ts, prev, place)
  left join (
    select a.place, array_agg(a.id order by a.number) as ids
    from unnest(p_auth_ids, p_auth_places) with ordinality as a(id, place, number) group by a.place) as auth
    on auth.place = n.place;

  insert into event_ids (event_id, room_id) select unnest(p_ids), p_room;
  insert into auth_edges (room_id, auth_event_id, event_id)
  select p_room, a.id, p_ids[a.place] from unnest(p_auth_ids, p_auth_places) as a(id, place)
  on conflict do nothing;
  -- They are history, not news: nobody is told of them.
  insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
  select p_room, n.event_id, r.stream_ordering + n.place, '{}', p_now
  from unnest(p_ids) with ordinality as n(event_id, place);
  perform fn.project_state(p_room, p_types, p_keys, p_ids);
  if cardinality(p_users) > 0 then
    select array_agg(c.room_id) as rooms, array_agg(c.server_name) as servers, array_agg(c.joins) as joins
    into v_moves from fn.joined_changes(v_rooms, p_users, p_servers, p_memberships) c;
    perform fn.count_members(v_moves.rooms, v_moves.servers, v_moves.joins);
    perform fn.project_members(v_rooms, p_now, p_users, p_events, p_memberships, p_reasons, p_displaynames, p_avatars, p_inviters,
                            p_third_party, p_authorisers);
  end if;
  update rooms o
  set stream_ordering = r.stream_ordering + v_count, accepted_ordering = r.stream_ordering + v_count,
      fixed_ordering = r.stream_ordering + v_count, state_group = r.state_group + v_count, extremities = p_ids[v_count:]
  where o.room_id = p_room;
end $$;

create function fn.create_room(
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
  perform fn.append_events(p_room, p_origin, p_now, p_ids, p_pdus, p_types, p_keys, p_senders, p_depths, p_timestamps, p_prev,
                        p_auth_ids, p_auth_places, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                        p_avatars, p_inviters, p_third_party, p_authorisers);
  return true;
end $$;

-- Answers 0 done, 1 the room is not known, 2 the first event does not extend the room's only extremity.
create function fn.seed_events(
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
  perform fn.append_events(p_room, p_origin, p_now, p_ids, p_pdus, p_types, p_keys, p_senders, p_depths, p_timestamps, p_prev,
                        p_auth_ids, p_auth_places, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                        p_avatars, p_inviters, p_third_party, p_authorisers);
  return 0;
end $$;
