-- Forks: the states that meet at an event, so that a validator can resolve them.

-- Which of these events are in the auth chain of an entry that all branches have: a current entry of the state at the given path, of
-- none of the given keys. From each event upwards along those that cite it, until such an entry is found. Null: there is too
-- much above it to tell.
create function fn.reached_by_agreed(p_room bytea, p_lineages integer[], p_positions integer[], p_types bytea[], p_keys bytea[],
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
      cross join lateral (
        select e.event_id, e.type, e.state_key from events e
        where e.room_id = p_room and e.event_id = c.event_id and e.state_key is not null limit 1) as e
      cross join lateral fn.state_at(p_room, p_lineages, p_positions, array[e.type], array[e.state_key]) s
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
create function fn.branch_rows(p_room bytea, p_prev bytea[], p_extremities bytea[], p_auth bytea[], p_own_type bytea, p_own_key bytea,
                            p_types bytea[], p_keys bytea[], p_before bigint, p_merged bigint[], p_now bigint)
returns setof fn.context_row
language plpgsql stable as $$
declare
  c_branches constant integer := 1000;
  c_keys constant integer := 5000;
  c_changes constant integer := 50000;
  c_events constant integer := 5000;
  c_bytes constant bigint := 8 * 1024 * 1024;
  v_too_large constant fn.context_row := ('o', null, null, null, null, null, null, null, null, null)::fn.context_row;
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
  v_gone constant bytea[] := fn.superseded(p_room, p_prev, p_extremities);
begin
  select array_agg(distinct e.state_group_after) into v_beside
  from unnest(p_extremities) as x(id)
  left join lateral (
    select e.state_group_after from events e where e.room_id = p_room and e.event_id = x.id limit 1) as e on true
  where x.id <> all (v_gone);
  v_beside := coalesce(v_beside, '{}');
  v_before := case when p_before is null then p_merged else array[p_before] end;
  if v_before is null then
    select array_agg(distinct e.state_group_after) into v_before
    from unnest(p_prev) as p(id)
    left join lateral (
      select e.state_group_after from events e where e.room_id = p_room and e.event_id = p.id limit 1) as e on true;
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
  v_base := fn.common_trunk(p_room, array[p_now] || v_before || v_beside);
  select array_agg(c.place), array_agg(c.type), array_agg(c.state_key), array_agg(c.event_id)
  into v_places, v_change_types, v_change_keys, v_change_ids
  from (
    select c.place, c.type, c.state_key, c.event_id from fn.changes_since(p_room, v_base, v_groups) c
    where p_merged is null or c.place <> 2
    union all
    select 2, m.type, m.state_key, m.event_id from fn.merged_changes(p_room, v_base, p_merged) m where p_merged is not null
    limit c_changes + 1) as c;
  if cardinality(v_places) > c_changes then
    return next v_too_large;
    return;
  end if;

  select array_agg(k.type), array_agg(k.state_key), array_agg(s.event_id) into v_listed_types, v_listed_keys, v_listed_ids
  from (
    select c.type, c.state_key from unnest(v_change_types, v_change_keys) as c(type, state_key)
    union select p_own_type, p_own_key where p_own_type is not null) as k
  left join lateral fn.state_at(p_room, array[0], array[v_base::integer], array[k.type], array[k.state_key]) s on true;
  v_listed_types := coalesce(v_listed_types, '{}');
  v_listed_keys := coalesce(v_listed_keys, '{}');
  if cardinality(v_listed_types) > c_keys then
    return next v_too_large;
    return;
  end if;

  select s.event_id into v_levels
  from fn.state_at(p_room, array[0], array[v_base::integer], array['m.room.power_levels'::bytea], array[''::bytea]) s;
  v_values := array_remove(coalesce(v_change_ids, '{}') || coalesce(v_listed_ids, '{}'), null);
  with recursive chain(id) as (
    select unnest(v_values || p_auth || v_levels)
    union
    select a.id
    from chain
    cross join lateral (
      select e.auth_events from events e where e.room_id = p_room and e.event_id = chain.id limit 1) as e
    cross join lateral unnest(e.auth_events) as a(id))
  select coalesce(array_agg(c.id), '{}') into v_chain from (select chain.id from chain where chain.id is not null limit c_events + 1) as c;
  select sum(octet_length(e.pdu)) into v_bytes from events e where e.room_id = p_room and e.event_id = any (v_chain);
  if cardinality(v_chain) > c_events or v_bytes > c_bytes then
    return next v_too_large;
    return;
  end if;

  return query
  with chain as materialized (
    select e.* from unnest(v_chain) as c(id)
    cross join lateral (
      select e.event_id, e.type, e.state_key, e.sender, e.pdu, e.rejected, e.soft_failed from events e
      where e.room_id = p_room and e.event_id = c.id limit 1) as e),
  agreed as materialized (
    select k.type, k.state_key, s.event_id
    from (
      select t.type::bytea, ''::bytea as state_key
      from (values ('m.room.create'), ('m.room.power_levels'), ('m.room.join_rules')) as t(type)
      union select w.type, w.state_key from unnest(p_types, p_keys) as w(type, state_key)
      union select 'm.room.member', e.sender from chain e
      union select e.type, e.state_key from chain e where e.state_key is not null
      union
      -- Who has let a member in, and by which token one was invited: read as text, wherever in the event it stands. What is found too much
      -- is told in vain; what is not found because it was written with escapes is missed by the validator, which says so.
      select case m.found[1] when 'token' then 'm.room.third_party_invite' else 'm.room.member' end::bytea,
             convert_to(m.found[2], 'UTF8')
      from chain e
      cross join lateral regexp_matches(convert_from(e.pdu, 'UTF8'), '"(join_authorised_via_users_server|token)":"([^"\\]*)"', 'g')
        as m(found)
      where e.type = 'm.room.member'
        and (position('"token":'::bytea in e.pdu) > 0 or position('"join_authorised_via_users_server":'::bytea in e.pdu) > 0)) as k
    left join lateral fn.state_at(p_room, array[0], array[v_base::integer], array[k.type], array[k.state_key]) s on true
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
  from fn.reached_by_agreed(p_room, array[0], array[v_base::integer], v_listed_types, v_listed_keys, v_chain) y
  where y.reached is not null
  union all
  select 'e', e.event_id, e.pdu, null, null, null, null, e.rejected, e.soft_failed, null
  from (
    select c.event_id, c.pdu, c.rejected, c.soft_failed from chain c
    union all
    select x.event_id, x.pdu, x.rejected, x.soft_failed
    from (select distinct w.event_id as id from agreed w where w.event_id <> all (v_chain)) as n
    cross join lateral (
      select x.event_id, x.pdu, x.rejected, x.soft_failed from events x where x.room_id = p_room and x.event_id = n.id limit 1) as x) as e;
end $$;

-- What event_context answered with branches, once more: with the forward extremities and the current state as they were then.
create function fn.decision_branches(p_room bytea, p_event bytea, p_prev bytea[], p_auth bytea[], p_types bytea[], p_keys bytea[],
                                     p_now bigint, p_diverge boolean, p_extremities bytea[], p_own_type bytea, p_own_key bytea)
returns setof fn.context_row
language plpgsql stable as $$
declare
  v_version text;
  v_before record;
  v_given bigint;
begin
  select o.room_version into v_version from rooms o where o.room_id = p_room;
  select * into v_before from fn.group_before(p_room, p_prev);
  -- A state that another server told counts as it did then, whatever has become known since.
  select g.state_group into v_given
  from given_states g join events e on e.room_id = g.room_id and e.event_id = g.event_id
  where g.room_id = p_room and g.event_id = p_event and e.state_group_before = g.state_group;
  if v_given is not null then
    select v_given as state_group, null::bigint as fixed_ordering, null::bigint[] as merged into v_before;
  end if;
  return next ('r', null, v_version::bytea, null, 0, v_before.state_group, p_now, false, null, p_diverge)::fn.context_row;
  return next ('m', null, null, null, v_before.fixed_ordering, null, null, v_before.merged is not null, v_given is not null,
               null)::fn.context_row;
  return query select * from fn.context_rows(p_room, p_prev, p_auth, p_types, p_keys, v_before.state_group, v_before.merged, p_now);
  return query select * from fn.branch_rows(p_room, case when v_given is null then p_prev else '{}' end, p_extremities, p_auth,
                                            p_own_type, p_own_key, p_types, p_keys, v_before.state_group, v_before.merged, p_now);
end $$;
