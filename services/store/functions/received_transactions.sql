-- Keeps the answer to a transaction of another server unless there is one, and gives the one that is kept. Those that are too many or too
-- old go: of the origin's own all but the newest p_most_of_one; of all but the newest p_most, and those older than p_oldest, so many at a
-- time that no call has to take away much.
create function fn.keep_received_transaction(p_origin bytea, p_id bytea, p_answer bytea, p_now bigint, p_oldest bigint, p_most_of_one integer,
                                             p_most integer) returns bytea
language plpgsql as $$
declare
  v_number bigint;
  v_answer bytea;
begin
  insert into received_transactions (origin, transaction_id, answer, received_at) values (p_origin, p_id, p_answer, p_now)
  on conflict (origin, transaction_id) do nothing
  returning number into v_number;
  if v_number is null then
    -- Another session's row may have gone meanwhile: then the answer given is as good.
    select r.answer into v_answer from received_transactions r where r.origin = p_origin and r.transaction_id = p_id;
    return coalesce(v_answer, p_answer);
  end if;
  delete from received_transactions r
  where (r.origin, r.transaction_id) in (
    select o.origin, o.transaction_id from received_transactions o where o.origin = p_origin
    order by o.number desc offset p_most_of_one for update skip locked);
  delete from received_transactions r
  where (r.origin, r.transaction_id) in (
    select o.origin, o.transaction_id from received_transactions o
    where o.number <= v_number - p_most or o.received_at < p_oldest and o.number < v_number
    order by o.number limit 100 for update skip locked);
  return p_answer;
end $$;
