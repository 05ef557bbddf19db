-- Points an alias at a room. False: the room is not known.
create function fn.set_alias(p_alias bytea, p_room bytea) returns boolean
language plpgsql as $$
begin
  perform from rooms o where o.room_id = p_room;
  if not found then
    return false;
  end if;
  insert into room_aliases as a (alias, room_id) values (p_alias, p_room)
  on conflict (alias) do update set room_id = excluded.room_id where a.room_id <> excluded.room_id;
  return true;
end $$;

-- Whether there was one.
create function fn.remove_alias(p_alias bytea) returns boolean
language plpgsql as $$
begin
  delete from room_aliases where alias = p_alias;
  return found;
end $$;
