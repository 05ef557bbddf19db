"""An event as others might write it, for the questions that hang on its bytes: more members, odd text, something altered after it
was signed."""
import copy

from pdu import Pdu

ODD_TEXTS = ["", "\u0000\u001f\u007f", "\"\\/\b\f\n\r\t", "\u00e9e\u0301", "\U0001f600\uffff", "\u2028\u2029", "</script>", "a" * 300]
TOP_LEVEL = ["origin", "membership", "prev_state", "redacts", "org.example.extra", "\U0001f600", "state_key2"]


def odd_value(rng, version, depth=0):
    what = rng.randrange(7 if depth < 3 else 5)
    if what == 0:
        return rng.choice(ODD_TEXTS)
    if what == 1:
        beyond = [2**53, -2**53, 2**63 - 1, -2**63] if int(version) < 6 else []
        return rng.choice([0, 1, -1, 2**53 - 1, 1 - 2**53, *beyond])
    if what in (2, 3, 4):
        return [None, True, False][what - 2]
    if what == 5:
        return [odd_value(rng, version, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(ODD_TEXTS): odd_value(rng, version, depth + 1) for _ in range(rng.randrange(4))}


def with_more_members(rng, event):
    fields = copy.deepcopy(event.fields)
    for _ in range(rng.randrange(4)):
        fields[rng.choice(TOP_LEVEL)] = odd_value(rng, event.version)
    for _ in range(rng.randrange(4)):
        fields["content"][rng.choice(["ban", "invite", "aliases", "redacts", "third_party_invite", "join_rule", "x\u0000"])] = (
            odd_value(rng, event.version))
    if rng.random() < 0.5:
        fields["unsigned"] = {"age": 5, "odd": odd_value(rng, event.version)}
    return Pdu(event.version, fields)


def altered(rng, event):
    """As it was signed, or with one thing changed since."""
    fields = copy.deepcopy(event.fields)
    what = rng.randrange(6)
    signatures = fields["signatures"]
    if what == 0:
        fields["content"]["added"] = 1
    elif what == 1:
        fields["depth"] += 1
    elif what == 2:
        del signatures[rng.choice(list(signatures))]
    elif what == 3:
        server = rng.choice(list(signatures))
        first = signatures[server]["ed25519:a1"]
        signatures[server] = {"ed25519:a1": ("A" if first[0] != "A" else "B") + first[1:]}
    elif what == 4:
        signatures["stranger.example"] = {"ed25519:a1": "bm9uZQ"}
    return Pdu(event.version, fields)
