-- Reads for other servers: with what is asked for comes what deciding about it takes. Only accepted events are told.
--
-- An outlier is told in a state and in an auth chain, and nowhere else.
-- All answer in rows of one shape, by kind:
--   r  the room: id, a its version, f1 a user of the asker is joined now
--   n  an entry of the current state whose state key is '': id, a its type, b the PDU
--   s  how the asker stands to event `id`, in the state before it: a the PDU of m.room.history_visibility, f1 a user of the asker is
--      joined, f2 is invited; the event itself counts where it is a member event of such a user
--   e  an event that is told: id, a its PDU
--   i, c  an id of the state, of the auth chain
--   p, q  an event of the state, of the auth chain: id, a its PDU
--   l  there is more than the limits allow: no e, i, c, p or q
--   u  the state before the event is not known: no i, c, p or q
-- No row at all: the room is not known. No row s: the event is not.
create type fn.peer_row as (kind "char", id bytea, a bytea, b bytea, f1 boolean, f2 boolean);

-- Events by their ids, in the order of these; soft-failed ones too. Each is one probe of the key: as a plain join the planner may read
-- the whole room instead, once for each round of a recursion. Inlined.
create function fn.events_of(p_room bytea, p_ids bytea[])
returns table (place bigint, event_id bytea, stream_ordering bigint, outcome smallint, depth bigint, prev_events bytea[],
               auth_events bytea[], pdu bytea, outlier boolean)
language sql stable as $$
  select i.place, e.event_id, e.stream_ordering, e.outcome, e.depth, e.prev_events, e.auth_events, e.pdu, e.outlier
  from unnest(p_ids) with ordinality as i(id, place)
  cross join lateral (select * from events x where x.room_id = p_room and x.event_id = i.id limit 1) as e
$$;

create function fn.room_for_peer(p_room bytea, p_asker bytea) returns setof fn.peer_row
language sql stable as $$
  select 'r'::"char", o.room_id, o.room_version::bytea, null::bytea,
         exists (select from room_servers s
                 where s.room_id = o.room_id and s.server_name = p_asker and s.joined_members > 0),
         null::boolean
  from rooms o where o.room_id = p_room
  union all
  select 'n', c.event_id, c.type, e.pdu, null, null
  from current_state c join events e on e.room_id = c.room_id and e.event_id = c.event_id
  where c.room_id = p_room and c.type in ('m.room.create', 'm.room.server_acl') and c.state_key = ''
$$;

-- content.membership of a member event. U+0000 is good JSON that PostgreSQL's json refuses: it is left out first. (An escaped backslash
-- is matched so that what follows it is not taken for an escape.)
create function fn.membership_of(p_pdu bytea) returns text
language sql immutable as $$
  select regexp_replace(convert_from(p_pdu, 'UTF8'), '(\\\\)|\\u0000', '\1', 'g')::json -> 'content' ->> 'membership'
$$;

-- Users of a server whom the room knows, at most 1,000: of those who are joined now, and of the others, 500 each. Whoever was a member
-- at some time is known still.
create function fn.users_of_server(p_room bytea, p_server bytea) returns bytea[]
language sql stable as $$
  select array(
    (select m.user_id from memberships m
     where m.room_id = p_room and substring(m.user_id from position(':'::bytea in m.user_id) + 1) = p_server
       and m.membership = 'join' limit 500)
    union all
    (select m.user_id from memberships m
     where m.room_id = p_room and substring(m.user_id from position(':'::bytea in m.user_id) + 1) = p_server
       and m.membership <> 'join' limit 500))
$$;

-- The row s of an event that is there. p_users: users_of_server. They are looked at one by one until one is found joined, mostly the
-- first.
create function fn.seen_by_peer(p_room bytea, p_event bytea, p_asker bytea, p_users bytea[]) returns fn.peer_row
language plpgsql stable as $$
declare
  v_seen fn.peer_row := ('s', p_event, null, null, false, false);
  v_event record;
  v_path record;
  v_user bytea;
  v_membership text;
