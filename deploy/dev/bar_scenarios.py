"""The scenarios of ./dev bars. Each plays one load, or starts one thing, and says which bars it held."""
import contextlib
import dataclasses
import itertools
import json
import os
import signal
import statistics
import subprocess
import time

import stack
from answers_held import Held, disagreements
from cluster import Trouble
from dead_destinations import DeadDestinations, DeadNames
from leave_load import Load, Sender
from paced_load import MAY_A_SECOND, FloodedStack, by_status, milliseconds
from propagation import (Destinations, KilledSenders, SendingStack, await_delivery, latencies, mistakes, spelled_share,
                         stored_order)
from room_size import BYTES_BAR, READS_BAR, SIZES, RoomSize
from stack_cost import SERVICES, Cost, Snapshot

CPU_BAR_MS = 4.0
RPCS_A_LEAVE = 3
SEED_BAR_SECONDS = 30.0
START_BAR_SECONDS = 1.0
STARTS = 5
DEAD_GROWTH_BAR_MB = 10.0
DEAD_SECONDS = 60
WARMING_LEAVES = 32


@dataclasses.dataclass
class Bar:
    text: str
    holds: bool
    found: str
    # Bars of time and CPU say something about the machine as well.
    timing: bool = False


@dataclasses.dataclass
class Result:
    name: str
    bars: list
    load: Load = None
    cost: Cost = None
    seconds: float = 0.0
    sizes: list = dataclasses.field(default_factory=list)

    def cpu_ms(self):
        """A leave, by service."""
        return {service: 1000 * self.cost.cpu_seconds[service] / len(self.load.answers) for service in SERVICES}

    def described(self):
        told = {"name": self.name, "seconds": round(self.seconds, 3), "bars": [dataclasses.asdict(bar) for bar in self.bars]}
        if self.load is not None:
            leaves = len(self.load.answers)
            told |= {"leaves": leaves, "answers": {str(code): count for code, count in self.load.by_status().items()},
                     "leaves_per_second": round(leaves / self.seconds, 1),
                     "ms_median": self.load.milliseconds(0.5), "ms_99": self.load.milliseconds(0.99),
                     "client_cpu_ms": round(1000 * self.load.client_cpu_seconds / leaves, 3)}
        if self.cost is not None:
            told |= {"cpu_ms": {service: round(ms, 3) for service, ms in self.cpu_ms().items()},
                     "cpu_incomplete": self.cost.incomplete, "rpcs": self.cost.rpcs, "rpc_bytes": self.cost.rpc_bytes,
                     "transactions": self.cost.writes, "refusals": self.cost.refusals}
        if self.sizes:
            told["sizes"] = [dataclasses.asdict(leaves) for leaves in self.sizes]
        return told


