#!/usr/bin/env python3
"""The chart's tests on Kubernetes itself: builds what they need, once, and runs them where nothing of this machine is in their reach or in their
way: in a network, process and mount namespace of their own, all of whose processes end with this one. Further arguments are pytest's."""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import programs
from private_kernel import ControlGroups, KernelSettings

sys.path.insert(0, str(programs.ROOT / "tests" / "deploy"))
import tools  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# In this order: those of nodes share one cluster, and one release.
PARTS = {"api": ["api_test.py"], "node": ["node_test.py", "inside_database_test.py", "autoscaling_test.py", "controls_test.py",
                                         "uninstall_test.py"]}
# In a path as short as this one the sockets of containerd have room.
DIRECTORY = pathlib.Path("/tmp/postern-deploy-test")
# lo is down in a new network namespace; what a killed run left in /run is not to be seen.
ENTERED = "ip link set lo up && mount -t tmpfs tmpfs /run && exec \"$@\""


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=pathlib.Path, required=True, help="where what is built is kept")
    parser.add_argument("--part", choices=sorted(PARTS), action="append", help="what is run (default: all)")
    parser.add_argument("--processors", type=int, default=2, help="how many compilers of Go at once")
    parser.add_argument("--images", type=pathlib.Path, help="the directory of the images' archives, NAME.tar")
    parser.add_argument("--bin-dir", type=pathlib.Path, help="where posternctl is, which plays the other servers")
    options, options.pytest = parser.parse_known_args()
    options.part = options.part or sorted(PARTS)
    if "node" in options.part and not (options.images and options.bin_dir):
        parser.error("the part node needs --images and --bin-dir")
    return options


def pytest_command(options, directory):
    python = tools.interpreter(options.environments)
    command = [python, "-B", "-m", "pytest", "-v", "-s", "-p", "no:cacheprovider", "--rootdir", HERE, "--environments", options.environments.resolve(),
               "--directory", directory]
    if "node" in options.part:
        command += ["--images", options.images.resolve(), "--bin-dir", options.bin_dir.resolve()]
    return [str(word) for word in command + options.pytest + [HERE / name for part in options.part for name in PARTS[part]]]


def run_apart(command):
    """Its exit status. Whatever it starts is ended with it, and it with us."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
                                "--mount-proc", "--propagation", "private", "sh", "-c", ENTERED, "sh", *command], start_new_session=True)
    try:
        return process.wait()
    except BaseException:
        # Asked first, as pytest then ends what it has started in order; the namespace ends what is left.
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        raise
    finally:
        process.kill()
        process.wait()


def main():
    options = read_options()
    if os.geteuid() != 0:
        sys.exit("the tests need root: they make namespaces, and control groups")
    programs.built(options.environments, programs.NODE_PROGRAMS if "node" in options.part else programs.API_PROGRAMS, options.processors)
    programs.definitions(options.environments)
    # A signal ends what has been started, like any other failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = DIRECTORY
    with KernelSettings(directory.with_suffix(".settings")), ControlGroups():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o711)  # PostgreSQL's user passes through
        return run_apart(pytest_command(options, directory))


if __name__ == "__main__":
    sys.exit(main())
