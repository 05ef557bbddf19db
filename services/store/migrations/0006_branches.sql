-- Forks: the states that meet at an event, told by their differences, so that a validator can resolve them; states that differ by
-- commuting changes alone, put together here; and events whose state before them was resolved.

-- Who cites an event as an auth event.
create table auth_edges (
  room_id       bytea not null,
  auth_event_id bytea not null,
  event_id      bytea not null,
  primary key (room_id, auth_event_id, event_id)
);
insert into auth_edges (room_id, auth_event_id, event_id)
select distinct e.room_id, a.id, e.event_id from events e cross join lateral unnest(e.auth_events) as a(id);

-- Until now an event that did not commute, beside other branches, had its own fixed_ordering in common with the current state
-- although it did not see those. In rooms that have one, no state is said to have anything in common with another any more.
create temporary table forked_rooms on commit drop as
  select distinct e.room_id from events e
  where e.outcome = 1 and e.fixed_ordering = e.stream_ordering and e.state_group_after >> 32 <> 0;
update events e set fixed_ordering = -e.stream_ordering from forked_rooms f where e.room_id = f.room_id;
update rooms o set fixed_ordering = o.accepted_ordering from forked_rooms f where o.room_id = f.room_id;
delete from extremity_states s using forked_rooms f where s.room_id = f.room_id;

-- What has changed on a lineage since a position.
create index state_entries_by_position on state_entries (room_id, lineage, position);

-- The lowest position of the trunk that the groups stand on: a state from which all of them are told.
create function common_trunk(p_room bytea, p_groups bigint[]) returns bigint
language sql stable as $$
  select min(p.positions[cardinality(p.positions)])
  from unnest(p_groups) as g(state_group) cross join lateral state_path(p_room, g.state_group) p
$$;

-- Where each group may differ from the trunk at p_base, which is not above what it stands on; by its place among the groups.
create function changes_since(p_room bytea, p_base bigint, p_groups bigint[])
returns table (place bigint, type bytea, state_key bytea, event_id bytea)
language sql stable as $$
  select distinct on (g.place, e.type, e.state_key) g.place, e.type, e.state_key, e.event_id
  from unnest(p_groups) with ordinality as g(state_group, place)
  cross join lateral state_path(p_room, g.state_group) p
  cross join lateral unnest(p.lineages, p.positions) with ordinality as path(lineage, position, distance)
  join state_entries e on e.room_id = p_room and e.lineage = path.lineage and e.position <= path.position
    and e.position > case when path.lineage = 0 then p_base else 0 end
  order by g.place, e.type, e.state_key, path.distance, e.position desc
$$;

-- The groups put together, as changes of the trunk at p_base. They differ by commuting changes alone: each key has at most one value
-- that is not the one they started from, and that is the event stored last, for it cites the other.
create function merged_changes(p_room bytea, p_base bigint, p_groups bigint[])
returns table (type bytea, state_key bytea, event_id bytea)
language sql stable as $$
  with changed as materialized (
    select c.type, c.state_key, c.event_id from changes_since(p_room, p_base, p_groups) c),
  somewhere as (
    -- Keys that some group has as the base has them.
    select c.type, c.state_key from changed c group by c.type, c.state_key having count(*) < cardinality(p_groups)),
  every_value as (
    select c.type, c.state_key, c.event_id from changed c
    union all
    select s.type, s.state_key, s.event_id
    from (select array_agg(k.type) as types, array_agg(k.state_key) as keys from somewhere k) k
    cross join lateral state_at(p_room, array[0], array[p_base::integer], k.types, k.keys) s)
  select distinct on (v.type, v.state_key) v.type, v.state_key, v.event_id
  from every_value v left join events e on e.room_id = p_room and e.event_id = v.event_id
  order by v.type, v.state_key, e.stream_ordering desc nulls last
$$;

-- The same for some keys.
create function merged_at(p_room bytea, p_groups bigint[], p_types bytea[], p_keys bytea[])
returns table (type bytea, state_key bytea, event_id bytea)
language plpgsql stable as $$
begin
  if p_groups is null then
    return;
  end if;
  return query
  select distinct on (s.type, s.state_key) s.type, s.state_key, s.event_id
  from unnest(p_groups) as g(state_group)
  cross join lateral state_path(p_room, g.state_group) p
  cross join lateral state_at(p_room, p.lineages, p.positions, p_types, p_keys) s
  left join events e on e.room_id = p_room and e.event_id = s.event_id
  order by s.type, s.state_key, e.stream_ordering desc nulls last;
