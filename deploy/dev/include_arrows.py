#!/usr/bin/env python3
"""Fails on an include against an arrow: services -> rpc -> matrix, no service on another's code. Run by ./dev lint and ctest."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Folder -> what it may include, besides itself. The longest folder that holds a file counts. "postern" is generated from proto/.
ARROWS = {
    "matrix": [],
    "telemetry": ["matrix"],
    "configuration": ["matrix"],
    "http": ["matrix", "telemetry"],
    "rpc": ["matrix", "telemetry", "postern"],
    "services/gateway": ["rpc", "http", "configuration", "telemetry", "matrix", "postern"],
    "services/validator": ["rpc", "http", "configuration", "telemetry", "matrix", "postern"],
    "services/store": ["rpc", "http", "configuration", "telemetry", "matrix", "postern"],
    "posternctl": ["rpc", "http", "telemetry", "matrix", "postern"],
    "posternctl/peer": ["http", "matrix"],
}
PROJECT = ("matrix", "telemetry", "configuration", "http", "rpc", "services", "posternctl", "postern", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def holds(folder, path):
    return path == folder or path.startswith(folder + "/")


def mistakes_in(path, text):
    """The includes of the file at `path` (relative to the root) that no arrow allows, as (line number, header)."""
    folder = max((f for f in ARROWS if holds(f, path)), key=len, default=None)
    if folder is None:
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found or found[1].split("/")[0] not in PROJECT:
            continue
        if not any(holds(allowed, found[1]) for allowed in [folder] + ARROWS[folder]):
            yield number, found[1]


def main():
    wrong = 0
    for folder in sorted({f.split("/")[0] for f in ARROWS}):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".h", ".cc"):
                path = file.relative_to(ROOT).as_posix()
                for number, header in mistakes_in(path, file.read_text(encoding="utf-8")):
                    print(f'{path}:{number}: "{header}" is against the arrows (deploy/dev/include_arrows.py)')
                    wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
