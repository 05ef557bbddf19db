"""A room with thousands of servers that nobody serves, and what they cost the sender and the healthy ones: for ./dev bars."""
import dataclasses
import json
import pathlib
import socket
import subprocess
import sys
import time

from cluster import Trouble
from load_stack import ROOT

PLAYED_DNS = ROOT / "tests" / "gateway" / "played_dns.py"
FIRST_ROUND_SECONDS = 300
LEAVE_EVERY_SECONDS = 2


class DeadNames:
    """Names of servers whose connections are refused: all at one port, which is bound and not listening. `dns` answers for them."""

    def __init__(self, count):
        self.port = socket.socket()
        self.port.bind(("127.0.0.1", 0))
        hosts = [f"0d{number}.dead.test" for number in range(count)]
        self.names = [f"{host}:{self.port.getsockname()[1]}" for host in hosts]
        self.process = subprocess.Popen([sys.executable, "-B", PLAYED_DNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.dns = f"127.0.0.1:{self.process.stdout.readline().strip()}"
        for host in hosts:
            for kind, answer in (("A", ["127.0.0.1"]), ("AAAA", [])):
                self.process.stdin.write(json.dumps({"name": host, "type": kind, "answers": [answer]}) + "\n")
                self.process.stdin.flush()
                self.process.stdout.readline()

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.port.close()


@dataclasses.dataclass
class Standing:
    """Of the sender and its destinations, at one moment."""
    resident_mb: float
    threads: int
    failing: int
    held_off: int
    failures: int

    def spelled(self):
        return f"{self.resident_mb:.1f} MB, {self.threads} threads, {self.failing} in back-off ({self.held_off} of them not due yet), {self.failures} failures"


class DeadDestinations:
    """`process`: the one sender of `running`."""

    def __init__(self, running, process, names):
        self.running = running
        self.process = process
        self.names = names

    def standing(self):
        status = dict(line.split(":", 1) for line in
                      pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines())
        counted = self.running.rows("select count(*), count(*) filter (where next_try > extract(epoch from now()) * 1000), "
                                    "coalesce(sum(failures), 0) from destinations where failures > 0")[0]
        return Standing(int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), *(int(count) for count in counted))

    def await_start(self):
        """Until it has connections to the store: threads come with them, and stay."""
        before, now = 0, 1
        while now != before or now < 32:
            time.sleep(1)
            before, now = now, self.standing().threads

    def await_first_round(self):
        """Until each has failed once; returns how many seconds that took."""
        began = time.monotonic()
        while True:
            failed = int(self.running.rows("select count(*) from destinations where failures > 0")[0][0])
            if failed >= len(self.names):
                return time.monotonic() - began
            if time.monotonic() - began > FIRST_ROUND_SECONDS:
                raise Trouble(f"after {FIRST_ROUND_SECONDS} s only {failed} of {len(self.names)} had been tried")
            time.sleep(0.5)

    @staticmethod
    def leave_now_and_then(sender, members, seconds):
        """Sends `members`, one every two seconds, for so long at most; returns the answers."""
        began, answers = time.monotonic(), []
        while members and time.monotonic() - began < seconds:
            answers += sender.send([members.pop(0)]).answers
            time.sleep(LEAVE_EVERY_SECONDS)
        return answers

    def waiting(self):
        """{name: PDUs that wait for it} of the dead ones."""
        rows = self.running.rows("select convert_from(destination, 'UTF8'), count(*) from deliveries group by 1")
        dead = set(self.names)
        return {name: int(count) for name, count in rows if name in dead}
