-- What a server is told whose user has just joined: pages of bounded size, whatever the room's.

-- A stretch of the state that a path leads to: its entries whose (type, state_key) lies below the one and not below the other, the greatest
-- first, at most p_most; a null id where the key is removed. Goes backwards through the primary key, where a key's greatest position
-- comes first. Of each lineage so many that none of the whole stretch is missed.
create function fn.state_stretch(p_room bytea, p_lineages integer[], p_positions integer[], p_above_type bytea, p_above_key bytea,
                                 p_type bytea, p_key bytea, p_most integer)
returns table (type bytea, state_key bytea, event_id bytea)
language plpgsql stable
-- The planner knows the mean room only, and there would read and sort all of it. What is off costs so much to it that it would compile.
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
begin
  return query
  select nearest.type, nearest.state_key, nearest.event_id
  from (
    select distinct on (found.type, found.state_key) found.type, found.state_key, found.event_id
    from unnest(p_lineages, p_positions) with ordinality as path(lineage, position, distance)
    cross join lateral (
      select distinct on (e.type, e.state_key) e.type, e.state_key, e.event_id
      from state_entries e
      where e.room_id = p_room and e.lineage = path.lineage and e.position <= path.position
        and (e.type, e.state_key) < (p_type, p_key) and (e.type, e.state_key) >= (p_above_type, p_above_key)
      order by e.type desc, e.state_key desc, e.position desc
      limit p_most) as found
    order by found.type desc, found.state_key desc, path.distance) as nearest
  order by nearest.type desc, nearest.state_key desc
  limit p_most;
end $$;

-- The users by whom a room is called that has no name: the first five who are joined or invited.
create function fn.heroes(p_room bytea, p_but bytea) returns bytea[]
language sql stable as $$
  select array(
    select m.user_id from memberships m
    where m.room_id = p_room and m.membership in ('join', 'invite') and m.user_id <> p_but
    order by m.updated_at, m.user_id limit 5)
$$;

-- The state before an accepted event below (p_type, p_key), the greatest first; p_type null: from its end. Rows by kind:
--   e  an event of it: its PDU, its auth events
--   k  the place where the next page begins: a the type, b the state key
--   u  the state before the event is not known
--   o  the room has the event, and nothing more
-- No row at all: it has no such event.
create function fn.state_page(p_room bytea, p_event bytea, p_type bytea, p_key bytea, p_without_members boolean)
returns table (kind "char", id bytea, a bytea, b bytea, auth_events bytea[])
language plpgsql stable as $$
#variable_conflict use_column
declare
  c_entries constant integer := 500;
  c_bytes constant bigint := 1024 * 1024;
  c_member constant bytea := 'm.room.member';
  c_after_members constant bytea := 'm.room.member' || '\x00'::bytea;
  v_group bigint;
  v_sender bytea;
  v_lineages integer[];
  v_positions integer[];
  v_types bytea[];
  v_keys bytea[];
  v_ids bytea[];
  v_told integer;
