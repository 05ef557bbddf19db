-- Writing events: one call is one transaction.

-- Projects changes of members onto `memberships` and counts the joined members of each server. One row for each user at most. A null
-- event: the current state has no such member any more.
create function fn.project_members(p_room bytea, p_now bigint, p_users bytea[], p_servers bytea[], p_events bytea[],
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
create function fn.project_state(p_room bytea, p_types bytea[], p_keys bytea[], p_ids bytea[]) returns void
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
create function fn.superseded(p_room bytea, p_prev bytea[], p_extremities bytea[]) returns bytea[]
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
create function fn.see_server(p_server bytea, p_now bigint, p_limit integer) returns void
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
-- is not known; with the outcome and reason that are stored, and how many forward extremities there are. p_outcome: 1 accepted, 2 soft-failed, 3 rejected.
create function fn.persist_event(
  p_room bytea, p_event bytea, p_pdu bytea, p_verdict bytea, p_sha256 bytea, p_outcome integer, p_reason integer,
  p_origin bytea, p_server bytea, p_now bigint, p_judged_at bigint,
  p_type bytea, p_state_key bytea, p_sender bytea, p_depth bigint, p_origin_server_ts bigint, p_prev bytea[], p_auth bytea[],
  p_after_types bytea[], p_after_keys bytea[], p_after_ids bytea[],
  p_now_types bytea[], p_now_keys bytea[], p_now_ids bytea[],
  p_users bytea[], p_servers bytea[], p_events bytea[], p_memberships text[], p_reasons bytea[], p_displaynames bytea[],
  p_avatars bytea[], p_inviters bytea[], p_third_party bytea[], p_authorisers bytea[],
  p_read_types bytea[], p_read_keys bytea[], p_commutes boolean,
  p_before_types bytea[], p_before_keys bytea[], p_before_ids bytea[],
  t_ordering bigint, t_before bigint, t_merged boolean, t_fixed bigint, t_now bigint,
  p_refusals_limit integer, p_servers_limit integer, p_also_tell bytea[], p_in_doubt boolean,
  out result integer, out stored_outcome integer, out stored_reason integer, out extremities integer)
language plpgsql as $$
declare
  r rooms;
  v_ordering bigint;
  v_current bigint;
  v_before bigint := t_before;
  v_after bigint;
  v_fixed bigint;
  v_own_fixed bigint;
  v_lineages integer;
  v_extremities bytea[];
  v_destinations bytea[];
  v_gone bytea[];
  v_merged record;
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

  extremities := cardinality(r.extremities);
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
  v_extremities := r.extremities;
  -- An accepted event that is no state event is no more in anybody's way than one that commutes.
  v_fixed := case when p_outcome = 1 and (p_commutes or cardinality(p_after_ids) = 0 and cardinality(p_now_ids) = 0)
                  then r.fixed_ordering else v_ordering end;
  if p_outcome = 1 then
    v_gone := fn.superseded(p_room, p_prev, r.extremities);
    select coalesce(array_agg(x.id order by x.place), '{}') || p_event into v_extremities
    from unnest(r.extremities) with ordinality as x(id, place) where x.id <> all (v_gone);
    if cardinality(p_now_ids) > 0 then
      insert into state_entries (room_id, lineage, type, state_key, position, event_id)
      select p_room, 0, c.type, c.state_key, r.state_group + c.place, c.event_id
      from unnest(p_now_types, p_now_keys, p_now_ids) with ordinality as c(type, state_key, event_id, place);
      v_current := r.state_group + cardinality(p_now_ids);
    end if;
  end if;

  -- The state before, where it is no group yet: put together from those after the prev events, or resolved.
  if t_merged then
    select g.merged, g.state_group, fn.common_trunk(p_room, g.merged) as base into v_merged from fn.group_before(p_room, p_prev) g;
    v_before := v_merged.state_group;
    if v_before is null then
      v_lineages := v_lineages + 1;
      select fn.branch_state(p_room, v_merged.base, v_lineages, array_agg(m.type), array_agg(m.state_key), array_agg(m.event_id))
      into v_before from fn.merged_changes(p_room, v_merged.base, v_merged.merged) m;
    end if;
  elsif cardinality(p_before_ids) > 0 then
    v_lineages := v_lineages + 1;
    v_before := fn.branch_state(p_room, t_before, v_lineages, p_before_types, p_before_keys, p_before_ids);
  end if;
  if p_outcome = 1 and cardinality(v_extremities) = 1 then
    -- Nothing stands beside it: the state after it is the current one.
    v_after := v_current;
  elsif cardinality(p_after_ids) = 0 or v_before is null then
    v_after := v_before;
  elsif p_outcome = 1 and v_before = r.state_group and p_after_types = p_now_types and p_after_keys = p_now_keys
        and p_after_ids = p_now_ids then
    v_after := v_current;
  else
    v_lineages := v_lineages + 1;
    v_after := fn.branch_state(p_room, v_before, v_lineages, p_after_types, p_after_keys, p_after_ids);
  end if;
  -- Beside other branches, the state after an event that does not commute has no fixed_ordering in common with anything but what
  -- follows from it alone: not even with a current state that holds the same, for those branches have values that neither shows.
  v_own_fixed := case
    when p_outcome = 1 and (p_commutes or cardinality(v_extremities) = 1) then v_fixed
    when cardinality(p_after_ids) = 0 and t_fixed is not null then t_fixed
    else -v_ordering end;

  insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, judged_at,
                      state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin,
                      prev_events, auth_events, pdu, verdict)
  values (p_room, p_event, v_ordering, p_outcome, p_reason, p_depth, p_origin_server_ts, p_now, p_judged_at,
          v_before, t_now, v_after, v_own_fixed, p_type, p_state_key, p_sender, p_origin, p_prev, p_auth, p_pdu, p_verdict);
  insert into event_ids (event_id, room_id) values (p_event, p_room);
  insert into auth_edges (room_id, auth_event_id, event_id) select p_room, a.id, p_event from unnest(p_auth) as a(id)
  on conflict do nothing;

  if p_outcome = 1 then
    select coalesce(array_agg(s.server_name order by s.server_name), '{}') into v_destinations
    from (
      select j.server_name from room_servers j where j.room_id = p_room and j.joined_members > 0
      union
      select unnest(p_also_tell)) as s
    where s.server_name <> p_origin and s.server_name <> p_server;
    insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
    values (p_room, p_event, v_ordering, v_destinations, p_now);
    insert into deliveries (destination, room_id, event_id, created_at)
    select d.name, p_room, p_event, p_now from unnest(v_destinations) as d(name);

    update rooms o
    set stream_ordering = v_ordering, accepted_ordering = v_ordering, state_group = v_current, lineages = v_lineages,
        fixed_ordering = v_fixed, extremities = v_extremities
    where o.room_id = p_room;
    extremities := cardinality(v_extremities);
    if cardinality(v_extremities) between 2 and 20 then
      insert into extremity_states (room_id, extremities_digest, state_group, fixed_ordering)
      values (p_room, fn.set_digest(v_extremities), v_current, v_fixed);
    end if;

    if cardinality(p_now_ids) > cardinality(p_users) then
      perform fn.project_state(p_room, p_now_types, p_now_keys, p_now_ids);
    end if;
    if cardinality(p_users) > 0 then
      perform fn.project_members(p_room, p_now, p_users, p_servers, p_events, p_memberships, p_reasons, p_displaynames,
                              p_avatars, p_inviters, p_third_party, p_authorisers);
    end if;
    delete from refusals f where f.room_id = p_room and f.event_id = p_event;
  else
    update rooms o set stream_ordering = v_ordering, lineages = v_lineages where o.room_id = p_room;
  end if;

  if p_origin <> p_server then
    perform fn.see_server(p_origin, p_now, p_servers_limit);
  end if;
  result := 0;
end $$;
