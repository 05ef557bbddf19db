"""A server that floods two gateways, and another that leaves besides: for ./dev bars."""
import collections
import json
import subprocess
import threading
import time

from cluster import Trouble
from load_stack import ROOT, LoadStack, RemoteServer
from stack_cost import samples

CONCURRENCY = 64
# Of the server that floods, over both gateways: so little that whoever plays it is not what limits it. Those that sleep are let through
# besides those that need not: five at a time, for half a second.
MAY_A_SECOND = 50
LIMITS = {"window_size": 1000, "sleep_limit": MAY_A_SECOND, "sleep_delay": 500, "reject_limit": 4, "concurrent": 8}
FLOOD_A_SECOND = 10 * MAY_A_SECOND
STEADY_A_SECOND = 50
# Until the flood is held to its limit.
BEGINNING_SECONDS = 3
MOST_SECONDS = 180
# Without and with the flood by turns, so that what else the machine does weighs on both.
ROUNDS = 2


class PacedLoad:
    """Leaves, of a flood templates only, of one server: `members` in turn over the gateways of a stack, `a_second` in all. Begins at
    once; `answers` are (time.monotonic(), status, us) as they come."""

    def __init__(self, stack, remote, members, a_second, directory, name, flood=False):
        self.answers, self.processes, self.threads = [], [], []
        self.began, self.ended = time.monotonic(), None
        urls = stack.reach["federation_urls"]
        for number, url in enumerate(urls):
            batch = directory / f"{name}-{number}.json"
            batch.write_text("".join(json.dumps({"room": room, "user": user}) + "\n" for room, user in members[number::len(urls)]),
                             encoding="utf-8")
            command = stack.posternctl("leave", "--batch", batch, "--concurrency", CONCURRENCY, "--per-second", a_second // len(urls),
                                       "--key", remote.key, "--to", url, "--destination", stack.reach["server_name"], "--no-key-server")
            command += ["--template-only", f"{batch}.templates"] if flood else []
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            self.processes.append(process)
            self.threads.append(threading.Thread(target=self._read, args=(process,)))
            self.threads[-1].start()

    def _read(self, process):
        for line in process.stdout:
            told = json.loads(line)
            self.answers.append((time.monotonic(), told["status"], told["us"]))

    def end(self):
        """What has not begun yet is not sent."""
        for process in self.processes:
            process.terminate()
        return self.wait()

    def wait(self):
        for process, thread in zip(self.processes, self.threads):
            process.wait()
            thread.join()
        self.ended = self.ended or time.monotonic()
        if not self.answers:
            raise Trouble("a load was not answered at all")
        return self

    def accepted_by_second(self, first, last):
        """How many 200s came in each whole second between two moments."""
        seconds = [0] * max(1, int(last - first))
        for at, status, _ in self.answers:
            if status == 200 and 0 <= at - first < len(seconds):
                seconds[int(at - first)] += 1
        return seconds

    def per_second(self, first, last):
        return sum(first <= at < last for at, _, _ in self.answers) / (last - first)


def by_status(loads):
    return dict(sorted(collections.Counter(status for load in loads for _, status, _ in load.answers).items()))


def milliseconds(loads, share):
    """The latency that `share` of the answers did not exceed."""
    times = sorted(us for load in loads for _, _, us in load.answers)
    return times[min(len(times) - 1, int(share * len(times)))] / 1000


class FloodedStack:
    """Two gateways, and a server with limits of its own that floods them when it is asked to."""

    def __init__(self, directory, programs):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.flooding = RemoteServer(directory, programs)
        settings = directory / "limits.yaml"
        settings.write_text("address_limit: {per_second: 100000, burst: 100000}\n"
                            f"rc_federation: {json.dumps({'origins': {self.flooding.name: LIMITS}})}\n", encoding="utf-8")
        try:
            self.stack = LoadStack(directory, gateway_settings=settings, gateways=2)
        except BaseException:
            self.flooding.end()
            raise
        self.asked = self.stack.seed(self.flooding, 1, 1, "flood")
        self._load(self.flooding, 20 * self.asked, 20, "flood-warm", flood=True).wait()

    def end(self):
        self.stack.end()
        self.flooding.end()

    def _load(self, remote, members, a_second, name, flood=False):
        return PacedLoad(self.stack, remote, members, a_second, self.directory, name, flood)

    def exchanges(self):
        """How often the gateways have told each other of their load, and how long those calls took in all."""
        urls = self.stack.reach["admin"]["gateway"]
        return [sum(value for url in urls for labels, value in samples(url, f"postern_gateway_rpc_seconds_{what}")
                    if labels["method"] == "ShareRates") for what in ("count", "sum")]

    def play(self, remote, rooms, users):
        """Leaves without the flood; floods; and the leaves beside each of them."""
        # Keys are fetched, connections opened and statements planned before anything is counted.
        self._load(remote, self.stack.seed(remote, 2, 20, "warm"), STEADY_A_SECOND, "warm").wait()
        alone, floods, beside = [], [], []
        for turn in range(ROUNDS):
            without, besides = (self.stack.seed(remote, max(1, rooms // ROUNDS), users, f"{name}{turn}") for name in ("alone", "beside"))
            # As autovacuum would soon, to which every plan is made anew: not in the midst of one of the two.
            self.stack.rows("vacuum analyze")
            alone.append(self._load(remote, without, STEADY_A_SECOND, f"alone-{turn}").wait())
            floods.append(self._load(self.flooding, FLOOD_A_SECOND * MOST_SECONDS * self.asked, FLOOD_A_SECOND, f"flood-{turn}", flood=True))
            try:
                time.sleep(BEGINNING_SECONDS)
                beside.append(self._load(remote, besides, STEADY_A_SECOND, f"beside-{turn}").wait())
            finally:
                floods[-1].end()
        return alone, floods, beside