end $$;

-- The state before an event with these prev events: one group, or the groups that it is put together from; and the newest event that
-- led to it and does not commute. All null: a resolution has to tell.
drop function group_before(bytea, bytea[]);
create function group_before(p_room bytea, p_prev bytea[], out state_group bigint, out fixed_ordering bigint, out merged bigint[])
language plpgsql stable as $$
declare
  v_known boolean;
  v_groups bigint[];
  v_ids integer;
  v_fixed bigint;
begin
  select bool_and(e.state_group_after is not null), array_agg(distinct e.state_group_after), count(distinct p.id),
         case when count(distinct e.fixed_ordering) = 1 then min(e.fixed_ordering) end
  into v_known, v_groups, v_ids, v_fixed
  from unnest(p_prev) as p(id)
  left join events e on e.room_id = p_room and e.event_id = p.id;
  if not coalesce(v_known, false) then
    return;
  end if;
  if cardinality(v_groups) = 1 then
    state_group := v_groups[1];
    fixed_ordering := v_fixed;
    return;
  end if;
  if v_ids <= 20 then
    select s.state_group, s.fixed_ordering into state_group, fixed_ordering from extremity_states s
    where s.room_id = p_room and s.extremities_digest = set_digest(p_prev);
  end if;
  if state_group is null and v_fixed is not null then
    fixed_ordering := v_fixed;
    merged := v_groups;
  end if;
end $$;

-- Which of these events are in the auth chain of an entry that all branches have: a current entry of the state at the given path, of
-- none of the given keys. From each event upwards along those that cite it, until such an entry is found. Null: there is too
-- much above it to tell.
create function reached_by_agreed(p_room bytea, p_lineages integer[], p_positions integer[], p_types bytea[], p_keys bytea[],
                                  p_ids bytea[])
returns table (event_id bytea, reached boolean)
language plpgsql stable as $$
declare
  -- Of the many that cite a create or power levels event in a large room, the first few nearly always tell: round 0 looks at those alone.
  c_glance constant integer := 8;
  c_citing constant integer := 200;
  c_rounds constant integer := 500;
  c_work constant integer := 100000;
  -- Pairs: the event asked about, and how far up its citers have been looked at.
  v_ids bytea[] := p_ids;
  v_places bytea[] := p_ids;
  v_found bytea[] := '{}';
  v_found_now bytea[];
  v_cut bytea[] := '{}';
  v_cut_now bytea[];
  v_work integer := 0;
begin
  for round in 0 .. c_rounds loop
    exit when coalesce(cardinality(v_ids), 0) = 0 or v_work > c_work;
    with citing as materialized (
      select w.id, c.event_id, c.number
      from unnest(v_ids, v_places) as w(id, place)
      cross join lateral (
        select g.event_id, row_number() over () as number from auth_edges g
        where g.room_id = p_room and g.auth_event_id = w.place limit case round when 0 then c_glance else c_citing end) as c),
    citers as materialized (select distinct c.event_id from citing c),
    entries as materialized (
      select e.event_id
      from citers c
      join events e on e.room_id = p_room and e.event_id = c.event_id and e.state_key is not null
      cross join lateral state_at(p_room, p_lineages, p_positions, array[e.type], array[e.state_key]) s
      where s.event_id = e.event_id
        and not exists (select from unnest(p_types, p_keys) as k(type, state_key)
                        where k.type = e.type and k.state_key = e.state_key)),
    hits as (select distinct c.id from citing c join entries e on e.event_id = c.event_id),
    above as (
      select distinct c.id, c.event_id from citing c where not exists (select from hits h where h.id = c.id))
    select (select array_agg(h.id) from hits h),
           (select array_agg(distinct c.id) from citing c where c.number = c_citing),
           (select array_agg(o.id) from above o), (select array_agg(o.event_id) from above o),
           v_work + (select count(*) from citing)::integer
    into v_found_now, v_cut_now, v_ids, v_places, v_work;
    v_found := v_found || coalesce(v_found_now, '{}');
    if round = 0 then
      v_ids := array(select unnest(p_ids) except select unnest(v_found));
      v_places := v_ids;
      v_work := 0;
      continue;
    end if;
    v_cut := v_cut || coalesce(v_cut_now, '{}');
  end loop;
  -- What is still open was given up.
  v_cut := v_cut || coalesce(v_ids, '{}');
  return query
  select i.id, case when i.id = any (v_found) then true when i.id = any (v_cut) then null else false end
  from unnest(p_ids) as i(id);
