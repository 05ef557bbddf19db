-- Notes what p_holder has of some origins until so many milliseconds from now, by this database's clock, and forgets what it has said of
-- others. Answers with the sums of what all other holders have of those. Each origin once.
create function fn.share_rates(p_holder bytea, p_milliseconds integer, p_origins bytea[], p_requests bigint[], p_waiting bigint[],
                               p_working bigint[])
returns table (origin bytea, requests bigint, waiting bigint, working bigint)
language plpgsql as $$
#variable_conflict use_column
declare
  v_now constant timestamptz := clock_timestamp();
  v_known bigint;
begin
  delete from origin_rates r where r.holder = p_holder and r.origin not in (select unnest(p_origins));
  select count(*) into v_known from origin_rates r where r.holder = p_holder;
  -- Whoever adds a row takes away what holders that are no more have left: so the table does not grow, and those who only go on saying
  -- what they have do not look through it.
  if v_known < cardinality(p_origins) then
    delete from origin_rates r where (r.origin, r.holder) in (
      select x.origin, x.holder from origin_rates x where x.until <= v_now and x.holder <> p_holder for update skip locked);
  end if;
  insert into origin_rates as r (origin, holder, requests, waiting, working, until)
  select n.origin, p_holder, n.requests, n.waiting, n.working, v_now + p_milliseconds * interval '1 millisecond'
  from unnest(p_origins, p_requests, p_waiting, p_working) as n(origin, requests, waiting, working)
  on conflict (origin, holder) do update
    set requests = excluded.requests, waiting = excluded.waiting, working = excluded.working, until = excluded.until;
  return query
    select r.origin, sum(r.requests)::bigint, sum(r.waiting)::bigint, sum(r.working)::bigint from origin_rates r
    where r.origin = any (p_origins) and r.holder <> p_holder and r.until > v_now
    group by r.origin;
end $$;