class Scenarios:
    """`stacks` gives a running stack of a number of validators; `directory` is for files."""

    def __init__(self, options, stacks, remote, directory):
        self.options = options
        self.stacks = stacks
        self.remote = remote
        self.directory = directory

    # -- loads -----------------------------------------------------------------------------------------------------------

    def beforehand(self):
        """Every template is of its room's one tip; then all leaves are sent."""
        load = self._begin("beforehand", self.options.rooms, self.options.users)
        batch = load.sender.take_templates(load.members)
        return load.measure(lambda: load.sender.send(batch), [all_200, one_by_one, round_trips, transactions, cpu])

    def by_process(self):
        """The same by a posternctl for each template and each leave: the bar to the letter."""
        load = self._begin("by-process", self.options.rooms, self.options.users)
        batch = load.sender.templates_by_process(load.members)
        return load.measure(lambda: load.sender.send_by_process(batch), [all_200, one_by_one, round_trips, transactions])

    def live(self):
        """Templates are taken while others of the room leave."""
        load = self._begin("live", self.options.rooms, self.options.users)
        return load.measure(lambda: load.sender.send(load.members),
                            [all_200, one_by_one, transactions])

    def chained(self):
        """One room, one leave after another."""
        load = self._begin("chained", 1, max(2, self.options.rooms * self.options.users // 10))
        return load.measure(lambda: load.sender.send(load.members, in_flight=1),
                            [all_200, one_by_one, round_trips, transactions])

    def validator_killed(self):
        """One of three validators is killed when a third of the answers are there; what was refused, and a part that had been
        held back, is sent afterwards."""
        load = self._begin("validator-killed", self.options.rooms, self.options.users, validators=3)
        batch = load.sender.take_templates(load.members)
        later, batch = batch[: len(batch) // 4], batch[len(batch) // 4:]
        victim = load.stack.reach["pids"]["validator"][1]
        killed_at = []

        counted = itertools.count(1)

        def after_answer(_):
            count = next(counted)
            if not killed_at and count >= len(batch) // 3:
                os.kill(victim, signal.SIGKILL)
                killed_at.append(count)

        result = load.measure(lambda: load.sender.send(batch, after_answer=after_answer), [only_200_and_503, one_by_one])
        attempts = result.cost.rpcs.get("Validate", 0)
        result.bars.append(Bar("one validator was killed under load", bool(killed_at) and killed_at[0] < len(batch),
                               f"after {killed_at} of {len(batch)} answers; {attempts} calls of Validate"))
        refused = {(answer.room, answer.user) for answer in result.load.answers if answer.status != 200}
        again = load.sender.send(later + [line for line in batch if (line["room"], line["user"]) in refused])
        codes = again.by_status()
        result.bars.append(Bar("later calls are all answered 200", set(codes) == {200}, spelled(codes)))
        wrong = disagreements(load.before, Held(load.stack, load.rooms), result.load.answers + again.answers, load.stack.reach["server_name"])
        result.bars.append(Bar("PostgreSQL agrees afterwards too", not wrong, "; ".join(wrong[:3]) or "it does"))
        return result

    def _begin(self, name, rooms, users, validators=1):
        running = self.stacks(validators)
        sender = Sender(running, self.remote, self.directory, self.options.in_flight)
        # Keys are fetched, connections opened and statements planned before anything is counted.
        warm = sender.send(running.seed(self.remote, 1, WARMING_LEAVES, f"{name}-warm"), in_flight=1)
        sender.send(sender.take_templates(running.seed(self.remote, 1, WARMING_LEAVES, f"{name}-warm")))
        if set(warm.by_status()) != {200}:
            raise Trouble(f"leaves one after another were answered {spelled(warm.by_status())}")
        return MeasuredLoad(name, running, sender, running.seed(self.remote, rooms, users, name))

    # -- the rest --------------------------------------------------------------------------------------------------------

    def seed(self):
        """Twice the rooms with five times the users: 100 of 100 by default."""
        running = self.stacks(1)
        rooms, users = 2 * self.options.rooms, 5 * self.options.users
        began = time.monotonic()
        members = running.seed(self.remote, rooms, users, "seed")
        seconds = time.monotonic() - began
        held = Held(running, {room for room, _ in members})
        invited = sum(membership == "invite" for membership, _ in held.members.values())
        return Result("seed", seconds=seconds, bars=[
            Bar(f"{rooms} rooms of {users} users are there", invited == rooms * users, f"{invited} invited"),
            Bar(f"in under {SEED_BAR_SECONDS:.0f} s", seconds < SEED_BAR_SECONDS, f"{seconds:.1f} s", timing=True)])

    def size(self):
        """The same leave in rooms of 10 to 100,000 members, plain and forked."""
        running = self.stacks(1, statistics=True)
        sender = Sender(running, self.remote, self.directory, in_flight=1)
        began = time.monotonic()
        found = RoomSize(running, sender, self.remote).play(SIZES)
        result = Result("size", [], seconds=time.monotonic() - began, sizes=found)
        for forked in (False, True):
            of_kind = [leaves for leaves in found if leaves.forked == forked]
            least, most, kind = of_kind[0], of_kind[-1], "forked" if forked else "plain"
            result.bars += [
                Bar(f"every {kind} leave is answered 200", all(set(leaves.answers) == {200} for leaves in of_kind),
                    "; ".join(f"{leaves.members}: {spelled(leaves.answers)}" for leaves in of_kind)),
                Bar(f"a {kind} leave reads at most {READS_BAR} times as much in the largest room",
                    0 < most.reads() <= READS_BAR * least.reads(), f"{least.reads():.0f} and {most.reads():.0f} blocks"),
                Bar(f"and sends at most {BYTES_BAR} times as much", most.rpc_bytes <= BYTES_BAR * least.rpc_bytes,
                    f"{least.rpc_bytes:.0f} and {most.rpc_bytes:.0f} bytes")]
        return result

    def start_up(self):
        """From exec to the first 200 of /readyz, for a gateway and a validator next to those that run."""
        running = self.stacks(1)
        bars, began = [], time.monotonic()
        for service in ("gateway", "validator"):
            times = [self._start_once(running, service) for _ in range(STARTS)]
            bars.append(Bar(f"a {service} is ready in under {START_BAR_SECONDS:.0f} s", max(times) < START_BAR_SECONDS,
                            f"median {statistics.median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms", timing=True))
        return Result("start-up", bars, seconds=time.monotonic() - began)

    def propagation(self):
        """200 other servers in each room, 20 of them dead, 10 slow, 5,000 leaves; the senders are killed ten times."""
        directory = self.directory / "propagation"
        running = SendingStack(directory, serves_only=True)
        with contextlib.ExitStack() as ending:
            ending.callback(running.end)
            rooms, users = self.options.rooms, 2 * self.options.rooms
            kinds = (170, 10, 20) if rooms >= 50 else (17, 1, 2)
            destinations = Destinations(directory, *kinds)
            ending.callback(destinations.end)
            members = running.seed(self.remote, rooms, users, "told", others=destinations.all())
            senders = KilledSenders(running, self.options.programs, 2, every_seconds=4, most=10)
            ending.callback(senders.end)
            began = time.monotonic()
            load = Sender(running, self.remote, directory, self.options.in_flight).send(members)
            await_delivery(running, destinations.live, lambda: senders.killed == 10)
            seconds = time.monotonic() - began
            senders.end()
            left = {name: int(count) for name, count in running.rows(
                "select convert_from(destination, 'UTF8'), count(*) from deliveries group by 1")}
            order, _ = stored_order(running, {room for room, _ in members})
            events = int(running.rows("select count(*) from outbox where cardinality(destinations) > 0")[0][0])  # dummy events too
            told = destinations.told()
        accepted = load.by_status().get(200, 0)
        wrong = mistakes(told, order)
        repeated = sum(heard["repeated"] for heard in told.values())
        return Result("propagation", load=load, cost=None, seconds=seconds, bars=[
            Bar("every answer is 200", set(load.by_status()) == {200}, spelled(load.by_status())),
            Bar("senders were killed ten times", senders.killed == 10, f"{senders.killed} times"),
            Bar("each live destination was told of each leave, in the order of its room", not wrong,
                "; ".join(wrong[:3]) or f"{len(told)} of {accepted} each, in {seconds:.0f} s; {repeated} PDUs repeated in all"),
            Bar("what waits for the dead ones is all there", left == {name: events for name in destinations.dead},
                f"{sum(left.values())} for {len(left)}")])

    def delivery_time(self):
        """How long after its commit a leave is at each of ten healthy servers."""
        directory = self.directory / "delivery-time"
        running = SendingStack(directory, serves_only=False)
        with contextlib.ExitStack() as ending:
            ending.callback(running.end)
            destinations = Destinations(directory, healthy=10)
            ending.callback(destinations.end)
            members = running.seed(self.remote, self.options.rooms, self.options.users, "timed", others=destinations.all())
            sender = Sender(running, self.remote, directory, self.options.in_flight)
            load = sender.send(sender.take_templates(members))
            await_delivery(running, destinations.live)
            order, stored_at = stored_order(running, {room for room, _ in members})
            told = destinations.told()
        waits = latencies(told, destinations.live, stored_at)
        rate = len(members) / load.seconds
        return Result("delivery-time", load=load, seconds=load.seconds, bars=[
            Bar("each was told of each leave, in the order of its room", not mistakes(told, order), f"{len(waits)} PDUs"),
            Bar("99 % of them within a second of the commit", waits[int(0.99 * len(waits))] < 1000,
                f"half in {spelled_share(waits, 0.5)}, 99 % in {spelled_share(waits, 0.99)}, at {rate:.0f} leaves a second", timing=True)])

    def dead_destinations(self):
        """A room with 10,000 other servers that refuse every connection, beside ten healthy ones, and a leave now and then."""
        directory = self.directory / "dead-destinations"
        with contextlib.ExitStack() as ending:
            dead = DeadNames(10_000 if self.options.rooms >= 50 else 1_000)
            ending.callback(dead.end)
            running = SendingStack(directory, serves_only=True,
                                   more=f"  first_retry: 5s\n  longest_retry: 60s\ndns_servers: ['{dead.dns}']\n")
            ending.callback(running.end)
            destinations = Destinations(directory, healthy=10)
            ending.callback(destinations.end)
            members = running.seed(self.remote, 1, 100, "dead", others=destinations.live + dead.names)
            senders = KilledSenders(running, self.options.programs, 1, every_seconds=1, most=0)
            ending.callback(senders.end)
            sender = Sender(running, self.remote, directory, in_flight=1)
            played = DeadDestinations(running, senders.processes[0], dead.names)
            played.await_start()
            sender.send(running.seed(self.remote, 1, 1, "known", others=destinations.live))  # from here on nobody is a stranger to them
            await_delivery(running, destinations.live)
            began, at_start = time.monotonic(), played.standing()
            answers = sender.send([members.pop(0)]).answers
            first_round = played.await_first_round()
            after_first, first = played.standing(), answers[0].user
            answers += played.leave_now_and_then(sender, members, DEAD_SECONDS)
            await_delivery(running, destinations.live)
            at_end, seconds = played.standing(), time.monotonic() - began
            senders.end()
            order, stored_at = stored_order(running, {answers[0].room})
            events = int(running.rows(f"select count(*) from outbox where cardinality(destinations) > {len(dead.names)}")[0][0])
            waiting, told = played.waiting(), destinations.told()
        at_once, later = (sorted(at - stored_at[room, user] for heard in told.values() for room, user, at in heard["told"]
                                 if (room, user) in stored_at and (user == first) == begins) for begins in (True, False))
        growth = at_end.resident_mb - after_first.resident_mb
        return Result("dead-destinations", seconds=seconds, bars=[
            Bar("every answer is 200", {answer.status for answer in answers} == {200}, f"{len(answers)} leaves"),
            Bar(f"the sender grows by less than {DEAD_GROWTH_BAR_MB:.0f} MB after the first round", growth < DEAD_GROWTH_BAR_MB,
                f"at the start {at_start.spelled()}; after the first round of {first_round:.0f} s {after_first.spelled()}; "
                f"at the end {at_end.spelled()}"),
            Bar("each healthy server was told of each leave, in order", not mistakes(told, order),
                f"{len(at_once) + len(later)} PDUs"),
            Bar("within a second of the commit", later[-1] < 1000,
                f"half in {spelled_share(later, 0.5)}, all in {later[-1]:.0f} ms; of the leave before any dead one had been tried "
                f"all in {at_once[-1]:.0f} ms", timing=True),
            Bar("what waits for the dead ones is all there", waiting == {name: events for name in dead.names},
                f"{sum(waiting.values())} for {len(waiting)}")])

    def limits(self):
        """One server floods two gateways with ten times what it may; another one leaves steadily, without it and with it."""
        began = time.monotonic()
        with contextlib.ExitStack() as ending:
            flooded = FloodedStack(self.directory / "limits", self.options.programs)
            ending.callback(flooded.end)
            alone, floods, beside = flooded.play(self.remote, self.options.rooms, max(1, self.options.users // 2))
            exchanges, took = flooded.exchanges()
        times = [(flood, leaves.began, leaves.ended) for flood, leaves in zip(floods, beside)]
        through = [count for flood, first, last in times for count in flood.accepted_by_second(first, last)]
        asked = statistics.mean(flood.per_second(first, last) for flood, first, last in times)
        mean, codes, floods_codes = statistics.mean(through), by_status(alone + beside), by_status(floods)
        p99 = milliseconds(alone, 0.99), milliseconds(beside, 0.99)
        return Result("limits", seconds=time.monotonic() - began, bars=[
            Bar("every leave of the other server is answered 200", set(codes) == {200}, spelled(codes)),
            Bar("the flood is refused, and nothing else becomes of it", set(floods_codes) == {200, 429}, spelled(floods_codes)),
            Bar(f"it is let through {MAY_A_SECOND} times a second over both gateways, within 10 %",
                abs(mean - MAY_A_SECOND) <= MAY_A_SECOND / 10,
                f"{mean:.1f} times ({min(through)} to {max(through)} in one second) of {asked:.0f} that were asked; "
                f"{exchanges:.0f} exchanges of {1000 * took / max(1, exchanges):.1f} ms"),
            Bar("99 % of the other's leaves take at most twice as long as without it", p99[1] <= 2 * p99[0],
                f"{p99[0]:.1f} and {p99[1]:.1f} ms; half of them {milliseconds(alone, 0.5):.1f} and {milliseconds(beside, 0.5):.1f} ms",
                timing=True)])

    def _start_once(self, running, service):
        port_file = self.directory / f"{service}.ports.json"
        port_file.unlink(missing_ok=True)
        command = [self.options.programs / f"postern-{service}", "--config", running.directory / f"{service}-1.yaml",
                   "--port-file", port_file]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                                   env=stack.service_environment())
        try:
            while time.monotonic() - began < stack.READY_SECONDS:
                if process.poll() is not None:
                    raise Trouble(f"a {service} ended with status {process.returncode} while it started")
                if port_file.exists():
                    if stack.what_is_missing(json.loads(port_file.read_text(encoding="utf-8"))["admin"]) is None:
                        return time.monotonic() - began
                time.sleep(0.002)
            raise Trouble(f"a {service} was not ready after {stack.READY_SECONDS} s")
        finally:
            process.terminate()
            process.wait()


class MeasuredLoad:
    """The members of some rooms, what PostgreSQL has of them before, and the measuring of what is then done."""

    def __init__(self, name, running, sender, members):
        self.name = name
        self.stack = running
        self.sender = sender
        self.members = members
        self.rooms = {room for room, _ in members}
        self.before = Held(running, self.rooms)
        self.load = None
        self.cost = None

    def measure(self, play, bars):
        """Each of `bars` is a function of this load."""
        before = Snapshot(self.stack.reach)
        self.load = play()
        self.cost = Cost(before, Snapshot(self.stack.reach))
        result = Result(self.name, [], self.load, self.cost, self.load.seconds)
        result.bars += [bar(self, result) for bar in bars]
        return result


def spelled(codes):
    return ", ".join(f"{count} × {code}" for code, count in codes.items())


def with_first(codes, load):
    """And the first answer that is no 200, for there lies the trouble."""
    odd = next((answer for answer in load.answers if answer.status not in (200, 503)), None)
    return spelled(codes) + (f"; {odd.user} in {odd.room}: {odd.status} {odd.said}" if odd else "")


def all_200(_, result):
    codes = result.load.by_status()
    return Bar("every answer is 200", set(codes) == {200}, with_first(codes, result.load))


def only_200_and_503(_, result):
    codes = result.load.by_status()
    return Bar("every answer is 200 or 503", set(codes) <= {200, 503}, with_first(codes, result.load))


def one_by_one(measured, result):
    wrong = disagreements(measured.before, Held(measured.stack, measured.rooms), result.load.answers, measured.stack.reach["server_name"])
    return Bar("PostgreSQL agrees with each answer", not wrong, f"{len(wrong)} do not: {wrong[:3]}" if wrong else "it does")


def round_trips(_, result):
    rpcs, leaves = result.cost.leave_rpcs(), len(result.load.answers)
    return Bar(f"no more than {RPCS_A_LEAVE} rpc round trips a leave", rpcs <= RPCS_A_LEAVE * leaves,
               f"{rpcs / leaves:.2f}: {spelled(result.cost.rpcs)}")


def transactions(_, result):
    done, accepted = result.cost.transactions(), result.load.by_status().get(200, 0)
    return Bar("no more than one transaction a leave", done <= accepted, f"{done} for {accepted} leaves: {spelled(result.cost.writes)}")


def cpu(_, result):
    in_all = sum(result.cpu_ms().values())
    return Bar(f"no more than {CPU_BAR_MS:.0f} ms of CPU a leave in all", in_all <= CPU_BAR_MS, f"{in_all:.2f} ms", timing=True)


SCENARIOS = {
    "beforehand": Scenarios.beforehand,
    "live": Scenarios.live,
    "chained": Scenarios.chained,
    "by-process": Scenarios.by_process,
    "validator-killed": Scenarios.validator_killed,
    "seed": Scenarios.seed,
    "size": Scenarios.size,
    "start-up": Scenarios.start_up,
    "propagation": Scenarios.propagation,
    "delivery-time": Scenarios.delivery_time,
    "dead-destinations": Scenarios.dead_destinations,
    "limits": Scenarios.limits,
}
