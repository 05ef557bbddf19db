#!/usr/bin/env python3
"""./dev bench: how much it costs, in figures to compare. Called by bench.sh, which has built the programs."""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import pure_benchmarks
from bench_scenarios import ASKED_FOR, SCENARIOS, BenchScenarios, MeasuredStack
from cluster import Trouble
from figures import commit, comparison, compared, flat, machine, spelled
from load_stack import LoadStack, RemoteServer
from option_values import count

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESCRIPTION = """\
Starts stacks of its own in a temporary directory, seeds rooms, plays loads of leaves against them and says what a leave costs, part
by part; every answer is held against what PostgreSQL has. The load is of posternctl leave --batch --measure: it plays the remote
server, has signed all that has a template, warmed everything up and opened its connections before anything is counted.

scenarios:
  many-rooms    templates from one tip of each room; rooms of ten users, in turn
  hot-room      the same, all of one room
  forked        templates of a tip beside which an operator then sets a topic: states diverge, and each leave is judged with the
                branches that meet, one after another in its room; a fifth as many, rooms of 20
  chained       one room, one leave with its make_leave after another; a tenth as many
  mix           many rooms, each leave with its make_leave, while others leave
  validators-2  many-rooms with two validators
  validators-4  with four
  half          many-rooms, begun at half the rate that it has just reached
  beyond        eight servers that begin three times as many leaves as can be taken: what is answered, how soon, with how much memory
  large-room    a room of 100,000 members; a fifth as many leaves
only where they are asked for, as they seed for minutes or need root:
  held-1, held-2, held-4    many-rooms with so many validators, each held to 3 % of a processor, and as many gateways with 4 leaves in flight
                            each, a thousand leaves for each; then what each validator made, over what one alone did
  rooms-10, rooms-100, rooms-1000, rooms-10000    so many rooms, for as many leaves
  million-events, million-events-4                many-rooms in a database of a million events; with four validators

--pure: Google Benchmark on the pure parts: canonical JSON, event ids, signatures, authorization rules, state resolution by size."""
EXAMPLES = """\
examples:
  ./dev bench                                             all of it, some two minutes
  ./dev bench --scenario hot-room --leaves 5000 --in-flight 64
  ./dev bench --scenario many-rooms --rate 300 --in-flight 64     open loop: a leave begins every 3.3 ms, whatever the others do
  ./dev bench --json > before.json                        then change something, and
  ./dev bench --compare before.json                       see what it did: name, before, after, ratio of each figure
  ./dev bench --scenario many-rooms --leaves 5000 --flame-graphs /tmp/flames
  ./dev bench --pure --json > before.json       then change something, and
  ./dev bench --pure --compare before.json      see what it did: name, before, after, ratio of the CPU times (the least of nine)
  ./dev bench --pure --filter Resolve
MS: what 50, 95 and 99 % of the leaves took, and the longest, as the client saw it; with --rate from the moment at which a leave was due.
CPU US: microseconds of CPU a leave, utime + stime of /proc/PID/stat (10 ms fine over a whole load), PostgreSQL with its children; the
client's own is not IN ALL. OVER IT: in all over the client's, which is the same work a leave at the same moments: where other machines
share the processors it differs by some hundredths from run to run, and the others by a third. RPCS and RPC BYTES: of the gateway's
requests, by its metrics. WAL: bytes from pg_current_wal_insert_lsn(). SYNCS: from pg_stat_wal, after every connection has reported. All
of these a leave.
exit status: 0 measured, 1 it could not be, or an answer was wrong, 2 usage
"""


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench", description=DESCRIPTION, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--scenario", action="append", choices=list(SCENARIOS | ASKED_FOR), metavar="NAME", help="only this one; may be given again")
    add("--leaves", type=count(100_000), default=1000, metavar="N", help="leaves of a load (default: 1000)")
    add("--in-flight", type=count(100_000), default=16, metavar="N", help="leaves at once, 256 at most (default: 16)")
    add("--rate", type=count(100_000), default=0, metavar="N", help="begin N leaves a second (default: one as soon as another has ended)")
    add("--members", type=count(100_000), default=100_000, metavar="N", help="of the large room (default: 100000)")
    add("--room-partitions", type=count(256), default=0, metavar="N", help="tables partitioned by room (default: whole)")
    add("--state-dir", type=pathlib.Path, metavar="DIR", help="keep data, batches and logs here (default: a temporary directory)")
    add("--flame-graphs", type=pathlib.Path, metavar="DIR", help="sample each service with perf meanwhile, and draw DIR/SCENARIO-SERVICE.svg; "
        "figures are then those of a stack that is watched")
    add("--pure", action="store_true", help="benchmarks of the pure parts, without a stack")
    add("--filter", metavar="REGEX", help="of --pure: only benchmarks whose names it finds")
    add("--seconds", type=float, default=0.1, metavar="S", help="of --pure: the least time of each of nine repetitions (default: 0.1)")
    add("--compare", type=kept_figures, metavar="FILE", help="and the ratio to the figures in FILE, which --json has written")
    add("--json", action="store_true", help="one JSON object on standard output, for scripts and for --compare")
    add("--only-check", action="store_true", help=argparse.SUPPRESS)  # lets bench.sh find mistakes before it builds
    options = parser.parse_args(arguments)
    if options.in_flight > 256:
        parser.error("--in-flight is 256 at most")
    if options.compare is not None and ("benchmarks" if options.pure else "scenarios") not in options.compare:
        parser.error("the file of --compare is not of this kind: with --pure and without are two")
    options.programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin")).absolute()
    return options


