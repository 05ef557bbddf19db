-- Writing events: one call is one transaction.

-- Projects changes of members onto `memberships` and counts the joined members of each server. One row for each user at most. A null
-- event: the current state has no such member any more.
create function project_members(p_room bytea, p_now bigint, p_users bytea[], p_servers bytea[], p_events bytea[],
                                p_memberships text[], p_reasons bytea[], p_displaynames bytea[], p_avatars bytea[],
                                p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[]) returns void
language plpgsql as $$
begin
  insert into room_servers as s (room_id, server_name, joined_members)
  select p_room, c.server, sum(c.joins)::integer
  from (
    select n.server, (coalesce(n.membership = 'join', false))::integer - (coalesce(o.membership = 'join', false))::integer as joins
    from unnest(p_users, p_servers, p_memberships) as n(user_id, server, membership)
    left join memberships o on o.room_id = p_room and o.user_id = n.user_id) as c
  group by c.server having sum(c.joins) <> 0
  on conflict (room_id, server_name) do update set joined_members = s.joined_members + excluded.joined_members;
  if found then
    delete from room_servers s using (select distinct unnest(p_servers) as server) as n
    where s.room_id = p_room and s.server_name = n.server and s.joined_members <= 0;
  end if;

  insert into memberships as m (room_id, user_id, membership, event_id, reason, displayname, avatar_url, is_direct,
                                invited_by, third_party_invite, join_authorised_via_users_server, updated_at)
  select p_room, n.user_id, n.membership, n.event_id, n.reason, n.displayname, n.avatar_url, false, n.invited_by,
         n.third_party, n.authoriser, p_now
  from unnest(p_users, p_events, p_memberships, p_reasons, p_displaynames, p_avatars, p_inviters, p_third_party, p_authorisers)
    as n(user_id, event_id, membership, reason, displayname, avatar_url, invited_by, third_party, authoriser)
  where n.event_id is not null
  on conflict (room_id, user_id) do update set
    membership = excluded.membership, event_id = excluded.event_id, reason = excluded.reason,
    displayname = excluded.displayname, avatar_url = excluded.avatar_url, is_direct = excluded.is_direct,
    invited_by = excluded.invited_by, third_party_invite = excluded.third_party_invite,
    join_authorised_via_users_server = excluded.join_authorised_via_users_server, updated_at = excluded.updated_at;
  if array_position(p_events, null) is not null then
    delete from memberships m using unnest(p_users, p_events) as n(user_id, event_id)
    where n.event_id is null and m.room_id = p_room and m.user_id = n.user_id;
  end if;
end $$;

-- Projects every other change of the current state.
create function project_state(p_room bytea, p_types bytea[], p_keys bytea[], p_ids bytea[]) returns void
language plpgsql as $$
begin
  insert into current_state as s (room_id, type, state_key, event_id)
  select distinct on (c.type, c.state_key) p_room, c.type, c.state_key, c.event_id
  from unnest(p_types, p_keys, p_ids) with ordinality as c(type, state_key, event_id, place)
  where c.type <> 'm.room.member' and c.event_id is not null
  order by c.type, c.state_key, c.place desc
  on conflict (room_id, type, state_key) do update set event_id = excluded.event_id;
  if array_position(p_ids, null) is not null then
    delete from current_state s using unnest(p_types, p_keys, p_ids) as c(type, state_key, event_id)
    where c.event_id is null and s.room_id = p_room and s.type = c.type and s.state_key = c.state_key;
  end if;
end $$;

-- What an accepted event takes out of the forward extremities: its prev events, and what the soft-failed ones among those cite in
-- their turn (they are no extremities themselves, so nothing else would).
create function superseded(p_room bytea, p_prev bytea[], p_extremities bytea[]) returns bytea[]
language plpgsql stable as $$
begin
  if p_prev <@ p_extremities then
    return p_prev;
  end if;
  return (
    with recursive gone(id) as (
      select unnest(p_prev)
      union
      select unnest(e.prev_events) from gone join events e on e.room_id = p_room and e.event_id = gone.id and e.soft_failed)
    select array_agg(gone.id) from gone);
end $$;

-- Notes that a server has sent us something: once an hour at most, so that no row of a busy server is hot.
create function see_server(p_server bytea, p_now bigint, p_limit integer) returns void
language plpgsql as $$
declare
  v_number bigint;
