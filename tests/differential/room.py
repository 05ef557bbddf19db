"""A room that grows at random: its graph forks and merges, and everything that somebody tries becomes a case."""
from synapse import event_auth
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS

import room_choices as choices
from cases import AuthCheck, StateResolve, questions_about
from pdu import Pdu, make_pdu

CREATE, LEVELS, JOIN_RULES = ("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.join_rules", "")


def domain(user):
    return user.split(":", 1)[1]


class Room:
    def __init__(self, rng, version, name):
        self.rng, self.version, self.name = rng, version, name
        self.rules = KNOWN_ROOM_VERSIONS[version]
        self.cases = []
        self.events = {}  # accepted, by id
        self.rejected = []
        self.state_after = {}  # event id -> state key -> Pdu
        self.tips = []
        self.clock = 1_700_000_000_000
        # A room in which nobody checks: what the rules refuse is in the graph all the same, for resolution to undo.
        self.unguarded = rng.random() < 0.15
        self.room_id = f"!{name}:{domain(choices.USERS[0])}"
        self._found()

    def grow(self, steps):
        for _ in range(steps):
            self._step()
        for _ in range(self.rng.randrange(2, 7)):
            self._resolve_any()

    def _found(self):
        rng, creator = self.rng, choices.USERS[0]
        content = choices.create_content(rng, self.version, creator)
        fields = {"type": "m.room.create", "state_key": "", "sender": creator, "content": content, "prev_events": [],
                  "auth_events": [], "depth": 1, "origin_server_ts": self._now()}
        if self.version != "12":
            fields["room_id"] = self.room_id
        for _ in range(2):
            odd = dict(fields, content=choices.odd_create_content(rng, content), depth=rng.choice([0, 1, 2]))
            self._check(make_pdu(self.version, odd, [domain(creator)]), {}, [])
        create = make_pdu(self.version, fields, [domain(creator)])
        self.room_id = create.event.room_id
        self._check(create, {}, [])
        self._accept(create, {}, [])
        founder = creator if self.version in ("11", "12") or rng.random() < 0.9 else rng.choice(choices.USERS)
        self._try(founder, "m.room.member", founder, {"membership": "join"}, [create])
        if rng.random() < 0.85:
            content = choices.power_levels(rng, self.version, {"users": {creator: 100}} if self.version != "12" else {})
            self._try(creator, "m.room.power_levels", "", content)
        if rng.random() < 0.85:
            self._try(creator, "m.room.join_rules", "", choices.join_rules(rng, self.version))

    def _step(self):
        prev = self._prev_events()
        state = self._state_before(prev)
        if state is None:
            return
        joined = [user for user in choices.USERS if self._membership(state, user) == "join"]
        sender = self.rng.choice(joined if joined and self.rng.random() < 0.8 else choices.USERS)
        self._try(sender, *self._attempt(sender, state), prev, state)

    def _attempt(self, sender, state):
        """What `sender` tries: type, state key (None: a message), content."""
        rng = self.rng
        what = rng.random()
        if what < 0.55:
            return self._membership_attempt(sender, state)
        if what < 0.72:
            before = state[LEVELS].fields["content"] if LEVELS in state else None
            return "m.room.power_levels", "", choices.power_levels(rng, self.version, before)
        if what < 0.80:
            return "m.room.join_rules", "", choices.join_rules(rng, self.version)
        if what < 0.84:
            return "m.room.third_party_invite", rng.choice(["token0", "token1"]), choices.third_party_promise(rng)
        if what < 0.86:
            return "m.room.aliases", rng.choice([domain(sender), "two.example", "", None]), {"aliases": []}
        if what < 0.88:
            return "m.room.redaction", None, {"reason": "x"}
        if what < 0.89:
            # The reference reads no version 12 create event with a room id.
            rare = [("m.room.create", "", {"creator": sender})] if self.version != "12" else []
            return rng.choice([*rare, ("m.room.join_rules", "other", {"join_rule": "public"}),
                               ("m.room.power_levels", "other", {"users": {sender: 100}}),
                               ("m.room.member", None, {"membership": "join"})])
        if what < 0.96:
            key = rng.choice(["", "", "key", sender, rng.choice(choices.USERS)])
            return rng.choice(["m.room.name", "m.room.topic", "org.example.thing"]), key, {"name": str(rng.randrange(100))}
        return "m.room.message", None, {"body": str(rng.randrange(100))}

    def _membership_attempt(self, sender, state):
        rng = self.rng
        what = rng.random()
        own = rng.random() < 0.55
        target = sender if own else rng.choice(choices.USERS)
        if what < 0.06:
            return "m.room.member", target, choices.third_party_invite(rng, target, rng.choice(["token0", "token1"]))
        if what < 0.08:
            return "m.room.member", target, rng.choice(
                [{}, {"membership": "guest"}, {"membership": None}, {"membership": "invite", "third_party_invite": {}},
                 {"membership": "invite", "third_party_invite": "x"}, {"membership": "knock", "reason": "x"}])
        usual = ["join", "join", "leave", "knock"] if target == sender else ["invite", "invite", "leave", "ban"]
        content = {"membership": rng.choice(usual if rng.random() < 0.9 else choices.MEMBERSHIPS)}
        rule = state[JOIN_RULES].fields["content"].get("join_rule") if JOIN_RULES in state else None
        vouched = 0.9 if rule in ("restricted", "knock_restricted") else 0.05
        if content["membership"] == "join" and rng.random() < vouched:
            content["join_authorised_via_users_server"] = rng.choice(choices.USERS)
        return "m.room.member", target, content

    def _try(self, sender, event_type, state_key, content, prev=None, state=None):
        """Makes the event, asks whether the rules allow it, and keeps it if they do."""
        rng = self.rng
        prev = self._prev_events() if prev is None else prev
        state = self._state_before(prev) if state is None else state
        if state is None:
            return
        fields = {"type": event_type, "sender": sender, "room_id": self.room_id, "content": content,
                  "prev_events": [event.reference() for event in prev], "depth": self._depth(prev),
                  "origin_server_ts": self._now()}
        if state_key is not None:
            fields["state_key"] = state_key
        if event_type == "m.room.redaction":
            self._redact_something(fields)
        cited = self._cited(fields, state)
        fields["auth_events"] = [event.reference() for event in cited]
        voucher = content.get("join_authorised_via_users_server")
        signers = [domain(sender)] + ([domain(voucher)] if isinstance(voucher, str) else [])
        event = make_pdu(self.version, fields, list(dict.fromkeys(signers)))
        others = list({event.id: event for event in cited if event.id not in {entry.id for entry in state.values()}}.values())
        allowed = self._check(event, state, others)
        if rng.random() < 0.25:
            self.cases.extend(questions_about(self.name, event, rng))
        if allowed or (self.unguarded and self._cites_soundly(event, state, cited)):
            self._accept(event, state, prev)
        elif rng.random() < 0.3:
            self.rejected.append(event.as_rejected())

    def _redact_something(self, fields):
        redacted = self.rng.choice([*self.events, "$other:two.example", "$nothing", None])
        if redacted is not None and int(self.version) < 11:
            fields["redacts"] = redacted
        elif redacted is not None:
            fields["content"] = dict(fields["content"], redacts=redacted)

    def _cited(self, fields, state):
        """The auth events that the selection gives, at times spoilt."""
        probe = Pdu(self.version, dict(fields, auth_events=[], hashes={}, signatures={},
                                       **({"event_id": "$probe:one.example"} if self.version in ("1", "2") else {})))
        try:
            keys = event_auth.auth_types_for_event(self.rules, probe.event)
        except Exception:  # events too odd for it
            keys = {CREATE, LEVELS, ("m.room.member", fields["sender"])}
        if self.version == "12":
            keys.discard(CREATE)
        cited = [state[key] for key in sorted(keys) if key in state]
        if self.rng.random() < 0.07:
            self._spoil(cited, state)
        return cited[:10]

    def _spoil(self, cited, state):
        rng = self.rng
        choice = rng.randrange(7)
        if choice == 0 and cited:
            cited.pop(rng.randrange(len(cited)))
        elif choice == 1 and cited:
            cited.append(rng.choice(cited))
        elif choice == 2:
            cited.append(rng.choice(list(state.values())))
        elif choice == 3:
            cited.append(rng.choice(list(self.events.values())))
        elif choice == 4 and self.rejected:
            cited.append(rng.choice(self.rejected))
        elif choice == 5 and cited:
            place = rng.randrange(len(cited))
            older = [event for event in self.events.values() if event.key == cited[place].key]
            cited[place] = rng.choice(older)
        elif choice == 6:
            cited.append(self._of_another_room())

    def _of_another_room(self):
        creator = choices.USERS[0]
        fields = {"type": "m.room.create", "state_key": "", "sender": creator, "content": {"creator": creator},
                  "prev_events": [], "auth_events": [], "depth": 1, "origin_server_ts": 1}
        if self.version != "12":
            fields["room_id"] = "!other:one.example"
        return make_pdu(self.version, fields, [domain(creator)])

    def _cites_soundly(self, event, state, cited):
        """Whether state resolution can walk over it: a state event or message whose auth events are of this room."""
        keys = [entry.key for entry in cited]
        of_room = all(entry.id in self.events for entry in cited) and len(set(keys)) == len(keys)
        complete = (CREATE in keys) == (self.version != "12")
        content = event.fields["content"]
        member = event.fields["type"] != "m.room.member" or (
            event.key is not None and isinstance(content.get("membership"), str) and "third_party_invite" not in content)
        return of_room and complete and None not in keys and member and event.fields["type"] in (
            "m.room.member", "m.room.name", "m.room.topic", "org.example.thing", "m.room.message")

    def _check(self, event, state, others):
        case = AuthCheck(self.name, event, list(state.values()), others)
        self.cases.append(case)
        return case.reference() is True

    def _accept(self, event, state, prev):
        self.events[event.id] = event
        self.state_after[event.id] = {**state, event.key: event} if event.key is not None else state
        cited = {entry.id for entry in prev}
        self.tips = [tip for tip in self.tips if tip.id not in cited] + [event]

    def _prev_events(self):
        rng = self.rng
        where = rng.random()
        if where < 0.2:
            return [rng.choice(list(self.events.values()))]
        if where < 0.4:
            return rng.sample(self.tips, min(len(self.tips), rng.choice([2, 3])))
        return [self.tips[-1]]

    def _state_before(self, prev):
        """None where the reference fails on it."""
        if len(prev) == 1:
            return self.state_after[prev[0].id]
        return self._resolve([self.state_after[event.id] for event in prev])

    def _resolve_any(self):
        events = list(self.events)
        count = min(len(events), self.rng.choice([2, 2, 2, 3, 4]))
        self._resolve([self.state_after[event_id] for event_id in self.rng.sample(events, count)])

    def _resolve(self, states):
        case = StateResolve(self.name, self.version, states, self.events, self.room_id, self.rng)
        self.cases.append(case)
        resolved = case.reference()
        return None if resolved is None else {self.events[event_id].key: self.events[event_id] for event_id in resolved}

    def _membership(self, state, user):
        member = state.get(("m.room.member", user))
        return member.fields["content"].get("membership") if member else None

    def _depth(self, prev):
        depth = 1 + max(event.fields["depth"] for event in prev)
        return depth if self.rng.random() < 0.85 else self.rng.randrange(1, depth + 2)

    def _now(self):
        self.clock += self.rng.choice([0, 1, 1000])
        return self.clock if self.rng.random() < 0.8 else self.clock - self.rng.choice([1, 1000, 5000])
