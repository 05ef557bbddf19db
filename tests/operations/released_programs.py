#!/usr/bin/env python3
"""The programs of the last release (tests/proto/released_commit), for tests in which they run beside those of today. As a program: builds
them, unless they are there, from a work tree of their own under build/released; exit status 77: the commit is not in this clone."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("postern-gateway", "postern-validator", "postern-store", "posternctl")
NOT_HERE = 77
JOBS = 2


def commit():
    return (ROOT / "tests" / "proto" / "released_commit").read_text(encoding="utf-8").strip()


def source():
    return ROOT / "build" / "released" / commit()[:12]


def directory():
    """Where they are, or are to be; POSTERN_RELEASED_BIN_DIR says otherwise."""
    return pathlib.Path(os.environ.get("POSTERN_RELEASED_BIN_DIR", source() / "build" / "release" / "bin"))


def are_there():
    return all((directory() / name).exists() for name in NAMES)


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def build():
    if not git("cat-file", "-e", f"{commit()}^{{commit}}"):
        print(f"the released commit {commit()} is not in this clone: fetch it, or set POSTERN_RELEASED_BIN_DIR", file=sys.stderr)
        return NOT_HERE
    if not (source() / "CMakePresets.json").exists():
        git("worktree", "prune")
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", source(), commit()], check=True)
    subprocess.run(["cmake", "--preset", "release"], cwd=source(), check=True)
    subprocess.run(["nice", "-n", "15", "cmake", "--build", "--preset", "release", "-j", str(JOBS), "--target", *NAMES], cwd=source(), check=True)
    return 0


if __name__ == "__main__":
    sys.exit(0 if are_there() else build())
