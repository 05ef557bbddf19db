"""The scenarios of ./dev bench: each plays one load and says what it cost."""
from answers_held import Held, disagreements
from cpu_quota import CpuQuota, MachineIdle
from flame_graphs import FlameGraphs
from leave_load import Sender
from overload import Overload
from room_size import topic_of_operator
from senders_at_once import SendersAtOnce
from stack_cost import SERVICES, Cost, Snapshot
from write_ahead_log import WriteAheadLog

USERS_OF_A_ROOM = 10
USERS_OF_A_FORKED_ROOM = 20
WARMING_ROOMS = 8
WARMING_USERS = 8
EVENTS_OF_A_MILLION = 1_000_000
USERS_OF_A_FILLING_ROOM = 1000
READING_USERS = 64
READS_AT_ONCE = 64
HALF_IN_FLIGHT = 128
# So little that four of them are the limit where two processors have all the rest to do.
VALIDATORS_PART_OF_A_PROCESSOR = 0.03
# The same load on each replica, however many there are: enough that it always has something to do, and few enough that judgements seldom
# share a message, for they share fewer of them the more validators answer at different times.
IN_FLIGHT_FOR_A_HELD_VALIDATOR = 4
LEAVES_FOR_A_HELD_VALIDATOR = 1000
SHARES = {"50": 0.5, "95": 0.95, "99": 0.99, "most": 1.0}


class MeasuredStack:
    """A running stack, with somebody who reads from it when nothing is to be written."""

    def __init__(self, running, remote, directory):
        self.running = running
        reader, readers = Sender(running, remote, directory, READS_AT_ONCE), running.seed(remote, 1, READING_USERS, "reads")
        self.log = WriteAheadLog(running, lambda: reader.take_templates(readers))


