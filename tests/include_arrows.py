#!/usr/bin/env python3
"""Fails on an include against the direction of the arrows: services → rpc, http → telemetry, matrix; never the reverse,
and no service on another's code."""
import pathlib
import re
import subprocess
import sys

ALLOWED = {
    "matrix": {"matrix"},
    "telemetry": {"telemetry"},
    "configuration": {"configuration", "matrix"},
    "http": {"http", "telemetry", "matrix"},
    "rpc": {"rpc", "telemetry", "matrix", "postern"},
    "services/gateway": {"services/gateway", "rpc", "http", "telemetry", "configuration", "matrix", "postern"},
    "services/validator": {"services/validator", "rpc", "http", "telemetry", "configuration", "matrix", "postern"},
    "services/store": {"services/store", "rpc", "http", "telemetry", "configuration", "matrix", "postern"},
    "posternctl": {"posternctl", "rpc", "http", "telemetry", "configuration", "matrix", "postern"},
}
KNOWN = set(ALLOWED) | {"postern", "tests"}


def part_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "services" else parts[0]


def main():
    files = subprocess.run(["git", "ls-files", "*.h", "*.cc"], capture_output=True, text=True, check=True).stdout.split()
    wrong = 0
    for name in files:
        source = part_of(name)
        if source not in ALLOWED:
            continue
        for number, line in enumerate(pathlib.Path(name).read_text().splitlines(), 1):
            match = re.match(r'\s*#include "([^"]+)"', line)
            target = part_of(match.group(1)) if match else None
            if target in KNOWN and target not in ALLOWED[source]:
                print(f"{name}:{number}: {source} may not include {match.group(1)}")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
