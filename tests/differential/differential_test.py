#!/usr/bin/env python3
"""Holds Postern's protocol library against the reference implementation (matrix-synapse) on random rooms: authorization rules,
state resolution, event ids, hashes, redaction, signatures. Postern answers through postern-conformance."""
import argparse
import collections
import concurrent.futures
import pathlib
import random
import secrets
import sys
import time

import reference_install

ROOMS_A_BATCH = 40
BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=2000, help="how many rooms (default 2000)")
    parser.add_argument("--seed", type=int, default=None, help="the run's seed (default: a new one, which is printed)")
    parser.add_argument("--room", type=int, default=None, help="only the room of this number, as a mismatch names it")
    parser.add_argument("--conformance", type=pathlib.Path, default=BUILD / "release" / "bin" / "postern-conformance",
                        help="the postern-conformance to ask (default: that of build/release)")
    parser.add_argument("--environments", type=pathlib.Path, default=BUILD / "environments",
                        help="where the reference is installed, once (default: build/environments)")
    parser.add_argument("--exceptions", action="store_true", help="list where the specification differs from the reference")
    return parser.parse_args()


def grown_rooms(seed, numbers):
    """The cases of these rooms. A room hangs on the seed and its number alone."""
    from pdu import VERSIONS
    from room import Room
    cases = []
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        room = Room(rng, VERSIONS[number % len(VERSIONS)], f"room{number}")
        room.grow(rng.randrange(8, 40))
        cases.extend(room.cases)
    return cases


def main():
    chosen = options()
    reference_install.run_inside(chosen.environments)
    import amendments
    import comparison
    import conformance
    if chosen.exceptions:
        for name, reason in amendments.REASONS.items():
            print(f"{name}\n    {reason}")
        return 0
    seed = secrets.randbelow(2**32) if chosen.seed is None else chosen.seed
    numbers = range(chosen.rooms) if chosen.room is None else [chosen.room]
    print(f"seed {seed}, {len(numbers)} rooms", flush=True)
    began = time.monotonic()
    result = comparison.Comparison(seed)
    with concurrent.futures.ThreadPoolExecutor(1) as postern:
        asked = collections.deque()
        for first in range(0, len(numbers), ROOMS_A_BATCH):
            cases = grown_rooms(seed, numbers[first:first + ROOMS_A_BATCH])
            asked.append((cases, postern.submit(conformance.outputs, chosen.conformance, cases)))
            if len(asked) > 1:
                result.take(asked[0][0], asked.popleft()[1].result())
        for cases, outputs in asked:
            result.take(cases, outputs.result())
    result.report()
    print(f"{len(numbers)} rooms in {time.monotonic() - began:.0f} s, seed {seed}: {result.mismatches} mismatches")
    return 1 if result.mismatches or not result.is_telling(len(numbers)) else 0


if __name__ == "__main__":
    sys.exit(main())