begin
  perform from remote_servers r where r.server_name = p_server and r.last_seen > p_now - 3600000;
  if found then
    return;
  end if;
  insert into remote_servers as r (server_name, first_seen, last_seen) values (p_server, p_now, p_now)
  on conflict (server_name) do update set last_seen = excluded.last_seen, number = excluded.number
  returning r.number into v_number;
  delete from remote_servers r
  where r.server_name in (select o.server_name from remote_servers o where o.number <= v_number - p_limit
                          for update skip locked);
end $$;

-- Persists one judged event. Answers `result`: 0 stored, 1 was stored before (nothing written), 2 conflict (nothing written), 3 the room
-- is not known; with the outcome and reason that are stored. p_outcome: 1 accepted, 2 soft-failed, 3 rejected.
create function persist_event(
  p_room bytea, p_event bytea, p_pdu bytea, p_verdict bytea, p_sha256 bytea, p_outcome integer, p_reason integer,
  p_origin bytea, p_server bytea, p_now bigint, p_judged_at bigint,
  p_type bytea, p_state_key bytea, p_sender bytea, p_depth bigint, p_origin_server_ts bigint, p_prev bytea[], p_auth bytea[],
  p_after_types bytea[], p_after_keys bytea[], p_after_ids bytea[],
  p_now_types bytea[], p_now_keys bytea[], p_now_ids bytea[],
  p_users bytea[], p_servers bytea[], p_events bytea[], p_memberships text[], p_reasons bytea[], p_displaynames bytea[],
  p_avatars bytea[], p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[],
  p_read_types bytea[], p_read_keys bytea[], p_commutes boolean,
  t_ordering bigint, t_before bigint, t_now bigint,
  p_refusals_limit integer, p_servers_limit integer, p_in_doubt boolean,
  out result integer, out stored_outcome integer, out stored_reason integer)
language plpgsql as $$
declare
  r rooms;
  v_ordering bigint;
  v_current bigint;
  v_after bigint;
  v_fixed bigint;
  v_lineages integer;
  v_extremities bytea[];
  v_destinations bytea[];
  v_pdu bytea;
  v_number bigint;
