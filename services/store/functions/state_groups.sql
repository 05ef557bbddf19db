-- State groups: what a room's state was at some point, as delta chains of bounded length.
--
-- A state group is one bigint: a lineage (upper 32 bits) and a position (lower 32 bits) in it. A lineage is a list of changes to
-- one entry of state each; position n means its first n changes. Changes lie in state_entries, keyed so that "the value of this
-- key at position n" is one probe of an index: the greatest position up to n.
--
-- Lineage 0 of a room is its trunk: the history of its current state. It starts empty and only ever grows, one row a change, so
-- the current state at any time is one probe a key, however long the history is.
--
-- Every other lineage is written once and is never extended. It holds what a side branch (an event that cites something else than
-- all the forward extremities) adds to the group it branches from, and names its path: the lineages and positions to look
-- at next, the nearest first, ending with the trunk. The first of them that has the key has the value.
--
-- What bounds the path: a new lineage that branches from another one absorbs the nearest lineages of its path, up to the farthest
-- that is no longer than all that is nearer together. So each lineage on a path is longer than all nearer ones together, and a path
-- has at most 2 + log2(changes on the side branch) elements, the trunk included. A change is copied only into a lineage at
-- least twice as long as the shorter of the two that were joined, so writes are O(log) for each change along a branch; the
-- trunk, which may hold 100,000 members, is never copied.

create function fn.state_path(p_room bytea, p_group bigint, out lineages integer[], out positions integer[])
language plpgsql stable as $$
declare
  v_lineage constant integer := (p_group >> 32)::integer;
  v_position constant integer := (p_group & 4294967295)::integer;
begin
  lineages := array[v_lineage];
  positions := array[v_position];
  if v_lineage <> 0 then
    select lineages || l.path_lineages, positions || l.path_positions into strict lineages, positions
    from state_lineages l where l.room_id = p_room and l.lineage = v_lineage;
  end if;
end $$;

-- What a lineage has for a key at a position, and since which; a null id where the key is removed there, no row where the lineage does not
-- have it. Written so that it is inlined, and as the greatest entry up to a bound: in this order only the primary key has them. With equal signs
-- the planner, which knows only the mean room, may go through a lineage from its end instead, be it of 100,000 members.
create function fn.entry_at(p_room bytea, p_lineage integer, p_type bytea, p_key bytea, p_position integer)
returns table (event_id bytea, "position" integer)
language sql stable as $$
  select nearest.event_id, nearest.position
  from (
    select e.lineage, e.type, e.state_key, e.position, e.event_id from state_entries e
    where e.room_id = p_room and (e.lineage, e.type, e.state_key, e.position) <= (p_lineage, p_type, p_key, p_position)
    order by e.lineage desc, e.type desc, e.state_key desc, e.position desc limit 1) as nearest
  where nearest.lineage = p_lineage and nearest.type = p_type and nearest.state_key = p_key
$$;

-- The entries of the given keys in the state that the path leads to. Written so that it is inlined.
create function fn.state_at(p_room bytea, p_lineages integer[], p_positions integer[], p_types bytea[], p_keys bytea[])
returns table (type bytea, state_key bytea, event_id bytea)
language sql stable as $$
  select k.type, k.state_key, found.event_id
  from unnest(p_types, p_keys) as k(type, state_key)
  cross join lateral (
    select nearest.event_id
    from unnest(p_lineages, p_positions) with ordinality as path(lineage, position, distance)
    cross join lateral fn.entry_at(p_room, path.lineage, k.type, k.state_key, path.position) as nearest
    order by path.distance limit 1) as found
  where found.event_id is not null
$$;

-- The whole of a state. As long as the state is: not for the way of a leave.
create function fn.whole_state(p_room bytea, p_group bigint)
returns table (type bytea, state_key bytea, event_id bytea)
language sql stable as $$
  select newest.type, newest.state_key, newest.event_id
  from (
    select distinct on (e.type, e.state_key) e.type, e.state_key, e.event_id
    from fn.state_path(p_room, p_group) p
    cross join lateral unnest(p.lineages, p.positions) with ordinality as path(lineage, position, distance)
    join state_entries e on e.room_id = p_room and e.lineage = path.lineage and e.position <= path.position
    order by e.type, e.state_key, path.distance, e.position desc) as newest
  where newest.event_id is not null
$$;

-- Writes lineage p_lineage: the group p_base with the changes given (one for each key at most). Returns the new group.
create function fn.branch_state(p_room bytea, p_base bigint, p_lineage integer, p_types bytea[], p_keys bytea[], p_ids bytea[])
returns bigint
language plpgsql as $$
declare
  v_lineages integer[];
  v_positions integer[];
  v_nearer bigint := cardinality(p_ids);
  v_absorbed integer := 0;
  v_count integer;
begin
  select p.lineages, p.positions into v_lineages, v_positions from fn.state_path(p_room, p_base) p;
  for i in 1 .. cardinality(v_lineages) loop
    exit when v_lineages[i] = 0;
    if v_positions[i] <= v_nearer then
      v_absorbed := i;
    end if;
    v_nearer := v_nearer + v_positions[i];
  end loop;

  insert into state_entries (room_id, lineage, type, state_key, position, event_id)
  select p_room, p_lineage, c.type, c.state_key, row_number() over (), c.event_id
  from (
    select distinct on (c.type, c.state_key) c.type, c.state_key, c.event_id
    from (
      select n.type, n.state_key, n.event_id, 0 as distance, 0 as position
      from unnest(p_types, p_keys, p_ids) as n(type, state_key, event_id)
      union all
      select e.type, e.state_key, e.event_id, path.distance, e.position
      from unnest(v_lineages[:v_absorbed], v_positions[:v_absorbed]) with ordinality as path(lineage, position, distance)
      cross join lateral (
        -- In their order, so that only these are read: joined, all that the room has might be.
        select * from state_entries x
        where x.room_id = p_room and x.lineage = path.lineage and x.position <= path.position
        order by x.position) as e) as c
    order by c.type, c.state_key, c.distance, c.position desc) as c;
  get diagnostics v_count = row_count;

  insert into state_lineages (room_id, lineage, path_lineages, path_positions)
  values (p_room, p_lineage, v_lineages[v_absorbed + 1:], v_positions[v_absorbed + 1:]);
  return (p_lineage::bigint << 32) + v_count;
end $$;

-- The name of a set of event ids, whatever their order. Written so that it is inlined.
create function fn.digest_of_set(p_ids bytea[]) returns table (digest bytea)
language sql immutable as $$
  select sha256(coalesce(string_agg(int4send(length(i.id)) || i.id, '' order by i.id), ''))
  from (select distinct unnest(p_ids) as id) as i
$$;
