"""Processes that outlive the one who started them: begun without any descriptor of ours, known again by their start time."""
import os
import select
import signal
import subprocess
import time


def start_time(pid):
    """When `pid` began, in clock ticks since boot, or None: with it a pid that was given out anew is told apart."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == b"Z" else int(fields[19])


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def is_ours(record):
    return record["boot_id"] == boot_id() and start_time(record["pid"]) == record["start_time"]


def start(command, log, environment=None, user=None):
    """Starts `command` in a session of its own; it keeps nothing of ours open. Returns what `end` needs to know it by."""
    options = {}
    if user is not None:
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True,
                                   start_new_session=True, env=environment, cwd="/", **options)
    return process, {"pid": process.pid, "start_time": start_time(process.pid), "boot_id": boot_id(), "log": str(log)}


def end(records, ask, patience):
    """Sends `ask` to every process of `records` that still is the one that was started, and kills what is left after
    `patience` seconds. Returns those that had to be killed."""
    waiting = {}
    for record in records:
        try:
            descriptor = os.pidfd_open(record["pid"])
        except ProcessLookupError:
            continue
        if not is_ours(record):  # looked at after opening: from now on the descriptor cannot mean another process
            os.close(descriptor)
            continue
        signal.pidfd_send_signal(descriptor, ask)
        waiting[descriptor] = record
    killed = []
    deadline = time.monotonic() + patience
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting:
        ended = poll.poll(max(0, deadline - time.monotonic()) * 1000)
        if not ended and time.monotonic() >= deadline:
            for descriptor, record in waiting.items():
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                killed.append(record)
            deadline = time.monotonic() + patience
        for descriptor, _ in ended:
            poll.unregister(descriptor)
            os.close(descriptor)
            del waiting[descriptor]
    return killed


def tail(log, lines=25):
    try:
        with open(log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16384))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