begin
  stored_outcome := p_outcome;
  stored_reason := p_reason;
  -- After a commit that is in doubt, whatever is found here must be as durable as a commit: so this one waits for the same.
  if p_in_doubt then
    perform pg_logical_emit_message(true, 'postern', 'in doubt');
  end if;
  select * into r from rooms o where o.room_id = p_room for no key update;
  if not found then
    result := 3;
    return;
  end if;

  select e.outcome, e.reason, e.pdu into stored_outcome, stored_reason, v_pdu
  from events e where e.room_id = p_room and e.event_id = p_event;
  if found then
    result := case when r.ids_are_carried and v_pdu <> p_pdu then 2 else 1 end;
    return;
  end if;
  stored_outcome := p_outcome;
  stored_reason := p_reason;

  if p_outcome = 3 then
    insert into refusals (room_id, event_id, reason, judged_sha256, verdict, origin, stored_at)
    values (p_room, p_event, p_reason, p_sha256, p_verdict, p_origin, p_now)
    on conflict (room_id, event_id) do nothing
    returning number into v_number;
    if v_number is null then
      result := 1;
      select f.reason into stored_reason from refusals f where f.room_id = p_room and f.event_id = p_event;
    else
      result := 0;
      delete from refusals f
      where (f.room_id, f.event_id) in (select o.room_id, o.event_id from refusals o
                                        where o.number <= v_number - p_refusals_limit for update skip locked);
    end if;
    return;
  end if;

  -- The verdict holds if nothing was accepted since the token; or if all of that commutes, as this does, and changed nothing that the
  -- verdict relied on.
  if r.accepted_ordering <> t_ordering and (
       r.fixed_ordering > t_ordering
       or (p_outcome = 1 and not p_commutes)
       or cardinality(p_read_types) = 0
       or exists (
         select from unnest(p_read_types, p_read_keys) as k(type, state_key)
         cross join lateral (
           select from state_entries e
           where e.room_id = p_room and e.lineage = 0 and e.type = k.type and e.state_key = k.state_key
             and e.position > t_now
           limit 1) as changed)) then
    result := 2;
    return;
  end if;

  v_ordering := r.stream_ordering + 1;
  v_current := r.state_group;
  v_lineages := r.lineages;
  -- An accepted event that is no state event is no more in anybody's way than one that commutes.
  v_fixed := case when p_outcome = 1 and (p_commutes or cardinality(p_after_ids) = 0) then r.fixed_ordering else v_ordering end;
  if p_outcome = 1 and cardinality(p_now_ids) > 0 then
    insert into state_entries (room_id, lineage, type, state_key, position, event_id)
    select p_room, 0, c.type, c.state_key, r.state_group + c.place, c.event_id
    from unnest(p_now_types, p_now_keys, p_now_ids) with ordinality as c(type, state_key, event_id, place);
    v_current := r.state_group + cardinality(p_now_ids);
  end if;
  if cardinality(p_after_ids) = 0 or t_before is null then
    v_after := t_before;
  elsif p_outcome = 1 and t_before = r.state_group and p_after_types = p_now_types and p_after_keys = p_now_keys
        and p_after_ids = p_now_ids then
    v_after := v_current;
  else
    v_lineages := v_lineages + 1;
    v_after := branch_state(p_room, t_before, v_lineages, p_after_types, p_after_keys, p_after_ids);
  end if;

  insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, judged_at,
                      state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin,
                      prev_events, auth_events, pdu, verdict)
  values (p_room, p_event, v_ordering, p_outcome, p_reason, p_depth, p_origin_server_ts, p_now, p_judged_at,
          t_before, t_now, v_after, v_fixed, p_type, p_state_key, p_sender, p_origin, p_prev, p_auth, p_pdu, p_verdict);
  insert into event_ids (event_id, room_id) values (p_event, p_room);

  if p_outcome = 1 then
    select coalesce(array_agg(s.server_name order by s.server_name), '{}') into v_destinations
    from room_servers s
    where s.room_id = p_room and s.joined_members > 0 and s.server_name <> p_origin and s.server_name <> p_server;
    insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
    values (p_room, p_event, v_ordering, v_destinations, p_now);

    v_extremities := superseded(p_room, p_prev, r.extremities);
    select coalesce(array_agg(x.id order by x.place), '{}') || p_event into v_extremities
    from unnest(r.extremities) with ordinality as x(id, place) where x.id <> all (v_extremities);
    update rooms o
    set stream_ordering = v_ordering, accepted_ordering = v_ordering, state_group = v_current, lineages = v_lineages,
        fixed_ordering = v_fixed, extremities = v_extremities
    where o.room_id = p_room;
    if cardinality(v_extremities) between 2 and 20 then
      insert into extremity_states (room_id, extremities_digest, state_group, fixed_ordering)
      values (p_room, set_digest(v_extremities), v_current, v_fixed);
    end if;

    if cardinality(p_now_ids) > cardinality(p_users) then
      perform project_state(p_room, p_now_types, p_now_keys, p_now_ids);
    end if;
    if cardinality(p_users) > 0 then
      perform project_members(p_room, p_now, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                              p_avatars, p_inviters, p_third_party, p_authorisers);
    end if;
    delete from refusals f where f.room_id = p_room and f.event_id = p_event;
  else
    update rooms o set stream_ordering = v_ordering, lineages = v_lineages where o.room_id = p_room;
  end if;

  if p_origin <> p_server then
    perform see_server(p_origin, p_now, p_servers_limit);
  end if;
  result := 0;
end $$;

-- Appends events to a room as given: accepted, each extending the one before, each changing its own key of state.
create function append_events(
  p_room bytea, p_origin bytea, p_now bigint,
  p_ids bytea[], p_pdus bytea[], p_types bytea[], p_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[],
  p_prev bytea[], p_auth_ids bytea[], p_auth_places integer[],
  p_users bytea[], p_servers bytea[], p_events bytea[], p_memberships text[], p_reasons bytea[], p_displaynames bytea[],
  p_avatars bytea[], p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[]) returns void
language plpgsql as $$
declare
  r rooms;
  v_count constant integer := cardinality(p_ids);
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
  -- They are history, not news: nobody is told of them.
  insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
  select p_room, n.event_id, r.stream_ordering + n.place, '{}', p_now
  from unnest(p_ids) with ordinality as n(event_id, place);
  perform project_state(p_room, p_types, p_keys, p_ids);
  if cardinality(p_users) > 0 then
    perform project_members(p_room, p_now, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                            p_avatars, p_inviters, p_third_party, p_authorisers);
  end if;
  update rooms o
  set stream_ordering = r.stream_ordering + v_count, accepted_ordering = r.stream_ordering + v_count,
      fixed_ordering = r.stream_ordering + v_count, state_group = r.state_group + v_count, extremities = p_ids[v_count:]
  where o.room_id = p_room;
end $$;
