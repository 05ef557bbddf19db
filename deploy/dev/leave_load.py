"""Sends many leaves of one remote homeserver, several at once, and keeps what was answered to each."""
import concurrent.futures
import dataclasses
import json
import resource
import subprocess
import time

from cluster import Trouble
from load_stack import ROOT


@dataclasses.dataclass(frozen=True)
class Answer:
    room: str
    user: str
    status: int  # 0: there was none
    event_id: str
    us: int
    said: str


@dataclasses.dataclass
class Load:
    """The answers to one load, and what it took to make it."""
    answers: list
    seconds: float
    client_cpu_seconds: float

    def by_status(self):
        counted = {}
        for answer in self.answers:
            counted[answer.status] = counted.get(answer.status, 0) + 1
        return dict(sorted(counted.items()))

    def milliseconds(self, share):
        """The latency that `share` of the leaves did not exceed; None of no leaves."""
        times = sorted(answer.us for answer in self.answers)
        return times[min(len(times) - 1, int(share * len(times)))] / 1000 if times else None

    def part(self, of):
        """The same with those answers alone of which `of(status)` holds."""
        return dataclasses.replace(self, answers=[answer for answer in self.answers if of(answer.status)])


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Sender:
    """Plays `remote` against `stack`; its files go to `directory`."""

    def __init__(self, stack, remote, directory, in_flight):
        self.stack = stack
        self.remote = remote
        self.directory = directory
        self.in_flight = in_flight
        self.files = 0

    def take_templates(self, members):
        """A template for each of `members`; those that are not given one are trouble. Returns a batch."""
        kept = self._new_file("templates")
        done = subprocess.run(self._batch_command(members, self.in_flight) + ["--template-only", kept], check=False,
                              capture_output=True, text=True, cwd=ROOT)
        if done.returncode != 0:
            refused = [line for line in done.stdout.splitlines() if '"status":200' not in line]
            raise Trouble(f"a template was refused: {(refused or [done.stderr])[0]}")
        return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]

    def send(self, members, in_flight=None, after_answer=None):
        """`members` are (room, user), or lines of a batch with templates, which are signed before any is sent. Calls `after_answer(answer)`
        as answers come in. `seconds` and the client's CPU are of the sending."""
        return self._play([], members, in_flight or self.in_flight, after_answer=after_answer)

    def measured(self, warming, members, at_go, per_second=0, after_answer=None):
        """As `send`; `warming` are played before, and count for nothing. When everything is signed and all connections are open,
        `at_go()` is called; the load begins when that has returned."""
        return self._play(warming, members, self.in_flight, per_second, at_go, after_answer)

    def _play(self, warming, members, in_flight, per_second=0, at_go=lambda: None, after_answer=None):
        command = self._batch_command(warming + members, in_flight)
        command += ["--measure", "--warm-up", str(len(warming)), "--per-second", str(per_second)]
        if after_answer is None:
            command.append("--lines-at-end")  # what reads them here would take of the processors that the load is for
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        answers, spoilt, measured = [], 0, None
        try:
            for line in process.stdout:
                told = json.loads(line)
                if "ready" in told:
                    at_go()
                    process.stdin.write("go\n")
                    process.stdin.close()
                elif "measured" in told:
                    measured = told["measured"]
                elif "warm_up" in told:
                    spoilt += told["status"] != 200
                else:
                    answers.append(_answer(told))
                    if after_answer is not None:
                        after_answer(answers[-1])
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        if measured is None or len(answers) != len(members):
            raise Trouble(f"{len(members)} leaves, but {len(answers)} answers: posternctl ended with {process.returncode}")
        if spoilt:
            raise Trouble(f"{spoilt} of {len(warming)} leaves that warm up were not answered 200")
        return Load(answers, measured["us"] / 1e6, measured["cpu_us"] / 1e6)

    def templates_by_process(self, members):
        """A posternctl for each template. Returns what `send_by_process` takes."""
        batch = [(member, self._new_file("template")) for member in members]
        with concurrent.futures.ThreadPoolExecutor(self.in_flight) as pool:
            for template in pool.map(lambda taken: self._one(taken[0], "--template-only", taken[1]), batch):
                if template.status != 200:
                    raise Trouble(f"a template was refused: {template}")
        return batch

    def send_by_process(self, batch):
        """A posternctl for each leave, as many at once as are to be in flight."""
        cpu, began = children_cpu(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.in_flight) as pool:
            answers = list(pool.map(lambda taken: self._one(taken[0], "--template", taken[1]), batch))
        return Load(answers, time.monotonic() - began, children_cpu() - cpu)

    def _one(self, member, *options):
        room, user = member
        began = time.monotonic()
        command = self.stack.posternctl("--json", "leave", "--as", user, room, *self._party(), *options)
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
        told = json.loads(done.stdout)
        return Answer(room, user, told["status"], told.get("event_id", ""), int((time.monotonic() - began) * 1e6),
                      json.dumps(told.get("body")))

    def _batch_command(self, members, in_flight):
        batch = self._new_file("batch")
        lines = [member if isinstance(member, dict) else {"room": member[0], "user": member[1]} for member in members]
        batch.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return self.stack.posternctl("leave", "--batch", batch, "--concurrency", in_flight, *self._party())

    def _party(self):
        reach = self.stack.reach
        return ["--key", self.remote.key, "--to", reach["federation_url"], "--destination", reach["server_name"],
                "--no-key-server"]

    def _new_file(self, name):
        self.files += 1
        return self.directory / f"{name}-{self.files}.json"


def _answer(told):
    return Answer(told["room"], told["user"], told["status"], told.get("event_id", ""), told["us"],
                  f"{told['stage']} {told.get('errcode', '')} {told.get('error', '')}")
