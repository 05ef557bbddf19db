-- Writing events: one call is one transaction, for as many events as have come together.

-- What changes of members, each in its room, change about who is joined: by their place among the changes.
create function fn.joined_changes(p_rooms bytea[], p_users bytea[], p_servers bytea[], p_memberships text[])
returns table (place bigint, room_id bytea, server_name bytea, joins integer)
language sql stable as $$
  select n.place, n.room_id, n.server, (coalesce(n.membership = 'join', false))::integer - (coalesce(o.membership = 'join', false))::integer
  from unnest(p_rooms, p_users, p_servers, p_memberships) with ordinality as n(room_id, user_id, server, membership, place)
  left join lateral (select m.membership from memberships m where m.room_id = n.room_id and m.user_id = n.user_id limit 1) as o on true
  where coalesce(n.membership = 'join', false) <> coalesce(o.membership = 'join', false)
$$;

-- Which servers are to hear of an event: those that had a member joined before it, which the changes before its place may have made so; and
-- who else is named; not its origin, nor this server. Written so that it is inlined.
create function fn.destinations_of(p_server bytea, p_room bytea, p_origin bytea, p_also_tell text, p_place bigint, p_places integer[],
                                   p_rooms bytea[], p_servers bytea[], p_joins integer[]) returns table (names bytea[])
language sql stable as $$
  select coalesce(array_agg(s.server_name order by s.server_name), '{}')
  from (
    select x.server_name
    from (
      select j.server_name, j.joined_members as joined from room_servers j where j.room_id = p_room
      union all
      select m.server_name, m.joins from unnest(p_places, p_rooms, p_servers, p_joins) as m(place, room_id, server_name, joins)
      where m.room_id = p_room and m.place < p_place
      union all
      select a.server_name, 1 from unnest(p_also_tell::bytea[]) as a(server_name)) as x
    where x.server_name <> p_origin and x.server_name <> p_server
    group by x.server_name having sum(x.joined) > 0) as s
$$;

-- Counts the joined members of servers anew, after such changes.
create function fn.count_members(p_rooms bytea[], p_servers bytea[], p_joins integer[]) returns void
language plpgsql as $$
declare
  v_has_left boolean;
begin
  with counted as (
    insert into room_servers as s (room_id, server_name, joined_members)
    select c.room_id, c.server, sum(c.joins)::integer
    from unnest(p_rooms, p_servers, p_joins) as c(room_id, server, joins)
    group by c.room_id, c.server having sum(c.joins) <> 0
    on conflict (room_id, server_name) do update set joined_members = s.joined_members + excluded.joined_members
    returning joined_members)
  select bool_or(c.joined_members <= 0) into v_has_left from counted c;
  if v_has_left then
    delete from room_servers s using (select distinct c.room_id, c.server from unnest(p_rooms, p_servers) as c(room_id, server)) as n
    where s.room_id = n.room_id and s.server_name = n.server and s.joined_members <= 0;
  end if;
end $$;

-- Projects changes of members, each in its room, onto `memberships`. One for each user of a room at most. A null event: the current
-- state has no such member any more.
create function fn.project_members(p_rooms bytea[], p_now bigint, p_users bytea[], p_events bytea[], p_memberships text[],
                                p_reasons bytea[], p_displaynames bytea[], p_avatars bytea[], p_inviters bytea[],
                                p_third_party bytea[], p_authorisers bytea[]) returns void
