"""Processes of a test run: each with a log, ended by its id, in the order from the last to the first."""
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "dev"))
import processes  # noqa: E402

PATIENCE_SECONDS = 20
POLL_SECONDS = 0.1


class Trouble(Exception):
    """What went wrong, in words for the person who called."""


def await_that(what, holds, seconds):
    """Until `holds()`, whose answer is returned; or trouble."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise Trouble(f"not after {seconds} s: {what}")
        time.sleep(POLL_SECONDS)
    return found


class Started:
    def __init__(self, directory):
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.records = []

    def log(self, name):
        return self.logs / f"{name}.log"

    def start(self, name, command):
        """Its output goes to the log of that name."""
        process, record = processes.start([str(word) for word in command], self.log(name))
        self.records.append(record)
        return process

    def await_ready(self, name, process, holds, seconds):
        """Until `holds()`, whose answer is returned; or trouble, with the end of the log."""
        def ready():
            if process.poll() is not None:
                raise Trouble(f"{name} ended with {process.returncode}")
            return holds()
        try:
            return await_that(f"{name} is ready", ready, seconds)
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n--- the end of {self.log(name)}\n{processes.tail(self.log(name))}") from trouble

    def end(self):
        for record in reversed(self.records):
            processes.end([record], signal.SIGTERM, PATIENCE_SECONDS)
        self.records = []


def run(*command, given=None):
    """What a command prints; trouble if it fails."""
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True, input=given)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
