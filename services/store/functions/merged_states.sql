-- States told by their differences from the trunk, and states that differ by commuting changes alone, put together.

-- The lowest position of the trunk that the groups stand on: a state from which all of them are told.
create function fn.common_trunk(p_room bytea, p_groups bigint[]) returns bigint
language sql stable as $$
  select min(p.positions[cardinality(p.positions)])
  from unnest(p_groups) as g(state_group) cross join lateral fn.state_path(p_room, g.state_group) p
$$;

-- Where each group may differ from the trunk at p_base, which is not above what it stands on; by its place among the groups.
create function fn.changes_since(p_room bytea, p_base bigint, p_groups bigint[])
returns table (place bigint, type bytea, state_key bytea, event_id bytea)
language sql stable as $$
  select distinct on (g.place, e.type, e.state_key) g.place, e.type, e.state_key, e.event_id
  from unnest(p_groups) with ordinality as g(state_group, place)
  cross join lateral fn.state_path(p_room, g.state_group) p
  cross join lateral unnest(p.lineages, p.positions) with ordinality as path(lineage, position, distance)
  cross join lateral (
    -- In the order of their positions, so that only these are read: by its key, all of a trunk might be.
    select * from state_entries x
    where x.room_id = p_room and x.lineage = path.lineage and x.position <= path.position
      and x.position > case when path.lineage = 0 then p_base else 0 end
    order by x.position) as e
  order by g.place, e.type, e.state_key, path.distance, e.position desc
$$;

-- The groups put together, as changes of the trunk at p_base. They differ by commuting changes alone: each key has at most one value
-- that is not the one they started from, and that is the event stored last, for it cites the other.
create function fn.merged_changes(p_room bytea, p_base bigint, p_groups bigint[])
returns table (type bytea, state_key bytea, event_id bytea)
language sql stable as $$
  with changed as materialized (
    select c.type, c.state_key, c.event_id from fn.changes_since(p_room, p_base, p_groups) c),
  somewhere as (
    -- Keys that some group has as the base has them.
    select c.type, c.state_key from changed c group by c.type, c.state_key having count(*) < cardinality(p_groups)),
  every_value as (
    select c.type, c.state_key, c.event_id from changed c
    union all
    select s.type, s.state_key, s.event_id
    from (select array_agg(k.type) as types, array_agg(k.state_key) as keys from somewhere k) k
    cross join lateral fn.state_at(p_room, array[0], array[p_base::integer], k.types, k.keys) s)
  select distinct on (v.type, v.state_key) v.type, v.state_key, v.event_id
  from every_value v
  left join lateral (
    select e.stream_ordering from events e where e.room_id = p_room and e.event_id = v.event_id limit 1) as e on true
  order by v.type, v.state_key, e.stream_ordering desc nulls last
$$;

-- The same for some keys.
create function fn.merged_at(p_room bytea, p_groups bigint[], p_types bytea[], p_keys bytea[])
returns table (type bytea, state_key bytea, event_id bytea)
language plpgsql stable as $$
begin
  if p_groups is null then
    return;
  end if;
  return query
  select distinct on (s.type, s.state_key) s.type, s.state_key, s.event_id
  from unnest(p_groups) as g(state_group)
  cross join lateral fn.state_path(p_room, g.state_group) p
  cross join lateral fn.state_at(p_room, p.lineages, p.positions, p_types, p_keys) s
  left join lateral (
    select e.stream_ordering from events e where e.room_id = p_room and e.event_id = s.event_id limit 1) as e on true
  order by s.type, s.state_key, e.stream_ordering desc nulls last;
end $$;

-- The states after these events, which differ by commuting changes alone, put together: a position of the trunk, if that is what they
-- come to. So it is where all that changed the trunk beyond the furthest of them that is a position of it, or branches from one, is one of
-- these events each, and that is all that the state after it adds to where it branches. Null: it is not, or not as plainly.
-- p_new_…: events that are about to be stored.
create function fn.trunk_after(p_room bytea, p_events bytea[], p_new_ids bytea[], p_new_groups bigint[]) returns bigint
language sql stable as $$
  with cited as materialized (
    select e.event_id, e.state_group_after >= 4294967296 as is_beside,
           case when e.state_group_after < 4294967296 then e.state_group_after else branch.position end as position
    from (select distinct unnest(p_events) as id) as i
    cross join lateral (
      select n.id as event_id, null as type, null as state_key, n.state_group_after
      from unnest(p_new_ids, p_new_groups) as n(id, state_group_after) where n.id = i.id
      union all
      select x.event_id, x.type, x.state_key, x.state_group_after from events x
      where x.room_id = p_room and x.event_id = i.id limit 1) as e
    left join lateral (
      select l.lineage, l.path_positions[1] as position from state_lineages l
      where l.room_id = p_room and l.lineage = (e.state_group_after >> 32)::integer and l.path_lineages = '{0}'
        and (e.state_group_after & 4294967295) = 1
        and (select s.event_id = e.event_id from state_entries s
             where s.room_id = p_room and s.lineage = l.lineage and s.type = e.type and s.state_key = e.state_key and s.position = 1
             limit 1)
      limit 1) as branch on true),
  furthest as (
    select max(c.position) as position, count(*) filter (where c.is_beside) as beside
    from cited c having bool_and(c.position is not null))
  select f.position + f.beside
  from furthest f
  where f.beside = (
    select count(*)
    from (
      select x.event_id from state_entries x
      where x.room_id = p_room and x.lineage = 0 and x.position > f.position
      order by x.position limit f.beside) as changed
    where changed.event_id in (select c.event_id from cited c where c.is_beside))
$$;

-- The state before an event with these prev events: one group, or the groups that it is put together from; and the newest event that
-- led to it and does not commute. All null: a resolution has to tell. p_new_…: events that are about to be stored.
create function fn.group_before(p_room bytea, p_prev bytea[], p_new_ids bytea[] default '{}', p_new_groups bigint[] default '{}',
                                p_new_fixed bigint[] default '{}',
                                out state_group bigint, out fixed_ordering bigint, out merged bigint[])
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
  left join lateral (
    select n.state_group_after, n.fixed_ordering
    from unnest(p_new_ids, p_new_groups, p_new_fixed) as n(id, state_group_after, fixed_ordering) where n.id = p.id
    union all
    select e.state_group_after, e.fixed_ordering from events e where e.room_id = p_room and e.event_id = p.id limit 1) as e on true;
  if not coalesce(v_known, false) then
    return;
  end if;
  if cardinality(v_groups) = 1 then
    state_group := v_groups[1];
    fixed_ordering := v_fixed;
    return;
  end if;
  if v_ids <= 20 then
    select s.state_group, s.fixed_ordering into state_group, fixed_ordering
    from fn.digest_of_set(p_prev) as d(digest)
    cross join lateral (
      select * from extremity_states x where x.room_id = p_room and x.extremities_digest = d.digest limit 1) as s;
  end if;
  if state_group is null and v_fixed is not null then
    fixed_ordering := v_fixed;
    state_group := case when v_ids <= 20 then fn.trunk_after(p_room, p_prev, p_new_ids, p_new_groups) end;
    merged := case when state_group is null then v_groups end;
  end if;
end $$;