def kept_figures(text):
    try:
        figures = json.loads(pathlib.Path(text).read_text(encoding="utf-8"))
        if not isinstance(figures, dict):
            raise ValueError("no JSON object")
        return figures
    except (OSError, ValueError) as trouble:
        raise argparse.ArgumentTypeError(f"cannot read '{text}': {trouble}") from None


def tell(options, report, figures_of, lines):
    """Everything as JSON, or the comparison where one is wanted, or `lines`."""
    pair = [figures_of(one) for one in (options.compare, report)] if options.compare is not None else None
    if pair and (options.filter or options.scenario):
        pair[0] = {name: value for name, value in pair[0].items() if name in pair[1]}
    if options.json:
        print(json.dumps(report | ({"compared": compared(*pair)} if pair else {}), indent=1))
    else:
        print(*(comparison(*pair) if pair else lines), sep="\n")


COLUMNS = (
    ("SCENARIO", lambda name, of: name),
    ("LEAVES", lambda name, of: of["leaves"]),
    ("ANSWERS", lambda name, of: " ".join(f"{n}×{code}" for code, n in of["answers"].items())),
    ("A SECOND", lambda name, of: f"{of['leaves_per_second']:.0f}"),
    *((f"MS/{share.upper()}", lambda name, of, share=share: f"{of['ms'][share]:.1f}") for share in ("50", "95", "99", "most")),
    *((heading, lambda name, of, part=part: f"{of['cpu_us'][part]:.0f}") for heading, part in (
        ("CPU US GATEWAY", "gateway"), ("VALIDATOR", "validator"), ("STORE", "store"), ("POSTGRES", "postgres"), ("IN ALL", "in_all"),
        ("CLIENT", "client"))),
    ("OVER IT", lambda name, of: spelled(of["cpu_over_client"])),
    *((heading, lambda name, of, part=part: spelled(of[part])) for heading, part in (
        ("RPCS", "rpcs"), ("MESSAGES", "messages"), ("RPC BYTES", "rpc_bytes"), ("WAL", "wal_bytes"), ("SYNCS", "fsyncs"))),
    ("HELD", lambda name, of: "yes" if of["held"] else "NO"),
)
WIDTHS = (12, 6, 16, 8, 7, 7, 7, 7, 14, 9, 7, 8, 7, 7, 7, 6, 9, 7, 6, 4)


def told_of_overload(of):
    """What the table has no columns for."""
    if "memory_mb" not in of:
        return []

    def spread(times):
        return " / ".join("-" if ms is None else f"{ms:.0f}" for ms in times.values())

    held = "; ".join(f"{service} " + " / ".join(f"{of['memory_mb'][when][service]:.0f}" for when in ("before", "most", "after"))
                     for service in of["memory_mb"]["before"])
    return [f"    answered 200: {of['taken_per_second']:.0f} a second, ms 50 / 95 / 99 % / most: {spread(of['ms_of_200'])}",
            f"    refused, ms: {spread(of['ms_of_refusals'])}", f"    memory in MB before / most / after: {held}",
            f"    many-rooms, ms before: {spread(of['ms_before'])}; after: {spread(of['ms_after'])}"]