end $$;

-- The branches that meet at an event. Rows, beside those of context_rows:
--   t  n1 the base: a position of the trunk
--   o  there is more than the limits allow: nothing else
--   k  a key that may differ: a type, b state key, id its value in the base
--   g  a branch: n1 its place, f1 the state before the event or after a prev event, f2 after an extremity beside it; neither: the
--      current state
--   v  where a branch differs from the base: n1 the branch, a, b, id
--   w  a key on which all agree: a, b, id
--   y  an event of the chains: id, f1 it is in the chain of something all agree on
--   e  an event named by these or in the chains
-- No row: the state after some event that counts is not known.
create function branch_rows(p_room bytea, p_prev bytea[], p_extremities bytea[], p_auth bytea[], p_own_type bytea, p_own_key bytea,
                            p_types bytea[], p_keys bytea[], p_before bigint, p_merged bigint[], p_now bigint)
returns setof context_row
language plpgsql stable as $$
declare
  c_branches constant integer := 1000;
  c_keys constant integer := 5000;
  c_changes constant integer := 50000;
  c_events constant integer := 5000;
  c_bytes constant bigint := 8 * 1024 * 1024;
  v_too_large constant context_row := ('o', null, null, null, null, null, null, null, null, null)::context_row;
  v_beside bigint[];
  v_before bigint[];
  v_groups bigint[];
  v_first_beside integer;
  v_base bigint;
  v_places bigint[];
  v_change_types bytea[];
  v_change_keys bytea[];
  v_change_ids bytea[];
  v_listed_types bytea[];
  v_listed_keys bytea[];
  v_listed_ids bytea[];
  v_levels bytea;
  v_chain bytea[];
  v_values bytea[];
  v_bytes bigint;
