-- Reading what judging an event needs: one call, one snapshot (the functions are stable).
--
-- All answer in rows of one shape, by kind:
--   r  the room: a its version, b the membership of the sender; n1 the ordering of its newest accepted event, n2 the state group before
--      the event (null: not known), n3 that of the current state; f1 the event extends all extremities, f2 this server is resident, f3 the
--      state before and the current one differ by more than commuting changes
--   m  n1 the fixed_ordering of the state before, f1 it is put together from the states after the prev events, f2 another server told it,
--      and what it lies behind counts as known
--   x  the event asked for, if it is stored: a pdu, n1 outcome, n2 reason
--   h  the room's row besides: a the extremities, as array_send writes them, n1 stream_ordering, n2 lineages, n3 fixed_ordering; not
--      where there are more than 20 extremities
--   p  a prev event that the caller does not know of: id, n1 its place, n2 its depth
--   b, n  an entry of the state before (left out where it is the same group as now) and now: id, a type, b state key; n1 the position of
--         the trunk since which it is so. n: also where there is none, without id
--   e  an event that is stored, of those that are cited or that an entry names: id, a pdu, n1 the state group after it (null: not known),
--      n2 its fixed_ordering, f1 rejected, f2 soft-failed, f3 an outlier
--   f  an event that is cited and was refused (an outlier may be both): id. What is cited and neither e nor f is not known.
-- No row at all: the room is not known.
create type fn.context_row as (kind "char", id bytea, a bytea, b bytea, n1 bigint, n2 bigint, n3 bigint, f1 boolean, f2 boolean,
                                 f3 boolean);
-- The same for one of several requests: which one.
create type fn.placed_row as (place integer, kind "char", id bytea, a bytea, b bytea, n1 bigint, n2 bigint, n3 bigint, f1 boolean,
                              f2 boolean, f3 boolean);

-- Several requests in one call go as flat arrays, with an array of ends: request i has what stands after ends[i - 1] up to ends[i].
-- The request of each place of such an array.
create function fn.owners(p_ends integer[]) returns integer[]
language plpgsql immutable as $$
declare
  v_owners integer[] := '{}';
  v_start integer := 0;
begin
  for i in 1 .. cardinality(p_ends) loop
    v_owners := v_owners || array_fill(i, array[p_ends[i] - v_start]);
    v_start := p_ends[i];
  end loop;
  return v_owners;
end $$;

-- Rows b, n, e and f for requests whose states are known: p_now is a group of the trunk, p_before null where it is not known or is put
-- together: then from those of p_merged that p_mergers, the number of a request for each, gives it. Where a room is null, nothing.
--
-- Every table is asked by a whole key and for one row, in a lateral with a limit. A plain join leaves the planner the choice to read all
-- of a room instead, which it takes where the mean room is small: plans are generic. The same holds for an `exists` that it may hash.
create function fn.state_rows(p_rooms bytea[], p_before bigint[], p_now bigint[], p_merged bigint[], p_mergers integer[],
                              p_prev bytea[], p_prev_ends integer[], p_auth bytea[], p_auth_ends integer[],
                              p_types bytea[], p_keys bytea[], p_key_ends integer[]) returns setof fn.placed_row
language plpgsql stable as $$
declare
  -- Keys to look up in the trunk, each with the number of its request; below zero: in the state before.
  v_wanted integer[] := fn.owners(p_key_ends);
  v_types bytea[] := p_types;
  v_keys bytea[] := p_keys;
  v_first integer;
  v_branched integer[] := '{}';
  -- Entries of states before that are not of the trunk.
  v_places integer[];
  v_other_types bytea[];
  v_other_keys bytea[];
  v_other_ids bytea[];
