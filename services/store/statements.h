// Every statement that the store sends, by name. `fn` stands for the schema of its functions (sql_functions.h).
#pragma once

#include "services/store/database_connection.h"

namespace postern::store {

/// A statement that calls a function with `count` parameters: "select columns from name($1, …)".
#define POSTERN_P8 "$1, $2, $3, $4, $5, $6, $7, $8"
#define POSTERN_P24 POSTERN_P8 ", $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24"

inline constexpr Statement kEventContexts{"event_contexts",
                                          "select kind, id, a, b, n1, n2, n3, f1, f2, f3, place "
                                          "from fn.event_contexts(" POSTERN_P8 ", $9, $10)"};
/// What is not remembered of requests for contexts, and what has changed in their rooms since the moment and the state
/// group that are. Rows as those of event_contexts, of kinds n and e, and:
///   u  one for each room: a the membership of the sender; b the room's version; n1 stream_ordering, n2 lineages; f1
///      whether the event is stored already
///   g  a room that has moved on and has 20 extremities at most: a these, as array_send writes them; n1
///      stream_ordering, n2 lineages, n3 state_group
///   o  the same room: n1 accepted_ordering, n2 fixed_ordering
///   d  what has changed in its current state, as n, in its order: 65 of these at most
inline constexpr Statement kContextRests{
    "context_rests",
    "with heads as materialized (select i.place::integer as place, i.event_id, i.sender, o.room_id, o.room_version, "
    "o.stream_ordering, o.lineages, o.accepted_ordering, o.fixed_ordering, o.state_group, o.extremities, "
    "i.state_group as state_group_then, "
    "(o.stream_ordering, o.lineages) <> (i.stored, i.lineages) and cardinality(o.extremities) <= 20 as moved "
    "from unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::integer[], $6::bigint[]) with ordinality "
    "as i(room_id, event_id, sender, stored, lineages, state_group, place) "
    "cross join lateral (select * from rooms o where o.room_id = i.room_id limit 1) as o), "
    "entries as materialized (select k.place, k.type, k.state_key, found.event_id, found.position "
    "from unnest($7::integer[], $8::bytea[], $9::bytea[]) as k(place, type, state_key) join heads h on h.place = "
    "k.place "
    "left join lateral fn.entry_at(h.room_id, 0, k.type, k.state_key, h.state_group::integer) as found on true) "
    "select 'u'::\"char\" as kind, null::bytea as id, m.membership::bytea as a, h.room_version::bytea as b, "
    "h.stream_ordering as n1, h.lineages::bigint as n2, null::bigint as n3, x.stored as f1, null::boolean as f2, "
    "null::boolean as f3, h.place from heads h "
    "left join lateral (select m.membership from memberships m "
    "where m.room_id = h.room_id and m.user_id = h.sender limit 1) as m on true "
    "left join lateral (select true as stored from events x "
    "where x.room_id = h.room_id and x.event_id = h.event_id and not x.outlier limit 1) as x on true "
    "union all "
    "select 'g', null, array_send(h.extremities), null, h.stream_ordering, h.lineages, h.state_group, null, null, "
    "null, "
    "h.place from heads h where h.moved "
    "union all "
    "select 'o', null, null, null, h.accepted_ordering, h.fixed_ordering, null, null, null, null, h.place "
    "from heads h where h.moved "
    "union all "
    "select 'd', d.event_id, d.type, d.state_key, d.position, null, null, null, null, null, h.place "
    "from heads h cross join lateral (select * from state_entries s "
    "where h.moved and s.room_id = h.room_id and s.lineage = 0 and s.position > h.state_group_then "
    "order by s.position limit 65) as d "
    "union all "
    "select 'n', s.event_id, s.type, s.state_key, s.position, null, null, null, null, null, s.place from entries s "
    "union all "
    "select 'e', n.id, e.pdu, null, e.state_group_after, e.fixed_ordering, null, e.rejected, e.soft_failed, e.outlier, "
    "n.place "
    "from (select s.place, s.event_id as id from entries s where s.event_id is not null "
    "union select unnest($10::integer[]), unnest($11::bytea[])) as n "
    "cross join lateral (select * from events e "
    "where e.room_id = ($1::bytea[])[n.place] and e.event_id = n.id limit 1) as e"};
/// The rows of rooms, but for those with more extremities than a context tells.
inline constexpr Statement kRoomHeads{
    "room_heads",
    "select o.room_id, o.stream_ordering, o.lineages, o.accepted_ordering, o.fixed_ordering, o.state_group, "
    "array_send(o.extremities), o.room_version from unnest($1::bytea[]) as i(room_id) "
    "cross join lateral (select * from rooms o where o.room_id = i.room_id limit 1) as o "
    "where cardinality(o.extremities) <= 20"};
/// With branches.
inline constexpr Statement kEventContext{
    "event_context", "select kind, id, a, b, n1, n2, n3, f1, f2, f3 from fn.event_context(" POSTERN_P8 ", $9)"};
inline constexpr Statement kTemplateContext{
    "template_context",
    "select kind, id, a, b, n1, n2, n3, f1, f2, f3 from fn.template_context($1, $2, $3, $4, $5, $6)"};
inline constexpr Statement kPersistEvents{
    "persist_events", "select results, outcomes, reasons, extremities from fn.persist_events(" POSTERN_P24
                      ", $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, "
                      "$40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53)"};
inline constexpr Statement kPersistPlain{
    "persist_plain", "select fn.persist_plain(" POSTERN_P24
                     ", $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, "
                     "$44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61)"};
inline constexpr Statement kLeaseExtremities{
    "lease_extremities", "select granted, extremities, joined_users from fn.lease_extremities($1, $2, $3, $4, $5)"};
inline constexpr Statement kCreateRoom{"create_room", "select fn.create_room(" POSTERN_P24 ", $25, $26)"};
inline constexpr Statement kSeedEvents{"seed_events", "select fn.seed_events(" POSTERN_P24 ")"};
inline constexpr Statement kEventPdu{"event_pdu", "select pdu from events where room_id = $1 and event_id = $2"};

inline constexpr Statement kLeaseDeliveries{
    "lease_deliveries",
    "select destination, transaction_id, failures, failing_since, created_at, room_ids, event_ids, pdus "
    "from fn.lease_deliveries($1, $2, $3, $4, $5, $6)"};
inline constexpr Statement kReportDelivery{"report_delivery", "select fn.report_delivery($1, $2, $3, $4, $5, $6)"};
inline constexpr Statement kEndBackOff{"end_back_off", "select fn.end_back_off($1, $2)"};
inline constexpr Statement kSettleDestination{
    "settle_destination",
    "select fn.settle_destination($1, $2, $3), exists (select from destinations where destination = $1)"};
/// Destinations after $1.
inline constexpr Statement kDestinations{
    "destinations",
    "select d.destination, coalesce(q.pending, 0), q.oldest, coalesce(k.parked, 0), d.failures, d.failing_since, "
    "d.last_error, d.next_try, d.delivered_at, case when d.held_until > clock_timestamp() then d.holder end "
    "from (select * from destinations where destination > $1 order by destination limit 1000) as d "
    "left join lateral (select count(*) as pending, min(x.created_at) as oldest from deliveries x "
    "where x.destination = d.destination) as q on true "
    "left join lateral (select count(*) as parked from parked_deliveries x where x.destination = d.destination) as k "
    "on true order by d.destination"};

inline constexpr Statement kShareRates{
    "share_rates", "select origin, requests, waiting, working from fn.share_rates($1, $2, $3, $4, $5, $6)"};
inline constexpr Statement kEventForPeer{"event_for_peer",
                                         "select kind, id, a, b, f1, f2 from fn.event_for_peer($1, $2, $3)"};
inline constexpr Statement kMissingEvents{
    "missing_events", "select kind, id, a, b, f1, f2 from fn.missing_events($1, $2, $3, $4, $5, $6)"};
inline constexpr Statement kAuthChainForPeer{"auth_chain_for_peer",
                                             "select kind, id, a, b, f1, f2 from fn.auth_chain_for_peer($1, $2, $3)"};
inline constexpr Statement kStateIdsForPeer{"state_ids_for_peer",
                                            "select kind, id, a, b, f1, f2 from fn.state_ids_for_peer($1, $2, $3)"};
inline constexpr Statement kStatePage{"state_page",
                                      "select kind, id, a, b, auth_events from fn.state_page($1, $2, $3, $4, $5)"};
inline constexpr Statement kRoomEvents{"room_events",
                                       "select event_id, pdu, auth_events, looked_at from fn.room_events($1, $2)"};
/// Servers after $2, but for the one of which $3 is the only one that is joined.
inline constexpr Statement kJoinedServers{
    "joined_servers",
    "select s.server_name from room_servers s where s.room_id = $1 and s.server_name > $2 and s.joined_members > 0 "
    "and not (s.joined_members = 1 and s.server_name = substring($3::bytea from position(':'::bytea in $3::bytea) + 1) "
    "and exists (select from memberships m where m.room_id = $1 and m.user_id = $3 and m.membership = 'join')) "
    "order by s.server_name limit 1000"};
inline constexpr Statement kJoinConditions{
    "join_conditions", "select standings, joined_users from fn.join_conditions($1, $2, $3, $4, $5)"};

inline constexpr Statement kStateForPeer{"state_for_peer",
                                         "select kind, id, a, b, f1, f2 from fn.state_for_peer($1, $2, $3)"};
inline constexpr Statement kBackfill{"backfill", "select kind, id, a, b, f1, f2 from fn.backfill($1, $2, $3, $4)"};
/// Of a user in 10,000 rooms at most.
inline constexpr Statement kProfile{
    "profile",
    "select displayname, avatar_url from (select membership, displayname, avatar_url, updated_at from memberships "
    "where user_id = $1 limit 10000) as m order by (membership = 'join') desc, updated_at desc limit 1"};
inline constexpr Statement kAlias{
    "alias",
    "select a.room_id, array(select s.server_name from room_servers s where s.room_id = a.room_id and "
    "s.joined_members > 0 order by s.server_name <> $2, s.server_name limit 1000) "
    "from room_aliases a where a.alias = $1"};
inline constexpr Statement kSetAlias{"set_alias", "select fn.set_alias($1, $2)"};
inline constexpr Statement kRemoveAlias{"remove_alias", "select fn.remove_alias($1)"};
/// Of room $1, or of every one where that is ''; after alias $2.
inline constexpr Statement kAliases{
    "aliases",
    "select alias, room_id from room_aliases where ($1 = ''::bytea or room_id = $1) and alias > $2 order by alias "
    "limit 1000"};
inline constexpr Statement kReceivedTransaction{
    "received_transaction",
    "select answer from received_transactions where origin = $1 and transaction_id = $2 and received_at >= $3"};
inline constexpr Statement kKeepReceivedTransaction{"keep_received_transaction",
                                                    "select fn.keep_received_transaction($1, $2, $3, $4, $5, $6, $7)"};

/// Of an invite; what ListInvites does not tell is left out.
#define POSTERN_INVITE_COLUMNS                                                                               \
  "room_id, user_id, event_id, room_version, sender, origin, shown_state, state, reason, via, received_at, " \
  "changed_at, attempts, denials, next_try, last_error, case when held_until > clock_timestamp() then holder end "
inline constexpr Statement kKeepReceivedInvite{
    "keep_received_invite", "select result, pdu from fn.keep_received_invite(" POSTERN_P8 ", $9, $10, $11, $12, $13)"};
/// Of room $1, user $2, sender $3 and origin $4, '' being no condition; with $5 those too that are settled; after
/// ($6, $7, $8).
inline constexpr Statement kReceivedInvites{
    "received_invites",
    "select " POSTERN_INVITE_COLUMNS
    "from received_invites where ($1 = ''::bytea or room_id = $1) and ($2 = ''::bytea or user_id = $2) "
    "and ($3 = ''::bytea or sender = $3) and ($4 = ''::bytea or origin = $4) and ($5 or state <= 2) "
    "and (room_id, user_id, event_id) > ($6, $7, $8) order by room_id, user_id, event_id limit 200"};
inline constexpr Statement kRejectReceivedInvites{
    "reject_received_invites", "select room_id, user_id, event_id from fn.reject_received_invites(" POSTERN_P8 ")"};
inline constexpr Statement kWithdrawReceivedInvite{"withdraw_received_invite",
                                                   "select fn.withdraw_received_invite($1, $2, $3, $4, $5)"};
inline constexpr Statement kLeaseInviteLeaves{"lease_invite_leaves",
                                              "select " POSTERN_INVITE_COLUMNS
                                              ", pdu from fn.lease_invite_leaves($1, $2, $3, $4, $5, $6, $7)"};
inline constexpr int kInvitePduColumn = 17;
inline constexpr Statement kReportInviteLeave{"report_invite_leave", "select fn.report_invite_leave(" POSTERN_P8 ")"};
#undef POSTERN_INVITE_COLUMNS
inline constexpr Statement kUnknownEvents{"unknown_events", "select unknown, refused from fn.unknown_events($1, $2)"};
inline constexpr Statement kKeepFetchedState{
    "keep_fetched_state", "select fn.keep_fetched_state(" POSTERN_P8 ", $9, $10, $11, $12, $13, $14, $15)"};

inline constexpr Statement kPutServerKeys{"put_server_keys", "select fn.put_server_keys(" POSTERN_P8 ", $9)"};
inline constexpr Statement kGetServerKeys{
    "get_server_keys",
    "select k.server_name, k.valid_until, k.fetched_at, k.source, k.key_ids, k.public_keys, k.expired_at, k.document "
    "from unnest($1::bytea[]) as n(server_name) join server_keys k on k.server_name = n.server_name"};

inline constexpr Statement kRoom{
    "room",
    "select o.room_version, o.extremities, (select count(*) from events e where e.room_id = o.room_id), "
    "(select count(*) from memberships m where m.room_id = o.room_id and m.membership = 'join'), "
    "(select count(*) from memberships m where m.room_id = o.room_id and m.membership = 'invite') "
    "from rooms o where o.room_id = $1"};
inline constexpr Statement kRoomServers{
    "room_servers", "select server_name, joined_members from room_servers where room_id = $1 order by server_name"};
/// Up to 1,001 entries: the last one says that there are more.
inline constexpr Statement kRoomState{"room_state",
                                      "select type, state_key, event_id from ("
                                      "(select type, state_key, event_id from current_state where room_id = $1 order "
                                      "by type, state_key limit 1001) union all "
                                      "(select 'm.room.member'::bytea, user_id, event_id from memberships where "
                                      "room_id = $1 order by user_id limit 1001)) "
                                      "as s order by type, state_key limit 1001"};
inline constexpr Statement kRooms{"rooms", "select room_id from rooms where room_id > $1 order by room_id limit 1000"};
/// $2 < user ids; where $3 is given, that user alone.
inline constexpr Statement kMembers{
    "members",
    "select user_id, membership, event_id, reason, displayname, avatar_url, is_direct, invited_by, third_party_invite, "
    "join_authorised_via_users_server, updated_at from memberships "
    "where room_id = $1 and user_id > $2 order by user_id limit 1000"};
inline constexpr Statement kMember{
    "member",
    "select user_id, membership, event_id, reason, displayname, avatar_url, is_direct, invited_by, third_party_invite, "
    "join_authorised_via_users_server, updated_at from memberships where room_id = $1 and user_id = $2"};
/// A stored event before a refused one.
inline constexpr Statement kEvent{
    "event",
    "select * from ("
    "(select 1 as place, e.room_id, e.pdu, e.outcome::integer, e.verdict, e.stored_at, o.room_version, e.origin "
    "from event_ids i join events e on e.room_id = i.room_id and e.event_id = i.event_id "
    "join rooms o on o.room_id = e.room_id where i.event_id = $1 and ($2 = ''::bytea or i.room_id = $2) limit 1) "
    "union all "
    "(select 2, f.room_id, null, 3, f.verdict, f.stored_at, o.room_version, f.origin "
    "from refusals f join rooms o on o.room_id = f.room_id "
    "where f.event_id = $1 and ($2 = ''::bytea or f.room_id = $2) limit 1)) as found order by place limit 1"};
inline constexpr Statement kOutboxOfRoom{
    "outbox_of_room",
    "select room_id, event_id, destinations, created_at from outbox where room_id = $1 "
    "order by stream_ordering limit 1000"};
inline constexpr Statement kOutbox{"outbox",
                                   "select room_id, event_id, destinations, created_at from outbox "
                                   "order by created_at, room_id, stream_ordering limit 1000"};

/// Decisions of at most 1,000 rooms from $1 on: stored from $2 to before $3; in room $1 those after ($4, $5). $6 '' or
/// that room alone; $7 how many.
inline constexpr Statement kDecisions{
    "decisions",
    "select e.room_id, e.event_id, e.pdu, e.verdict, e.stored_at, e.origin, o.room_version "
    "from (select room_id, room_version from rooms where room_id >= $1 and ($6 = ''::bytea or room_id = $6) "
    "order by room_id limit 1000) as o "
    "cross join lateral (select * from events e where e.room_id = o.room_id and e.verdict is not null "
    "and e.stored_at >= case when o.room_id = $1 then greatest($2::bigint, $4::bigint) else $2::bigint end "
    "and e.stored_at < $3 and (o.room_id <> $1 or (e.stored_at, e.event_id) > ($4::bigint, $5::bytea)) "
    "order by e.stored_at, e.event_id limit $7) as e "
    "order by o.room_id, e.stored_at, e.event_id limit $7"};
/// The first room after those.
inline constexpr Statement kNextRoom{
    "next_room", "select room_id from rooms where room_id >= $1 order by room_id offset 1000 limit 1"};
inline constexpr Statement kRefusedDecisions{
    "refused_decisions",
    "select f.room_id, f.event_id, null::bytea, f.verdict, f.stored_at, f.origin, o.room_version, f.number "
    "from refusals f join rooms o on o.room_id = f.room_id "
    "where f.number > $1 and f.stored_at >= $2 and f.stored_at < $3 and ($4 = ''::bytea or f.room_id = $4) "
    "order by f.number limit $5"};
inline constexpr Statement kDecision{
    "decision", "select pdu, verdict, state_group_before from events where room_id = $1 and event_id = $2"};
inline constexpr Statement kRefusedDecision{
    "refused_decision", "select null::bytea, verdict, null::bigint from refusals where room_id = $1 and event_id = $2"};
/// As kEventContext, on the states of that time.
inline constexpr Statement kDecisionContext{
    "decision_context",
    "select 'r'::\"char\", null::bytea, o.room_version::bytea, null::bytea, 0::bigint, $6::bigint, $7::bigint, "
    "$8::boolean, null::boolean, $9::boolean from rooms o where o.room_id = $1 union all "
    "select 'm', null, null, null, null, null, null, false, true, null from given_states g "
    "where g.room_id = $1 and g.event_id = $10 and g.state_group = $6 union all "
    "select kind, id, a, b, n1, n2, n3, f1, f2, f3 from fn.context_rows($1, $2, $3, $4, $5, $6, null, $7)"};
/// The same where branches were resolved.
inline constexpr Statement kDecisionBranches{"decision_branches",
                                             "select kind, id, a, b, n1, n2, n3, f1, f2, f3 from "
                                             "fn.decision_branches(" POSTERN_P8 ", $9, $10, $11)"};
inline constexpr Statement kPartitionByRoom{"partition_by_room", "select fn.partition_by_room($1, false)"};
inline constexpr Statement kRoomTips{"room_tips", "select extremities from rooms where room_id = $1"};
inline constexpr Statement kNeighbours{
    "neighbours",
    "select e.event_id, e.pdu, e.outcome::integer, e.reason, null::bytea from events e "
    "where e.room_id = $1 and e.event_id = any ($2::bytea[]) union all "
    "select f.event_id, null, 3, f.reason, f.verdict from refusals f "
    "where f.room_id = $1 and f.event_id = any ($2::bytea[]) "
    "and not exists (select from events e where e.room_id = f.room_id and e.event_id = f.event_id)"};
/// Of the $3 events that the room stored from the first of $2 on, those that cite one of $2; and a row without an id
/// that says how many there were to look through.
inline constexpr Statement kFollowers{
    "followers",
    "with stored_since as materialized (select e.event_id, e.prev_events from events e where e.room_id = $1 "
    "and e.stored_at >= (select min(c.stored_at) from events c where c.room_id = $1 and c.event_id = any "
    "($2::bytea[])) "
    "order by e.stored_at limit $3) "
    "select event_id, 0::bigint from stored_since where prev_events && $2::bytea[] union all "
    "select null, count(*) from stored_since"};

#undef POSTERN_P8
#undef POSTERN_P24

}  // namespace postern::store
