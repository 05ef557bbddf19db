"""Events in the federation format of a room version, named, hashed and signed by the reference implementation."""
import hashlib

from canonicaljson import encode_canonical_json
from signedjson.key import decode_signing_key_base64
from signedjson.sign import sign_json
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import add_hashes_and_signatures, compute_event_reference_hash
from synapse.events import make_event_from_dict
from unpaddedbase64 import encode_base64

VERSIONS = [str(number) for number in range(1, 13)]


def keys_of(server, _known={}):
    """The signing key of a server: the same in every run, so that a seed gives the same events."""
    if server not in _known:
        seed = encode_base64(hashlib.sha256(server.encode()).digest())
        _known[server] = decode_signing_key_base64("ed25519", "a1", seed)
    return _known[server]


def seed_of(key):
    return encode_base64(bytes(key))


def sign(value, server):
    return sign_json(value, server, keys_of(server))


class Pdu:
    """One event: its JSON text, and the reference's view of it."""

    def __init__(self, version, fields, rejected=False):
        self.version = version
        self.fields = fields
        self.text = encode_canonical_json(fields).decode()
        self.rejected = rejected
        self.event = make_event_from_dict(fields, KNOWN_ROOM_VERSIONS[version],
                                          rejected_reason="refused" if rejected else None)
        self.id = self.event.event_id

    @property
    def key(self):
        """Its key in the state; None for a message."""
        return (self.fields["type"], self.fields["state_key"]) if "state_key" in self.fields else None

    def as_rejected(self):
        return Pdu(self.version, self.fields, rejected=True)

    def reference(self):
        """How another event cites this one."""
        if self.version in ("1", "2"):
            return [self.id, {"sha256": encode_base64(compute_event_reference_hash(self.event)[1])}]
        return self.id


def make_pdu(version, fields, signers):
    """Adds hashes and signatures, and in versions 1-2 the id, to an event without them."""
    fields = dict(fields)
    if version in ("1", "2") and "event_id" not in fields:
        name = hashlib.sha256(encode_canonical_json(fields)).hexdigest()[:14]
        fields["event_id"] = f"${name}:{signers[0]}"
    for server in signers:
        add_hashes_and_signatures(KNOWN_ROOM_VERSIONS[version], fields, server, keys_of(server))
    return Pdu(version, fields)