begin
  for i in 1 .. cardinality(p_rooms) loop
    if p_before[i] <> p_now[i] then
      if p_before[i] < 4294967296 then
        v_first := coalesce(p_key_ends[i - 1], 0) + 1;
        v_wanted := v_wanted || array_fill(-i, array[p_key_ends[i] - v_first + 1]);
        v_types := v_types || p_types[v_first : p_key_ends[i]];
        v_keys := v_keys || p_keys[v_first : p_key_ends[i]];
      else
        v_branched := v_branched || i;
      end if;
    end if;
  end loop;
  if v_branched <> '{}' or p_mergers <> '{}' then
    select array_agg(s.place), array_agg(s.type), array_agg(s.state_key), array_agg(s.event_id)
    into v_places, v_other_types, v_other_keys, v_other_ids
    from (
      select o.place, s.type, s.state_key, s.event_id
      from unnest(v_branched) as o(place)
      cross join lateral fn.state_path(p_rooms[o.place], p_before[o.place]) p
      cross join lateral fn.state_at(p_rooms[o.place], p.lineages, p.positions,
                                     p_types[coalesce(p_key_ends[o.place - 1], 0) + 1 : p_key_ends[o.place]],
                                     p_keys[coalesce(p_key_ends[o.place - 1], 0) + 1 : p_key_ends[o.place]]) s
      union all
      select m.place, s.type, s.state_key, s.event_id
      from (select g.place, array_agg(g.state_group) as groups from unnest(p_mergers, p_merged) as g(place, state_group)
            group by g.place) as m
      cross join lateral fn.merged_at(p_rooms[m.place], m.groups,
                                      p_types[coalesce(p_key_ends[m.place - 1], 0) + 1 : p_key_ends[m.place]],
                                      p_keys[coalesce(p_key_ends[m.place - 1], 0) + 1 : p_key_ends[m.place]]) s) as s;
  end if;
  return query
  with entries as materialized (
    select abs(k.place) as place, case when k.place > 0 then 'n' else 'b' end::"char" as kind, k.type, k.state_key, found.event_id,
           found.position
    from (select unnest(v_wanted) as place, unnest(v_types) as type, unnest(v_keys) as state_key) as k
    left join lateral fn.entry_at(p_rooms[abs(k.place)], 0, k.type, k.state_key,
                                  case when k.place > 0 then p_now[k.place] else p_before[-k.place] end::integer) as found on true
    where k.place > 0 or found.event_id is not null)
  select s.place, s.kind, s.event_id, s.type, s.state_key, s.position::bigint, null::bigint, null::bigint, null::boolean, null::boolean,
         null::boolean
  from entries s
  union all
  select unnest(v_places), 'b', unnest(v_other_ids), unnest(v_other_types), unnest(v_other_keys), null, null, null, null, null, null
  union all
  select n.place, k.kind, n.id, e.pdu, null, e.state_group_after, e.fixed_ordering, null, e.rejected, e.soft_failed, e.outlier
  from (
    select distinct u.place, u.id
    from (
      select s.place, s.event_id as id from entries s where s.event_id is not null
      union all
      select unnest(v_places || fn.owners(p_prev_ends) || fn.owners(p_auth_ends)), unnest(v_other_ids || p_prev || p_auth)) as u) as n
  left join lateral (
    select e.pdu, e.state_group_after, e.fixed_ordering, e.rejected, e.soft_failed, e.outlier from events e
    where e.room_id = p_rooms[n.place] and e.event_id = n.id limit 1) as e on true
  cross join lateral (
    select 'e'::"char" as kind where e.pdu is not null
    union all
    select 'f' where (e.pdu is null or e.outlier)
      and (select true from refusals f where f.room_id = p_rooms[n.place] and f.event_id = n.id limit 1)) as k;
end $$;

-- The same for one request. Written so that it is inlined.
create function fn.context_rows(p_room bytea, p_prev bytea[], p_auth bytea[], p_types bytea[], p_keys bytea[], p_before bigint,
                                p_merged bigint[], p_now bigint) returns setof fn.context_row
language sql stable as $$
  select s.kind, s.id, s.a, s.b, s.n1, s.n2, s.n3, s.f1, s.f2, s.f3
  from fn.state_rows(array[p_room], array[p_before], array[p_now], coalesce(p_merged, '{}'),
                     array_fill(1, array[coalesce(cardinality(p_merged), 0)]), p_prev, array[cardinality(p_prev)],
                     p_auth, array[cardinality(p_auth)], p_types, p_keys, array[cardinality(p_types)]) s
$$;

-- What each of several requests is told; p_prev, p_auth and the keys of all of them in a row. What is rare, an event with several prev
-- events that are not the forward extremities, costs a statement more for each.
create function fn.event_contexts(p_rooms bytea[], p_events bytea[], p_senders bytea[], p_prev bytea[], p_prev_ends integer[],
                                  p_auth bytea[], p_auth_ends integer[], p_types bytea[], p_keys bytea[], p_key_ends integer[])
