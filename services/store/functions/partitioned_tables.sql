-- Replacing a table by one that is hash-partitioned and otherwise the same.

-- Who may do what with a table or view, as the statements that allow it.
create function fn.grants_of(p_relation oid) returns text[]
language sql stable as $$
  select coalesce(array_agg(format('grant %s on %I to %s%s', a.privilege_type, c.relname,
                                   case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end,
                                   case when a.is_grantable then ' with grant option' else '' end)), '{}')
  from pg_class c cross join lateral aclexplode(c.relacl) as a left join pg_roles r on r.oid = a.grantee
  where c.oid = p_relation and a.grantee <> c.relowner
$$;

-- Columns, defaults, checks, indices with their names, storage parameters, grants and rows are those of the table that goes. Partitions
-- are called as the table, with _p0 and so on.
create function fn.partition_table(p_table text, p_column text, p_partitions integer) returns void
language plpgsql as $$
declare
  v_old constant regclass := p_table::regclass;
  v_old_name constant text := p_table || '_whole';
  v_options constant text := (select ' with (' || array_to_string(c.reloptions, ', ') || ')' from pg_class c where c.oid = v_old);
  v_grants constant text[] := fn.grants_of(v_old);
  v_columns constant text := (
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
    where a.attrelid = v_old and a.attnum > 0 and not a.attisdropped and a.attgenerated = '');
  v_indices text[];
  v_constraints text[];
  v_statement text;
  v_rows bigint;
begin
  select array_agg(pg_get_indexdef(i.indexrelid) order by i.indexrelid) into v_indices from pg_index i
  where i.indrelid = v_old and not exists (select from pg_constraint k where k.conindid = i.indexrelid);
  select array_agg(format('alter table %I add constraint %I %s', p_table, k.conname, pg_get_constraintdef(k.oid))) into v_constraints
  from pg_constraint k where k.conrelid = v_old and k.contype in ('p', 'u');
  execute format('alter table %I rename to %I', p_table, v_old_name);
  execute format('create table %I (like %I including all excluding indexes) partition by hash (%I)', p_table, v_old_name, p_column);
  for i in 0 .. p_partitions - 1 loop
    execute format('create table %I partition of %I for values with (modulus %s, remainder %s)%s', p_table || '_p' || i, p_table,
                   p_partitions, i, coalesce(v_options, ''));
  end loop;
  execute format('insert into %I (%s) select %s from %I', p_table, v_columns, v_columns, v_old_name);
  get diagnostics v_rows = row_count;
  execute format('drop table %I', v_old_name);
  foreach v_statement in array coalesce(v_constraints, '{}') || coalesce(v_indices, '{}') || v_grants loop
    execute v_statement;
  end loop;
  -- Autovacuum does this for partitions, never for the table as a whole. Not while it is empty: the planner would believe that, where it
  -- takes a table that nobody has looked at for one of some size.
  if v_rows > 0 then
    execute format('analyze %I', p_table);
  end if;
end $$;
