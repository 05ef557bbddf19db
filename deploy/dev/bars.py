#!/usr/bin/env python3
"""./dev bars: what a load of leaves must hold, measured. Called by bars.sh, which has built the programs."""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from bar_scenarios import SCENARIOS, Scenarios
from cluster import Trouble
from load_stack import LoadStack, RemoteServer
from option_values import count
from stack_cost import SERVICES

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESCRIPTION = """\
Plays loads of leaves against stacks of its own, in a temporary directory, and says whether the bars hold: the right answers,
each held against what PostgreSQL has; three round trips and one transaction a leave; CPU, start-up, seeding. Needs a machine
with nothing else to do for the bars of time and CPU to mean something.

scenarios:
  beforehand         all templates from one tip of each room; then all leaves, 16 at once
  live               templates taken while others leave the same room
  chained            one room, one leave after another; a tenth as many leaves
  by-process         as beforehand, with a posternctl process for each template and each leave
  validator-killed   three validators, one killed with SIGKILL under load
  seed               twice the rooms with five times the users: how long it takes
  size               the same leave in rooms of 10, 1,000 and 100,000 members, and with prev events that disagree
  start-up           a gateway and a validator, from exec to /readyz
  propagation        200 other servers in each room, 20 dead, 10 slow; senders killed ten times; told of each leave in order
  delivery-time      from the commit to ten healthy servers
  dead-destinations  a room with 10,000 servers that refuse every connection (1,000 with fewer than 50 rooms): memory, and the healthy
  limits             two gateways, a server that floods them and another that leaves steadily"""
EXAMPLES = """\
examples:
  ./dev bars                                        all of it: 50 rooms of 20 users, some two minutes
  ./dev bars --scenario beforehand --rooms 200      one scenario, more rooms
  ./dev bars --rooms 5 --users 10 --answers-only    small, whatever else the machine does
  ./dev bars --json | jq '.scenarios[].cpu_ms'
CPU is utime + stime of /proc/PID/stat, for PostgreSQL with all its children, in ms a leave; round trips and transactions come
from /metrics of gateway and store. ms/50 and ms/99 are what half and 99 % of the leaves took, as the client saw it.
exit status: 0 every bar holds, 1 one does not or could not be played, 2 usage
"""
COLUMNS = ("SCENARIO", "LEAVES", "ANSWERS", "SECONDS", "A SECOND", "MS/50", "MS/99", *(service.upper() for service in SERVICES),
           "CPU IN ALL", "RPCS", "TRANS.", "BARS")
WIDTHS = (17, 7, 18, 8, 9, 7, 7, 8, 10, 8, 9, 11, 6, 7, 5)


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="./dev bars", description=DESCRIPTION, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--scenario", action="append", choices=list(SCENARIOS), metavar="NAME", help="only this one; may be given again")
    add("--rooms", type=count(10000), default=50, metavar="N", help="rooms of a load (default: 50)")
    add("--users", type=count(10000), default=20, metavar="N", help="users of each room (default: 20)")
    add("--in-flight", type=count(10000), default=16, metavar="N", help="leaves at once (default: 16)")
    add("--answers-only", action="store_true", help="bars of time and CPU are shown but fail nothing")
    add("--state-dir", type=pathlib.Path, metavar="DIR", help="keep data, batches and logs here (default: a temporary directory)")
    add("--json", action="store_true", help="one JSON object on standard output, for scripts")
    add("--only-check", action="store_true", help=argparse.SUPPRESS)  # lets bars.sh find mistakes before it builds
    options = parser.parse_args(arguments)
    options.programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin")).absolute()
    return options


def line(cells):
    return "  ".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS)).rstrip()


def verdict(bar, options):
    if bar.holds:
        return "OK"
    return "slow" if bar.timing and options.answers_only else "FAIL"


def answers(load):
    """How many leaves, and how many of each answer."""
    if load is None:
        return "", ""
    return len(load.answers), " ".join(f"{n}×{code}" for code, n in load.by_status().items())


def row(result, options):
    held = "FAIL" if any(verdict(bar, options) == "FAIL" for bar in result.bars) else "OK"
    if result.cost is None:
        return line((result.name, *answers(result.load), f"{result.seconds:.1f}", *[""] * 10, held))
    leaves, cpu, missing = len(result.load.answers), result.cpu_ms(), result.cost.incomplete
    spent = {service: ("≥" if service in missing else "") + f"{ms:.2f}" for service, ms in cpu.items()}
    return line((result.name, *answers(result.load),
                 f"{result.seconds:.2f}", f"{leaves / result.seconds:.0f}", f"{result.load.milliseconds(0.5):.1f}",
                 f"{result.load.milliseconds(0.99):.1f}", *(spent[service] for service in SERVICES),
                 ("≥" if missing else "") + f"{sum(cpu.values()):.2f}", f"{result.cost.leave_rpcs() / leaves:.2f}",
                 f"{result.cost.transactions() / leaves:.2f}", held))


def play(options, directory, show):
    """The results; each is shown as it comes."""
    results, stacks = [], {}
    with contextlib.ExitStack() as ending:
        remote = RemoteServer(directory, options.programs)
        ending.callback(remote.end)

        def stack_of(validators, statistics=False):
            name = f"stack-{validators}" + ("-counted" if statistics else "")
            if name not in stacks:
                stacks[name] = LoadStack(directory / name, validators, statistics)
                ending.callback(stacks[name].end)
            return stacks[name]

        scenarios = Scenarios(options, stack_of, remote, directory)
        for name in options.scenario or SCENARIOS:
            results.append(SCENARIOS[name](scenarios))
            show(row(results[-1], options))
    return results


def run(options, directory):
    show = (lambda text: None) if options.json else (lambda text: print(text, flush=True))
    load_before = os.getloadavg()[0]
    show(f"{os.cpu_count()} processors, load average {load_before:.2f} before; {options.rooms} rooms of {options.users} users, "
         f"{options.in_flight} leaves at once\n")
    show(line(COLUMNS))
    results = play(options, directory, show)
    holds = all(verdict(bar, options) != "FAIL" for result in results for bar in result.bars)
    if options.json:
        print(json.dumps({"processors": os.cpu_count(), "load_average_before": load_before, "rooms": options.rooms,
                          "users": options.users, "in_flight": options.in_flight, "holds": holds,
                          "scenarios": [result.described() for result in results]}))
    show("")
    for result in results:
        for leaves in result.sizes:
            show(f"{leaves.members:>7,} members, {'forked' if leaves.forked else 'plain':<6}  {leaves.ms:6.1f} ms a leave, "
                 f"{leaves.context_reads:5.0f} blocks read for its context, {leaves.persist_reads:5.0f} to persist it, "
                 f"{leaves.rpc_bytes:6.0f} bytes of rpc")
        for bar in result.bars:
            show(f"{verdict(bar, options):<5}{result.name:<18}{bar.text}: {bar.found}")
    return 0 if holds else 1


def main():
    options = read_options(sys.argv[1:])
    if options.only_check:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as any other end: the stacks are ended too
    try:
        if options.state_dir is None:
            with tempfile.TemporaryDirectory(prefix="postern-bars-") as directory:
                return run(options, pathlib.Path(directory))
        options.state_dir.mkdir(parents=True, exist_ok=True)
        return run(options, options.state_dir.absolute())
    except (Trouble, OSError, subprocess.CalledProcessError) as trouble:
        print(f"./dev bars: {trouble}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
