"""Where the reference implementation and the specification differ. Each amendment is a named change that makes the reference do
what the specification says; a case on which the two disagree is explained only if the amended reference gives our very answer.
They are listed with their reasons by differential_test.py --exceptions, and counted at the end of every run."""
import contextlib

from synapse import event_auth
from synapse.api.errors import AuthError
from synapse.events import make_event_from_dict
from synapse.state import v2

import reference

REASONS = {}
_amended = False
_left_out = frozenset()


def amendment(name, reason):
    REASONS[name] = " ".join(reason.split())
    return name


def holds(name):
    return _amended and name not in _left_out


@contextlib.contextmanager
def active(left_out=frozenset()):
    """All amendments but those hold inside."""
    global _amended, _left_out
    _amended, _left_out = True, left_out
    try:
        yield
    finally:
        _amended, _left_out = False, frozenset()


FEDERATE_TARGET = amendment("m.federate: the target", """
    The rule on m.federate is on the sender's domain alone; the reference refuses also where a member event is about a user of
    another domain than the creator's (docs/decisions).""")
FEDERATE_VALUE = amendment("m.federate: what is not false", """
    A room is closed where m.federate is set to false; the reference takes every value but true for false.""")
NO_JOIN_RULE = amendment("join rules without join_rule", """
    Without a join rules event the rule is invite; one that names none is none of the rules that let somebody join. The reference
    reads invite there too.""")
NO_REDACTS = amendment("redaction of nothing", """
    In versions 1-2 a redaction below the redact level is allowed only if the ids' domains match; the reference allows one that
    names no event at all.""")
BOOLEAN_LEVEL = amendment("true as a level", """
    Before version 10 users' levels are integers or strings that are integers; the reference reads true as 1, in levels that it is to
    judge and, having let them stand, in those of the room.""")
OTHER_LEVELS = amendment("power levels under another state key", """
    Whatever its state key, a power levels event is held against the levels of the room; the reference holds it against what its own
    key had.""")
USER_IDS = amendment("user ids", """
    The keys of users must be valid user ids; the reference does not look at the server name there.""")
MALFORMED = amendment("malformed, and the reference breaks", """
    A member event without state_key or membership, or whose third_party_invite is no object with signed, mxid, token and
    signatures; auth events that are no state; the create event among those of version 12; users that is no object. The rules say
    reject; the reference raises KeyError, AttributeError or the like, which its callers turn into a refusal.""")
OWN_CHAIN = amendment("states outside their own chain", """
    The full auth chain of a state is made of the auth chains of its events, and an event's auth chain does not hold the event
    itself; the reference counts the state's events in (docs/decisions).""")
CHAIN_THROUGH = amendment("a power event's chain passes outside", """
    All of a power event's auth chain that is in the full conflicted set is ordered with it, also what is reached only by events
    outside of that set; the reference stops at the first event outside (docs/decisions).""")
ANY_STATE_KEY = amendment("power events by type", """
    A power event is a state event of type m.room.power_levels or m.room.join_rules, whatever its state key; the reference asks for
    the empty one.""")
EVENT_ID_DOMAIN = amendment("third-party invites in versions 1-2", """
    The domain of the event id must have signed too, whatever the event; the reference asks for it only where it is another than
    the sender's, so that such an invite needs no signature at all.""")


# --- The rules -------------------------------------------------------------------------------------------------------------------

_can_federate = event_auth._can_federate
_check_redaction = event_auth.check_redaction
_check_dependent = event_auth.check_state_dependent_auth_rules
_check_independent = event_auth.check_state_independent_auth_rules
_check_power_levels = event_auth._check_power_levels
_auth_types = event_auth.auth_types_for_event
_user_level = event_auth.get_user_power_level


def _domain(user):
    return user.split(":", 1)[1]


def can_federate(event, auth_events):
    if _can_federate(event, auth_events):
        return True
    create = auth_events[("m.room.create", "")]
    if holds(FEDERATE_VALUE) and create.content["m.federate"] is not False:
        return True
    if holds(FEDERATE_TARGET) and _domain(create.sender) == _domain(event.sender):
        return True
    return False


def check_redaction(rules, event, auth_events):
    if holds(NO_REDACTS) and event.room_version.identifier in ("1", "2") and not isinstance(event.redacts, str):
        if event_auth.get_user_power_level(event.sender, auth_events) < event_auth.get_named_level(auth_events, "redact", 50):
            raise AuthError(403, "redacts nothing")
    return _check_redaction(rules, event, auth_events)


def _signed_part_is_sound(invite):
    signed = invite.get("signed") if hasattr(invite, "get") else None
    if not hasattr(signed, "get") or not hasattr(signed.get("signatures"), "items"):
        return False
    return isinstance(signed.get("mxid"), str) and isinstance(signed.get("token"), str)


def is_malformed(event):
    if event.type != "m.room.member":
        return False
    membership = event.content.get("membership")
    if not event.is_state() or not isinstance(membership, str):
        return True
    return membership == "invite" and "third_party_invite" in event.content and not _signed_part_is_sound(
        event.content["third_party_invite"])