def told_of_scaling(found):
    """A table of the loads in which validators were held to little CPU: how many leaves each of them judged a second."""
    held = [of for of in found.values() if "held_validators" in of]
    if not held:
        return []
    each = [of["leaves_per_second"] / of["held_validators"] for of in held]
    return ["", "VALIDATORS  A SECOND  FOR EACH  OVER THE FIRST  OF ITS QUOTA  CPU US A JUDGEMENT  JUDGED IN A MESSAGE  MACHINE IDLE",
            *(f"{of['held_validators']:<10}  {of['leaves_per_second']:<8.1f}  {own:<8.1f}  {own / each[0]:<14.3f}  {of['quota_used']:<12.0%}  "
              f"{of['cpu_us']['validator']:<18.0f}  {1 / of['judging_messages']:<19.1f}  {of['machine_idle']:.0%}"
              for of, own in zip(held, each))]


def line(cells):
    return "  ".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS)).rstrip()


def play(options, directory, show):
    """{scenario: figures}; each is shown as it comes."""
    found, stacks = {}, {}
    with contextlib.ExitStack() as ending:
        remote = RemoteServer(directory, options.programs)
        ending.callback(remote.end)

        def stack_of(validators, gateways=1):
            if (validators, gateways) not in stacks:
                running = LoadStack(directory / f"stack-{validators}-{gateways}", validators, gateways=gateways,
                                    store_settings={"room_partitions": options.room_partitions})
                ending.callback(running.end)
                stacks[validators, gateways] = MeasuredStack(running, remote, directory)
            return stacks[validators, gateways]

        scenarios = BenchScenarios(options, stack_of, remote, directory)
        for name in options.scenario or SCENARIOS:
            found[name] = (SCENARIOS | ASKED_FOR)[name](scenarios)
            show(line([cell(name, found[name]) for _, cell in COLUMNS]))
            for more in told_of_overload(found[name]):
                show(more)
    return found


def measure(options, directory):
    """The report; a table is shown meanwhile, unless JSON is wanted."""
    show = (lambda text: None) if options.json else (lambda text: print(text, flush=True))
    asked = {name: getattr(options, name) for name in ("leaves", "in_flight", "rate", "members", "room_partitions")}
    report = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "commit": commit(), "machine": machine(), "options": asked}
    show(f"{report['machine']['processors']} processors, load average {report['machine']['load_average_before'][0]:.2f} before; "
         f"{options.leaves} leaves, {options.in_flight} at once{f', {options.rate} begun in a second' if options.rate else ''}\n")
    show(line([heading for heading, _ in COLUMNS]))
    report["scenarios"] = play(options, directory, show)
    for more in told_of_scaling(report["scenarios"]):
        show(more)
    show("")
    if options.compare is not None and options.compare.get("options") != asked:
        print(f"./dev bench: other loads are compared: {options.compare.get('options')}, {asked}", file=sys.stderr)
    return report


def bench(options):
    """The exit status."""
    if options.pure:
        report = pure_benchmarks.run(options.programs, options.filter, options.seconds)
        tell(options, report, pure_benchmarks.cpu_ns, pure_benchmarks.table(report))
        return 0
    if options.state_dir is None:
        with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
            report = measure(options, pathlib.Path(directory))
    else:
        options.state_dir.mkdir(parents=True, exist_ok=True)
        report = measure(options, options.state_dir.absolute())
    tell(options, report, lambda one: flat(one["scenarios"]), [])
    wrong = {name: of["wrong"] for name, of in report["scenarios"].items() if not of["held"]}
    for name, found in wrong.items():
        print(f"./dev bench: {name}: PostgreSQL does not agree with the answers: {found}", file=sys.stderr)
    return 1 if wrong else 0


def main():
    options = read_options(sys.argv[1:])
    if options.only_check:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as any other end: the stacks are ended too
    try:
        return bench(options)
    except (Trouble, OSError, subprocess.CalledProcessError) as trouble:
        print(f"./dev bench: {trouble}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
