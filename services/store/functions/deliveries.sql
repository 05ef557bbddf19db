-- Telling other servers. Who writes an event writes its deliveries and touches no destination, so that no commit, however long it
-- takes, stands in another's way; who sends finds out which destinations wait.

-- Wakes the destinations of deliveries that nobody has looked at. Who locks several destinations and waits for them does it in the order
-- of their names, here and below; all else takes one, or passes over those that are locked. Rows become visible in another order than they are numbered in: what
-- is passed over is only what was written by transactions that have all ended, and the rest is looked at again.
create function fn.wake_destinations(p_now bigint) returns void
language plpgsql as $$
declare
  v_seen xid8;
  v_ended xid8;
begin
  select s.xid into v_seen from deliveries_seen s;
  v_ended := pg_snapshot_xmin(pg_current_snapshot());
  if v_seen > v_ended then
    v_seen := '0';  -- the database was restored: transactions are counted anew
  elsif not exists (select from deliveries d where d.xid >= v_seen) then
    return;
  end if;
  perform from deliveries_seen s for update skip locked;
  if not found then
    return;
  end if;
  insert into destinations as d (destination, next_try)
  select n.destination, p_now from (select distinct x.destination from deliveries x where x.xid >= v_seen) as n order by n.destination
  on conflict (destination) do update set next_try = excluded.next_try where d.next_try is null;
  update deliveries_seen s set xid = v_ended
  where s.xid > v_ended or exists (select from deliveries x where x.xid >= v_seen and x.xid < v_ended);
end $$;

-- Takes out what others that wait for the same destination follow from: they bring it along (pitfall O07). At most 50 rooms at a time.
create function fn.leave_to_descendants(p_destination bytea, p_until bigint) returns integer
language plpgsql as $$
declare
  v_count integer;
begin
  with waiting as materialized (
    select x.room_id, x.event_id, x.number from deliveries x
    where x.destination = p_destination and x.number <= p_until and x.room_id in (
      select r.room_id from deliveries r where r.destination = p_destination and r.number <= p_until
      group by r.room_id order by min(r.number) limit 50)),
  cited as (
    select distinct w.room_id, c.id from waiting w
    join events e on e.room_id = w.room_id and e.event_id = w.event_id cross join unnest(e.prev_events) as c(id))
  delete from deliveries x using waiting w, cited c
  where x.destination = p_destination and x.number = w.number and c.room_id = w.room_id and c.id = w.event_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- The numbers that the next transaction to a destination takes: at most 50, at most 512 KiB of PDUs; one alone where something among
-- them was refused before.
create function fn.next_numbers(p_destination bytea, p_singly_until bigint) returns bigint[]
language sql as $$
  select array_agg(n.number order by n.number)
  from (
    select f.number, row_number() over w as place, sum(f.bytes) over w as bytes, first_value(f.number) over w <= p_singly_until as singly
    from (
      select x.number, length(e.pdu) as bytes from deliveries x
      join events e on e.room_id = x.room_id and e.event_id = x.event_id
      where x.destination = p_destination order by x.number limit 50) as f
    window w as (order by f.number)) as n
  where n.place = 1 or (n.bytes <= 524288 and not n.singly)
$$;

-- Lets p_holder have a destination, whose row is locked, and says what to send next; null: nothing waits.
create function fn.take_destination(d destinations, p_holder bytea, p_until timestamptz, p_now bigint) returns bigint[]
language plpgsql as $$
declare
  v_numbers bigint[] := d.transaction;
  v_id bytea := d.transaction_id;
begin
  if d.failing_since < p_now - 3600000 then
    select max(x.number) into d.catch_up_until from deliveries x where x.destination = d.destination;
  end if;
  if d.catch_up_until > 0 and fn.leave_to_descendants(d.destination, d.catch_up_until) > 0 then
    v_numbers := '{}';
  end if;
  if cardinality(v_numbers) = 0 then
    v_numbers := fn.next_numbers(d.destination, d.singly_until);
    v_id := convert_to(gen_random_uuid()::text, 'UTF8');
  end if;
  if v_numbers is null then
    update destinations x set next_try = null, holder = null, transaction_id = null, transaction = '{}', catch_up_until = 0
    where x.destination = d.destination;
  else
    update destinations x
    set holder = p_holder, held_until = p_until, transaction_id = v_id, transaction = v_numbers,
        catch_up_until = case when v_numbers[1] <= d.catch_up_until then d.catch_up_until else 0 end
    where x.destination = d.destination;
  end if;
  return v_numbers;
end $$;

create type fn.outbound_transaction as (
  destination bytea, transaction_id bytea, failures integer, failing_since bigint, created_at bigint,
  room_ids bytea[], event_ids bytea[], pdus bytea[]);

-- Destinations that something waits for and that nobody else has, each with its next transaction: those that have taken something before,
-- then those that nothing is known of yet, then those that fail. Of the last two, who may be dead, at most p_most_failing; what is under
-- way to one that nothing is known of counts among them. 0 milliseconds: p_holder gives back all that it has.
create function fn.lease_deliveries(p_holder bytea, p_milliseconds integer, p_now bigint, p_busy bytea[], p_most integer,
                                    p_most_failing integer) returns setof fn.outbound_transaction
language plpgsql as $$
declare
  d destinations;
  v_time constant interval := p_milliseconds * interval '1 millisecond';
  v_turn integer;
  v_left integer;