returns setof fn.placed_row
language plpgsql stable as $$
declare
  r record;
  v_prev bytea[];
  v_extends boolean;
  v_group bigint;
  v_fixed bigint;
  v_groups bigint[];
  v_given bigint;
  v_rooms bytea[];
  v_before bigint[] := '{}';
  v_now bigint[] := '{}';
  v_merged bigint[] := '{}';
  v_mergers integer[] := '{}';
begin
  v_rooms := array_fill(null::bytea, array[cardinality(p_rooms)]);
  for r in
    select i.place, o.room_id, o.room_version, o.accepted_ordering, o.fixed_ordering, o.state_group, o.extremities,
           o.stream_ordering, o.lineages, m.membership, x.pdu, x.outcome, x.reason, p.state_group_after, p.fixed_ordering as fixed_after
    from (select generate_series(1, cardinality(p_rooms)) as place, unnest(p_rooms) as room_id, unnest(p_events) as event_id,
                 unnest(p_senders) as sender, unnest(p_prev_ends) as prev_end) as i
    cross join lateral (select * from rooms o where o.room_id = i.room_id limit 1) as o
    left join lateral (
      select m.membership from memberships m where m.room_id = o.room_id and m.user_id = i.sender limit 1) as m on true
    left join lateral (
      select x.pdu, x.outcome, x.reason from events x
      where x.room_id = o.room_id and x.event_id = i.event_id and not x.outlier limit 1) as x on true
    left join lateral (
      -- Its only prev event, unless that is the only extremity.
      select p.state_group_after, p.fixed_ordering from events p
      where i.prev_end = coalesce(p_prev_ends[i.place - 1], 0) + 1 and o.extremities <> array[p_prev[i.prev_end]]
        and p.room_id = o.room_id and p.event_id = p_prev[i.prev_end] limit 1) as p on true
  loop
    v_prev := p_prev[coalesce(p_prev_ends[r.place - 1], 0) + 1 : p_prev_ends[r.place]];
    v_extends := v_prev <@ r.extremities and r.extremities <@ v_prev;
    v_rooms[r.place] := r.room_id;
    v_now[r.place] := r.state_group;
    v_groups := null;
    if v_extends then
      v_group := r.state_group;
      v_fixed := r.fixed_ordering;
    elsif cardinality(v_prev) = 1 then
      v_group := r.state_group_after;
      v_fixed := case when v_group is not null then r.fixed_after end;
    else
      select g.state_group, g.fixed_ordering, g.merged into v_group, v_fixed, v_groups from fn.group_before(r.room_id, v_prev) g;
      if v_groups is not null then
        v_merged := v_merged || v_groups;
        v_mergers := v_mergers || array_fill(r.place, array[cardinality(v_groups)]);
      end if;
    end if;
    v_given := null;
    if v_group is null and v_groups is null then
      v_given := fn.given_before(r.room_id, p_events[r.place], v_prev);
      v_group := v_given;
    end if;
    v_before[r.place] := v_group;
    return next (r.place, 'r', null, r.room_version::bytea, r.membership::bytea, r.accepted_ordering, v_group, r.state_group, v_extends,
                 null, v_fixed is distinct from r.fixed_ordering)::fn.placed_row;
    return next (r.place, 'm', null, null, null, v_fixed, null, null, v_groups is not null, v_given is not null, null)::fn.placed_row;
    if cardinality(r.extremities) <= 20 then
      return next (r.place, 'h', null, array_send(r.extremities), null, r.stream_ordering, r.lineages, r.fixed_ordering, null, null,
                   null)::fn.placed_row;
    end if;
    if r.outcome is not null then
      return next (r.place, 'x', null, r.pdu, null, r.outcome, r.reason, null, null, null, null)::fn.placed_row;
    end if;
  end loop;
  return query select * from fn.state_rows(v_rooms, v_before, v_now, v_merged, v_mergers, p_prev, p_prev_ends, p_auth, p_auth_ends,
                                           p_types, p_keys, p_key_ends);
end $$;

-- The same for one request, and where the event does not extend all extremities, with its branches: rows of kind i, the extremities, unless
-- there are too many; and those of branch_rows. p_own_type, p_own_key: null where the event is no state event.
create function fn.event_context(p_room bytea, p_event bytea, p_sender bytea, p_prev bytea[], p_auth bytea[], p_types bytea[],
                              p_keys bytea[], p_own_type bytea, p_own_key bytea)
returns setof fn.context_row
language plpgsql stable as $$
declare
  r record;
  v_before record;
  v_given bigint;