language plpgsql as $$
begin
  insert into memberships as m (room_id, user_id, membership, event_id, reason, displayname, avatar_url, is_direct,
                                invited_by, third_party_invite, join_authorised_via_users_server, updated_at)
  select n.room_id, n.user_id, n.membership, n.event_id, n.reason, n.displayname, n.avatar_url, false, n.invited_by,
         n.third_party, n.authoriser, p_now
  from unnest(p_rooms, p_users, p_events, p_memberships, p_reasons, p_displaynames, p_avatars, p_inviters, p_third_party, p_authorisers)
    as n(room_id, user_id, event_id, membership, reason, displayname, avatar_url, invited_by, third_party, authoriser)
  where n.event_id is not null
  on conflict (room_id, user_id) do update set
    membership = excluded.membership, event_id = excluded.event_id, reason = excluded.reason,
    displayname = excluded.displayname, avatar_url = excluded.avatar_url, is_direct = excluded.is_direct,
    invited_by = excluded.invited_by, third_party_invite = excluded.third_party_invite,
    join_authorised_via_users_server = excluded.join_authorised_via_users_server, updated_at = excluded.updated_at;
  if array_position(p_events, null) is not null then
    delete from memberships m using unnest(p_rooms, p_users, p_events) as n(room_id, user_id, event_id)
    where n.event_id is null and m.room_id = n.room_id and m.user_id = n.user_id;
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
-- their turn (they are no extremities themselves, so nothing else would); but not what was cited by one that was judged on a state which
-- another server told: of what it cites that state need not tell.
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
      -- One probe of the key for each: as a plain join the plan, which is made for the mean room, may read all of a large one instead.
      select unnest(e.prev_events)
      from gone
      cross join lateral (select * from events x where x.room_id = p_room and x.event_id = gone.id limit 1) as e
      where e.soft_failed
        and not exists (select from given_states g
                        where g.room_id = p_room and g.event_id = e.event_id and g.state_group = e.state_group_before))
    select array_agg(gone.id) from gone);
end $$;

-- Notes that a server has sent us something: once an hour at most, so that no row of a busy server is hot.
create function fn.see_server(p_server bytea, p_now bigint, p_limit integer) returns void
language plpgsql as $$
declare
  v_number bigint;
begin
  insert into remote_servers as r (server_name, first_seen, last_seen) values (p_server, p_now, p_now)
  on conflict (server_name) do update set last_seen = excluded.last_seen, number = excluded.number
  returning r.number into v_number;
  delete from remote_servers r
  where r.server_name in (select o.server_name from remote_servers o where o.number <= v_number - p_limit
                          for update skip locked);
end $$;

-- Keeps the verdict on a rejected event; of one id the first. False, and the reason that is kept, where there is one.
create function fn.keep_refusal(p_room bytea, p_event bytea, p_reason integer, p_sha256 bytea, p_verdict bytea, p_origin bytea, p_now bigint,
                             p_limit integer, out is_new boolean, out kept_reason integer)
language plpgsql as $$
declare
  v_number bigint;
begin
  insert into refusals (room_id, event_id, reason, judged_sha256, verdict, origin, stored_at)
  values (p_room, p_event, p_reason, p_sha256, p_verdict, p_origin, p_now)
  on conflict (room_id, event_id) do nothing
  returning number into v_number;
  is_new := v_number is not null;
  kept_reason := p_reason;
  if not is_new then
    select f.reason into kept_reason from refusals f where f.room_id = p_room and f.event_id = p_event;
    return;
  end if;
  delete from refusals f
  where (f.room_id, f.event_id) in (select o.room_id, o.event_id from refusals o
                                    where o.number <= v_number - p_limit for update skip locked);
end $$;

-- The state before an event that is in no group yet: put together from those after the prev events. Writes lineage p_lineages + 1 if it
-- must; `lineages` is the greatest in use then. It is told by what the others add to the group that has most of its own: where many events
-- meet again and again, most of the state has been put together before, and is not written once more.
-- Null where a prev event is neither stored nor one of p_new_…, which are about to be.
create function fn.merge_before(p_room bytea, p_prev bytea[], p_lineages integer, p_new_ids bytea[], p_new_groups bigint[],
                                p_new_fixed bigint[], out state_group bigint, out lineages integer)
language plpgsql as $$
declare
  v_before record;
  v_base bigint;
  v_most bigint;
  v_path record;
  v_added record;
