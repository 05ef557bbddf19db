"""The benchmarks of the pure parts: runs them, and reads their files (Google Benchmark's JSON)."""
import json
import pathlib
import subprocess
import tempfile

from cluster import Trouble
from figures import commit, machine, spelled

REPETITIONS = 9
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def run(programs, only, seconds):
    """Google Benchmark's report: of each benchmark the repetition that took least, for what else the machine does only adds to it,
    and `most_over_least`, how far the others were off. With the machine and the commit in its context, and without names and paths.
    `only`: None, or a regular expression; `seconds`: the least time of a repetition."""
    about = {"commit": commit(), "machine": machine(), "repetitions": REPETITIONS}
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
        file = pathlib.Path(directory) / "report.json"
        command = [programs / "postern-benchmarks", f"--benchmark_out={file}", f"--benchmark_min_time={seconds}",
                   f"--benchmark_repetitions={REPETITIONS}", "--benchmark_enable_random_interleaving=true"]
        command += [f"--benchmark_filter={only}"] if only else []
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 or not file.stat().st_size:
            raise Trouble(f"postern-benchmarks: {done.stderr.strip()}")
        report = json.loads(file.read_text(encoding="utf-8"))
    failed = {one["name"] for one in report["benchmarks"] if one.get("error_occurred")}
    if failed:
        raise Trouble(f"the wrong answer from {', '.join(sorted(failed))}")
    for private in ("host_name", "executable"):
        report["context"].pop(private, None)
    report["context"] |= about
    report["benchmarks"] = least_of_each(report["benchmarks"])
    return report


def least_of_each(benchmarks):
    """In the order of the program."""
    repetitions = {}
    for one in benchmarks:
        if one["run_type"] == "iteration":
            repetitions.setdefault(one["name"], []).append(one)
    least = []
    for of_one in repetitions.values():
        by_time = sorted(of_one, key=lambda one: one["cpu_time"])
        least.append(by_time[0] | {"most_over_least": round(by_time[-1]["cpu_time"] / by_time[0]["cpu_time"], 3)})
    return sorted(least, key=lambda one: (one["family_index"], one["per_family_instance_index"]))


def cpu_ns(report):
    """{name: CPU time of one turn in nanoseconds}."""
    return {one["name"]: one["cpu_time"] * NANOSECONDS[one["time_unit"]] for one in report["benchmarks"]}


def table(report):
    """Its lines."""
    times = cpu_ns(report)
    width = max(map(len, times))
    lines = [f"{'NAME':<{width}}  {'CPU NS':>12}  MOST/LEAST"]
    return lines + [f"{one['name']:<{width}}  {spelled(times[one['name']]):>12}  {one['most_over_least']:10.2f}" for one in report["benchmarks"]]
