"""Holds a process to a part of one processor, with a control group of its own: for loads in which that process is to be the limit."""
import contextlib
import os
import pathlib

from cluster import Trouble

PERIOD_US = 50_000
ROOT = pathlib.Path("/sys/fs/cgroup")


class CpuQuota:
    """`share` of one processor for `pid` and all its threads, until `end`. Needs root."""

    def __init__(self, pid, share):
        first_version = (ROOT / "cpu" / "cgroup.procs").exists()
        self.pid = pid
        self.parent = ROOT / "cpu" if first_version else ROOT
        self.group = self.parent / f"postern-{os.getpid()}-{pid}"
        quota = max(1000, round(share * PERIOD_US))  # less than a millisecond is not taken
        try:
            self.group.mkdir()
            if first_version:
                (self.group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (self.group / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (self.group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            (self.group / "cgroup.procs").write_text(str(pid))
        except OSError as trouble:
            raise Trouble(f"no control group that limits CPU: {trouble}") from trouble

    def end(self):
        with contextlib.suppress(OSError):  # it has ended itself
            (self.parent / "cgroup.procs").write_text(str(self.pid))
        self.group.rmdir()


class MachineIdle:
    """What part of all processors' time nobody uses, from when it is made."""

    def __init__(self):
        self.before = self._now()

    def share(self):
        idle, total = (now - was for now, was in zip(self._now(), self.before))
        return idle / total if total else 0.0

    @staticmethod
    def _now():
        ticks = [int(field) for field in pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)