begin
  select e.state_group_before, e.sender into v_group, v_sender
  from events e where e.room_id = p_room and e.event_id = p_event and e.outcome = 1 and not e.outlier;
  if not found then
    return;
  end if;
  if v_group is null then
    return query select 'u'::"char", null::bytea, null::bytea, null::bytea, null::bytea[];
    return;
  end if;
  return query select 'o'::"char", null::bytea, null::bytea, null::bytea, null::bytea[];
  select lineages, positions into v_lineages, v_positions from fn.state_path(p_room, v_group);
  -- The place is one of bytes; no type is longer than 255 of them.
  if p_type is null then
    p_type := decode(repeat('ff', 256), 'hex');
    p_key := '';
  end if;

  select array_agg(s.type), array_agg(s.state_key), array_agg(s.event_id) into v_types, v_keys, v_ids
  from (
    select s.type, s.state_key, s.event_id
    from fn.state_stretch(p_room, v_lineages, v_positions, case when p_without_members then c_after_members else '' end, '',
                          p_type, p_key, c_entries) s
    union all
    select s.type, s.state_key, s.event_id
    from fn.state_stretch(p_room, v_lineages, v_positions, '', '', least(p_type, c_member),
                          case when p_type < c_member then p_key else '' end, c_entries) s
    where p_without_members
    order by 1 desc, 2 desc limit c_entries) as s;

  -- Of these as many as fit, one at least.
  select max(l.place) into v_told
  from (
    select i.place, sum(coalesce(octet_length(e.pdu), 0)) over (order by i.place) as bytes
    from unnest(v_ids) with ordinality as i(id, place)
    left join lateral (select x.pdu from events x where x.room_id = p_room and x.event_id = i.id limit 1) as e on true) as l
  where l.bytes <= c_bytes or l.place = 1;
  return query
  select 'e'::"char", e.event_id, e.pdu, null::bytea, e.auth_events from fn.events_of(p_room, v_ids[:v_told]) e;
  if v_told = c_entries or v_told < cardinality(v_ids) then
    return query select 'k'::"char", null::bytea, v_types[v_told], v_keys[v_told], null::bytea[];
  end if;

  if p_without_members and p_type = decode(repeat('ff', 256), 'hex')
     and not exists (select from fn.state_at(p_room, v_lineages, v_positions,
                                             array['m.room.name'::bytea, 'm.room.canonical_alias'], array[''::bytea, ''])) then
    return query
    select 'e'::"char", e.event_id, e.pdu, null::bytea, e.auth_events
    from (select fn.heroes(p_room, v_sender) as ids) as h
    cross join lateral fn.events_of(p_room, array(
      select s.event_id
      from fn.state_at(p_room, v_lineages, v_positions, array_fill(c_member, array[cardinality(h.ids)]), h.ids) s)) e;
  end if;
end $$;

-- Accepted events by their ids, in the order of these, as many as fit, and the place of the last id that was looked at.
create function fn.room_events(p_room bytea, p_ids bytea[])
returns table (event_id bytea, pdu bytea, auth_events bytea[], looked_at bigint)
language sql stable as $$
  with asked as materialized (
    select i.place, e.event_id, e.pdu, e.auth_events,
           sum(coalesce(octet_length(e.pdu), 0)) over (order by i.place) as bytes
    from unnest(p_ids) with ordinality as i(id, place)
    left join lateral (
      select x.event_id, x.pdu, x.auth_events from events x
      where x.room_id = p_room and x.event_id = i.id and x.outcome = 1 limit 1) as e on true),
  fitting as materialized (select a.* from asked a where a.bytes <= 1024 * 1024 or a.place = 1)
  select f.event_id, f.pdu, f.auth_events, null from fitting f where f.event_id is not null
  union all
  select null, null, null, max(f.place) from fitting f
  order by 4 nulls first
$$;

-- How a user stands in other rooms (0 not known here, 1 not joined, 2 joined), and which of some users of this server are joined in the
-- room itself, with up to 20 others. No row: the room is not known.
create function fn.join_conditions(p_room bytea, p_user bytea, p_server bytea, p_others bytea[], p_candidates bytea[])
returns table (standings integer[], joined_users bytea[])
language plpgsql stable as $$
#variable_conflict use_column
declare
  v_standings integer[];
  v_joined bytea[];
  v_more bytea[];
begin
  perform from rooms o where o.room_id = p_room;
  if not found then
    return;
  end if;
  select array_agg(case
           when not exists (select from room_servers s
                            where s.room_id = r.room_id and s.server_name = p_server and s.joined_members > 0) then 0
           when exists (select from memberships m
                        where m.room_id = r.room_id and m.user_id = p_user and m.membership = 'join') then 2
           else 1 end order by r.place) into v_standings
  from unnest(p_others) with ordinality as r(room_id, place);
  select array_agg(c.user_id order by c.place) into v_joined
  from unnest(p_candidates) with ordinality as c(user_id, place)
  cross join lateral (
    select from memberships m where m.room_id = p_room and m.user_id = c.user_id and m.membership = 'join' limit 1) as m;
  select array_agg(n.user_id) into v_more
  from (
    -- By memberships_by_server: a large room has few members of this server, or soon twenty of them.
    select m.user_id from memberships m
    where m.room_id = p_room and substring(m.user_id from position(':'::bytea in m.user_id) + 1) = p_server
      and m.membership = 'join' and m.user_id <> all (p_candidates)
    limit 20) as n;
  return query select coalesce(v_standings, '{}'), coalesce(v_joined, '{}') || coalesce(v_more, '{}');
end $$;
