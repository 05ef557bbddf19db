-- The work of the store: one call, one round trip, one transaction.

-- The groups that a lookup in p_group visits, nearest first.
create function state_chain(p_room bytea, p_group bigint)
returns table (group_id bigint, hop integer) language sql stable as $$
  with recursive chain as (
    select g.group_id, g.base, 0 as hop from state_groups g where g.room_id = p_room and g.group_id = p_group
    union all
    select g.group_id, g.base, c.hop + 1 from chain c join state_groups g on g.room_id = p_room and g.group_id = c.base
  )
  select c.group_id, c.hop from chain c
$$;

-- The entries of p_group for the keys asked for.
create function state_at(p_room bytea, p_group bigint, p_types bytea[], p_keys bytea[])
returns table (type bytea, state_key bytea, event_id bytea) language sql stable as $$
  select k.type, k.state_key, found.event_id
  from unnest(p_types, p_keys) as k(type, state_key)
  cross join lateral (
    select e.event_id
    from state_chain(p_room, p_group) c
    join state_group_entries e
      on e.room_id = p_room and e.group_id = c.group_id and e.type = k.type and e.state_key = k.state_key
    order by c.hop limit 1
  ) found
$$;

-- A new group: p_parent (null: the empty state) with the given entries set.
create function new_state_group(p_room bytea, p_parent bigint, p_types bytea[], p_keys bytea[], p_ids bytea[])
returns bigint language plpgsql as $$
declare
  v_group bigint := nextval('state_group_ids');
  v_depth bigint := 0;
  v_base bigint := null;
  v_stride bigint := 1;
begin
  if p_parent is not null then
    select g.depth + 1 into strict v_depth from state_groups g where g.room_id = p_room and g.group_id = p_parent;
    while v_stride < 4096 and v_depth % (v_stride * 16) = 0 loop v_stride := v_stride * 16; end loop;
    select c.group_id into strict v_base
      from state_chain(p_room, p_parent) c join state_groups g on g.room_id = p_room and g.group_id = c.group_id
      where g.depth = v_depth - v_stride;
  end if;
  insert into state_groups values (p_room, v_group, v_base, v_depth);
  insert into state_group_entries
    select p_room, v_group, c.type, c.state_key, c.event_id from unnest(p_types, p_keys, p_ids) as c(type, state_key, event_id);
  if v_stride > 1 then
    insert into state_group_entries
      select distinct on (e.type, e.state_key) p_room, v_group, e.type, e.state_key, e.event_id
      from state_chain(p_room, p_parent) c
      join state_groups g on g.room_id = p_room and g.group_id = c.group_id and g.depth > v_depth - v_stride
      join state_group_entries e on e.room_id = p_room and e.group_id = c.group_id
      order by e.type, e.state_key, c.hop
    on conflict do nothing;
  end if;
  return v_group;
end $$;

create function extremity_key(p_ids bytea[]) returns bytea language sql immutable as $$
  select sha256(coalesce(string_agg(sha256(id), ''::bytea order by id), ''::bytea)) from unnest(p_ids) as id
$$;

create function same_set(p_left bytea[], p_right bytea[]) returns boolean language sql immutable as $$
  select p_left <@ p_right and p_right <@ p_left
$$;

-- The state group before an event with these prev events, or null where they disagree and no resolution is recorded.
create function group_before(p_room bytea, p_extremities bytea[], p_current bigint, p_prev bytea[])
returns bigint language plpgsql stable as $$
declare
  v_group bigint;
  v_groups bigint;
begin
  if same_set(p_prev, p_extremities) then return p_current; end if;
  select min(e.group_after), count(distinct e.group_after) into v_group, v_groups
    from unnest(p_prev) as p(id) join events e on e.room_id = p_room and e.event_id = p.id;
  if v_groups = 1 then return v_group; end if;
  select x.group_id into v_group from extremity_states x
    where x.room_id = p_room and x.extremity_key = extremity_key((select array_agg(distinct id) from unnest(p_prev) as p(id)));
  return v_group;
end $$;