begin
  return query
  select c.kind, c.id, c.a, c.b, c.n1, c.n2, c.n3, c.f1, c.f2, c.f3
  from fn.event_contexts(array[p_room], array[p_event], array[p_sender], p_prev, array[cardinality(p_prev)], p_auth,
                         array[cardinality(p_auth)], p_types, p_keys, array[cardinality(p_types)]) c;
  select o.state_group, o.extremities into r from rooms o where o.room_id = p_room;
  if not found or p_prev <@ r.extremities and r.extremities <@ p_prev then
    return;
  end if;
  if cardinality(r.extremities) <= 1000 then
    return query
    select 'i'::"char", x.id, null::bytea, null::bytea, x.place, null::bigint, null::bigint, null::boolean, null::boolean, null::boolean
    from unnest(r.extremities) with ordinality as x(id, place) order by x.place;
  end if;
  select * into v_before from fn.group_before(p_room, p_prev);
  if v_before.state_group is null and v_before.merged is null then
    v_given := fn.given_before(p_room, p_event, p_prev);
  end if;
  -- A told state takes no extremity's place, not even that of one which the event cites: it is resolved with all of them.
  return query select * from fn.branch_rows(p_room, case when v_given is null then p_prev else '{}' end, r.extremities, p_auth,
                                         p_own_type, p_own_key, p_types, p_keys, coalesce(v_given, v_before.state_group),
                                         v_before.merged, r.state_group);
end $$;

-- p_server: this server. A room with more extremities than p_most is extended at its oldest. Beyond 20, which is for several events that
-- follow each other, those come first of the 400 oldest whose states are of the trunk, and without the events unless their ids are carried.
create function fn.template_context(p_room bytea, p_user bytea, p_server bytea, p_types bytea[], p_keys bytea[], p_most integer)
returns setof fn.context_row
language plpgsql stable as $$
declare
  r record;
  v_extends boolean;
  v_prev bytea[];
  v_depths bigint[];
  v_fixed bigint;
begin
  select o.room_version, o.ids_are_carried, o.stream_ordering, o.accepted_ordering, o.fixed_ordering, o.lineages, o.state_group,
         o.extremities, m.membership,
         exists (select from room_servers s
                 where s.room_id = o.room_id and s.server_name = p_server and s.joined_members > 0) as resident
  into r
  from rooms o left join memberships m on m.room_id = o.room_id and m.user_id = p_user
  where o.room_id = p_room;
  if not found then
    return;
  end if;
  v_extends := cardinality(r.extremities) <= 20;
  select array_agg(t.id order by t.place), array_agg(t.depth order by t.place),
         case when bool_and(t.state_group_after is not null) and count(distinct t.fixed_ordering) = 1 then min(t.fixed_ordering) end
  into v_prev, v_depths, v_fixed
  from (
    select x.id, e.depth, e.state_group_after, e.fixed_ordering,
           row_number() over (order by p_most > 20 and e.state_group_after < 4294967296 desc nulls last, x.place) as place
    from unnest(r.extremities[:case when p_most > 20 then 400 else 20 end]) with ordinality as x(id, place)
    left join lateral (
      select e.depth, e.state_group_after, e.fixed_ordering from events e
      where e.room_id = p_room and e.event_id = x.id limit 1) as e on true) as t
  where t.place <= p_most;
  if v_extends then
    v_fixed := r.fixed_ordering;
  end if;
  return next ('r', null, r.room_version::bytea, r.membership::bytea, r.accepted_ordering, case when v_extends then r.state_group end,
               r.state_group, v_extends, r.resident, v_fixed is distinct from r.fixed_ordering)::fn.context_row;
  if v_extends then
    return next ('h', null, array_send(r.extremities), null, r.stream_ordering, r.lineages, r.fixed_ordering, null, null,
                 null)::fn.context_row;
  end if;
  return next ('m', null, null, null, v_fixed, null, null, not v_extends and v_fixed is not null, null, null)::fn.context_row;
  return query
  select 'p'::"char", p.id, null::bytea, null::bytea, p.place, p.depth, null::bigint, null::boolean, null::boolean, null::boolean
  from unnest(v_prev, v_depths) with ordinality as p(id, depth, place);
  return query select * from fn.context_rows(p_room, case when p_most <= 20 or r.ids_are_carried then v_prev else '{}' end, '{}', p_types,
                                             p_keys, r.state_group, null, r.state_group);
end $$;
