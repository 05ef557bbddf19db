#!/usr/bin/env python3
"""Postern against a homeserver that none of us wrote: a Synapse of its Python package, unmodified, with PostgreSQL, on loopback over
real TLS. Postern invites users of Synapse; they see it through the client API and reject it, are uninvited, or are told late."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "differential"))
sys.path.insert(0, str(ROOT / "deploy" / "dev"))
import reference_install  # noqa: E402
from free_port import free_port  # noqa: E402

VERSIONS = ("6", "9", "10", "11", "12")
SOON_SECONDS = 15
# The first retry of a delivery comes after some seconds, the second after half a minute.
AFTER_AN_OUTAGE_SECONDS = 90


class Interop(unittest.TestCase):
    """One Postern and one Synapse for all tests; a room for each."""

    @classmethod
    def setUpClass(cls):
        from certificates import Certificates
        from postern_server import Postern
        from synapse_server import Synapse, make_database
        directory = tempfile.TemporaryDirectory(prefix="postern-peers-", dir="/tmp")
        cls.addClassCleanup(directory.cleanup)
        home = pathlib.Path(directory.name)
        home.chmod(0o711)  # PostgreSQL's user passes through
        certificates = Certificates(home)
        cls.postern = Postern(home / "postern", free_port(), certificates)
        cls.addClassCleanup(cls.postern.stop)
        cls.synapse = Synapse(home / "synapse", free_port(), certificates, make_database(cls.postern.stack["dsn"], "synapse"))
        cls.addClassCleanup(cls.synapse.stop)
        cls.synapse.start()
        version = cls.synapse.version()
        print(f"{version['name']} {version['version']}; Postern {cls.postern.name}, Synapse {cls.synapse.name}", flush=True)
        cls.bob = cls.synapse.user("bob")

    def room(self, version):
        name = [{"type": "m.room.name", "state_key": "", "content": {"name": f"a room of version {version}"}}]
        state = self.postern.directory / "room.json"
        state.write_text(json.dumps(name), encoding="utf-8")
        return self.postern.operator("room", "create", "--version", version, "--creator", self.postern.user("ann"),
                                     "--state", str(state))["room_id"]

    def invite(self, room_id):
        return self.postern.operator("room", "invite", room_id, self.bob.user_id)["event_id"]

    def signers(self, event_id):
        return set(self.postern.operator("event", "show", event_id)["event"]["signatures"])

    def in_each_version(self, play):
        for version in VERSIONS:
            with self.subTest(room_version=version):
                play(version, self.room(version))

    def test_an_invite_is_seen_and_rejected_there_and_the_leave_is_held_here_with_both_signatures(self):
        both = {self.postern.name, self.synapse.name}

        def play(version, room_id):
            event_id = self.invite(room_id)
            self.assertEqual(self.signers(event_id), both)
            shown = self.bob.wait_for(room_id, "invite", SOON_SECONDS)
            state = {event["type"]: event for event in shown["invite_state"]["events"]}
            self.assertEqual(state["m.room.name"]["content"]["name"], f"a room of version {version}")
            self.assertIn("m.room.create", state)
            self.bob.leave(room_id)
            member = self.postern.wait_for_membership(room_id, self.bob.user_id, "leave", SOON_SECONDS)
            self.assertEqual(self.signers(member["event_id"]), both)
            self.bob.wait_for(room_id, "leave", SOON_SECONDS)
        self.in_each_version(play)

    def test_an_invite_withdrawn_here_disappears_there(self):
        def play(_, room_id):
            self.invite(room_id)
            self.bob.wait_for(room_id, "invite", SOON_SECONDS)
            self.postern.operator("room", "withdraw", room_id, self.bob.user_id)
            self.bob.wait_for(room_id, "leave", SOON_SECONDS)
        self.in_each_version(play)

    def test_a_user_who_has_rejected_is_invited_and_rejects_again(self):
        def play(_, room_id):
            for _ in range(2):
                self.invite(room_id)
                self.bob.wait_for(room_id, "invite", SOON_SECONDS)
                self.bob.leave(room_id)
                self.postern.wait_for_membership(room_id, self.bob.user_id, "leave", SOON_SECONDS)
                self.bob.wait_for(room_id, "leave", SOON_SECONDS)
        self.in_each_version(play)

    def test_a_server_that_is_down_is_not_invited_and_learns_of_a_withdrawal_once_it_is_back(self):
        from postern_server import Refused
        rooms = [(version, self.room(version)) for version in VERSIONS]
        self.synapse.stop()
        for _, room_id in rooms:
            with self.assertRaisesRegex(Refused, "could not be asked"):
                self.invite(room_id)
            with self.assertRaises(Refused):
                self.postern.member(room_id, self.bob.user_id)
        self.synapse.start()
        for _, room_id in rooms:
            self.invite(room_id)
            self.bob.wait_for(room_id, "invite", SOON_SECONDS)
        self.synapse.stop()
        for _, room_id in rooms:
            self.postern.operator("room", "withdraw", room_id, self.bob.user_id)
        self.synapse.start()
        for version, room_id in rooms:
            with self.subTest(room_version=version):
                self.bob.wait_for(room_id, "leave", AFTER_AN_OUTAGE_SECONDS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=pathlib.Path, default=ROOT / "build" / "environments",
                        help="where Synapse is installed, once (default: build/environments)")
    options, rest = parser.parse_known_args()
    reference_install.run_inside(options.environments)
    os.environ.setdefault("POSTERN_BIN_DIR", str(ROOT / "build" / "release" / "bin"))
    unittest.main(argv=[sys.argv[0], "-v", *rest])


if __name__ == "__main__":
    main()