-- All that judging an event needs. Rows by kind:
--   r  the room: id = version, n1 = position, n2 = group before (null: unresolved), n3 = current group, flag = extends all
--      extremities, type = the sender's membership
--   p, a  prev and auth events in their order: id, flag = known
--   b, n  state before and now: type, state_key, id
--   e  an event named above: id, pdu, n1 = outcome
--   x  the event itself, if stored: pdu, n1 = outcome, n2 = reason
create function event_context(p_room bytea, p_event bytea, p_sender bytea, p_prev bytea[], p_auth bytea[], p_types bytea[],
                              p_keys bytea[])
returns table (kind "char", id bytea, type bytea, state_key bytea, pdu bytea, flag boolean, n1 bigint, n2 bigint, n3 bigint)
language plpgsql stable as $$
declare
  r rooms;
  v_before bigint;
begin
  select * into r from rooms where rooms.room_id = p_room;
  if not found then return; end if;
  v_before := group_before(p_room, r.extremities, r.current_group, p_prev);
  return query select 'r'::"char", convert_to(r.room_version, 'UTF8'),
    (select m.membership from memberships m where m.room_id = p_room and m.user_id = p_sender), null::bytea, null::bytea,
    same_set(p_prev, r.extremities), r.position, v_before, r.current_group;
  return query
    with cited as (
      select 'p'::"char" as kind, p.id, p.place from unnest(p_prev) with ordinality as p(id, place)
      union all
      select 'a'::"char", a.id, a.place from unnest(p_auth) with ordinality as a(id, place)
    ), state as (
      select 'b'::"char" as kind, s.* from state_at(p_room, v_before, p_types, p_keys) s
      union all
      select 'n'::"char", c.type, c.state_key, c.event_id
        from unnest(p_types, p_keys) as k(type, state_key)
        join current_state c on c.room_id = p_room and c.type = k.type and c.state_key = k.state_key
    ), named as (
      select c.id from cited c where c.kind = 'a' union select s.event_id from state s
    )
    select c.kind, c.id, null::bytea, null::bytea, null::bytea,
           exists (select 1 from events e where e.room_id = p_room and e.event_id = c.id), c.place, null::bigint, null::bigint
      from cited c
    union all
    select s.kind, s.event_id, s.type, s.state_key, null, null, null, null, null from state s
    union all
    select 'e'::"char", e.event_id, null, null, e.pdu, null, e.outcome::bigint, null, null
      from named n join events e on e.room_id = p_room and e.event_id = n.id
    union all
    select 'x'::"char", e.event_id, null, null, e.pdu, null, e.outcome::bigint, e.reason::bigint, null
      from events e where e.room_id = p_room and e.event_id = p_event;
end $$;

-- All that a template needs, in the same rows: the prev events are the oldest 20 forward extremities, `x` does not occur, and the
-- room's row has in flag whether a user of p_server is joined, in n2 the greatest depth among those extremities.
create function template_context(p_room bytea, p_user bytea, p_server text, p_types bytea[], p_keys bytea[])
returns table (kind "char", id bytea, type bytea, state_key bytea, pdu bytea, flag boolean, n1 bigint, n2 bigint, n3 bigint)
language plpgsql stable as $$
declare
  r rooms;
  v_tips bytea[];
  v_depth bigint;
begin
  select * into r from rooms where rooms.room_id = p_room;
  if not found then return; end if;
  select array_agg(t.event_id order by t.position), max(t.depth) into v_tips, v_depth from (
    select e.event_id, e.position, e.depth from events e
      where e.room_id = p_room and e.event_id = any (r.extremities) order by e.position limit 20) t;
  return query select 'r'::"char", convert_to(r.room_version, 'UTF8'),
    (select m.membership from memberships m where m.room_id = p_room and m.user_id = p_user), null::bytea, null::bytea,
    exists (select 1 from room_servers s where s.room_id = p_room and s.server = p_server and s.joined > 0),
    r.position, v_depth, r.current_group;
  return query
    with state as (
      select c.type, c.state_key, c.event_id from unnest(p_types, p_keys) as k(type, state_key)
        join current_state c on c.room_id = p_room and c.type = k.type and c.state_key = k.state_key
    ), named as (
      select t.id from unnest(v_tips) as t(id) union select s.event_id from state s
    )
    select 'p'::"char", t.id, null::bytea, null::bytea, null::bytea, true, t.place, null::bigint, null::bigint
      from unnest(v_tips) with ordinality as t(id, place)
    union all
    select 'n'::"char", s.event_id, s.type, s.state_key, null, null, null, null, null from state s
    union all
    select 'e'::"char", e.event_id, null, null, e.pdu, null, e.outcome::bigint, null, null
      from named n join events e on e.room_id = p_room and e.event_id = n.id;
