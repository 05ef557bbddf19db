#!/usr/bin/env python3
"""./dev bench: how much it costs, in figures to compare. Called by bench.sh, which has built the programs."""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys

import pure_benchmarks
from cluster import Trouble
from figures import comparison, compared

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESCRIPTION = """\
--pure: Google Benchmark on the pure parts: canonical JSON, event ids, signatures, authorization rules, state resolution by size."""
EXAMPLES = """\
examples:
  ./dev bench --pure --json > before.json       then change something, and
  ./dev bench --pure --compare before.json      see what it did: name, before, after, ratio of the CPU times (the least of nine)
  ./dev bench --pure --filter Resolve
exit status: 0 measured, 1 it could not be, or an answer was wrong, 2 usage
"""


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench", description=DESCRIPTION, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--pure", action="store_true", help="benchmarks of the pure parts, without a stack")
    add("--filter", metavar="REGEX", help="of --pure: only benchmarks whose names it finds")
    add("--seconds", type=float, default=0.1, metavar="S", help="of --pure: the least time of each of nine repetitions (default: 0.1)")
    add("--compare", type=kept_figures, metavar="FILE", help="and the ratio to the figures in FILE, which --json has written")
    add("--json", action="store_true", help="one JSON object on standard output, for scripts and for --compare")
    add("--only-check", action="store_true", help=argparse.SUPPRESS)  # lets bench.sh find mistakes before it builds
    options = parser.parse_args(arguments)
    if options.compare is not None and ("benchmarks" in options.compare) != options.pure:
        parser.error("the file of --compare is of the other kind: one with --pure, one without")
    options.programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin")).absolute()
    return options


def kept_figures(text):
    try:
        return json.loads(pathlib.Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as trouble:
        raise argparse.ArgumentTypeError(f"cannot read '{text}': {trouble}") from None


def tell(options, report, figures_of, lines):
    """Everything as JSON, or the comparison where one is wanted, or `lines`."""
    pair = [figures_of(one) for one in (options.compare, report)] if options.compare is not None else None
    if pair and options.filter:
        pair[0] = {name: value for name, value in pair[0].items() if name in pair[1]}
    if options.json:
        print(json.dumps(report | ({"compared": compared(*pair)} if pair else {}), indent=1))
    else:
        print(*(comparison(*pair) if pair else lines), sep="\n")


def main():
    options = read_options(sys.argv[1:])
    if options.only_check:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as any other end: the stacks are ended too
    try:
        report = pure_benchmarks.run(options.programs, options.filter, options.seconds)
        tell(options, report, pure_benchmarks.cpu_ns, pure_benchmarks.table(report))
    except (Trouble, OSError, subprocess.CalledProcessError) as trouble:
        print(f"./dev bench: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
