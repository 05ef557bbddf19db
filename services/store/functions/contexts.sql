-- Reading what judging an event needs: one call, one snapshot (the functions are stable).
--
-- Both answer in rows of one shape, by kind:
--   r  the room: a its version, b the membership of the sender; n1 the ordering of its newest accepted event, n2 the state group before
--      the event (null: not known), n3 that of the current state; f1 the event extends all extremities, f2 this server is resident, f3 the
--      state before and the current one differ by more than commuting changes
--   x  the event asked for, if it is stored: a pdu, n1 outcome, n2 reason
--   p, a  a prev or auth event: id, n1 its place, f1 known, f2 rejected
--   b, n  an entry of the state before (left out where it is the same group as now) and now: id, a type, b state key
--   e  an event that one of these names: id, a pdu, f1 rejected, f2 soft-failed
-- No row at all: the room is not known.
create type fn.context_row as (kind "char", id bytea, a bytea, b bytea, n1 bigint, n2 bigint, n3 bigint, f1 boolean, f2 boolean,
                                 f3 boolean);

create function fn.context_rows(p_room bytea, p_event bytea, p_prev bytea[], p_auth bytea[], p_types bytea[], p_keys bytea[],
                             p_before bigint, p_merged bigint[], p_now bigint) returns setof fn.context_row
language plpgsql stable as $$
declare
  v_now record;
  v_before record;
begin
  select * into v_now from fn.state_path(p_room, p_now);
  -- Where the two are one group, the second is looked up for no key at all.
  select * into v_before from fn.state_path(p_room, coalesce(p_before, p_now));
  return query
  with now_entries as materialized (
    select * from fn.state_at(p_room, v_now.lineages, v_now.positions, p_types, p_keys)),
  before_entries as materialized (
    select * from fn.state_at(p_room, v_before.lineages, v_before.positions,
                           case when p_before <> p_now then p_types else '{}' end,
                           case when p_before <> p_now then p_keys else '{}' end)
    union all
    select * from fn.merged_at(p_room, p_merged, p_types, p_keys)),
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

-- With branches: rows of kind i, the forward extremities. A row of kind m follows that of kind r: n1 the fixed_ordering of the state before, f1 it is put together from the states after the
-- prev events. p_own_type, p_own_key: null where the event is no state event.
create function fn.event_context(p_room bytea, p_event bytea, p_sender bytea, p_prev bytea[], p_auth bytea[], p_types bytea[],
                              p_keys bytea[], p_with_branches boolean, p_own_type bytea, p_own_key bytea)
returns setof fn.context_row
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
    select * into v_before from fn.group_before(p_room, p_prev);
  end if;
  return next ('r', null, r.room_version::bytea, r.membership::bytea, r.accepted_ordering, v_before.state_group, r.state_group,
               v_extends, null, v_before.fixed_ordering is distinct from r.fixed_ordering)::fn.context_row;
  return next ('m', null, null, null, v_before.fixed_ordering, null, null, v_before.merged is not null, null, null)::fn.context_row;
  return query select * from fn.context_rows(p_room, p_event, p_prev, p_auth, p_types, p_keys, v_before.state_group, v_before.merged,
                                          r.state_group);
  if p_with_branches and not v_extends then
    if cardinality(r.extremities) <= 1000 then
      return query
      select 'i'::"char", x.id, null::bytea, null::bytea, x.place, null::bigint, null::bigint, null::boolean, null::boolean, null::boolean
      from unnest(r.extremities) with ordinality as x(id, place) order by x.place;
    end if;
    return query select * from fn.branch_rows(p_room, p_prev, r.extremities, p_auth, p_own_type, p_own_key, p_types, p_keys,
                                           v_before.state_group, v_before.merged, r.state_group);
  end if;
end $$;

-- p_server: this server. A room with more than 20 extremities is extended at its 20 oldest.
create function fn.template_context(p_room bytea, p_user bytea, p_server bytea, p_types bytea[], p_keys bytea[])
returns setof fn.context_row
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
    select * into v_before from fn.group_before(p_room, v_prev);
  end if;
  return next ('r', null, r.room_version::bytea, r.membership::bytea, r.accepted_ordering, v_before.state_group, r.state_group,
               v_extends, r.resident, null)::fn.context_row;
  return next ('m', null, null, null, v_before.fixed_ordering, null, null, v_before.merged is not null, null, null)::fn.context_row;
  return query select * from fn.context_rows(p_room, null, v_prev, '{}', p_types, p_keys, r.state_group, null, r.state_group);
end $$;
