-- States that other servers told, before events behind a gap.

-- The state that was told to lie before an event; null where there is none, or all its prev events are known: then these say.
create function fn.given_before(p_room bytea, p_event bytea, p_prev bytea[]) returns bigint
language sql stable as $$
  select g.state_group from given_states g
  where g.room_id = p_room and g.event_id = p_event
    and exists (
      select from unnest(p_prev) as p(id)
      left join lateral (
        select true as is_known from events e
        where e.room_id = p_room and e.event_id = p.id and not e.outlier limit 1) as e on true
      left join lateral (
        select true as is_known from refusals f where f.room_id = p_room and f.event_id = p.id limit 1) as f on true
      where e.is_known is null and f.is_known is null)
$$;

-- Which of some events are not stored, by their places; and which of those were refused. No row: the room is not known.
create function fn.unknown_events(p_room bytea, p_ids bytea[]) returns table (unknown bytea[], refused bytea[])
language sql stable as $$
  select coalesce(array_agg(i.id) filter (where i.id is not null and f.is_known is null), '{}'),
         coalesce(array_agg(i.id) filter (where f.is_known), '{}')
  from rooms o
  left join lateral (
    select n.id from (select distinct unnest(p_ids) as id) as n
    left join lateral (
      select true as is_known from events e where e.room_id = p_room and e.event_id = n.id limit 1) as e on true
    where e.is_known is null) as i on true
  left join lateral (
    select true as is_known from refusals f where f.room_id = p_room and f.event_id = i.id limit 1) as f on true
  where o.room_id = p_room
  group by o.room_id
$$;

-- Keeps outliers, and a state as the one before p_event: 1. 2: an event of it is not there or is no state event, two have one key, or the
-- create event is another; 3: it differs from the current state in more than p_most keys; 0: the room is not known. Of these nothing is kept.
create function fn.keep_fetched_state(
  p_room bytea, p_event bytea, p_told_by bytea, p_now bigint, p_most integer, p_state bytea[],
  p_ids bytea[], p_pdus bytea[], p_types bytea[], p_state_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[],
  p_prevs text[], p_auths text[]) returns integer
language plpgsql as $$
declare
  r rooms;
  v_types bytea[];
  v_keys bytea[];
  v_ids bytea[];
  v_coherent boolean;
  v_group bigint;
begin
  select * into r from rooms o where o.room_id = p_room for no key update;
  if not found then
    return 0;
  end if;
  select array_agg(s.type), array_agg(s.state_key), array_agg(s.id),
         bool_and(s.state_key is not null) and count(distinct (s.type, s.state_key)) = count(*)
  into v_types, v_keys, v_ids, v_coherent
  from (
    select i.id, coalesce(e.type, n.type) as type, case when e.type is not null then e.state_key else n.state_key end as state_key
    from unnest(p_state) as i(id)
    left join lateral (
      select x.type, x.state_key from events x where x.room_id = p_room and x.event_id = i.id limit 1) as e on true
    left join unnest(p_ids, p_types, p_state_keys) as n(id, type, state_key) on n.id = i.id) as s;
  if v_coherent is distinct from true then
    return 2;
  end if;

  -- Where it differs from the current state.
  select array_agg(d.type), array_agg(d.state_key), array_agg(d.event_id),
         coalesce(bool_and(d.type <> 'm.room.create' or d.state_key <> ''), true)
  into v_types, v_keys, v_ids, v_coherent
  from (
    select coalesce(g.type, c.type) as type, coalesce(g.state_key, c.state_key) as state_key, g.event_id
    from unnest(v_types, v_keys, v_ids) as g(type, state_key, event_id)
    full join (
      select s.type, s.state_key, s.event_id from current_state s where s.room_id = p_room
      union all
      select 'm.room.member', m.user_id, m.event_id from memberships m where m.room_id = p_room) as c
      on c.type = g.type and c.state_key = g.state_key
    where g.event_id is distinct from c.event_id
    limit p_most + 1) as d;
  if not v_coherent then
    return 2;
  end if;
  if cardinality(v_ids) > p_most then
    return 3;
  end if;

  with kept as (
    insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, fixed_ordering,
                        type, state_key, sender, origin, prev_events, auth_events, pdu, outlier)
    select p_room, o.event_id, r.stream_ordering + o.place, 1, 0, o.depth, o.origin_server_ts, p_now, -(r.stream_ordering + o.place),
           o.type, o.state_key, o.sender, p_told_by, o.prevs::bytea[], o.auths::bytea[], o.pdu, true
    from unnest(p_ids, p_pdus, p_types, p_state_keys, p_senders, p_depths, p_timestamps, p_prevs, p_auths) with ordinality
      as o(event_id, pdu, type, state_key, sender, depth, origin_server_ts, prevs, auths, place)
    on conflict (room_id, event_id) do nothing
    returning event_id, auth_events),
  found as (
    insert into event_ids (event_id, room_id) select k.event_id, p_room from kept k on conflict do nothing)
  insert into auth_edges (room_id, auth_event_id, event_id)
  select p_room, a.id, k.event_id from kept k cross join lateral unnest(k.auth_events) as a(id)
  on conflict do nothing;

  v_group := r.state_group;
  if v_ids is not null then
    r.lineages := r.lineages + 1;
    v_group := fn.branch_state(p_room, r.state_group, r.lineages, v_types, v_keys, v_ids);
  end if;
  insert into given_states as g (room_id, event_id, state_group, told_by, given_at)
  values (p_room, p_event, v_group, p_told_by, p_now)
  on conflict (room_id, event_id) do update
    set state_group = excluded.state_group, told_by = excluded.told_by, given_at = excluded.given_at
    -- What was judged on it stays what it was judged on.
    where not exists (select from events e where e.room_id = p_room and e.event_id = p_event and not e.outlier);
  update rooms o set stream_ordering = r.stream_ordering + cardinality(p_ids), lineages = r.lineages where o.room_id = p_room;
  return 1;
end $$;