begin
  select e.state_group_before, e.type, e.state_key, e.pdu into strict v_event
  from events e where e.room_id = p_room and e.event_id = p_event;
  if v_event.type = 'm.room.member'
     and substring(v_event.state_key from position(':'::bytea in v_event.state_key) + 1) = p_asker then
    v_membership := fn.membership_of(v_event.pdu);
    v_seen.f1 := coalesce(v_membership = 'join', false);
    v_seen.f2 := coalesce(v_membership = 'invite', false);
  end if;
  if v_event.state_group_before is null then
    return v_seen;
  end if;
  select * into v_path from fn.state_path(p_room, v_event.state_group_before);
  select h.pdu into v_seen.a
  from fn.state_at(p_room, v_path.lineages, v_path.positions, array['m.room.history_visibility'::bytea], array[''::bytea]) s
  join events h on h.room_id = p_room and h.event_id = s.event_id;
  foreach v_user in array p_users loop
    exit when v_seen.f1;
    select fn.membership_of(m.pdu) into v_membership
    from fn.state_at(p_room, v_path.lineages, v_path.positions, array['m.room.member'::bytea], array[v_user]) s
    join events m on m.room_id = p_room and m.event_id = s.event_id;
    v_seen.f1 := coalesce(v_membership = 'join', false);
    v_seen.f2 := v_seen.f2 or coalesce(v_membership = 'invite', false);
  end loop;
  return v_seen;
end $$;

-- p_room '': the room that has the event; if several have, one that the asker is in.
create function fn.event_for_peer(p_room bytea, p_event bytea, p_asker bytea) returns setof fn.peer_row
language plpgsql stable as $$
declare
  v_room bytea := p_room;
begin
  if p_room = '' then
    select i.room_id into v_room
    from event_ids i join events e on e.room_id = i.room_id and e.event_id = i.event_id
    where i.event_id = p_event and e.outcome = 1 and not e.outlier
    order by exists (select from room_servers s
                     where s.room_id = i.room_id and s.server_name = p_asker and s.joined_members > 0) desc, i.room_id
    limit 1;
  end if;
  return query select * from fn.room_for_peer(v_room, p_asker);
  return query
  select 'e'::"char", e.event_id, e.pdu, null::bytea, null::boolean, null::boolean
  from events e where e.room_id = v_room and e.event_id = p_event and e.outcome = 1 and not e.outlier;
  if found then
    return query select * from fn.seen_by_peer(v_room, p_event, p_asker, fn.users_of_server(v_room, p_asker));
  end if;
end $$;

-- The events before p_latest along prev edges, breadth first, at most p_limit; not those of p_earliest nor what lies behind them. Rows e
-- are the oldest first: an event is stored after those that it follows from.
create function fn.missing_events(p_room bytea, p_asker bytea, p_latest bytea[], p_earliest bytea[], p_limit integer,
                                  p_min_depth bigint) returns setof fn.peer_row
language plpgsql stable as $$
declare
  v_front bytea[] := p_latest;
  v_found bytea[] := '{}';
begin
  return query select * from fn.room_for_peer(p_room, p_asker);
  -- Each round but the last finds something, so there are p_limit of them at most.
  loop
    v_front := array(
      select o.event_id
      from fn.events_of(p_room, v_front) e
      cross join lateral fn.events_of(p_room, e.prev_events) o
      where e.outcome = 1 and o.outcome = 1 and not o.outlier and o.depth >= p_min_depth
        and o.event_id <> all (p_earliest) and o.event_id <> all (v_found)
      group by o.event_id order by min(e.place * 1000 + o.place)
      limit p_limit - cardinality(v_found));
    v_found := v_found || v_front;
    exit when cardinality(v_front) = 0 or cardinality(v_found) >= p_limit;
  end loop;
  return query
  select 'e'::"char", e.event_id, e.pdu, null::bytea, null::boolean, null::boolean
  from fn.events_of(p_room, v_found) e order by e.stream_ordering;
  return query
  select s.* from unnest(v_found) as f(id)
  cross join (select fn.users_of_server(p_room, p_asker) as ids) as users
  cross join lateral fn.seen_by_peer(p_room, f.id, p_asker, users.ids) as s;
