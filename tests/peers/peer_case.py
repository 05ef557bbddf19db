"""What the tests against other homeservers share: one Postern and some Synapses for all tests of a class, a room for each."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "differential"))
sys.path.insert(0, str(ROOT / "deploy" / "dev"))
import reference_install  # noqa: E402
from free_port import free_port  # noqa: E402

VERSIONS = ("6", "9", "10", "11", "12")
SOON_SECONDS = 15
POLL_SECONDS = 0.05


class PeerCase(unittest.TestCase):
    SYNAPSES = ("synapse",)

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
        cls.synapses = []
        for name in cls.SYNAPSES:
            synapse = Synapse(home / name, free_port(), certificates, make_database(cls.postern.stack["dsn"], name))
            cls.synapses.append(synapse)
            cls.addClassCleanup(synapse.stop)
            synapse.start()
            version = synapse.version()
            print(f"{version['name']} {version['version']}: {synapse.name}", flush=True)
        print(f"Postern: {cls.postern.name}", flush=True)

    def room(self, version, join_rule="invite"):
        """A room of @ann of Postern."""
        name = [{"type": "m.room.name", "state_key": "", "content": {"name": f"a room of version {version}"}}]
        state = self.postern.directory / "room.json"
        state.write_text(json.dumps(name), encoding="utf-8")
        return self.postern.operator("room", "create", "--version", version, "--creator", self.postern.user("ann"),
                                     "--join-rule", join_rule, "--state", str(state))["room_id"]

    def signers(self, event_id):
        return set(self.postern.operator("event", "show", event_id)["event"]["signatures"])

    def in_each_version(self, play, versions=VERSIONS):
        for version in versions:
            with self.subTest(room_version=version):
                play(version)

    def expect_database(self, room_id, memberships):
        """What PostgreSQL holds of the room: these memberships and no other, nothing that waits to be told, nothing soft-failed, few
        extremities. It may take a moment: other servers have to say that they were told."""
        memberships = {self.postern.user("ann"): "join"} | memberships
        deadline = time.monotonic() + SOON_SECONDS
        while True:
            held = self.postern.held_of(room_id)
            right = held["memberships"] == memberships and held["waiting"] == 0
            if right or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        self.assertEqual(held["memberships"], memberships)
        self.assertEqual(held["waiting"], 0, "what is to be told has been told")
        self.assertEqual(held["parked"], 0)
        self.assertEqual(held["not_accepted"], 0)
        self.assertEqual(held["memberships"], held["by_their_events"])
        self.assertLessEqual(held["extremities"], 20)


def main():
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--environments", type=pathlib.Path, default=ROOT / "build" / "environments",
                        help="where Synapse is installed, once (default: build/environments)")
    options, rest = parser.parse_known_args()
    reference_install.run_inside(options.environments)
    os.environ.setdefault("POSTERN_BIN_DIR", str(ROOT / "build" / "release" / "bin"))
    unittest.main(module="__main__", argv=[sys.argv[0], "-v", *rest])
