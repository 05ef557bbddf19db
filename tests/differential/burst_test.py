#!/usr/bin/env python3
"""Hundreds leave one room of a real stack at once, from templates of one tip: every one is answered 200, the extremities are few soon
after, and the current state is what the reference implementation (matrix-synapse) resolves from the events that are stored. Once with
clocks that go right, once with leaves dated before their own invites, which the resolution may put before these."""
import argparse
import os
import pathlib
import random
import secrets
import sys
import tempfile
import time

import reference_install

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOON_SECONDS = 10.0
FEW = 20
HOUR_MS = 3_600_000


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=500, help="how many leave with right clocks (default 500)")
    parser.add_argument("--early-leaves", type=int, default=120,
                        help="how many leave with leaves dated before their invites (default 120)")
    parser.add_argument("--in-flight", type=int, default=32, help="how many at once (default 32)")
    parser.add_argument("--versions", default="10", help="room versions, with commas (default 10)")
    parser.add_argument("--seed", type=int, default=None, help="of the wrong clocks (default: a new one, which is printed)")
    parser.add_argument("--environments", type=pathlib.Path, default=ROOT / "build" / "environments",
                        help="where the reference is installed, once (default: build/environments)")
    return parser.parse_args()


class Burst:
    """The leaves of all of one room, sent at once, and what came of it."""

    def __init__(self, stack, remote, directory, in_flight, version):
        from leave_load import Sender
        from stored_room import StoredRoom
        self.stack, self.remote, self.version = stack, remote, version
        self.sender = Sender(stack, remote, directory, in_flight)
        self.room_of = lambda room_id: StoredRoom(stack, room_id, version)
        self.wrong = []

    def play(self, name, leaves, date):
        """`date` says what the remote's clock shows, from what a template says."""
        members = self.stack.seed(self.remote, 1, leaves, f"{name}-v{self.version}-", self.version)
        batch = self.sender.take_templates(members)
        for line in batch:
            line["at_ms"] = date(line["template"]["event"]["origin_server_ts"])
        load = self.sender.send(batch)
        ended = time.monotonic()
        room = self.room_of(members[0][0])
        left = self._wait_until_few(room, ended)
        resolved, resolutions = room.resolved_state()
        current = room.current_state()
        differing = {key for key in resolved.keys() | current.keys() if resolved.get(key) != current.get(key)}
        print(f"{name}, version {self.version}: {leaves} leaves, {load.by_status()}, {load.seconds:.1f} s; memberships "
              f"{room.memberships()}; {len(left)} extremities {time.monotonic() - ended:.1f} s later; {resolutions} resolutions by the "
              f"reference, {len(differing)} keys differ", flush=True)
        if set(load.by_status()) != {200}:
            odd = next(answer for answer in load.answers if answer.status != 200)
            self.wrong.append(f"{name}: not every answer is 200: {odd}")
        if len(left) > FEW:
            self.wrong.append(f"{name}: {len(left)} extremities after {SOON_SECONDS} s")
        if differing:
            self.wrong.append(f"{name}: the current state is not the reference's in {sorted(differing)[:3]}")
        return room.memberships()

    @staticmethod
    def _wait_until_few(room, since):
        while len(left := room.extremities()) > FEW and time.monotonic() - since < SOON_SECONDS:
            time.sleep(0.1)
        return left


def play_all(chosen, seed, directory):
    from load_stack import LoadStack, RemoteServer
    programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin")).absolute()
    rng = random.Random(seed)
    wrong = []
    remote = RemoteServer(directory, programs)
    try:
        stack = LoadStack(directory / "stack")
        try:
            for version in chosen.versions.split(","):
                burst = Burst(stack, remote, directory, chosen.in_flight, version)
                memberships = burst.play("on-time", chosen.leaves, lambda at: at + rng.randrange(1000, 60_000))
                if memberships.get("leave") != chosen.leaves:
                    burst.wrong.append(f"not everybody has left: {memberships}")
                burst.play("early", chosen.early_leaves, lambda at: at - HOUR_MS - rng.randrange(60_000))
                wrong += burst.wrong
        finally:
            stack.end()
    finally:
        remote.end()
    return wrong


def main():
    chosen = options()
    reference_install.run_inside(chosen.environments)
    sys.path.insert(0, str(ROOT / "deploy" / "dev"))
    seed = secrets.randbelow(2**32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="postern-burst-") as directory:
        wrong = play_all(chosen, seed, pathlib.Path(directory))
    for trouble in wrong:
        print(trouble)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
