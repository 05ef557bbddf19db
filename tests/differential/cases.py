"""The cases of a room: what is asked of the conformance program, and what the reference answers."""
import json

from signedjson.key import get_verify_key
from unpaddedbase64 import encode_base64

import amendments
import event_variants
import pdu
import reference


def joined(texts):
    return "[" + ",".join(texts) + "]"


POWER_TYPES = ("m.room.power_levels", "m.room.join_rules", "m.room.member")


class Case:
    """One line to the conformance program. `reference()` is what the reference answers, or None
    where it broke."""
    op = ""

    def __init__(self, room):
        self.room = room
        self.broke = ""
        self._answer = self._ask()

    def reference(self):
        return self._answer

    def kind(self):
        return "equal"

    def amended(self):
        """What the reference answers with every amendment of amendments.py, and the names of those without which it would answer
        otherwise."""
        with amendments.active():
            answer = self._ask()
        needless = set()
        for name in amendments.REASONS:
            with amendments.active(needless | {name}):
                if self._ask() == answer:
                    needless.add(name)
        return answer, sorted(amendments.REASONS.keys() - needless)

    def _ask(self):
        self.broke = ""
        try:
            return self._reference_answer()
        except Exception as problem:  # whatever it is, it is no answer
            self.broke = f"{type(problem).__name__}: {str(problem).partition(chr(10))[0]}"
            return None

    def line(self, case_id):
        return f'{{"id":{json.dumps(case_id)},"op":"{self.op}","input":{self._input()}}}'


class AuthCheck(Case):
    op = "auth_check"

    def __init__(self, room, event, state, others):
        self.event, self.state, self.others = event, state, others
        super().__init__(room)

    def _reference_answer(self):
        return reference.is_allowed(self.event, self.state, self.others)

    def _input(self):
        rejected = [event.id for event in self.others if event.rejected]
        return (f'{{"room_version":"{self.event.version}","event":{self.event.text},'
                f'"state":{joined(entry.text for entry in self.state)},'
                f'"auth_events":{joined(entry.text for entry in self.others)},"rejected":{json.dumps(rejected)}}}')

    def kind(self):
        return "allowed" if self.reference() else "refused"

    @staticmethod
    def answer_of(output):
        return output.get("allowed")


class StateResolve(Case):
    op = "state_resolve"

    def __init__(self, room, version, states, events, room_id, rng):
        self.version, self.room_id = version, room_id
        self.states = [{key: event.id for key, event in state.items()} for state in states]
        self.events = self._with_chains(events)
        rng.shuffle(self.events)
        super().__init__(room)

    def _with_chains(self, events):
        found, pending = {}, [event_id for state in self.states for event_id in state.values()]
        while pending:
            event_id = pending.pop()
            if event_id not in found:
                found[event_id] = events[event_id]
                pending.extend(events[event_id].event.auth_event_ids())
        return [found[event_id] for event_id in sorted(found)]

    def _reference_answer(self):
        return reference.resolve(self.version, self.states, self.events, self.room_id)

    def _input(self):
        sets = json.dumps([list(state.values()) for state in self.states])
        return (f'{{"room_version":"{self.version}","state_sets":{sets},'
                f'"events":{joined(event.text for event in self.events)}}}')

    def kind(self):
        """Tells the rooms' disputes on what the rules hang on from all others."""
        disputed = {key for state in self.states for key in state if {other.get(key) for other in self.states} != {state[key]}}
        if not any(key[0] in POWER_TYPES for key in disputed):
            return "equal"
        return "equal, power or members disputed"

    @staticmethod
    def answer_of(output):
        return output.get("state")


class OneEvent(Case):
    """A question on a single event whose answer is the whole output."""

    def __init__(self, room, event):
        self.event = event
        super().__init__(room)

    def _input(self):
        return f'{{"room_version":"{self.event.version}","event":{self.event.text}}}'

    @staticmethod
    def answer_of(output):
        return output


class EventId(OneEvent):
    op = "event_id"

    def _reference_answer(self):
        return reference.names_of(self.event)


class ContentHash(OneEvent):
    op = "content_hash"

    def _reference_answer(self):
        return {"sha256": reference.content_hash(self.event)}


class Redact(OneEvent):
    op = "redact"

    def _reference_answer(self):
        return {"event": reference.redacted(self.event)}


class AuthTypes(OneEvent):
    op = "auth_types"

    def _reference_answer(self):
        return {"types": reference.auth_types(self.event)}


class VerifyEvent(OneEvent):
    op = "verify_event"

    def _reference_answer(self):
        return reference.verified(self.event)

    def _input(self):
        far = 2**53 - 1
        servers = {domain for domain in self.event.fields["signatures"]} | {"one.example", "two.example", "four.example",
                                                                            "three.example:8448"}
        keys = {server: {"valid_until_ts": far, "verify_keys": {
            "ed25519:a1": {"key": encode_base64(bytes(get_verify_key(pdu.keys_of(server))))}}} for server in servers}
        return (f'{{"room_version":"{self.event.version}","event":{self.event.text},"keys":{json.dumps(keys)},'
                f'"now_ts":{far}}}')


class SignEvent(OneEvent):
    op = "sign_event"

    def _reference_answer(self):
        signed = pdu.make_pdu(self.event.version, self.event.fields, ["signer.example"]).fields
        return {"hashes": signed["hashes"], "signatures": {**self.event.fields["signatures"], **signed["signatures"]}}

    def _input(self):
        seed = pdu.seed_of(pdu.keys_of("signer.example"))
        return (f'{{"room_version":"{self.event.version}","event":{self.event.text},"server_name":"signer.example",'
                f'"key_id":"ed25519:a1","seed":"{seed}"}}')


class CanonicalJson(Case):
    op = "canonical_json"

    def __init__(self, room, value):
        self.value = value
        super().__init__(room)

    def _reference_answer(self):
        return {"canonical": reference.canonical(self.value)}

    def _input(self):
        return json.dumps({"json": json.dumps(self.value, indent=1)})

    @staticmethod
    def answer_of(output):
        return output


def questions_about(room, event, rng):
    fuller = event_variants.with_more_members(rng, event)
    return [EventId(room, fuller), ContentHash(room, fuller), Redact(room, fuller), SignEvent(room, fuller),
            AuthTypes(room, event), VerifyEvent(room, event_variants.altered(rng, event)),
            CanonicalJson(room, event_variants.odd_value(rng, "12"))]