def auth_types_for_event(rules, event):
    """Also for malformed events, whose selection hangs on what they lack."""
    if not holds(MALFORMED) or not is_malformed(event):
        return _auth_types(rules, event)
    types = {("m.room.power_levels", ""), ("m.room.member", event.sender), ("m.room.create", "")}
    if event.is_state():
        types.add(("m.room.member", event.state_key))
    membership = event.content.get("membership")
    if membership in ("join", "invite", "knock"):
        types.add(("m.room.join_rules", ""))
    voucher = event.content.get("join_authorised_via_users_server")
    if membership == "join" and rules.restricted_join_rule and isinstance(voucher, str):
        types.add(("m.room.member", voucher))
    if membership == "invite":
        invite = event.content.get("third_party_invite")
        signed = invite.get("signed") if hasattr(invite, "get") else None
        if hasattr(signed, "get") and isinstance(signed.get("token"), str):
            types.add(("m.room.third_party_invite", signed["token"]))
    return types


def check_power_levels(rules, event, auth_events):
    users = event.content.get("users", {})
    if holds(MALFORMED) and not hasattr(users, "items"):
        raise AuthError(403, "users is no object")
    if holds(BOOLEAN_LEVEL) and any(isinstance(level, bool) for level in users.values()):
        raise AuthError(403, "a level is no integer")
    if holds(USER_IDS) and not all(event_auth.UserID.is_valid(user) for user in users):
        raise AuthError(403, "users has a key that is no user id")
    if holds(OTHER_LEVELS) and event.state_key:
        auth_events = {key: entry for key, entry in auth_events.items() if key != (event.type, event.state_key)}
        if ("m.room.power_levels", "") in auth_events:
            auth_events[event.type, event.state_key] = auth_events["m.room.power_levels", ""]
    return _check_power_levels(rules, event, auth_events)


def get_user_power_level(user_id, auth_events):
    levels = event_auth.get_power_level_event(auth_events)
    if holds(BOOLEAN_LEVEL) and levels is not None and isinstance(levels.content.get("users", {}).get(user_id), bool):
        return int(levels.content.get("users_default", 0))
    return _user_level(user_id, auth_events)


def _with_join_rule_named(event):
    if (event.type, event.get_state_key()) != ("m.room.join_rules", "") or "join_rule" in event.content:
        return event
    fields = event.get_dict()
    fields["content"] = {**fields["content"], "join_rule": "none of the rules"}
    return make_event_from_dict(fields, event.room_version)


def check_state_dependent_auth_rules(event, auth_events):
    if holds(MALFORMED) and is_malformed(event):
        raise AuthError(403, "malformed")
    if holds(NO_JOIN_RULE):
        auth_events = [_with_join_rule_named(entry) for entry in auth_events]
    return _check_dependent(event, auth_events)


async def check_state_independent_auth_rules(store, event, batched_auth_events=None):
    if holds(MALFORMED):
        if event.room_version.identifier == "12" and f"${event.room_id[1:]}" in event.get_dict()["auth_events"]:
            raise AuthError(403, "cites the create event")
        known = await store.get_events(event.auth_event_ids(), allow_rejected=True)
        if not all(cited.is_state() for cited in known.values()):
            raise AuthError(403, "cites a message")
    return await _check_independent(store, event, batched_auth_events)


event_auth._can_federate = can_federate
event_auth.check_redaction = check_redaction
event_auth.check_state_dependent_auth_rules = check_state_dependent_auth_rules
event_auth.check_state_independent_auth_rules = check_state_independent_auth_rules
event_auth._check_power_levels = check_power_levels
event_auth.auth_types_for_event = auth_types_for_event
event_auth.get_user_power_level = get_user_power_level


# --- Signatures ------------------------------------------------------------------------------------------------------------------

_check_signatures = reference._check_sigs_on_pdu


async def check_signatures(keyring, rules, event):
    if holds(MALFORMED) and event.type == "m.room.member" and "membership" not in event.content:
        try:
            await keyring.verify_event_for_server(_domain(event.sender), event, 0)
        except Exception as problem:
            raise reference.InvalidEventSignatureError(str(problem), event.event_id) from None
    else:
        await _check_signatures(keyring, rules, event)
    if holds(EVENT_ID_DOMAIN) and rules.identifier in ("1", "2"):
        try:
            await keyring.verify_event_for_server(_domain(event.event_id), event, 0)
        except Exception as problem:
            raise reference.InvalidEventSignatureError(str(problem), event.event_id) from None


reference._check_sigs_on_pdu = check_signatures


# --- State resolution ------------------------------------------------------------------------------------------------------------

_is_power_event = v2._is_power_event
_add_to_graph = v2._add_event_and_auth_chain_to_graph
_chain = reference.GivenEvents._chain


def is_power_event(event):
    if holds(ANY_STATE_KEY) and event.type in ("m.room.power_levels", "m.room.join_rules") and event.get_state_key():
        return True
    return _is_power_event(event)


async def add_event_and_chain_to_graph(graph, room_id, event_id, event_map, store, conflicted):
    """Edges to every conflicted event of the chain: more than the nearest change no order."""
    if not holds(CHAIN_THROUGH):
        return await _add_to_graph(graph, room_id, event_id, event_map, store, conflicted)
    for member in {event_id} | (_chain_of(store, event_id) & conflicted):
        graph[member] = _chain_of(store, member) & conflicted


def _chain_of(store, event_id):
    chain, pending = set(), [event_id]
    while pending:
        for cited in store.events[pending.pop()].auth_event_ids():
            if cited not in chain:
                chain.add(cited)
                pending.append(cited)
    return chain


def chain_of_states(store, event_ids):
    if not holds(OWN_CHAIN):
        return _chain(store, event_ids)
    store.states_in_own_chains = False
    chain = _chain(store, event_ids)
    store.states_in_own_chains = True
    return chain


v2._is_power_event = is_power_event
v2._add_event_and_auth_chain_to_graph = add_event_and_chain_to_graph
reference.GivenEvents._chain = chain_of_states
