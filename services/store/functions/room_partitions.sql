-- Hash-partitions by room the tables that grow with what rooms hold, and event_ids by what is asked for there. The rest stays whole: rooms
-- and extremity_leases (a row a room), what is bounded in number (refusals, received_invites, received_transactions, keys and servers), what
-- is keyed by a server (deliveries, destinations), aliases.
--
-- Tables that are partitioned stay as they are, and those that are partitioned now follow them in number. p_move: tables that hold rows,
-- too; for the time that copying takes nobody else reads or writes them. Without it: those that have never held any, in a database where
-- that is all of them, or where `events` is partitioned (then it is one that a migration has just added). Returns how many partitions
-- `events` has; 0: it is whole.
create function fn.partition_by_room(p_partitions integer, p_move boolean) returns integer
language plpgsql as $$
declare
  c_tables constant text[] := '{events, auth_edges, event_ids, state_lineages, state_entries, extremity_states, current_state, memberships,
                                room_servers, outbox, given_states}';
  v_partitions integer;
  v_whole text[];
  v_table text;
  v_view record;
  v_again text[] := '{}';
  v_statement text;
begin
  -- Mostly there is nothing to do, which takes no lock to find out.
  for attempt in 1 .. 2 loop
    select count(*) into v_partitions from pg_inherits i where i.inhparent = 'events'::regclass;
    select array_agg(t.name order by t.place) into v_whole
    from unnest(c_tables) with ordinality as t(name, place)
    join pg_class c on c.oid = to_regclass(t.name) and c.relkind = 'r'
    where p_move or pg_relation_size(c.oid) = 0;
    if v_whole is null or v_partitions = 0 and 'events' <> all (v_whole) then
      return v_partitions;
    end if;
    if attempt = 1 then
      -- As the migrations; then nobody writes a room meanwhile.
      perform pg_advisory_xact_lock(7102, 1);
      lock table rooms in exclusive mode;
    end if;
  end loop;
  v_partitions := coalesce(nullif(v_partitions, 0), p_partitions);

  -- Whoever calls this, the tables stay their owner's.
  select format('set local role %I', r.rolname) into v_statement
  from pg_class c join pg_roles r on r.oid = c.relowner where c.oid = 'rooms'::regclass;
  execute v_statement;
  -- Views stand on the tables themselves: made anew at the end.
  for v_view in
    select distinct c.oid, c.relname, pg_get_viewdef(c.oid) as definition, fn.grants_of(c.oid) as grants
    from pg_depend d join pg_rewrite w on w.oid = d.objid join pg_class c on c.oid = w.ev_class
    where d.refobjid in (select to_regclass(n.name) from unnest(v_whole) as n(name)) and c.relkind = 'v'
  loop
    v_again := v_again || format('create view %I as %s', v_view.relname, v_view.definition) || v_view.grants;
    execute format('drop view %I', v_view.relname);
  end loop;
  foreach v_table in array v_whole loop
    perform fn.partition_table(v_table, case v_table when 'event_ids' then 'event_id' else 'room_id' end, v_partitions);
  end loop;
  foreach v_statement in array v_again loop
    execute v_statement;
  end loop;
  reset role;
  return v_partitions;
end $$;