begin
  select array_agg(distinct e.state_group_after) into v_beside
  from unnest(p_extremities) as x(id)
  left join events e on e.room_id = p_room and e.event_id = x.id
  where x.id <> all (superseded(p_room, p_prev, p_extremities));
  v_beside := coalesce(v_beside, '{}');
  v_before := case when p_before is null then p_merged else array[p_before] end;
  if v_before is null then
    select array_agg(distinct e.state_group_after) into v_before
    from unnest(p_prev) as p(id) left join events e on e.room_id = p_room and e.event_id = p.id;
  end if;
  if array_position(v_beside, null) is not null or array_position(v_before, null) is not null then
    return;
  end if;
  if cardinality(v_beside) + cardinality(v_before) > c_branches then
    return next v_too_large;
    return;
  end if;

  -- Place 1 is the current state; merged states are one branch, at place 2.
  v_groups := array[p_now] || case when p_merged is null then v_before else array[p_now] end || v_beside;
  v_first_beside := 2 + case when p_merged is null then cardinality(v_before) else 1 end;
  v_base := common_trunk(p_room, array[p_now] || v_before || v_beside);
  select array_agg(c.place), array_agg(c.type), array_agg(c.state_key), array_agg(c.event_id)
  into v_places, v_change_types, v_change_keys, v_change_ids
  from (
    select c.place, c.type, c.state_key, c.event_id from changes_since(p_room, v_base, v_groups) c
    where p_merged is null or c.place <> 2
    union all
    select 2, m.type, m.state_key, m.event_id from merged_changes(p_room, v_base, p_merged) m where p_merged is not null
    limit c_changes + 1) as c;
  if cardinality(v_places) > c_changes then
    return next v_too_large;
    return;
  end if;

  select array_agg(k.type), array_agg(k.state_key), array_agg(s.event_id) into v_listed_types, v_listed_keys, v_listed_ids
  from (
    select c.type, c.state_key from unnest(v_change_types, v_change_keys) as c(type, state_key)
    union select p_own_type, p_own_key where p_own_type is not null) as k
  left join lateral state_at(p_room, array[0], array[v_base::integer], array[k.type], array[k.state_key]) s on true;
  v_listed_types := coalesce(v_listed_types, '{}');
  v_listed_keys := coalesce(v_listed_keys, '{}');
  if cardinality(v_listed_types) > c_keys then
    return next v_too_large;
    return;
  end if;

  select s.event_id into v_levels
  from state_at(p_room, array[0], array[v_base::integer], array['m.room.power_levels'::bytea], array[''::bytea]) s;
  v_values := array_remove(coalesce(v_change_ids, '{}') || coalesce(v_listed_ids, '{}'), null);
  with recursive chain(id) as (
    select unnest(v_values || p_auth || v_levels)
    union
    select a.id
    from chain join events e on e.room_id = p_room and e.event_id = chain.id cross join lateral unnest(e.auth_events) as a(id))
  select array_agg(c.id) into v_chain from (select chain.id from chain where chain.id is not null limit c_events + 1) as c;
  select sum(octet_length(e.pdu)) into v_bytes from events e where e.room_id = p_room and e.event_id = any (v_chain);
  if cardinality(v_chain) > c_events or v_bytes > c_bytes then
    return next v_too_large;
    return;
  end if;

  return query
  with agreed as materialized (
    select k.type, k.state_key, s.event_id
    from (
      select t.type::bytea, ''::bytea as state_key
      from (values ('m.room.create'), ('m.room.power_levels'), ('m.room.join_rules')) as t(type)
      union select w.type, w.state_key from unnest(p_types, p_keys) as w(type, state_key)
      union select 'm.room.member', e.sender from events e where e.room_id = p_room and e.event_id = any (v_chain)
      union
      select e.type, e.state_key from events e
      where e.room_id = p_room and e.event_id = any (v_chain) and e.state_key is not null
      union
      -- Who has let a member in, and by which token one was invited: read as text, wherever in the event it stands. What is found too much
      -- is told in vain; what is not found because it was written with escapes is missed by the validator, which says so.
      select case m.found[1] when 'token' then 'm.room.third_party_invite' else 'm.room.member' end::bytea,
             convert_to(m.found[2], 'UTF8')
      from events e
      cross join lateral regexp_matches(convert_from(e.pdu, 'UTF8'), '"(join_authorised_via_users_server|token)":"([^"\\]*)"', 'g')
        as m(found)
      where e.room_id = p_room and e.event_id = any (v_chain) and e.type = 'm.room.member') as k
    left join lateral state_at(p_room, array[0], array[v_base::integer], array[k.type], array[k.state_key]) s on true
    where not exists (select from unnest(v_listed_types, v_listed_keys) as l(type, state_key)
                      where l.type = k.type and l.state_key = k.state_key))
  select 't'::"char", null::bytea, null::bytea, null::bytea, v_base, null::bigint, null::bigint, null::boolean, null::boolean,
         null::boolean
  union all
  select 'k', k.id, k.type, k.state_key, null, null, null, null, null, null
  from unnest(v_listed_types, v_listed_keys, v_listed_ids) as k(type, state_key, id)
  union all
  select 'g', null, null, null, g.place, null, null, g.place > 1 and g.place < v_first_beside, g.place >= v_first_beside, null
  from generate_series(1, cardinality(v_groups)) as g(place)
  union all
  select 'v', c.id, c.type, c.state_key, c.place, null, null, null, null, null
  from unnest(v_places, v_change_types, v_change_keys, v_change_ids) as c(place, type, state_key, id)
  union all
  select 'w', w.event_id, w.type, w.state_key, null, null, null, null, null, null from agreed w
  union all
  select 'y', y.event_id, null, null, null, null, null, y.reached, null, null
  from reached_by_agreed(p_room, array[0], array[v_base::integer], v_listed_types, v_listed_keys, v_chain) y
  where y.reached is not null
  union all
  select 'e', e.event_id, e.pdu, null, null, null, null, e.rejected, e.soft_failed, null
  from (select unnest(v_chain) as id union select w.event_id from agreed w) as n
  join events e on e.room_id = p_room and e.event_id = n.id;