end $$;

create type member_columns as (
  user_id bytea, membership bytea, reason bytea, displayname bytea, avatar_url bytea, invited_by bytea,
  third_party_invite bytea, join_authorised_via_users_server bytea, server text);

-- Moves one user's row and the joined count of their server.
create function set_membership(p_room bytea, p_event bytea, m member_columns, p_now bigint) returns void language plpgsql as $$
declare
  v_was boolean;
  v_change integer;
begin
  select o.membership = 'join'::bytea into v_was from memberships o where o.room_id = p_room and o.user_id = m.user_id;
  v_change := (m.membership = 'join'::bytea)::integer - coalesce(v_was, false)::integer;
  insert into memberships values (p_room, m.user_id, m.membership, p_event, m.reason, m.displayname, m.avatar_url, false,
                                  m.invited_by, m.third_party_invite, m.join_authorised_via_users_server, p_now)
    on conflict (room_id, user_id) do update set
      membership = excluded.membership, event_id = excluded.event_id, reason = excluded.reason,
      displayname = excluded.displayname, avatar_url = excluded.avatar_url, invited_by = excluded.invited_by,
      third_party_invite = excluded.third_party_invite,
      join_authorised_via_users_server = excluded.join_authorised_via_users_server, updated_at = excluded.updated_at;
  if v_change <> 0 then
    insert into room_servers values (p_room, m.server, v_change)
      on conflict (room_id, server) do update set joined = room_servers.joined + excluded.joined;
  end if;
end $$;

-- Stores an accepted event's row and everything that follows from it. The room's row is locked by the caller.
create type new_event as (
  event_id bytea, pdu bytea, type bytea, state_key bytea, sender bytea, depth bigint, origin_server_ts bigint,
  prev_events bytea[], auth_events bytea[], verdict bytea, origin text);

create function add_accepted(p_room rooms, e new_event, p_before bigint, p_commutes boolean, p_types bytea[], p_keys bytea[],
                             p_ids bytea[], m member_columns, p_server text, p_now bigint)
returns void language plpgsql as $$
declare
  v_after bigint := p_before;
  v_current bigint := p_room.current_group;
  v_tips bytea[];
begin
  if e.state_key is not null then
    v_after := new_state_group(p_room.room_id, p_before, array[e.type], array[e.state_key], array[e.event_id]);
  end if;
  if p_before is not distinct from p_room.current_group then
    v_current := v_after;
  elsif cardinality(p_types) > 0 then
    v_current := new_state_group(p_room.room_id, p_room.current_group, p_types, p_keys, p_ids);
  end if;
  v_tips := array(select t from unnest(p_room.extremities) as t where not t = any (e.prev_events)) || e.event_id;
  insert into events values (p_room.room_id, e.event_id, e.pdu, e.type, e.state_key, e.sender, e.depth, e.origin_server_ts, 1, 0,
                             p_room.position + 1, e.prev_events, e.auth_events, p_before, v_after, p_commutes, p_types, p_keys,
                             e.verdict, e.origin, p_now);
  insert into event_ids values (e.event_id, p_room.room_id) on conflict do nothing;
  -- Before the membership changes: those who were in the room before the event are told of it.
  insert into outbox select p_room.room_id, e.event_id,
    array(select s.server from room_servers s where s.room_id = p_room.room_id and s.joined > 0
            and s.server <> p_server and s.server <> e.origin order by s.server), p_now;
  insert into current_state
    select p_room.room_id, c.type, c.state_key, c.event_id from unnest(p_types, p_keys, p_ids) as c(type, state_key, event_id)
    on conflict (room_id, type, state_key) do update set event_id = excluded.event_id;
  if m.user_id is not null then perform set_membership(p_room.room_id, e.event_id, m, p_now); end if;
  update rooms set position = p_room.position + 1, extremities = v_tips, current_group = v_current
    where rooms.room_id = p_room.room_id;
  insert into extremity_states values (p_room.room_id, extremity_key(v_tips), v_current)
    on conflict (room_id, extremity_key) do update set group_id = excluded.group_id;