class BenchScenarios:
    """`stacks` gives the MeasuredStack of a number of validators, and of gateways; `directory` is for files."""

    def __init__(self, options, stacks, remote, directory):
        self.options = options
        self.stacks = stacks
        self.remote = remote
        self.directory = directory

    def many_rooms(self, name="many-rooms", validators=1, in_flight=None):
        """Templates from one tip of each room; then leaves, room after room in turn."""
        stack, sender, members = self._begin(name, *self._rooms(USERS_OF_A_ROOM), validators, in_flight)
        return self._measure(name, stack, sender, sender.take_templates(in_turn(members)))

    def hot_room(self):
        """The same, all of one room."""
        stack, sender, members = self._begin("hot-room", 1, self.options.leaves)
        return self._measure("hot-room", stack, sender, sender.take_templates(members))

    def forked(self):
        """Templates of a tip beside which an operator then sets a topic: no leave commutes, so each is judged with the branches that meet
        there, room by room one after another. A fifth as many."""
        stack, sender, members = self._begin("forked", *self._rooms(USERS_OF_A_FORKED_ROOM, self.options.leaves // 5))
        batch = sender.take_templates(in_turn(members))
        for room in {room for room, _ in members}:
            topic_of_operator(stack.running, room)
        return self._measure("forked", stack, sender, batch)

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

    def half(self):
        """Many rooms, begun at half the rate that the same load has reached just before."""
        capacity = self.many_rooms("half-found")["leaves_per_second"]
        stack, sender, members = self._begin("half", *self._rooms(USERS_OF_A_ROOM), in_flight=HALF_IN_FLIGHT)
        return self._measure("half", stack, sender, sender.take_templates(in_turn(members)), max(1, round(capacity / 2)))

    def beyond(self):
        """Eight servers that begin three times as many leaves as there is capacity for; then many rooms once more."""
        before = self.many_rooms("beyond-before")
        running = self.stacks(1).running
        load, cost, memory, wrong = Overload(running, self.options.programs, self.directory, before["leaves_per_second"]).play()
        after = self.many_rooms("beyond-after")
        taken, refused = load.part(lambda status: status == 200), load.part(lambda status: status != 200)
        return figures(load, cost, 0, 0) | {
            "taken_per_second": round(len(taken.answers) / load.seconds, 1), "memory_mb": memory.figures(), "held": not wrong, "wrong": wrong[:3],
            "ms_of_200": {name: taken.milliseconds(share) for name, share in SHARES.items()},
            "ms_of_refusals": {name: refused.milliseconds(share) for name, share in SHARES.items()},
            "ms_before": before["ms"], "ms_after": after["ms"]}

    def held_validators(self, validators):
        """Many rooms, each validator held to so little CPU that all of them are the limit. With a gateway for each: the more calls a gateway
        makes, the more of them share a message, and the less each costs, which is not what is asked here."""
        stack = self.stacks(validators, validators)
        running = stack.running
        quotas = [CpuQuota(pid, VALIDATORS_PART_OF_A_PROCESSOR) for pid in running.reach["pids"]["validator"]]
        try:
            name, leaves = f"held-{validators}", validators * LEAVES_FOR_A_HELD_VALIDATOR
            sender = SendersAtOnce(running, self.remote, self.directory, IN_FLIGHT_FOR_A_HELD_VALIDATOR)
            members = running.seed(self.remote, *self._rooms(USERS_OF_A_ROOM, leaves), name)
            found = self._measure(name, stack, sender, sender.take_templates(in_turn(members)))
            allowed = validators * VALIDATORS_PART_OF_A_PROCESSOR * found["seconds"]
            return found | {"held_validators": validators,
                            "quota_used": round(1e-6 * found["cpu_us"]["validator"] * found["leaves"] / allowed, 2)}
        finally:
            for quota in quotas:
                quota.end()

    def so_many_rooms(self, rooms):
        """The same number of leaves, each of the next of so many rooms."""
        leaves = self.options.leaves
        stack, sender, members = self._begin(f"rooms-{rooms}", rooms, max(USERS_OF_A_ROOM, -(-leaves // rooms)))
        return self._measure(f"rooms-{rooms}", stack, sender, sender.take_templates(in_turn(members)[:leaves]))

    def million_events(self, validators=1):
        """Many rooms, beside so many others that there are a million events."""
        running = self.stacks(validators).running
        missing = EVENTS_OF_A_MILLION - int(running.rows("select count(*) from events")[0][0])
        running.seed(self.remote, max(1, missing // USERS_OF_A_FILLING_ROOM), USERS_OF_A_FILLING_ROOM, "filling")
        running.rows("vacuum analyze")
        return self.many_rooms(f"million-{validators}", validators)

    def _rooms(self, users, leaves=None):
        """How many rooms of how many users."""
        leaves = max(1, self.options.leaves if leaves is None else leaves)
        return max(1, leaves // users), min(users, leaves)

    def _begin(self, name, rooms, users, validators=1, in_flight=None):
        stack = self.stacks(validators)
        sender = Sender(stack.running, self.remote, self.directory, in_flight or self.options.in_flight)
        return stack, sender, stack.running.seed(self.remote, rooms, users, name)

    def _measure(self, name, stack, sender, batch, per_second=None):
        """Keys are fetched, connections opened and statements planned before anything is counted."""
        running, log = stack.running, stack.log
        warming = in_turn(running.seed(self.remote, WARMING_ROOMS, WARMING_USERS, f"{name}-warm"))
        templates = isinstance(batch[0], dict)
        if templates:
            warming = sender.take_templates(warming)
        rooms = {line["room"] if templates else line[0] for line in batch}
        held = Held(running, rooms)
        running.rows("analyze")  # what autovacuum would do within a minute: or plans are of the tables as they were before they were seeded
        before = {}

        def at_go():
            before["syncs"], before["at"] = log.syncs(), log.now()
            if self.options.flame_graphs is not None:
                before["flames"] = FlameGraphs(running.reach, self.options.flame_graphs, name)
            before["log"], before["cost"], before["idle"] = log.bytes(), Snapshot(running.reach), MachineIdle()

        if per_second is None:
            per_second = self.options.rate if sender.in_flight > 1 else 0
        load = sender.measured(warming, batch, at_go, per_second)
        idle, cost = before["idle"].share(), Cost(before["cost"], Snapshot(running.reach))
        if "flames" in before:
            before["flames"].end()
        log_bytes, syncs = log.bytes() - before["log"], log.syncs(before["at"]) - before["syncs"]
        wrong = disagreements(held, Held(running, rooms), load.answers, running.reach["server_name"])
        return figures(load, cost, log_bytes, syncs) | {
            "machine_idle": round(idle, 2), "held": not wrong, "wrong": wrong[:3]}


def figures(load, cost, log_bytes, syncs):
    """All but the first six of them a leave."""
    leaves = len(load.answers)
    cpu = {service: 1e6 * cost.cpu_seconds[service] / leaves for service in SERVICES}
    cpu |= {"in_all": sum(cpu.values()), "client": 1e6 * load.client_cpu_seconds / leaves}
    each = {"rpcs": sum(cost.rpcs.values()), "messages": sum(cost.rpc_messages.values()), "rpc_bytes": sum(cost.rpc_bytes.values()),
            "judging_messages": cost.rpc_messages.get("Validate", 0), "wal_bytes": log_bytes, "fsyncs": syncs,
            "transactions": cost.transactions(), "branches_asked": cost.branches_asked}
    return {"leaves": leaves, "answers": {str(code): count for code, count in load.by_status().items()},
            "seconds": round(load.seconds, 3), "leaves_per_second": round(leaves / load.seconds, 1),
            "ms": {name: load.milliseconds(share) for name, share in SHARES.items()},
            "cpu_us": {service: round(us, 1) for service, us in cpu.items()},
            "cpu_over_client": round(cpu["in_all"] / cpu["client"], 2) if cpu["client"] else None} | {
                name: round(value / leaves, 3) for name, value in each.items()}


def in_turn(members):
    """One of each room, then another of each; `members` are (room, user), room by room."""
    seen, turns = {}, []
    for member in members:
        turn = seen[member[0]] = seen.get(member[0], -1) + 1
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
    "half": BenchScenarios.half,
    "beyond": BenchScenarios.beyond,
    # Last: what it seeds is read whenever answers are held against all that is stored.
    "large-room": BenchScenarios.large_room,
}
# Only where they are asked for: they seed for minutes, or need root.
ASKED_FOR = {
    **{f"held-{number}": lambda scenarios, number=number: scenarios.held_validators(number) for number in (1, 2, 4)},
    **{f"rooms-{rooms}": lambda scenarios, rooms=rooms: scenarios.so_many_rooms(rooms) for rooms in (10, 100, 1000, 10_000)},
    "million-events": BenchScenarios.million_events,
    "million-events-4": lambda scenarios: scenarios.million_events(validators=4),
}