end $$;

drop function context_rows(bytea, bytea, bytea[], bytea[], bytea[], bytea[], bigint, bigint);
create function context_rows(p_room bytea, p_event bytea, p_prev bytea[], p_auth bytea[], p_types bytea[], p_keys bytea[],
                             p_before bigint, p_merged bigint[], p_now bigint) returns setof context_row
language plpgsql stable as $$
declare
  v_now record;
  v_before record;
begin
  select * into v_now from state_path(p_room, p_now);
  -- Where the two are one group, the second is looked up for no key at all.
  select * into v_before from state_path(p_room, coalesce(p_before, p_now));
  return query
  with now_entries as materialized (
    select * from state_at(p_room, v_now.lineages, v_now.positions, p_types, p_keys)),
  before_entries as materialized (
    select * from state_at(p_room, v_before.lineages, v_before.positions,
                           case when p_before <> p_now then p_types else '{}' end,
                           case when p_before <> p_now then p_keys else '{}' end)
    union all
    select * from merged_at(p_room, p_merged, p_types, p_keys)),
  cited as materialized (
    select c.kind, c.id, c.place from (
      select 'p'::"char", p.id, p.place from unnest(p_prev) with ordinality as p(id, place)
      union all
      select 'a'::"char", a.id, a.place from unnest(p_auth) with ordinality as a(id, place)) as c(kind, id, place)),
  named as materialized (
    select n.event_id as id from now_entries n union select b.event_id from before_entries b union select c.id from cited c),
  held as materialized (
    select e.event_id as id, e.pdu, e.rejected, e.soft_failed
    from named join events e on e.room_id = p_room and e.event_id = named.id)
  select 'n'::"char", n.event_id, n.type, n.state_key, null::bigint, null::bigint, null::bigint, null::boolean, null::boolean,
         null::boolean
  from now_entries n
  union all
  select 'b', b.event_id, b.type, b.state_key, null, null, null, null, null, null from before_entries b
  union all
  select c.kind, c.id, null, null, c.place, null, null, h.id is not null or r.event_id is not null,
         h.id is null and r.event_id is not null, null
  from cited c
  left join held h on h.id = c.id
  left join refusals r on r.room_id = p_room and r.event_id = c.id
  union all
  select 'e', h.id, h.pdu, null, null, null, null, h.rejected, h.soft_failed, null from held h
  union all
  select 'x', x.event_id, x.pdu, null, x.outcome, x.reason, null, null, null, null
  from events x where x.room_id = p_room and x.event_id = p_event;
end $$;

-- A row of kind m follows that of kind r: n1 the fixed_ordering of the state before, f1 it is put together from the states after the
-- prev events. p_own_type, p_own_key: null where the event is no state event.
drop function event_context(bytea, bytea, bytea, bytea[], bytea[], bytea[], bytea[]);
create function event_context(p_room bytea, p_event bytea, p_sender bytea, p_prev bytea[], p_auth bytea[], p_types bytea[],
                              p_keys bytea[], p_with_branches boolean, p_own_type bytea, p_own_key bytea)
returns setof context_row
language plpgsql stable as $$
declare
  r record;
  v_extends boolean;
  v_before record;
begin
  select o.room_version, o.accepted_ordering, o.fixed_ordering, o.state_group, o.extremities, m.membership into r
  from rooms o left join memberships m on m.room_id = o.room_id and m.user_id = p_sender
  where o.room_id = p_room;
  if not found then
    return;
  end if;
  v_extends := p_prev <@ r.extremities and r.extremities <@ p_prev;
  if v_extends then
    select r.state_group, r.fixed_ordering, null::bigint[] as merged into v_before;
  else
    select * into v_before from group_before(p_room, p_prev);
  end if;
  return next ('r', null, r.room_version::bytea, r.membership::bytea, r.accepted_ordering, v_before.state_group, r.state_group,
               v_extends, null, v_before.fixed_ordering is distinct from r.fixed_ordering)::context_row;
  return next ('m', null, null, null, v_before.fixed_ordering, null, null, v_before.merged is not null, null, null)::context_row;
  return query select * from context_rows(p_room, p_event, p_prev, p_auth, p_types, p_keys, v_before.state_group, v_before.merged,
                                          r.state_group);
  if p_with_branches and not v_extends then
    return query select * from branch_rows(p_room, p_prev, r.extremities, p_auth, p_own_type, p_own_key, p_types, p_keys,
                                           v_before.state_group, v_before.merged, r.state_group);
  end if;
