"""What the reference implementation says of a case: the same questions that the conformance program answers. It raises all kinds of
things on odd events; here only what it means as a refusal is one."""
import hashlib

from canonicaljson import encode_canonical_json
from signedjson.key import get_verify_key
from signedjson.sign import verify_signed_json
from synapse import event_auth
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import check_event_content_hash, compute_content_hash, compute_event_reference_hash
from synapse.federation.federation_base import InvalidEventSignatureError, _check_sigs_on_pdu
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference
from synapse.synapse_rust.events import redact_event_dict
from unpaddedbase64 import encode_base64

import pdu


class GivenEvents:
    """The few methods that rules and state resolution want of a store, on the events of one case."""

    def __init__(self, events):
        self.events = {event.id: event.event for event in events}
        # Whether a state's own events count to its auth chain. They do in the reference's tables.
        self.states_in_own_chains = True

    async def get_events(self, event_ids, redact_behaviour=None, get_prev_content=False, allow_rejected=False):
        return {event_id: self.events[event_id] for event_id in event_ids if event_id in self.events}

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted_state, additional):
        chains = [self._chain(states) for states in state_sets]
        difference = set().union(*chains) - set.intersection(*chains)
        if conflicted_state is None:
            return StateDifference(auth_difference=difference, conflicted_subgraph=None)
        below = self._chain(conflicted_state) | conflicted_state
        return StateDifference(auth_difference=difference,
                               conflicted_subgraph={event_id for event_id in below
                                                    if self._chain({event_id}) & conflicted_state
                                                    or event_id in conflicted_state})

    def _chain(self, event_ids):
        chain = set(event_ids) if self.states_in_own_chains else set()
        pending = list(event_ids)
        while pending:
            for cited in self.events[pending.pop()].auth_event_ids():
                if cited not in chain:
                    chain.add(cited)
                    pending.append(cited)
        return chain


class NoClock:
    async def sleep(self, duration):
        pass


def finished(coroutine):
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def is_allowed(event, state, others):
    """Both parts of the rules."""
    store = GivenEvents([*state, *others])
    try:
        finished(event_auth.check_state_independent_auth_rules(store, event.event))
        event_auth.check_state_dependent_auth_rules(event.event, [entry.event for entry in state])
        return True
    except SynapseError:
        return False


def resolve(version, states, events, room_id):
    """The ids of the resolved state, sorted."""
    store = GivenEvents(events)
    rules = KNOWN_ROOM_VERSIONS[version]
    if version == "1":
        resolved = finished(v1.resolve_events_with_store(room_id, rules, states, None, store.get_events))
    else:
        resolved = finished(v2.resolve_events_with_store(NoClock(), room_id, rules, states, None, store))
    return sorted(resolved.values())


def names_of(event):
    return {"event_id": event.id, "sha256": encode_base64(compute_event_reference_hash(event.event)[1])}


def content_hash(event):
    return encode_base64(compute_content_hash(event.fields, hashlib.sha256)[1])


def redacted(event):
    fields = redact_event_dict(KNOWN_ROOM_VERSIONS[event.version], event.fields)
    fields.pop("unsigned", None)
    return fields


def auth_types(event):
    types = event_auth.auth_types_for_event(KNOWN_ROOM_VERSIONS[event.version], event.event)
    return sorted(list(key) for key in types if event.version != "12" or key != ("m.room.create", ""))


class KnownKeys:
    """Every server's key, always valid: the choice of servers is the reference's, and so is the verification."""

    async def verify_event_for_server(self, server, event, validity_time):
        if server not in event.signatures:
            raise SynapseError(400, "not signed")
        signed = redact_event_dict(event.room_version, event.get_pdu_json())
        verify_signed_json(signed, server, get_verify_key(pdu.keys_of(server)))


def verified(event):
    try:
        finished(_check_sigs_on_pdu(KnownKeys(), KNOWN_ROOM_VERSIONS[event.version], event.event))
        signatures_ok = True
    except InvalidEventSignatureError:
        signatures_ok = False
    return {"signatures_ok": signatures_ok, "hash_ok": check_event_content_hash(event.event)}


def canonical(value):
    return encode_canonical_json(value).decode()