end $$;

-- One judged event. status: 0 no such room, 1 stored, 2 was stored before (outcome and reason as then), 3 conflict.
create function persist_event(p_room bytea, e new_event, p_outcome integer, p_reason integer, p_position bigint,
                              p_before bigint, p_commutes boolean, p_read_types bytea[], p_read_keys bytea[], p_types bytea[],
                              p_keys bytea[], p_ids bytea[], m member_columns, p_server text, p_refusals_limit bigint,
                              p_servers_limit bigint, p_now bigint)
returns table (status integer, outcome integer, reason integer) language plpgsql as $$
declare
  r rooms;
  v_outcome integer;
  v_reason integer;
  v_after bigint;
begin
  select * into r from rooms where rooms.room_id = p_room for update;
  if not found then return query select 0, 0, 0; return; end if;
  select x.outcome, x.reason into v_outcome, v_reason from events x where x.room_id = p_room and x.event_id = e.event_id;
  if found then return query select 2, v_outcome, v_reason; return; end if;
  if r.position <> p_position and not (p_outcome = 1 and p_commutes and not exists (
       select 1 from events x where x.room_id = p_room and x.position > p_position and x.outcome = 1
         and (not x.commutes or exists (
           select 1 from unnest(x.changed_types, x.changed_keys) as c(type, state_key)
             join unnest(p_read_types, p_read_keys) as q(type, state_key) using (type, state_key))))) then
    return query select 3, 0, 0;
    return;
  end if;
  if p_outcome = 1 then
    perform add_accepted(r, e, p_before, p_commutes, p_types, p_keys, p_ids, m, p_server, p_now);
    delete from refusals x where x.room_id = p_room and x.event_id = e.event_id;
  elsif p_outcome = 2 then
    v_after := p_before;
    if e.state_key is not null then
      v_after := new_state_group(p_room, p_before, array[e.type], array[e.state_key], array[e.event_id]);
    end if;
    insert into events values (p_room, e.event_id, e.pdu, e.type, e.state_key, e.sender, e.depth, e.origin_server_ts, 2, p_reason,
                               r.position, e.prev_events, e.auth_events, p_before, v_after, false, '{}', '{}', e.verdict,
                               e.origin, p_now);
    insert into event_ids values (e.event_id, p_room) on conflict do nothing;
  else
    insert into refusals values (p_room, e.event_id, p_outcome, p_reason, e.verdict, e.origin, p_now)
      on conflict (room_id, event_id) do update set reason = excluded.reason, verdict = excluded.verdict,
        refused_at = excluded.refused_at;
    delete from refusals x where (x.room_id, x.event_id) in (
      select y.room_id, y.event_id from refusals y order by y.refused_at desc offset p_refusals_limit);
  end if;
  if e.origin <> p_server then
    insert into remote_servers select e.origin, p_now, p_now
      where (select count(*) from (select 1 from remote_servers limit p_servers_limit) s) < p_servers_limit
         or exists (select 1 from remote_servers s where s.server = e.origin)
      on conflict (server) do update set last_seen = excluded.last_seen
        where remote_servers.last_seen < excluded.last_seen - 3600000;
  end if;
  return query select 1, p_outcome, p_reason;
end $$;

-- Appends events as given, each extending the one before. False if the room is not there.
create function append_events(p_room bytea, p_events new_event[], p_members member_columns[], p_server text, p_now bigint)
returns boolean language plpgsql as $$
declare
  r rooms;
  e new_event;
begin
  for i in 1 .. cardinality(p_events) loop
    select * into r from rooms where rooms.room_id = p_room for update;
    if not found then return false; end if;
    e := p_events[i];
    perform add_accepted(r, e, r.current_group, false, array[e.type], array[e.state_key], array[e.event_id], p_members[i],
                         p_server, p_now);
  end loop;
  return true;
end $$;
