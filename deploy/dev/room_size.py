"""What a leave reads and sends in rooms of several sizes, plain and with prev events whose states must be resolved."""
import dataclasses
import json
import statistics
import subprocess

from cluster import Trouble
from leave_load import Load
from load_stack import ROOT
from stack_cost import Cost, Snapshot

SIZES = (10, 1_000, 100_000)
LEAVES = 3
WARMING_MEMBERS = 20
# Blocks, not rows: which pages an index scan touches varies a little.
READS_BAR = 1.25
# Ids of users are a few digits longer there.
BYTES_BAR = 1.05
# What the store's statements are known by: those that read what a leave is judged on, for itself or for its template, and those that store it.
OF_CONTEXTS = ("event_context", "template_context(", "heads as materialized")
OF_PERSISTS = ("persist_events(", "persist_plain(", "array_send(o.extremities), o.room_version from unnest")


@dataclasses.dataclass
class SizedLeaves:
    """Some leaves of one room: medians, for now and then a connection makes its plans anew, which reads the catalogs."""
    members: int
    forked: bool
    ms: float
    context_reads: float
    persist_reads: float
    rpc_bytes: float
    answers: dict

    def reads(self):
        return self.context_reads + self.persist_reads


class RoomSize:
    """Plays `sender`'s leaves in rooms of `running`, which has statement statistics."""

    def __init__(self, running, sender, remote):
        self.running = running
        self.sender = sender
        self.remote = remote

    def play(self, sizes):
        """Of each size, the plain leaves of a room, then its forked ones: with all rooms there, so that the tables are the same to all."""
        invited = [self.running.seed(self.remote, 1, members, f"size{members}-") for members in (WARMING_MEMBERS, *sizes)]
        self.running.rows("vacuum analyze")
        self._play_room(WARMING_MEMBERS, invited[0])  # the database plans anew after that
        return [leaves for members, of_room in zip(sizes, invited[1:]) for leaves in self._play_room(members, of_room)]

    def _play_room(self, members, invited):
        room = invited[0][0]
        plain, side, forked = (invited[n * LEAVES:(n + 1) * LEAVES] for n in range(3))
        measured_plain = self._measure(members, False, plain)
        # A topic and a leave made side by side: together they are a room that stood at no time.
        templates = self.sender.take_templates(side + forked)
        topic = topic_of_operator(self.running, room)
        left = [answer.event_id for answer in self.sender.send(templates[:LEAVES], in_flight=1).answers]
        batch = [_citing(template, [topic, leave]) for template, leave in zip(templates[LEAVES:], left)]
        return [measured_plain, self._measure(members, True, batch)]

    def _measure(self, members, forked, batch):
        """One leave after another; what is not forked takes its template first, which is part of what is measured."""
        def reads():
            return self.running.reads(OF_CONTEXTS), self.running.reads(OF_PERSISTS)

        before = Snapshot(self.running.reach)
        answers, read = [], []
        for line in batch:
            begun = reads()
            completed = [line] if forked else self.sender.take_templates([line])
            answers += self.sender.send(completed, in_flight=1).answers
            read.append([now - then for now, then in zip(reads(), begun)])
        sent = Cost(before, Snapshot(self.running.reach)).leave_bytes()
        context, persist = (statistics.median(of_kind) for of_kind in zip(*read))
        load = Load(answers, 0, 0)
        return SizedLeaves(members, forked, load.milliseconds(0.5), context, persist, sent / len(answers), load.by_status())


def topic_of_operator(running, room):
    """The id of an event of an operator's, at the room's tips."""
    command = running.posternctl("--json", "room", "state", room, "m.room.topic", "", json.dumps({"topic": "size"}))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise Trouble(f"posternctl room state: {done.stderr.strip()}")
    return json.loads(done.stdout)["event_id"]


def _citing(line, prev_events):
    event = line["template"]["event"] | {"prev_events": prev_events, "depth": line["template"]["event"]["depth"] + 1}
    return line | {"template": line["template"] | {"event": event}}