end $$;

-- The auth events of some events, theirs, and so on, until there are more than p_most: then p_most and one. Bounded by count, whatever
-- the chain looks like.
create function fn.auth_chain_ids(p_room bytea, p_ids bytea[], p_most integer) returns bytea[]
language sql stable as $$
  with recursive chain(id) as (
    select a.id from fn.events_of(p_room, p_ids) e cross join lateral unnest(e.auth_events) as a(id)
    union
    select a.id
    from chain
    cross join lateral (select x.auth_events from events x where x.room_id = p_room and x.event_id = chain.id limit 1) as e
    cross join lateral unnest(e.auth_events) as a(id))
  select array(select chain.id from chain limit p_most + 1)
$$;

create function fn.auth_chain_for_peer(p_room bytea, p_event bytea, p_asker bytea) returns setof fn.peer_row
language plpgsql stable as $$
declare
  c_events constant integer := 10000;
  c_bytes constant bigint := 16 * 1024 * 1024;
  v_chain bytea[];
  v_bytes bigint;
begin
  return query select * from fn.room_for_peer(p_room, p_asker);
  perform from events e where e.room_id = p_room and e.event_id = p_event and e.outcome = 1 and not e.outlier;
  if not found then
    return;
  end if;
  return query select * from fn.seen_by_peer(p_room, p_event, p_asker, fn.users_of_server(p_room, p_asker));
  v_chain := fn.auth_chain_ids(p_room, array[p_event], c_events);
  select sum(octet_length(e.pdu)) into v_bytes from fn.events_of(p_room, v_chain) e;
  if cardinality(v_chain) > c_events or v_bytes > c_bytes then
    return next ('l', null, null, null, null, null)::fn.peer_row;
    return;
  end if;
  return query
  select 'e'::"char", e.event_id, e.pdu, null::bytea, null::boolean, null::boolean
  from fn.events_of(p_room, v_chain) e where e.outcome = 1 order by e.stream_ordering;
end $$;

create function fn.state_ids_for_peer(p_room bytea, p_event bytea, p_asker bytea) returns setof fn.peer_row
language plpgsql stable as $$
declare
  c_ids constant integer := 200000;
  -- A whole state is read from all changes that led to it: so many at most.
  c_changes constant bigint := 2000000;
  v_group bigint;
  v_changes bigint;
  v_state bytea[];
  v_chain bytea[];
begin
  return query select * from fn.room_for_peer(p_room, p_asker);
  select e.state_group_before into v_group from events e where e.room_id = p_room and e.event_id = p_event and e.outcome = 1 and not e.outlier;
  if not found then
    return;
  end if;
  return query select * from fn.seen_by_peer(p_room, p_event, p_asker, fn.users_of_server(p_room, p_asker));
  if v_group is null then
    return next ('u', null, null, null, null, null)::fn.peer_row;
    return;
  end if;
  select sum(position) into v_changes
  from fn.state_path(p_room, v_group) p cross join lateral unnest(p.positions) as path(position);
  if v_changes <= c_changes then
    v_state := array(select w.event_id from fn.whole_state(p_room, v_group) w limit c_ids + 1);
    v_chain := fn.auth_chain_ids(p_room, v_state, c_ids);
  end if;
  if v_changes > c_changes or cardinality(v_state) + cardinality(v_chain) > c_ids then
    return next ('l', null, null, null, null, null)::fn.peer_row;
    return;
  end if;
  return query select 'i'::"char", i.id, null::bytea, null::bytea, null::boolean, null::boolean from unnest(v_state) as i(id);
  return query select 'c'::"char", c.id, null::bytea, null::bytea, null::boolean, null::boolean from unnest(v_chain) as c(id);
end $$;

