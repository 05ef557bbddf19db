"""Leaves in rooms of many servers, and whether each of those was told of each, once and in order: for ./dev bars."""
import collections
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import stack
from cluster import Trouble
from load_stack import ROOT, LoadStack

PATIENCE_SECONDS = 300
PROGRAM = ROOT / "deploy" / "dev" / "destinations.py"


class Destinations:
    """`healthy`, `slow` and `dead` servers; `told()` ends them."""

    def __init__(self, directory, healthy, slow=0, dead=0):
        self.report = directory / "destinations.json"
        command = [sys.executable, "-B", PROGRAM, "--count", healthy + slow, "--slow", slow, "--report", self.report]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        self.live = json.loads(self.process.stdout.readline() or "[]")
        if not self.live:
            raise Trouble("the played destinations did not start")
        self.healthy = self.live[slow:]
        self.ports = [socket.socket() for _ in range(dead)]  # bound, so that nobody else has them, and not listening
        for port in self.ports:
            port.bind(("127.0.0.1", 0))
        self.dead = [f"127.0.0.1:{port.getsockname()[1]}" for port in self.ports]

    def all(self):
        return self.live + self.dead

    def end(self):
        self.process.terminate()
        self.process.wait()

    def told(self):
        self.end()
        return {told["name"]: told for told in json.loads(self.report.read_text(encoding="utf-8"))}


class KilledSenders:
    """Gateways that only send, one of which is killed now and then, and another started."""

    def __init__(self, running, programs, count, every_seconds, most):
        self.command = [programs / "postern-gateway", "--config", running.directory / "gateway-1.yaml", "--roles", "sender",
                        "--admin-grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--port-file", ""]
        self.log = open(running.directory / "senders.log", "ab")
        self.processes = [self._start() for _ in range(count)]
        self.killed = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._kill, args=(every_seconds, most))
        self.thread.start()

    def _start(self):
        return subprocess.Popen(self.command, stdout=self.log, stderr=self.log, cwd="/", env=stack.service_environment())

    def _kill(self, every_seconds, most):
        while self.killed < most and not self.done.wait(every_seconds * random.uniform(0.5, 1.5)):
            number = random.randrange(len(self.processes))
            self.processes[number].send_signal(signal.SIGKILL)
            self.processes[number].wait()
            self.killed += 1
            self.processes[number] = self._start()

    def end(self):
        if self.done.is_set():
            return
        self.done.set()
        self.thread.join()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.log.close()


def stored_order(running, rooms):
    """{room: the users who left, in the order of the room}, and {(room, user): when it was stored, ms}"""
    order, at = collections.defaultdict(list), {}
    for room, user, stored in running.rows(
            "select encode(room_id, 'escape'), encode(state_key, 'escape'), stored_at from events "
            "where outcome = 1 and verdict is not null and type = 'm.room.member' order by room_id, stream_ordering"):
        if room in rooms:
            order[room].append(user)
            at[room, user] = int(stored)
    return order, at


def await_delivery(running, names, done=lambda: True):
    """Until nothing waits for those; returns how many seconds that took. `done` must hold too."""
    began = time.monotonic()
    listed = ", ".join(f"'{name}'" for name in names)
    while True:
        waiting = running.rows(f"select count(*) from deliveries where convert_from(destination, 'UTF8') in ({listed})")[0][0]
        if waiting == "0" and done():
            return time.monotonic() - began
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise Trouble(f"{waiting} deliveries were still waiting after {PATIENCE_SECONDS} s")
        time.sleep(0.5)


def mistakes(told, order):
    """What a destination did not hear of, or in another order than the room's."""
    wrong = []
    for name, heard in told.items():
        by_room = collections.defaultdict(list)
        for room, user, _ in heard["told"]:
            by_room[room].append(user)
        for room, users in order.items():
            if by_room[room] != users:
                missing = len(set(users) - set(by_room[room]))
                wrong.append(f"{name}: {room}: {missing} of {len(users)} missing" if missing else f"{name}: {room}: another order")
    return wrong


def latencies(told, names, stored_at):
    return sorted(at - stored_at[room, user] for name in names for room, user, at in told[name]["told"])


class SendingStack(LoadStack):
    """`serves_only`: its own gateway tells nobody. `more`: further lines of settings, those of senders first."""

    def __init__(self, directory, serves_only, more=""):
        directory.mkdir(parents=True, exist_ok=True)
        settings = directory / "gateway-settings.yaml"
        settings.write_text("rate_limits: false\n" + ("roles: [federation]\n" if serves_only else "") +
                            "sender:\n  quick_retry: 1s\n" + more, encoding="utf-8")
        super().__init__(directory, gateway_settings=settings)


def spelled_share(values, share):
    return f"{values[min(len(values) - 1, int(share * len(values)))]:.0f} ms"

