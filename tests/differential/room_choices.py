"""What users try to do in a room: the type, state key and content of the next event, chosen at random. Most of it is what
servers really send; some is odd on purpose."""
from signedjson.key import get_verify_key
from unpaddedbase64 import encode_base64

import pdu

USERS = ["@ann:one.example", "@bob:one.example", "@cat:two.example", "@dan:two.example", "@eve:three.example:8448",
         "@fay:four.example"]
MEMBERSHIPS = ["join", "leave", "invite", "ban", "knock"]
JOIN_RULES = ["public", "invite", "knock", "restricted", "knock_restricted", "private"]
LEVELS = [0, 0, 1, 25, 49, 50, 50, 51, 75, 99, 100, 100, 101, -1]
NAMED_LEVELS = ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"]
LEVELLED_TYPES = ["m.room.name", "m.room.topic", "m.room.power_levels", "m.room.member", "m.room.message",
                  "m.room.join_rules", "m.room.third_party_invite", "org.example.thing"]
IDENTITY_SERVER = "identity.example"


def create_content(rng, version, creator):
    content = {}
    if int(version) < 11 or rng.random() < 0.1:
        content["creator"] = creator if rng.random() < 0.95 else rng.choice(USERS)
    if rng.random() < 0.9:
        content["room_version"] = version
    if rng.random() < 0.15:
        content["m.federate"] = rng.choice([False, False, True, "false", 0, None])
    if int(version) >= 11 and rng.random() < 0.3:
        content["additional_creators"] = rng.sample(USERS, rng.randrange(3))
    return content


def odd_create_content(rng, content):
    content = dict(content)
    choice = rng.randrange(4)
    if choice == 0:
        content["room_version"] = rng.choice(["99", "", 1, None, "1", "org.example.version"])
    elif choice == 1:
        content.pop("creator", None)
    elif choice == 2:
        content["additional_creators"] = rng.choice(
            [None, "@ann:one.example", ["ann"], [5], ["@ann:one.example", "@no-domain"], {}, ["@x:one.example"], []])
    else:
        content["creator"] = rng.choice([None, 5, "", "@ann:one.example"])
    return content


def level(rng, version):
    value = rng.choice(LEVELS)
    odd = rng.random()
    if int(version) < 10:
        if odd < 0.06:
            return rng.choice([str(value), f" {value} ", f"+{abs(value)}", f"0{abs(value)}"])
        if odd < 0.09 and int(version) < 6:
            return rng.choice([value + 0.5, value - 0.001, 1e2, 2.5e-3])
    elif odd < 0.02:
        return rng.choice([str(value), None, True, [value]])
    if odd > 0.99:
        return rng.choice([2**53 - 1, 1 - 2**53])
    return value


def power_levels(rng, version, before):
    """A change of `before`, or levels from nothing."""
    content = {name: dict(value) if isinstance(value, dict) else value for name, value in (before or {}).items()}
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        _change_levels(rng, version, content)
    if rng.random() < 0.02:
        _spoil_levels(rng, version, content)
    return content


def _change_levels(rng, version, content):
    where = rng.random()
    if where < 0.5:
        name, keys = "users", USERS
    elif where < 0.65:
        name, keys = "events", LEVELLED_TYPES
    elif where < 0.7:
        name, keys = "notifications", ["room", "other"]
    else:
        key = rng.choice(NAMED_LEVELS)
        if rng.random() < 0.25:
            content.pop(key, None)
        else:
            content[key] = level(rng, version)
        return
    entries = content.setdefault(name, {})
    if not isinstance(entries, dict):
        return
    key = rng.choice(keys)
    if rng.random() < 0.2:
        entries.pop(key, None)
    else:
        entries[key] = level(rng, version)


def _spoil_levels(rng, version, content):
    """Shapes that the rules refuse. Of `events` and named levels they speak only from version 10 on."""
    choice = rng.randrange(4)
    if choice == 0:
        content["users"] = rng.choice([[], "all", None, {"ann": 50}, {"@ann": 50}, {"@ann:one.example": "high"}])
    elif choice == 1:
        content.setdefault("users", {})
        if isinstance(content["users"], dict):
            content["users"][rng.choice(USERS)] = rng.choice([True, None, "", {}, "1e1"])
    elif choice == 2 and int(version) >= 10:
        content[rng.choice(["events", "notifications"])] = rng.choice([[], "x", {"m.room.name": "50"}, None])
    elif int(version) >= 10:
        content[rng.choice(NAMED_LEVELS)] = rng.choice(["50", None, {}, False])


def join_rules(rng, version):
    if rng.random() < 0.03:
        return rng.choice([{}, {"join_rule": None}, {"join_rule": "nobody"}, {"join_rule": 5}])
    usual = JOIN_RULES if int(version) >= 8 else JOIN_RULES[:3] if int(version) >= 7 else JOIN_RULES[:2]
    rule = rng.choice(usual if rng.random() < 0.95 else JOIN_RULES)
    return {"join_rule": rule, **({"allow": []} if "restricted" in rule else {})}


def third_party_promise(rng):
    key = encode_base64(bytes(get_verify_key(pdu.keys_of(IDENTITY_SERVER))))
    other = encode_base64(bytes(get_verify_key(pdu.keys_of("other.example"))))
    return rng.choice([
        {"display_name": "x", "public_key": key, "key_validity_url": "https://identity.example/valid"},
        {"public_key": key, "public_keys": [{"public_key": other}]},
        {"public_key": other, "public_keys": [{"public_key": key}]},
        {"public_keys": [{"public_key": key}]},
        {"public_key": other},
    ])


def third_party_invite(rng, target, token):
    """The content of an invite that answers a promise."""
    signed = pdu.sign({"mxid": target, "token": token}, IDENTITY_SERVER)
    odd = rng.random()
    if odd < 0.1:
        signed["mxid"] = rng.choice(USERS)
    elif odd < 0.15:
        signed["extra"] = 1
    elif odd < 0.2:
        signed = pdu.sign({"mxid": target, "token": token}, "stranger.example")
    elif odd < 0.25:
        signed["token"] = rng.choice(["none", token])
    elif odd < 0.3:
        signed.pop(rng.choice(["mxid", "token", "signatures"]))
    return {"membership": "invite", "third_party_invite": {"display_name": "x", "signed": signed}}