begin
  lineages := p_lineages;
  select * into v_before from fn.group_before(p_room, p_prev, p_new_ids, p_new_groups, p_new_fixed);
  state_group := v_before.state_group;
  if state_group is not null or v_before.merged is null then
    return;
  end if;
  select min(p.positions[cardinality(p.positions)]),
         (array_agg(g.state_group order by (select sum(own.position) from unnest(p.lineages, p.positions) as own(lineage, position)
                                            where own.lineage <> 0) desc nulls last, g.state_group))[1]
  into v_base, v_most
  from unnest(v_before.merged) as g(state_group) cross join lateral fn.state_path(p_room, g.state_group) p;
  select * into v_path from fn.state_path(p_room, v_most);
  -- They differ by commuting changes alone: each key has at most one value that is not the one they started from, and that is the event
  -- stored last, for it cites the other.
  select array_agg(c.type) as types, array_agg(c.state_key) as keys, array_agg(c.event_id) as ids into v_added
  from (
    select distinct on (c.type, c.state_key) c.type, c.state_key, c.event_id, e.stream_ordering
    from fn.changes_since(p_room, v_base, array_remove(v_before.merged, v_most)) c
    cross join lateral (select x.stream_ordering from events x where x.room_id = p_room and x.event_id = c.event_id limit 1) as e
    order by c.type, c.state_key, e.stream_ordering desc) as c
  left join lateral fn.state_at(p_room, v_path.lineages, v_path.positions, array[c.type], array[c.state_key]) o on true
  left join lateral (
    select x.stream_ordering from events x where x.room_id = p_room and x.event_id = o.event_id limit 1) as own on true
  where own.stream_ordering is null or own.stream_ordering < c.stream_ordering;
  if v_added.ids is null then
    state_group := v_most;
    return;
  end if;
  lineages := p_lineages + 1;
  state_group := fn.branch_state(p_room, v_most, lineages, v_added.types, v_added.keys, v_added.ids);
end $$;

-- Persists judged events, each given by its place in every array from p_rooms on; room by room, the rooms in the order of their ids, those
-- of a room in the order in which they are to be stored. Of a room no event twice, none that relies on a key of state which an earlier one
-- changes, no key changed twice: such go to another call. Lists are given as the text of their arrays.
-- p_also_tell: {NULL}: nobody is told, its origin does that.
-- p_outcomes: 1 accepted, 2 soft-failed, 3 rejected. m_…: changes of members, each with the place of its event and the room of that.
-- p_wait: waits for rooms that are locked.
-- Answers `results`: 0 stored, 1 was stored before (nothing written), 2 conflict (nothing written), 3 the room is not known, 4 it is locked
-- and p_wait is not set; with the outcomes and reasons that are stored, and how many forward extremities there are.
create function fn.persist_events(
  p_server bytea, p_now bigint, p_refusals_limit integer, p_servers_limit integer, p_in_doubt boolean, p_wait boolean,
  p_rooms bytea[], p_events bytea[], p_pdus bytea[], p_verdicts bytea[], p_origins bytea[], p_judged_at bigint[], p_types bytea[],
  p_state_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[], p_prevs text[], p_auths text[], p_also_tell text[],
  p_sha256s bytea[], p_outcomes integer[], p_reasons integer[],
  p_after_types text[], p_after_keys text[], p_after_ids text[], p_now_types text[], p_now_keys text[], p_now_ids text[],
  p_other_changes boolean[], p_read_types text[], p_read_keys text[], p_commutes boolean[],
  p_before_types text[], p_before_keys text[], p_before_ids text[],
  t_orderings bigint[], t_befores bigint[], t_merged boolean[], t_fixed bigint[], t_nows bigint[],
  m_places integer[], m_rooms bytea[], m_users bytea[], m_servers bytea[], m_events bytea[], m_memberships text[], m_reasons bytea[],
  m_displaynames bytea[], m_avatars bytea[], m_inviters bytea[], m_third_party bytea[], m_authorisers bytea[],
  out results integer[], out outcomes integer[], out reasons integer[], out extremities integer[])
language plpgsql as $$
declare
  n constant integer := cardinality(p_events);
  c_none constant bigint[] := array_fill(null::bigint, array[n]);
  v_held rooms[];
  v_written rooms[] := '{}';
  r rooms;
  k integer := 0;
  v_outcomes integer[];
  v_reasons integer[];
  v_differ boolean[];
  v_refused boolean[];
  v_soft boolean[];
  v_changed bigint[];
  v_orderings bigint[] := c_none;
  v_accepted boolean[] := array_fill(false, array[n]);
  v_befores bigint[] := c_none;
  v_afters bigint[] := c_none;
  v_fixed bigint[] := c_none;
  v_trunks bigint[] := c_none;
  v_branches bigint[] := c_none;
  v_tips text[] := c_none;
  v_currents bigint[] := c_none;
  v_room_fixed bigint[] := c_none;
  v_has_branches boolean := false;
  v_has_tips boolean := false;
  v_has_refused boolean := false;
  v_ordering bigint;
  v_current bigint;
  v_room_fixed_now bigint;
  v_tips_now bytea[];
  v_gone bytea[];
  v_before bigint;
  -- Of what has been decided of this room: events whose state before was put together.
  v_new_ids bytea[] := '{}';
  v_new_groups bigint[] := '{}';
  v_new_fixed bigint[] := '{}';
  v_refusal record;
  v_moves record;
  v_origin bytea;
