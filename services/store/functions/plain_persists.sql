-- Writing events whose effect on their rooms is known beforehand: see ../plain_persists.h, which decides.

-- Writes them, if each room still is as it was when that was decided, and nothing is known of any of them; else nothing, and false.
-- h_…: the rooms, as they were and as they become. p_…: the events, room by room, in the order in which they are to be stored.
-- s_…: entries of state, each with the place of its event. l_…: lineages that branch from a position of the trunk. x_…: what is current
-- where a set of several extremities stands. k_…: keys of the current state that have not changed after a position, or nothing is
-- written. m_…: changes of members, each with the place of its event and the room of that. Lists are given as the text of their arrays;
-- p_also_tell as in persist_events. p_seen: origins whose last event may have been an hour ago.
create function fn.persist_plain(
  p_server bytea, p_now bigint, p_servers_limit integer, p_seen bytea[],
  h_rooms bytea[], h_stored_before bigint[], h_lineages_before integer[], h_stored bigint[], h_accepted bigint[], h_fixed bigint[],
  h_groups bigint[], h_lineages integer[], h_extremities text[],
  p_rooms bytea[], p_events bytea[], p_pdus bytea[], p_verdicts bytea[], p_origins bytea[], p_judged_at bigint[], p_types bytea[],
  p_state_keys bytea[], p_senders bytea[], p_depths bigint[], p_timestamps bigint[], p_prevs text[], p_auths text[], p_also_tell text[],
  p_orderings bigint[], p_befores bigint[], p_nows bigint[], p_afters bigint[], p_fixed bigint[],
  s_places integer[], s_lineages integer[], s_types bytea[], s_keys bytea[], s_positions integer[], s_ids bytea[],
  l_places integer[], l_lineages integer[], l_positions integer[],
  x_places integer[], x_sets text[], x_groups bigint[], x_fixed bigint[],
  k_places integer[], k_types bytea[], k_keys bytea[], k_positions integer[],
  m_places integer[], m_rooms bytea[], m_users bytea[], m_servers bytea[], m_events bytea[], m_memberships text[], m_reasons bytea[],
  m_displaynames bytea[], m_avatars bytea[], m_inviters bytea[], m_third_party bytea[], m_authorisers bytea[]) returns boolean
language plpgsql as $$
declare
  v_held integer;
  v_moves record;
  v_origin bytea;
