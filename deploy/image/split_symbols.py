#!/usr/bin/env python3
"""split_symbols.py PROGRAM DIRECTORY: takes the debug information out of PROGRAM and keeps it in DIRECTORY, where gdb looks for it."""
import pathlib
import re
import subprocess
import sys


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def main():
    program, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    found = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "--notes", program))
    if found is None:
        raise SystemExit(f"{program} has no build id")
    kept = directory / ".build-id" / found[1][:2] / f"{found[1][2:]}.debug"
    kept.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", "--compress-debug-sections", program, kept)
    run("strip", "--strip-unneeded", program)


if __name__ == "__main__":
    main()