begin
  results := array_fill(0, array[n]);
  outcomes := p_outcomes;
  reasons := p_reasons;
  extremities := array_fill(0, array[n]);
  -- After a commit that is in doubt, whatever is found here must be as durable as a commit: so this one waits for the same.
  if p_in_doubt then
    perform pg_logical_emit_message(true, 'postern', 'in doubt');
  end if;
  -- In the order of their ids, so that two calls never wait for each other.
  if p_wait then
    select array_agg(o::rooms order by o.room_id) into v_held
    from (select * from rooms x where x.room_id = any (p_rooms) order by x.room_id for no key update) as o;
  else
    select array_agg(o::rooms order by o.room_id) into v_held
    from (select * from rooms x where x.room_id = any (p_rooms) order by x.room_id for no key update skip locked) as o;
  end if;

  -- What is known of each event, and whether one of its prev events was soft-failed.
  select array_agg(e.outcome order by i.place), array_agg(e.reason order by i.place),
         array_agg(e.pdu is distinct from i.pdu order by i.place), array_agg(f.refused order by i.place), array_agg(s.soft order by i.place)
  into v_outcomes, v_reasons, v_differ, v_refused, v_soft
  from unnest(p_rooms, p_events, p_pdus, p_prevs) with ordinality as i(room_id, event_id, pdu, prevs, place)
  left join lateral (
    select x.outcome, x.reason, x.pdu from events x
    where x.room_id = i.room_id and x.event_id = i.event_id and not x.outlier limit 1) as e on true
  left join lateral (
    select true as refused from refusals x where x.room_id = i.room_id and x.event_id = i.event_id limit 1) as f on true
  left join lateral (
    select true as soft
    from unnest(i.prevs::bytea[]) as p(id)
    cross join lateral (select x.soft_failed from events x where x.room_id = i.room_id and x.event_id = p.id limit 1) as e
    where e.soft_failed limit 1) as s on true;

  -- Where something was accepted since the token: the events that rely on a key which has changed.
  select array_agg(i.place) into v_changed
  from unnest(p_rooms, t_orderings, t_nows, p_read_types, p_read_keys) with ordinality as i(room_id, ordering, now, types, keys, place)
  join unnest(v_held) as o on o.room_id = i.room_id and o.accepted_ordering <> i.ordering
  where exists (
    select from unnest(i.types::bytea[], i.keys::bytea[]) as k(type, state_key)
    cross join lateral (
      select from state_entries e
      where e.room_id = i.room_id and e.lineage = 0 and e.type = k.type and e.state_key = k.state_key and e.position > i.now
      limit 1) as changed);

  for i in 1 .. n loop
    if i = 1 or p_rooms[i] <> p_rooms[i - 1] then
      if r.stream_ordering <> v_held[k].stream_ordering then
        v_written := v_written || r;
      end if;
      v_new_ids := '{}';
      v_new_groups := '{}';
      v_new_fixed := '{}';
      if v_held[k + 1].room_id = p_rooms[i] then
        k := k + 1;
        r := v_held[k];
      else
        r := null;
      end if;
    end if;
    if r.room_id is null then
      perform from rooms o where o.room_id = p_rooms[i];
      results[i] := case when found then 4 else 3 end;
      continue;
    end if;
    extremities[i] := cardinality(r.extremities);
    if v_outcomes[i] is not null then
      results[i] := case when r.ids_are_carried and v_differ[i] then 2 else 1 end;
      outcomes[i] := v_outcomes[i];
      reasons[i] := v_reasons[i];
      continue;
    end if;
    if p_outcomes[i] = 3 then
      v_refusal := fn.keep_refusal(r.room_id, p_events[i], p_reasons[i], p_sha256s[i], p_verdicts[i], p_origins[i], p_now,
                                   p_refusals_limit);
      results[i] := (not v_refusal.is_new)::integer;
      reasons[i] := v_refusal.kept_reason;
      continue;
    end if;

    -- The verdict holds if nothing was accepted since the token; or if all of that commutes, as this does, and changed nothing that the
    -- verdict relied on.
    if r.accepted_ordering <> t_orderings[i] and (
         r.fixed_ordering > t_orderings[i] or (p_outcomes[i] = 1 and not p_commutes[i]) or p_read_types[i] = '{}'
         or i = any (v_changed)) then
      results[i] := 2;
      continue;
    end if;

    v_ordering := r.stream_ordering + 1;
    v_current := r.state_group;
    v_tips_now := r.extremities;
    -- An accepted event that is no state event is no more in anybody's way than one that commutes.
    v_room_fixed_now := case when p_outcomes[i] = 1 and (p_commutes[i] or p_after_ids[i] = '{}' and p_now_ids[i] = '{}')
                             then r.fixed_ordering else v_ordering end;
    if p_outcomes[i] = 1 then
      v_gone := p_prevs[i]::bytea[];
      if t_fixed[i] is null and not t_merged[i] and exists (
           select from given_states g
           where g.room_id = r.room_id and g.event_id = p_events[i] and g.state_group = t_befores[i]) then
        -- Judged on a state that another server told: that takes no extremity's place, not even of one which the event cites.
        v_gone := '{}';
      elsif v_soft[i] then
        v_gone := fn.superseded(r.room_id, v_gone, r.extremities);
      end if;
      if r.extremities <@ v_gone then
        v_tips_now := array[p_events[i]];
      elsif not r.extremities && v_gone then
        v_tips_now := r.extremities || p_events[i];
      else
        select array_agg(x.id order by x.place) || p_events[i] into v_tips_now
        from unnest(r.extremities) with ordinality as x(id, place) where x.id <> all (v_gone);
      end if;
      if p_now_ids[i] <> '{}' then
        v_trunks[i] := r.state_group;
        v_current := r.state_group + cardinality(p_now_ids[i]::bytea[]);
      end if;
    end if;

    -- The state before, where it is no group yet: put together from those after the prev events, or resolved.
    v_before := t_befores[i];
    if t_merged[i] then
      select b.state_group, b.lineages into v_before, r.lineages
      from fn.merge_before(r.room_id, p_prevs[i]::bytea[], r.lineages, v_new_ids, v_new_groups, v_new_fixed) b;
      if v_before is null then
        v_trunks[i] := null;
        results[i] := 2;
        continue;
      end if;
    elsif p_before_ids[i] <> '{}' then
      r.lineages := r.lineages + 1;
      v_before := fn.branch_state(r.room_id, t_befores[i], r.lineages, p_before_types[i]::bytea[], p_before_keys[i]::bytea[],
                                  p_before_ids[i]::bytea[]);
    end if;
    v_befores[i] := v_before;
    if p_outcomes[i] = 1 and cardinality(v_tips_now) = 1 then
      -- Nothing stands beside it: the state after it is the current one.
      v_afters[i] := v_current;
    elsif p_after_ids[i] = '{}' or v_before is null then
      v_afters[i] := v_before;
    elsif p_outcomes[i] = 1 and v_before = r.state_group and p_after_types[i] = p_now_types[i] and p_after_keys[i] = p_now_keys[i]
          and p_after_ids[i] = p_now_ids[i] then
      v_afters[i] := v_current;
    else
      r.lineages := r.lineages + 1;
      if v_before < 4294967296 then
        -- A group of the trunk: nothing to absorb, so the lineage holds what is given.
        v_branches[i] := r.lineages;
        v_has_branches := true;
        v_afters[i] := (r.lineages::bigint << 32) + cardinality(p_after_ids[i]::bytea[]);
      else
        v_afters[i] := fn.branch_state(r.room_id, v_before, r.lineages, p_after_types[i]::bytea[], p_after_keys[i]::bytea[],
                                       p_after_ids[i]::bytea[]);
      end if;
    end if;
    -- Beside other branches, the state after an event that does not commute has no fixed_ordering in common with anything but what
    -- follows from it alone: not even with a current state that holds the same, for those branches have values that neither shows.
    v_fixed[i] := case
      when p_outcomes[i] = 1 and (p_commutes[i] or cardinality(v_tips_now) = 1) then v_room_fixed_now
      when p_after_ids[i] = '{}' and t_fixed[i] is not null then t_fixed[i]
      else -v_ordering end;

    if t_merged[i] and v_branches[i] is null then
      -- What it is followed by here may cite it: the state after it is written already.
      v_new_ids := v_new_ids || p_events[i];
      v_new_groups := v_new_groups || v_afters[i];
      v_new_fixed := v_new_fixed || v_fixed[i];
    end if;
    v_orderings[i] := v_ordering;
    r.stream_ordering := v_ordering;
    if p_outcomes[i] = 1 then
      v_accepted[i] := true;
      r.accepted_ordering := v_ordering;
      r.state_group := v_current;
      r.fixed_ordering := v_room_fixed_now;
      r.extremities := v_tips_now;
      extremities[i] := cardinality(v_tips_now);
      if extremities[i] between 2 and 20 then
        v_tips[i] := v_tips_now;
        v_currents[i] := v_current;
        v_room_fixed[i] := v_room_fixed_now;
        v_has_tips := true;
      end if;
      v_has_refused := v_has_refused or v_refused[i] is not null;
      if p_other_changes[i] then
        perform fn.project_state(r.room_id, p_now_types[i]::bytea[], p_now_keys[i]::bytea[], p_now_ids[i]::bytea[]);
      end if;
    end if;
  end loop;
  if r.stream_ordering <> v_held[k].stream_ordering then
    v_written := v_written || r;
  end if;
  if v_written = '{}' then
    return;
  end if;

  insert into state_entries (room_id, lineage, type, state_key, position, event_id)
  select i.room_id, 0, c.type, c.state_key, i.trunk + c.place, c.event_id
  from unnest(p_rooms, v_trunks, p_now_types, p_now_keys, p_now_ids) as i(room_id, trunk, types, keys, ids)
  cross join lateral unnest(i.types::bytea[], i.keys::bytea[], i.ids::bytea[]) with ordinality as c(type, state_key, event_id, place)
  where i.trunk is not null
  union all
  select i.room_id, i.lineage, c.type, c.state_key, c.place, c.event_id
  from unnest(p_rooms, v_branches, p_after_types, p_after_keys, p_after_ids) as i(room_id, lineage, types, keys, ids)
  cross join lateral unnest(i.types::bytea[], i.keys::bytea[], i.ids::bytea[]) with ordinality as c(type, state_key, event_id, place)
  where i.lineage is not null;
  if v_has_branches then
    insert into state_lineages (room_id, lineage, path_lineages, path_positions)
    select i.room_id, i.lineage, '{0}', array[i.before::integer]
    from unnest(p_rooms, v_branches, v_befores) as i(room_id, lineage, before) where i.lineage is not null;
  end if;

  insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, judged_at,
                      state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin,
                      prev_events, auth_events, pdu, verdict)
  select i.room_id, i.event_id, i.ordering, i.outcome, i.reason, i.depth, i.origin_server_ts, p_now, i.judged_at,
         i.before, i.now, i.after, i.fixed, i.type, i.state_key, i.sender, i.origin, i.prevs::bytea[], i.auths::bytea[], i.pdu, i.verdict
  from unnest(p_rooms, p_events, v_orderings, p_outcomes, p_reasons, p_depths, p_timestamps, p_judged_at, v_befores, t_nows, v_afters, v_fixed,
              p_types, p_state_keys, p_senders, p_origins, p_prevs, p_auths, p_pdus, p_verdicts)
    as i(room_id, event_id, ordering, outcome, reason, depth, origin_server_ts, judged_at, before, now, after, fixed,
         type, state_key, sender, origin, prevs, auths, pdu, verdict)
  where i.ordering is not null
  -- An outlier that has come by itself. Its ordering stays: what follows from it may be stored already.
  on conflict (room_id, event_id) do update set
    outcome = excluded.outcome, reason = excluded.reason, stored_at = excluded.stored_at, judged_at = excluded.judged_at,
    state_group_before = excluded.state_group_before, state_group_now = excluded.state_group_now,
    state_group_after = excluded.state_group_after, fixed_ordering = excluded.fixed_ordering, origin = excluded.origin,
    pdu = excluded.pdu, verdict = excluded.verdict, outlier = false;
  insert into event_ids (event_id, room_id)
  select i.event_id, i.room_id from unnest(p_rooms, p_events, v_orderings) as i(room_id, event_id, ordering) where i.ordering is not null
  on conflict do nothing;
  insert into auth_edges (room_id, auth_event_id, event_id)
  select i.room_id, a.id, i.event_id
  from unnest(p_rooms, p_events, p_auths, v_orderings) as i(room_id, event_id, auths, ordering)
  cross join lateral unnest(i.auths::bytea[]) as a(id)
  where i.ordering is not null
  on conflict do nothing;
  update rooms o
  set stream_ordering = w.stream_ordering, accepted_ordering = w.accepted_ordering, state_group = w.state_group, lineages = w.lineages,
      fixed_ordering = w.fixed_ordering, extremities = w.extremities
  from unnest(v_written) as w where o.room_id = w.room_id;
  if v_has_tips then
    insert into extremity_states (room_id, extremities_digest, state_group, fixed_ordering)
    select i.room_id, d.digest, i.state_group, i.fixed_ordering
    from unnest(p_rooms, v_tips, v_currents, v_room_fixed) as i(room_id, tips, state_group, fixed_ordering)
    cross join lateral fn.digest_of_set(i.tips::bytea[]) as d(digest)
    where i.tips is not null;
  end if;
  if v_has_refused then
    delete from refusals f using unnest(p_rooms, p_events, v_accepted, v_refused) as i(room_id, event_id, accepted, refused)
    where i.accepted and i.refused and f.room_id = i.room_id and f.event_id = i.event_id;
  end if;

  if m_places <> '{}' and not (true = all (v_accepted)) then
    -- Only what was accepted changes members.
    select array_agg(m.place), array_agg(m.room_id), array_agg(m.user_id), array_agg(m.server), array_agg(m.event_id),
           array_agg(m.membership), array_agg(m.reason), array_agg(m.displayname), array_agg(m.avatar_url), array_agg(m.invited_by),
           array_agg(m.third_party), array_agg(m.authoriser)
    into m_places, m_rooms, m_users, m_servers, m_events, m_memberships, m_reasons, m_displaynames, m_avatars, m_inviters, m_third_party,
         m_authorisers
    from unnest(m_places, m_rooms, m_users, m_servers, m_events, m_memberships, m_reasons, m_displaynames, m_avatars, m_inviters,
                m_third_party, m_authorisers)
      as m(place, room_id, user_id, server, event_id, membership, reason, displayname, avatar_url, invited_by, third_party, authoriser)
    where v_accepted[m.place];
  end if;
  select array_agg(m_places[c.place]) as places, array_agg(c.room_id) as rooms, array_agg(c.server_name) as servers,
         array_agg(c.joins) as joins
  into v_moves from fn.joined_changes(m_rooms, m_users, m_servers, m_memberships) c;

  -- Each to the servers that had a member joined before it, which what came just before it here may have changed; and in the order of
  -- the room's events, which the numbers of deliveries follow.
  with told as (
    insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
    select i.room_id, i.event_id, i.ordering, d.names, p_now
    from unnest(p_rooms, p_events, v_orderings, p_origins, p_also_tell, v_accepted) with ordinality
      as i(room_id, event_id, ordering, origin, also_tell, accepted, place)
    cross join lateral fn.destinations_of(p_server, i.room_id, i.origin, i.also_tell, i.place, v_moves.places, v_moves.rooms,
                                          v_moves.servers, v_moves.joins) as d
    where i.accepted and i.also_tell <> '{NULL}'
    returning room_id, event_id, stream_ordering, destinations)
  insert into deliveries (destination, room_id, event_id, created_at)
  select d.name, t.room_id, t.event_id, p_now
  from told t cross join lateral unnest(t.destinations) as d(name)
  order by t.room_id, t.stream_ordering, d.name;

  if v_moves.places is not null then
    perform fn.count_members(v_moves.rooms, v_moves.servers, v_moves.joins);
  end if;
  if m_places <> '{}' then
    perform fn.project_members(m_rooms, p_now, m_users, m_events, m_memberships, m_reasons, m_displaynames, m_avatars, m_inviters,
                            m_third_party, m_authorisers);
  end if;
  for v_origin in
    select distinct i.origin from unnest(p_origins, v_orderings) as i(origin, ordering)
    where i.ordering is not null and i.origin <> p_server
      and not exists (select from remote_servers s where s.server_name = i.origin and s.last_seen > p_now - 3600000)
    order by i.origin loop
    perform fn.see_server(v_origin, p_now, p_servers_limit);
  end loop;
end $$;
