-- Makes room for one more invite of a user (p_user), of an origin (p_origin) or of all (both null): the oldest that are settled go. False:
-- there are p_most, and none of them is.
create function fn.room_for_invite(p_user bytea, p_origin bytea, p_most integer) returns boolean
language plpgsql as $$
declare
  v_count integer;
begin
  if p_user is not null then
    select count(*) into v_count from received_invites r where r.user_id = p_user;
  elsif p_origin is not null then
    select count(*) into v_count from received_invites r where r.origin = p_origin;
  else
    select count(*) into v_count from received_invites r;
  end if;
  if v_count < p_most then
    return true;
  end if;
  delete from received_invites r
  where (r.room_id, r.user_id, r.event_id) in (
    select s.room_id, s.user_id, s.event_id from received_invites s
    where s.state > 2 and (p_user is null or s.user_id = p_user) and (p_origin is null or s.origin = p_origin)
    order by s.changed_at limit v_count - p_most + 1 for update skip locked);
  return found;
end $$;

-- Result: 1 kept, 2 known, 3 the user has too many, 4 the origin has, 5 there are too many in all; and the PDU as it is kept. Sessions that
-- keep invites at the same time may each add one beyond a bound.
create function fn.keep_received_invite(p_room bytea, p_user bytea, p_event bytea, p_version bytea, p_sender bytea, p_origin bytea,
                                        p_pdu bytea, p_shown bytea, p_now bigint, p_oldest bigint, p_most_of_user integer,
                                        p_most_of_origin integer, p_most integer, out result integer, out pdu bytea)
language plpgsql as $$
begin
  select 2, r.pdu into result, pdu from received_invites r where r.room_id = p_room and r.user_id = p_user and r.event_id = p_event;
  if found then
    return;
  end if;
  delete from received_invites r
  where (r.room_id, r.user_id, r.event_id) in (
    select s.room_id, s.user_id, s.event_id from received_invites s
    where s.state > 2 and s.changed_at < p_oldest order by s.changed_at limit 100 for update skip locked);
  result := case when not fn.room_for_invite(p_user, null, p_most_of_user) then 3
                 when not fn.room_for_invite(null, p_origin, p_most_of_origin) then 4
                 when not fn.room_for_invite(null, null, p_most) then 5
                 else 1 end;
  if result > 1 then
    return;
  end if;
  insert into received_invites (room_id, user_id, event_id, room_version, sender, origin, pdu, shown_state, received_at, changed_at)
  values (p_room, p_user, p_event, p_version, p_sender, p_origin, p_pdu, p_shown, p_now, p_now)
  on conflict do nothing;
  if not found then  -- another session was faster
    select 2, r.pdu into result, pdu from received_invites r where r.room_id = p_room and r.user_id = p_user and r.event_id = p_event;
    return;
  end if;
  pdu := p_pdu;
  update received_invites r set state = 4, changed_at = p_now, next_try = null, holder = null, last_error = 'another invite followed'
  where r.room_id = p_room and r.user_id = p_user and r.event_id <> p_event and r.sender = p_sender and r.state <= 2;
end $$;

-- The names of those that are rejected by this call. '' is no condition. Where room and user are named, those count too whose leave was
-- tried in vain.
create function fn.reject_received_invites(p_room bytea, p_user bytea, p_sender bytea, p_origin bytea, p_reason bytea, p_via bytea[],
                                           p_now bigint, p_most integer)
returns table (room_id bytea, user_id bytea, event_id bytea)
language sql as $$
  update received_invites r
  set state = 2, changed_at = case when r.state = 2 then r.changed_at else p_now end, reason = p_reason, via = p_via, next_try = p_now,
      denials = 0
  from (
    select s.room_id, s.user_id, s.event_id from received_invites s
    where (s.state = 1 or s.state in (2, 5) and p_room <> '' and p_user <> '')
      and (p_room = '' or s.room_id = p_room) and (p_user = '' or s.user_id = p_user)
      and (p_sender = '' or s.sender = p_sender) and (p_origin = '' or s.origin = p_origin)
    order by s.room_id, s.user_id, s.event_id limit p_most for update) as f
  where r.room_id = f.room_id and r.user_id = f.user_id and r.event_id = f.event_id
  returning r.room_id, r.user_id, r.event_id
$$;

create function fn.withdraw_received_invite(p_room bytea, p_user bytea, p_event bytea, p_sender bytea, p_now bigint) returns boolean
language plpgsql as $$
begin
  update received_invites r set state = 4, changed_at = p_now, next_try = null, holder = null
  where r.room_id = p_room and r.user_id = p_user and r.event_id = p_event and r.sender = p_sender and r.state <= 2;
  return found;
end $$;

-- Leaves that are due and that nobody else has. None while another invite of the same user to the same room is open: a room has one
-- membership of a user, so the leave would reject that one too, which nobody has decided on. Those of p_rooms, p_users, p_events p_holder
-- has already: they are kept, and not given again. 0 milliseconds: p_holder gives back all that it has.
create function fn.lease_invite_leaves(p_holder bytea, p_milliseconds integer, p_now bigint, p_rooms bytea[], p_users bytea[],
                                       p_events bytea[], p_most integer) returns setof received_invites
language plpgsql as $$
declare
  v_time constant interval := p_milliseconds * interval '1 millisecond';
begin
  if p_milliseconds = 0 then
    update received_invites r set holder = null where r.next_try is not null and r.holder = p_holder;
    return;
  end if;
  update received_invites r set held_until = clock_timestamp() + v_time
  from unnest(p_rooms, p_users, p_events) as b(room_id, user_id, event_id)
  where r.room_id = b.room_id and r.user_id = b.user_id and r.event_id = b.event_id and r.holder = p_holder
    and r.held_until < clock_timestamp() + v_time / 2;
  return query
    update received_invites r set holder = p_holder, held_until = clock_timestamp() + v_time
    from (
      select s.room_id, s.user_id, s.event_id from received_invites s
      where s.next_try <= p_now and (s.holder is null or s.holder = p_holder or s.held_until < clock_timestamp())
        and (s.room_id, s.user_id, s.event_id) not in (
          select b.room_id, b.user_id, b.event_id from unnest(p_rooms, p_users, p_events) as b(room_id, user_id, event_id))
        and not exists (
          select from received_invites o where o.room_id = s.room_id and o.user_id = s.user_id and o.state = 1)
      order by s.next_try limit p_most for update skip locked) as f
    where r.room_id = f.room_id and r.user_id = f.user_id and r.event_id = f.event_id
    returning r.*;
end $$;

-- What came of one: 1 left, 2 denied, 3 failed, 4 left here alone. A leave that was made counts whoever says so; what failed, only from who
-- has it. False: nothing is taken down.
create function fn.report_invite_leave(p_room bytea, p_user bytea, p_event bytea, p_holder bytea, p_outcome integer, p_error bytea,
                                       p_next_try bigint, p_now bigint) returns boolean
language plpgsql as $$
begin
  update received_invites r
  set state = case p_outcome when 1 then 3 when 4 then 5 else 2 end,
      changed_at = case when p_outcome in (1, 4) then p_now else r.changed_at end,
      attempts = r.attempts + (p_outcome <> 1)::integer,
      denials = case when p_outcome in (2, 4) then r.denials + 1 else 0 end,
      next_try = case when p_outcome in (2, 3) then p_next_try end,
      last_error = p_error, holder = null
  where r.room_id = p_room and r.user_id = p_user and r.event_id = p_event and r.state = 2 and (p_outcome = 1 or r.holder = p_holder);
  return found;
end $$;
