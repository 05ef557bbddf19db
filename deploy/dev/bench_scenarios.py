"""The scenarios of ./dev bench: each plays one load and says what it cost."""
from answers_held import Held, disagreements
from leave_load import Sender
from room_size import citing, topic_of_operator
from stack_cost import SERVICES, Cost, Snapshot
from write_ahead_log import WriteAheadLog

USERS_OF_A_ROOM = 10
USERS_OF_A_FORKED_ROOM = 50
WARMING_ROOMS = 8
WARMING_USERS = 8
READING_USERS = 64
READS_AT_ONCE = 64
SHARES = {"50": 0.5, "95": 0.95, "99": 0.99, "most": 1.0}


class MeasuredStack:
    """A running stack, with somebody who reads from it when nothing is to be written."""

    def __init__(self, running, remote, directory):
        self.running = running
        reader, readers = Sender(running, remote, directory, READS_AT_ONCE), running.seed(remote, 1, READING_USERS, "reads")
        self.log = WriteAheadLog(running, lambda: reader.take_templates(readers))


class BenchScenarios:
    """`stacks` gives the MeasuredStack of a number of validators; `directory` is for files."""

    def __init__(self, options, stacks, remote, directory):
        self.options = options
        self.stacks = stacks
        self.remote = remote
        self.directory = directory

    def many_rooms(self, name="many-rooms", validators=1):
        """Templates from one tip of each room; then leaves, room after room in turn."""
        stack, sender, members = self._begin(name, *self._rooms(USERS_OF_A_ROOM), validators)
        return self._measure(name, stack, sender, sender.take_templates(in_turn(members)))

    def hot_room(self):
        """The same, all of one room."""
        stack, sender, members = self._begin("hot-room", 1, self.options.leaves)
        return self._measure("hot-room", stack, sender, sender.take_templates(members))

    def forked(self):
        """Every leave cites two events that did not know of each other: a leave, and a topic. The state before it must be resolved."""
        rooms, users = self._rooms(USERS_OF_A_FORKED_ROOM)
        stack, sender, members = self._begin("forked", rooms, users + 1)
        first_of_rooms = {room: user for room, user in reversed(members)}
        templates = sender.take_templates(members)
        topics = {room: topic_of_operator(stack.running, room) for room in first_of_rooms}
        beside = [line for line in templates if first_of_rooms[line["room"]] == line["user"]]
        left = {answer.room: answer.event_id for answer in sender.send(beside).answers}
        batch = [citing(line, [topics[line["room"]], left[line["room"]]]) for line in templates if line not in beside]
        return self._measure("forked", stack, sender, in_turn(batch, lambda line: line["room"]))

    def chained(self):
        """One room, one leave with its make_leave after another; a tenth as many."""
        stack, sender, members = self._begin("chained", 1, max(2, self.options.leaves // 10), in_flight=1)
        return self._measure("chained", stack, sender, members)

    def mix(self):
        """Many rooms, each leave with its make_leave while others leave."""
        stack, sender, members = self._begin("mix", *self._rooms(USERS_OF_A_ROOM))
        return self._measure("mix", stack, sender, in_turn(members))

    def large_room(self):
        """A fifth as many leaves of a room that has more members."""
        count = max(2, self.options.leaves // 5)
        stack, sender, members = self._begin("large-room", 1, max(count, self.options.members))
        return self._measure("large-room", stack, sender, sender.take_templates(members[:count]))

    def _rooms(self, users):
        """How many rooms of how many users."""
        return max(1, self.options.leaves // users), min(users, self.options.leaves)

    def _begin(self, name, rooms, users, validators=1, in_flight=None):
        stack = self.stacks(validators)
        sender = Sender(stack.running, self.remote, self.directory, in_flight or self.options.in_flight)
        return stack, sender, stack.running.seed(self.remote, rooms, users, name)

    def _measure(self, name, stack, sender, batch):
        """Keys are fetched, connections opened and statements planned before anything is counted."""
        running, log = stack.running, stack.log
        warming = in_turn(running.seed(self.remote, WARMING_ROOMS, WARMING_USERS, f"{name}-warm"))
        templates = isinstance(batch[0], dict)
        if templates:
            warming = sender.take_templates(warming)
        rooms = {line["room"] if templates else line[0] for line in batch}
        held = Held(running, rooms)
        before = {}

        def at_go():
            before["syncs"], before["at"] = log.syncs(), log.now()
            before["log"], before["cost"] = log.bytes(), Snapshot(running.reach)

        per_second = self.options.rate if sender.in_flight > 1 else 0
        load = sender.measured(warming, batch, at_go, per_second)
        cost = Cost(before["cost"], Snapshot(running.reach))
        log_bytes, syncs = log.bytes() - before["log"], log.syncs(before["at"]) - before["syncs"]
        wrong = disagreements(held, Held(running, rooms), load.answers, {self.remote.name, running.reach["server_name"]})
        return figures(load, cost, log_bytes, syncs) | {"held": not wrong, "wrong": wrong[:3]}


def figures(load, cost, log_bytes, syncs):
    """All but the first six of them a leave."""
    leaves = len(load.answers)
    cpu = {service: 1e6 * cost.cpu_seconds[service] / leaves for service in SERVICES}
    cpu |= {"in_all": sum(cpu.values()), "client": 1e6 * load.client_cpu_seconds / leaves}
    each = {"rpcs": sum(cost.rpcs.values()), "rpc_bytes": sum(cost.rpc_bytes.values()), "wal_bytes": log_bytes, "fsyncs": syncs,
            "transactions": cost.transactions()}
    return {"leaves": leaves, "answers": {str(code): count for code, count in load.by_status().items()},
            "seconds": round(load.seconds, 3), "leaves_per_second": round(leaves / load.seconds, 1),
            "ms": {name: load.milliseconds(share) for name, share in SHARES.items()},
            "cpu_us": {service: round(us, 1) for service, us in cpu.items()}} | {
                name: round(value / leaves, 3) for name, value in each.items()}


def in_turn(members, room_of=lambda member: member[0]):
    """One of each room, then another of each."""
    seen, turns = {}, []
    for member in members:
        turn = seen[room_of(member)] = seen.get(room_of(member), -1) + 1
        turns.append((turn, member))
    return [member for _, member in sorted(turns, key=lambda turn: turn[0])]


SCENARIOS = {
    "many-rooms": BenchScenarios.many_rooms,
    "hot-room": BenchScenarios.hot_room,
    "forked": BenchScenarios.forked,
    "chained": BenchScenarios.chained,
    "mix": BenchScenarios.mix,
    "validators-2": lambda scenarios: scenarios.many_rooms("validators-2", 2),
    "validators-4": lambda scenarios: scenarios.many_rooms("validators-4", 4),
    # Last: what it seeds is read whenever answers are held against all that is stored.
    "large-room": BenchScenarios.large_room,
}
