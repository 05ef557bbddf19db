-- The lease of gathering a room's forward extremities: one holder at a time, by this database's clock. p_milliseconds 0 gives it back.
-- No row: the room is not known.
create function fn.lease_extremities(p_room bytea, p_holder bytea, p_milliseconds integer, p_server bytea, p_candidates bytea[])
returns table (granted boolean, extremities integer, joined_users bytea[])
language plpgsql as $$
#variable_conflict use_column
declare
  v_granted boolean := false;
  v_extremities integer;
  v_joined bytea[];
  v_others bytea[];
begin
  if p_milliseconds = 0 then
    delete from extremity_leases l where l.room_id = p_room and l.holder = p_holder;
  else
    insert into extremity_leases as l (room_id, holder, until)
    select o.room_id, p_holder, clock_timestamp() + p_milliseconds * interval '1 millisecond' from rooms o where o.room_id = p_room
    on conflict (room_id) do update set holder = excluded.holder, until = excluded.until
      where l.holder = excluded.holder or l.until <= clock_timestamp();
    v_granted := found;
  end if;
  -- After the lease: one that finds it taken has been seen by its holder, or is seen by him when he gives it back.
  select cardinality(o.extremities) into v_extremities from rooms o where o.room_id = p_room;
  if not found then
    return;
  end if;
  if v_granted then
    select array_agg(c.user_id order by c.place) into v_joined
    from unnest(p_candidates) with ordinality as c(user_id, place)
    cross join lateral (
      select from memberships m where m.room_id = p_room and m.user_id = c.user_id and m.membership = 'join' limit 1) as m;
    select array_agg(n.user_id) into v_others
    from (
      select m.user_id from memberships m
      -- By memberships_by_server: a large room has few members of this server, or soon twenty of them.
      where m.room_id = p_room and substring(m.user_id from position(':'::bytea in m.user_id) + 1) = p_server
        and m.membership = 'join' and m.user_id <> all (p_candidates)
        and exists (select from room_servers s where s.room_id = p_room and s.server_name = p_server and s.joined_members > 0)
      limit 20) as n;
  end if;
  return query select v_granted, v_extremities, coalesce(v_joined, '{}') || coalesce(v_others, '{}');
end $$;
