"""Figures of a run: what machine they are from, and how they stand beside those of another run."""
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def machine():
    """What a reader must know of it to compare; no names and no paths."""
    cpu = [line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
           if line.startswith("model name")]
    return {"processor": cpu[0] if cpu else platform.machine(), "processors": os.cpu_count(),
            "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
            "kernel": platform.release(), "load_average_before": [round(load, 2) for load in os.getloadavg()]}


def commit():
    """Of the tree that was measured; with a + where something in it is not committed. None outside of a repository."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+", "--exclude=*"], check=False, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip() or None


def flat(figures, prefix=""):
    """{"a.b": number} of dictionaries in each other; what is no number is left out."""
    found = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[prefix + name] = value
    return found


def compared(before, after):
    """[{name, before, after, ratio}] of two flat dictionaries: what both have, in the order of `after`. No ratio to zero."""
    return [{"name": name, "before": before[name], "after": value, "ratio": value / before[name] if before[name] else None}
            for name, value in after.items() if name in before]


def unpaired(before, after):
    """The names that only one of them has, or nothing."""
    return sorted(before.keys() ^ after.keys())


def spelled(number):
    """To four digits, which is more than repeats itself."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 1000 or number == int(number) else f"{number:.4g}"


def comparison(before, after):
    """The lines of a table."""
    rows = [("NAME", "BEFORE", "AFTER", "RATIO")]
    rows += [(row["name"], spelled(row["before"]), spelled(row["after"]), "-" if row["ratio"] is None else f"{row['ratio']:.2f}")
             for row in compared(before, after)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in rows]
    alone = unpaired(before, after)
    return lines + ([f"in one of the two only: {', '.join(alone)}"] if alone else [])