begin
  if p_milliseconds = 0 then
    update destinations x set holder = null
    where x.destination in (select y.destination from destinations y where y.holder = p_holder order by y.destination for update);
    return;
  end if;
  perform fn.wake_destinations(p_now);
  update destinations x set held_until = clock_timestamp() + v_time
  where x.destination in (select y.destination from destinations y
                          where y.holder = p_holder and y.held_until < clock_timestamp() + v_time / 2 for update skip locked);
  p_most_failing := p_most_failing - (
    select count(*) from destinations x where x.destination = any (p_busy) and x.failures = 0 and x.delivered_at is null)::integer;
  foreach v_turn in array array[0, 1, 2] loop
    v_left := case when v_turn > 0 then greatest(least(p_most, p_most_failing), 0) else p_most end;
    for d in
      select * from destinations x
      where (case when x.failures > 0 then 2 when x.delivered_at is null then 1 else 0 end) = v_turn
        and x.next_try <= p_now and x.destination <> all (p_busy)
        and (x.holder is null or x.holder = p_holder or x.held_until < clock_timestamp())
      order by x.next_try limit v_left for update skip locked
    loop
      if fn.take_destination(d, p_holder, clock_timestamp() + v_time, p_now) is not null then
        p_most := p_most - 1;
        p_most_failing := p_most_failing - (v_turn > 0)::integer;
        return query
          select d.destination, x.transaction_id, d.failures, d.failing_since, min(q.created_at), array_agg(q.room_id order by q.number),
                 array_agg(q.event_id order by q.number), array_agg(e.pdu order by q.number)
          from destinations x
          join deliveries q on q.destination = x.destination and q.number = any (x.transaction)
          join events e on e.room_id = q.room_id and e.event_id = q.event_id
          where x.destination = d.destination
          group by x.transaction_id;
      end if;
    end loop;
  end loop;
end $$;

-- What came of a transaction: 1 delivered, 2 failed, 3 refused, 4 put off. One that is no longer under way is not looked at. Nobody has
-- the destination any more: whoever sends takes care of what is under way, not of the thousands that are being held off.
create function fn.report_delivery(p_destination bytea, p_transaction_id bytea, p_outcome integer, p_error bytea, p_next_try bigint,
                                   p_now bigint) returns integer
language plpgsql as $$
declare
  d destinations;
  v_parked integer := 0;
begin
  select * into d from destinations x where x.destination = p_destination and x.transaction_id = p_transaction_id for update;
  if not found then
    return 0;
  end if;
  if p_outcome = 1 then
    delete from deliveries x where x.destination = p_destination and x.number = any (d.transaction);
    update destinations x
    set transaction_id = null, transaction = '{}', holder = null, next_try = p_now, failures = 0, failing_since = null, last_error = null,
        delivered_at = p_now
    where x.destination = p_destination;
  elsif p_outcome = 3 and cardinality(d.transaction) = 1 then
    with gone as (delete from deliveries x where x.destination = p_destination and x.number = d.transaction[1] returning x.*)
    insert into parked_deliveries (destination, number, room_id, event_id, created_at, error, parked_at)
    select g.destination, g.number, g.room_id, g.event_id, g.created_at, p_error, p_now from gone g;
    get diagnostics v_parked = row_count;
    delete from parked_deliveries k where k.destination = p_destination and k.number in (
      select o.number from parked_deliveries o where o.destination = p_destination order by o.number desc offset 1000);
    update destinations x set transaction_id = null, transaction = '{}', holder = null, next_try = p_now, last_error = p_error
    where x.destination = p_destination;
  elsif p_outcome = 3 then
    update destinations x
    set transaction_id = null, transaction = '{}', holder = null, next_try = p_now, last_error = p_error,
        singly_until = d.transaction[cardinality(d.transaction)]
    where x.destination = p_destination;
  else
    update destinations x
    set failures = x.failures + (p_outcome = 2)::integer, failing_since = coalesce(x.failing_since, p_now), last_error = p_error,
        holder = null, next_try = p_next_try
    where x.destination = p_destination;
  end if;
  return v_parked;
end $$;

-- They have been heard of: what holds them off ends.
create function fn.end_back_off(p_destinations bytea[], p_now bigint) returns void
language sql as $$
  update destinations x set next_try = p_now
  where x.destination in (select y.destination from destinations y
                          where y.destination = any (p_destinations) and y.failing_since is not null and y.next_try > p_now
                          for update skip locked)
$$;

-- What an operator decides: everything is tried again now, what was refused too; or nothing more is to be delivered. How many that are.
create function fn.settle_destination(p_destination bytea, p_drop boolean, p_now bigint) returns bigint
language plpgsql as $$
declare
  v_count bigint;
begin
  perform from destinations x where x.destination = p_destination for update;
  if p_drop then
    with gone as (delete from deliveries x where x.destination = p_destination returning 1),
         also as (delete from parked_deliveries k where k.destination = p_destination returning 1)
    select (select count(*) from gone) + (select count(*) from also) into v_count;
    update destinations x
    set next_try = null, holder = null, failures = 0, failing_since = null, last_error = null, transaction_id = null, transaction = '{}',
        singly_until = 0, catch_up_until = 0
    where x.destination = p_destination;
    return v_count;
  end if;
  with back as (delete from parked_deliveries k where k.destination = p_destination returning k.*)
  insert into deliveries (destination, room_id, event_id, created_at)
  select b.destination, b.room_id, b.event_id, b.created_at from back b order by b.number;
  update destinations x set next_try = p_now, failures = 0 where x.destination = p_destination;
  select count(*) into v_count from deliveries x where x.destination = p_destination;
  return v_count;
end $$;
