"""More leaves than the services can take, of several servers at once: what is answered, how soon, and what memory it takes."""
import contextlib
import pathlib
import threading

from answers_held import Held, disagreements
from leave_load import Load, Sender
from load_stack import RemoteServer
from stack_cost import SERVICES, Cost, Snapshot

SERVERS = 8
IN_FLIGHT_OF_A_SERVER = 256
TIMES_CAPACITY = 3
SECONDS = 8
USERS_OF_A_ROOM = 10
SAMPLE_EVERY_SECONDS = 0.1


class Memory:
    """The most that the processes of each service hold, in MB, until `end`."""

    def __init__(self, reach):
        self.pids = {service: reach["pids"][service] for service in SERVICES if service != "postgres"}
        self.before, self.most = self._held(), {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _held(self):
        return {service: round(sum(resident_mb(pid) for pid in pids), 1) for service, pids in self.pids.items()}

    def _watch(self):
        while not self.ended.wait(SAMPLE_EVERY_SECONDS):
            for service, held in self._held().items():
                self.most[service] = max(self.most.get(service, 0), held)

    def end(self):
        self.ended.set()
        self.thread.join()
        self.after = self._held()

    def figures(self):
        return {"before": self.before, "most": self.most, "after": self.after}


def resident_mb(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


class Overload:
    """`capacity` is how many leaves a second the stack can take."""

    def __init__(self, running, programs, directory, capacity):
        self.running = running
        self.programs = programs
        self.directory = directory
        self.per_second = max(SERVERS, TIMES_CAPACITY * round(capacity)) // SERVERS

    def play(self):
        """(the load of all servers, its cost, its memory, what is wrong)."""
        with contextlib.ExitStack() as ending:
            senders = [self._server(number, ending) for number in range(SERVERS)]
            rooms = {line["room"] for _, batch in senders for line in batch}
            held, before = Held(self.running, rooms), {}
            go = threading.Barrier(SERVERS, action=lambda: before.update(cost=Snapshot(self.running.reach), memory=Memory(self.running.reach)))
            loads = self._at_once(senders, go.wait)
            cost = Cost(before["cost"], Snapshot(self.running.reach))
            before["memory"].end()
            whole = Load([answer for load in loads for answer in load.answers], max(load.seconds for load in loads),
                         sum(load.client_cpu_seconds for load in loads))
            wrong = disagreements(held, Held(self.running, rooms), whole.answers, self.running.reach["server_name"])
            return whole, cost, before["memory"], wrong

    def _server(self, number, ending):
        directory = self.directory / f"server-{number}"
        directory.mkdir(parents=True, exist_ok=True)
        remote = RemoteServer(directory, self.programs)
        ending.callback(remote.end)
        sender = Sender(self.running, remote, directory, IN_FLIGHT_OF_A_SERVER)
        members = self.running.seed(remote, self.per_second * SECONDS // USERS_OF_A_ROOM + 1, USERS_OF_A_ROOM, f"beyond{number}")
        return sender, self._templates(sender, members)

    def _templates(self, sender, members):
        """Taken with few in flight: nothing is to be refused yet."""
        return Sender(self.running, sender.remote, sender.directory, 16).take_templates(members)

    def _at_once(self, senders, at_go):
        loads, troubles = [None] * len(senders), []

        def send(number):
            sender, batch = senders[number]
            try:
                loads[number] = sender.measured([], batch, at_go, self.per_second)
            except BaseException as trouble:  # pylint: disable=broad-except
                troubles.append(trouble)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(len(senders))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if troubles:
            raise troubles[0]
        return loads
