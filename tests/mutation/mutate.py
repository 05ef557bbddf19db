#!/usr/bin/env python3
"""Breaks one rule at a time in a scratch copy of the tree, builds the tests of the protocol, and says whether one of them notices.

    python3 tests/mutation/mutate.py                 all mutations of mutations.py, some minutes each ten
    python3 tests/mutation/mutate.py --only member   those whose file or name has "member"
    python3 tests/mutation/mutate.py --list

The copy and its build lie in build/mutation and are used again. Survivors are printed last; those that survivors.md does not
explain fail the run. Exit status: 0 every mutation is noticed or explained, 1 not, 2 usage."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from mutations import MUTATIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build" / "mutation"
TREE, BUILD = SCRATCH / "tree", SCRATCH / "build"
EXPLAINED = pathlib.Path(__file__).resolve().parent / "survivors.md"
# The cheapest first: a mutation is tried until one notices.
TESTS = ["matrix_rules_test", "matrix_test", "vectors_test", "matrix_property_test", "commutes_property_test"]
TEST_SECONDS = 300


def copy_tree():
    """What git knows of the tree, as it is on disk. Unchanged files keep their times, so that little is built again."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, TREE / name
        if source.exists() and not (copy.exists() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)  # with its mode
    # What a mutation leaves unused is no mistake.
    flags = TREE / "cmake" / "BuildFlags.cmake"
    flags.write_text(flags.read_text().replace(" -Werror", ""))


def configure():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["cmake", "-S", str(TREE), "-B", str(BUILD), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"], check=True,
                       stdout=subprocess.DEVNULL)


def build(targets):
    return subprocess.run(["cmake", "--build", str(BUILD), "--target", *targets], capture_output=True, text=True)


def is_noticed_by(test):
    try:
        ran = subprocess.run([str(BUILD / "bin" / test), "--gtest_brief=1", "--gtest_fail_fast"], cwd=TREE, capture_output=True, timeout=TEST_SECONDS)
    except subprocess.TimeoutExpired:  # it never ends: that is noticed too
        return True
    return ran.returncode != 0


def fate_of(mutation):
    """Which test notices it; "survives", or why it could not be tried."""
    file = TREE / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        return f"does not apply: stands {text.count(mutation.old)} times in {mutation.file}"
    file.write_text(text.replace(mutation.old, mutation.new))
    try:
        for test in TESTS:
            built = build([test])
            if built.returncode != 0:
                return "does not compile: " + next((line for line in built.stdout.splitlines() if "error" in line), "")
            if is_noticed_by(test):
                return f"noticed by {test}"
        return "survives"
    finally:
        file.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="TEXT", help="part of a file's or a mutation's name; may be given often")
    parser.add_argument("--list", action="store_true", help="list the mutations and end")
    chosen = parser.parse_args()
    mutations = [mutation for mutation in MUTATIONS
                 if any(text in mutation.name or text in mutation.file for text in chosen.only or [""])]
    if chosen.list or not mutations:
        for mutation in mutations:
            print(f"{mutation.file}: {mutation.name}")
        return 0 if mutations else 2
    # As ./dev has it: what was built in another tree is not built again.
    os.environ.update(CCACHE_SLOPPINESS="pch_defines,time_macros,include_file_mtime,include_file_ctime",
                      CCACHE_BASEDIR=str(TREE), CCACHE_NOHASHDIR="1", CCACHE_DEPEND="1", CCACHE_PCH_EXTSUM="1")
    copy_tree()
    configure()
    built = build(TESTS)
    if built.returncode != 0 or any(is_noticed_by(test) for test in TESTS):
        print("without any mutation the tests do not build or pass:\n" + built.stdout[-2000:])
        return 1
    fates = {}
    for mutation in mutations:
        fates[mutation] = fate_of(mutation)
        print(f"{fates[mutation]:40} {mutation.file}: {mutation.name}", flush=True)
    left = [mutation for mutation, fate in fates.items() if not fate.startswith("noticed")]
    explained = EXPLAINED.read_text()
    print(f"\n{len(mutations)} mutations, {len(mutations) - len(left)} noticed")
    unexplained = 0
    for mutation in left:
        known = fates[mutation] == "survives" and f"{mutation.file}: {mutation.name}" in explained
        unexplained += not known
        print(f"{'explained' if known else 'UNEXPLAINED'}: {fates[mutation]}: {mutation.file}: {mutation.name}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
