#!/usr/bin/env python3
"""Runs clang-tidy over our own sources, as many at once as there are processors. A file that was found clean is not looked at
again until it, a header of ours that it reads, or a .clang-tidy above it changes. usage: tidy.py CLANG_TIDY BUILD_DIR"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def headers_by_object(build):
    """What each object file was made from, of our own files, as ninja recorded it."""
    listed = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True, capture_output=True, text=True).stdout
    found, current = {}, []
    for line in listed.splitlines():
        if line.startswith("    "):
            path = pathlib.Path(os.path.normpath(build / line.strip()))
            if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build"):
                current.append(path)
        elif line:
            current = found.setdefault(line.partition(":")[0], [])
    return found


def object_of(entry):
    """As ninja names it: CMake 3.25 writes no "output" beside the command."""
    return re.search(r" -o (\S+)", entry["command"])[1]


def fingerprint(tidy, entry, headers):
    digest = hashlib.sha256((tidy + entry["command"]).encode())
    file = pathlib.Path(entry["file"])
    settings = [folder / ".clang-tidy" for folder in file.parents if (folder / ".clang-tidy").is_file()]
    for path in [*settings, *sorted(set(headers) | {file})]:
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def without_precompiled(commands, directory):
    """The compile commands for clang: beside a header that GCC has precompiled it would take GCC's file for one of its own and give
    up, so each such header is included as a copy that lies alone in `directory`. Returns where the commands are."""
    def copied(match):
        header = pathlib.Path(match[0])
        copy = directory / hashlib.sha256(match[0].encode()).hexdigest()[:16] / header.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(header.read_bytes())
        return str(copy)

    changed = [entry | {"command": re.sub(r"/\S+/cmake_pch\.hxx(?=\s)", copied, entry["command"])} for entry in commands]
    (directory / "compile_commands.json").write_text(json.dumps(changed), encoding="utf-8")
    return directory


def main():
    tidy, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    clean = ROOT / "build" / "tidy"
    clean.mkdir(parents=True, exist_ok=True)
    headers = headers_by_object(build)
    due = {}
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    readable = without_precompiled(commands, clean / "commands")
    for entry in commands:
        file = pathlib.Path(entry["file"])
        if file.suffix == ".cc" and file.is_relative_to(ROOT) and not file.is_relative_to(ROOT / "build"):
            stamp = clean / fingerprint(tidy, entry, headers.get(object_of(entry), []))
            if not stamp.exists():
                due[str(file)] = stamp

    def check(file):
        return file, subprocess.run([tidy, "--quiet", "-p", readable, "--extra-arg=-Wno-unknown-warning-option",
                                     "--extra-arg=-Wno-ignored-optimization-argument", file],
                                    check=False, capture_output=True, text=True)

    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, done in pool.map(check, sorted(due)):
            if done.returncode == 0:
                due[file].touch()
            else:
                print(done.stdout, done.stderr, sep="", flush=True)
                wrong += 1
    print(f"tidy: {len(due)} files looked at, {wrong} with findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