begin
  -- As in persist_events, in the order of their ids; what somebody else holds is not waited for.
  select count(*) into v_held
  from (
    select from rooms o
    where o.room_id = any (h_rooms) and o.stream_ordering = h_stored_before[array_position(h_rooms, o.room_id)]
      and o.lineages = h_lineages_before[array_position(h_rooms, o.room_id)]
    order by o.room_id for no key update skip locked) as o;
  if v_held < cardinality(h_rooms) or exists (
       select from unnest(p_rooms, p_events) as i(room_id, event_id)
       cross join lateral (
         (select from events x where x.room_id = i.room_id and x.event_id = i.event_id limit 1)
         union all
         (select from refusals x where x.room_id = i.room_id and x.event_id = i.event_id limit 1)) as x)
     or k_places <> '{}' and exists (
       select from unnest(k_places, k_types, k_keys, k_positions) as k(place, type, state_key, position)
       cross join lateral (
         select from state_entries e
         where e.room_id = p_rooms[k.place] and e.lineage = 0 and e.type = k.type and e.state_key = k.state_key
           and e.position > k.position
         limit 1) as changed) then
    return false;
  end if;

  select array_agg(m_places[c.place]) as places, array_agg(c.room_id) as rooms, array_agg(c.server_name) as servers,
         array_agg(c.joins) as joins
  into v_moves from fn.joined_changes(m_rooms, m_users, m_servers, m_memberships) c;
  with stored as (
    insert into events (room_id, event_id, stream_ordering, outcome, reason, depth, origin_server_ts, stored_at, judged_at,
                        state_group_before, state_group_now, state_group_after, fixed_ordering, type, state_key, sender, origin,
                        prev_events, auth_events, pdu, verdict)
    select i.room_id, i.event_id, i.ordering, 1, 0, i.depth, i.origin_server_ts, p_now, i.judged_at, i.before, i.now, i.after, i.fixed,
           i.type, i.state_key, i.sender, i.origin, i.prevs::bytea[], i.auths::bytea[], i.pdu, i.verdict
    from unnest(p_rooms, p_events, p_orderings, p_depths, p_timestamps, p_judged_at, p_befores, p_nows, p_afters, p_fixed, p_types,
                p_state_keys, p_senders, p_origins, p_prevs, p_auths, p_pdus, p_verdicts)
      as i(room_id, event_id, ordering, depth, origin_server_ts, judged_at, before, now, after, fixed, type, state_key, sender, origin,
           prevs, auths, pdu, verdict)
    returning room_id, event_id, auth_events),
  named as (
    insert into event_ids (event_id, room_id) select s.event_id, s.room_id from stored s),
  cited as (
    insert into auth_edges (room_id, auth_event_id, event_id)
    select s.room_id, a.id, s.event_id from stored s cross join lateral unnest(s.auth_events) as a(id)),
  changed as (
    insert into state_entries (room_id, lineage, type, state_key, position, event_id)
    select p_rooms[s.place], s.lineage, s.type, s.state_key, s.position, s.event_id
    from unnest(s_places, s_lineages, s_types, s_keys, s_positions, s_ids) as s(place, lineage, type, state_key, position, event_id)),
  branched as (
    insert into state_lineages (room_id, lineage, path_lineages, path_positions)
    select p_rooms[l.place], l.lineage, '{0}', array[l.position] from unnest(l_places, l_lineages, l_positions) as l(place, lineage, position)),
  noted as (
    insert into extremity_states (room_id, extremities_digest, state_group, fixed_ordering)
    select p_rooms[x.place], d.digest, x.state_group, x.fixed_ordering
    from unnest(x_places, x_sets, x_groups, x_fixed) as x(place, tips, state_group, fixed_ordering)
    cross join lateral fn.digest_of_set(x.tips::bytea[]) as d(digest)),
  told as (
    insert into outbox (room_id, event_id, stream_ordering, destinations, created_at)
    select i.room_id, i.event_id, i.ordering, d.names, p_now
    from unnest(p_rooms, p_events, p_orderings, p_origins, p_also_tell) with ordinality
      as i(room_id, event_id, ordering, origin, also_tell, place)
    cross join lateral fn.destinations_of(p_server, i.room_id, i.origin, i.also_tell, i.place, v_moves.places, v_moves.rooms,
                                          v_moves.servers, v_moves.joins) as d
    where i.also_tell <> '{NULL}'
    returning room_id, event_id, stream_ordering, destinations),
  queued as (
    insert into deliveries (destination, room_id, event_id, created_at)
    select d.name, t.room_id, t.event_id, p_now
    from told t cross join lateral unnest(t.destinations) as d(name)
    order by t.room_id, t.stream_ordering, d.name)
  update rooms o
  set stream_ordering = h.stored, accepted_ordering = h.accepted, state_group = h.state_group, lineages = h.lineages,
      fixed_ordering = h.fixed, extremities = h.extremities::bytea[]
  from unnest(h_rooms, h_stored, h_accepted, h_fixed, h_groups, h_lineages, h_extremities)
    as h(room_id, stored, accepted, fixed, state_group, lineages, extremities)
  where o.room_id = h.room_id;

  if v_moves.places is not null then
    perform fn.count_members(v_moves.rooms, v_moves.servers, v_moves.joins);
  end if;
  if m_places <> '{}' then
    perform fn.project_members(m_rooms, p_now, m_users, m_events, m_memberships, m_reasons, m_displaynames, m_avatars, m_inviters,
                            m_third_party, m_authorisers);
  end if;
  if p_seen <> '{}' then
    for v_origin in
      select i.origin from unnest(p_seen) as i(origin)
      where not exists (select from remote_servers s where s.server_name = i.origin and s.last_seen > p_now - 3600000)
      order by i.origin loop
      perform fn.see_server(v_origin, p_now, p_servers_limit);
    end loop;
  end if;
  return true;
end $$;