end $$;

-- p_server: this server. A room with more than 20 extremities is extended at its 20 oldest.
create or replace function template_context(p_room bytea, p_user bytea, p_server bytea, p_types bytea[], p_keys bytea[])
returns setof context_row
language plpgsql stable as $$
declare
  r record;
  v_prev bytea[];
  v_extends boolean;
  v_before record;
begin
  select o.room_version, o.accepted_ordering, o.fixed_ordering, o.state_group, o.extremities, m.membership,
         exists (select from room_servers s
                 where s.room_id = o.room_id and s.server_name = p_server and s.joined_members > 0) as resident
  into r
  from rooms o left join memberships m on m.room_id = o.room_id and m.user_id = p_user
  where o.room_id = p_room;
  if not found then
    return;
  end if;
  v_prev := r.extremities[:20];
  v_extends := cardinality(r.extremities) <= 20;
  if v_extends then
    select r.state_group, r.fixed_ordering, null::bigint[] as merged into v_before;
  else
    select * into v_before from group_before(p_room, v_prev);
  end if;
  return next ('r', null, r.room_version::bytea, r.membership::bytea, r.accepted_ordering, v_before.state_group, r.state_group,
               v_extends, r.resident, null)::context_row;
  return next ('m', null, null, null, v_before.fixed_ordering, null, null, v_before.merged is not null, null, null)::context_row;
  return query select * from context_rows(p_room, null, v_prev, '{}', p_types, p_keys, r.state_group, null, r.state_group);
end $$;

-- Persists one judged event. Answers `result`: 0 stored, 1 was stored before (nothing written), 2 conflict (nothing written), 3 the room
-- is not known; with the outcome and reason that are stored. p_outcome: 1 accepted, 2 soft-failed, 3 rejected.
drop function persist_event(bytea, bytea, bytea, bytea, bytea, integer, integer, bytea, bytea, bigint, bigint, bytea, bytea,
  bytea, bigint, bigint, bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[],
  text[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], boolean, bigint, bigint, bigint, integer,
  integer, boolean);
create function persist_event(
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
  p_refusals_limit integer, p_servers_limit integer, p_in_doubt boolean,
  out result integer, out stored_outcome integer, out stored_reason integer)
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
    v_gone := superseded(p_room, p_prev, r.extremities);
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
    select g.merged, g.state_group, common_trunk(p_room, g.merged) as base into v_merged from group_before(p_room, p_prev) g;
    v_before := v_merged.state_group;
    if v_before is null then
      v_lineages := v_lineages + 1;
      select branch_state(p_room, v_merged.base, v_lineages, array_agg(m.type), array_agg(m.state_key), array_agg(m.event_id))
      into v_before from merged_changes(p_room, v_merged.base, v_merged.merged) m;
    end if;
  elsif cardinality(p_before_ids) > 0 then
    v_lineages := v_lineages + 1;
    v_before := branch_state(p_room, t_before, v_lineages, p_before_types, p_before_keys, p_before_ids);
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
    v_after := branch_state(p_room, v_before, v_lineages, p_after_types, p_after_keys, p_after_ids);
  end if;
  -- A state that has come to differ from the current one by more than commuting changes has no fixed_ordering in common with anything
  -- but what follows from it alone.
  v_own_fixed := case
    when p_outcome = 1 and (p_commutes or v_after = v_current) then v_fixed
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
    from room_servers s
    where s.room_id = p_room and s.joined_members > 0 and s.server_name <> p_origin and s.server_name <> p_server;
    insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
    values (p_room, p_event, v_ordering, v_destinations, p_now);

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
create or replace function append_events(
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
  insert into auth_edges (room_id, auth_event_id, event_id)
  select p_room, a.id, p_ids[a.place] from unnest(p_auth_ids, p_auth_places) as a(id, place)
  on conflict do nothing;
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
