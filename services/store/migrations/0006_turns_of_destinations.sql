-- Whose turn it is among those that are due: servers that have taken something before and do not fail, then those that nothing is known
-- of yet, then those that fail; in each the longest due first. Thousands of dead ones cost the others not even the reading.
create index destinations_by_turn on destinations
  ((case when failures > 0 then 2 when delivered_at is null then 1 else 0 end), next_try) where next_try is not null;
drop index destinations_by_next_try;
-- Held is from here on only what is under way.
update destinations set holder = null where cardinality(transaction) = 0;
