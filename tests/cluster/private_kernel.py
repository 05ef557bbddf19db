"""What no namespace keeps apart of this machine's kernel: settings that the kubelet changes, and control groups. Both are as before afterwards,
also where a run was killed: then by the next."""
import json
import pathlib
import time

# What the kubelet sets, whoever wants it or not.
SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
            "kernel/keys/root_maxbytes")
GROUP = "postern-deploy-test"
NODES = ("node-1", "node-2")
PATIENCE_SECONDS = 30


class KernelSettings:
    """`file` remembers them for the case that this process is killed."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        if self.file.exists():
            self._put_back()
        kept = {name: self._path(name).read_text(encoding="ascii") for name in SETTINGS if self._path(name).exists()}
        self.file.write_text(json.dumps(kept), encoding="ascii")
        return self

    def __exit__(self, *_):
        self._put_back()

    def _put_back(self):
        for name, value in json.loads(self.file.read_text(encoding="ascii")).items():
            self._path(name).write_text(value, encoding="ascii")
        self.file.unlink()

    @staticmethod
    def _path(name):
        return pathlib.Path("/proc/sys") / name


class ControlGroups:
    """A group of a node's own in every hierarchy of version 1, in which its kubelet makes those of its pods. Where there is one of version 2
    beside them, runc makes some in it too: they are removed like the others."""

    def __init__(self):
        self.hierarchies = [path for path in pathlib.Path("/sys/fs/cgroup").iterdir() if not path.is_symlink() and (path / "cgroup.procs").exists()]

    def __enter__(self):
        self._remove()
        for hierarchy in (path for path in self.hierarchies if not (path / "cgroup.controllers").exists()):
            for group in (hierarchy / GROUP, *(hierarchy / GROUP / node for node in NODES)):
                group.mkdir()
                # Empty in a new group, which may then hold nobody.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (group / name).exists():
                        (group / name).write_text((hierarchy / name).read_text(encoding="ascii"), encoding="ascii")
        return self

    def __exit__(self, *_):
        self._remove()

    def _remove(self):
        """Bottom up. The last of their processes may take a moment to be gone."""
        for hierarchy in self.hierarchies:
            groups = [path for path in (hierarchy / GROUP).rglob("*") if path.is_dir()]
            for group in [*sorted(groups, key=lambda path: len(path.parts), reverse=True), hierarchy / GROUP]:
                self._remove_one(group)

    @staticmethod
    def _remove_one(group):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while group.exists():
            try:
                group.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