-- As state_ids_for_peer, with the events.
create function fn.state_for_peer(p_room bytea, p_event bytea, p_asker bytea) returns setof fn.peer_row
language plpgsql stable as $$
declare
  c_events constant integer := 10000;
  c_bytes constant bigint := 16 * 1024 * 1024;
  -- A whole state is read from all changes that led to it: so many at most.
  c_changes constant bigint := 2000000;
  v_group bigint;
  v_changes bigint;
  v_state bytea[];
  v_chain bytea[];
  v_bytes bigint;
begin
  return query select * from fn.room_for_peer(p_room, p_asker);
  select e.state_group_before into v_group from events e where e.room_id = p_room and e.event_id = p_event and e.outcome = 1 and not e.outlier;
  if not found then
    return;
  end if;
  return query select * from fn.seen_by_peer(p_room, p_event, p_asker, fn.users_of_server(p_room, p_asker));
  if v_group is null then
    return next ('u', null, null, null, null, null)::fn.peer_row;
    return;
  end if;
  select sum(position) into v_changes
  from fn.state_path(p_room, v_group) p cross join lateral unnest(p.positions) as path(position);
  if v_changes <= c_changes then
    v_state := array(select w.event_id from fn.whole_state(p_room, v_group) w limit c_events + 1);
    if cardinality(v_state) <= c_events then
      v_chain := fn.auth_chain_ids(p_room, v_state, c_events);
      select sum(octet_length(e.pdu)) into v_bytes from fn.events_of(p_room, v_state || v_chain) e;
    end if;
  end if;
  if v_chain is null or cardinality(v_state) + cardinality(v_chain) > c_events or v_bytes > c_bytes then
    return next ('l', null, null, null, null, null)::fn.peer_row;
    return;
  end if;
  return query select 'p'::"char", e.event_id, e.pdu, null::bytea, null::boolean, null::boolean from fn.events_of(p_room, v_state) e;
  return query
  select 'q'::"char", e.event_id, e.pdu, null::bytea, null::boolean, null::boolean
  from fn.events_of(p_room, v_chain) e order by e.stream_ordering;
end $$;

-- The events of p_from and those before them along prev edges, breadth first, at most p_limit; rows e, the newest first. What was
-- soft-failed is gone through and not told, up to c_looked_at events in all.
create function fn.backfill(p_room bytea, p_asker bytea, p_from bytea[], p_limit integer) returns setof fn.peer_row
language plpgsql stable as $$
declare
  c_looked_at constant integer := 1000;
  v_front bytea[] := p_from;
  v_told bytea[];
  v_looked_at bytea[] := '{}';
  v_found bytea[] := '{}';
begin
  return query select * from fn.room_for_peer(p_room, p_asker);
  loop
    select array_agg(o.event_id order by o.place), array_agg(o.event_id order by o.place) filter (where o.outcome = 1)
    into v_front, v_told
    from (
      select e.event_id, e.outcome, min(e.place) as place from fn.events_of(p_room, v_front) e
      where e.event_id <> all (v_looked_at) and not e.outlier
      group by e.event_id, e.outcome order by min(e.place) limit c_looked_at) as o;
    exit when v_front is null;
    v_looked_at := v_looked_at || v_front;
    v_found := v_found || coalesce(v_told[:p_limit - cardinality(v_found)], '{}');
    exit when cardinality(v_found) >= p_limit or cardinality(v_looked_at) >= c_looked_at;
    v_front := array(
      select p.id from fn.events_of(p_room, v_front) e cross join lateral unnest(e.prev_events) with ordinality as p(id, place)
      group by p.id order by min(e.place * 1000 + p.place));
  end loop;
  return query
  select 'e'::"char", e.event_id, e.pdu, null::bytea, null::boolean, null::boolean
  from fn.events_of(p_room, v_found) e order by e.stream_ordering desc;
  return query
  select s.* from unnest(v_found) as f(id)
  cross join (select fn.users_of_server(p_room, p_asker) as ids) as users
  cross join lateral fn.seen_by_peer(p_room, f.id, p_asker, users.ids) as s;
end $$;
