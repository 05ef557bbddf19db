#!/usr/bin/env python3
"""./dev bars would be worth nothing if it found no fault: whatever PostgreSQL has otherwise than was answered is seen."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "dev"))
import answers_held
from leave_load import Answer

ROOM, USER, SIGNERS = "!r:here.example", "@u0:there.example", {"here.example", "there.example"}


def event(membership, signers=("here.example", "there.example"), sender=USER):
    return json.dumps({"sender": sender, "state_key": USER, "content": {"membership": membership},
                       "signatures": {server: {"ed25519:a": "sig"} for server in signers}})


class Tables:
    """What a stack would answer: an invited user, and what a leave of hers would leave behind."""

    def __init__(self, left=False):
        self.tables = {
            answers_held.MEMBERS: [[ROOM, USER, "leave", "$leave"]] if left else [[ROOM, USER, "invite", "$invite"]],
            answers_held.EVENTS: [[ROOM, "$invite", "1", event("invite")]] + [[ROOM, "$leave", "1", event("leave")]] * left,
            answers_held.OUTBOX: [[ROOM, "$invite"]] + [[ROOM, "$leave"]] * left,
            answers_held.REFUSALS: [],
        }

    def rows(self, query):
        return self.tables[query]


def disagreements(after, status, **options):
    before = answers_held.Held(Tables(), {ROOM})
    answers = [Answer(ROOM, USER, status, "$leave", 1, "")]
    return answers_held.disagreements(before, answers_held.Held(after, {ROOM}), answers, "here.example", **options)


class AnswersHeld(unittest.TestCase):
    def test_finds_nothing_where_all_agrees(self):
        self.assertEqual(disagreements(Tables(left=True), 200), [])
        self.assertEqual(disagreements(Tables(), 503), [])

    def test_finds_a_200_of_which_something_is_missing_or_wrong(self):
        spoilt = {
            "nothing is stored": Tables(),
            "no outbox row": (answers_held.OUTBOX, [[ROOM, "$invite"]]),
            "two outbox rows": (answers_held.OUTBOX, [[ROOM, "$invite"], [ROOM, "$leave"], [ROOM, "$leave"]]),
            "membership as it was": (answers_held.MEMBERS, [[ROOM, USER, "invite", "$invite"]]),
            "membership by another event": (answers_held.MEMBERS, [[ROOM, USER, "leave", "$other"]]),
            "soft-failed": (answers_held.EVENTS, [[ROOM, "$invite", "1", event("invite")], [ROOM, "$leave", "2", event("leave")]]),
            "one signature": (answers_held.EVENTS, [[ROOM, "$leave", "1", event("leave", ("there.example",))]]),
            "another sender": (answers_held.EVENTS, [[ROOM, "$leave", "1", event("leave", sender="@x:there.example")]]),
        }
        for name, change in spoilt.items():
            after = change if isinstance(change, Tables) else Tables(left=True)
            if after is not change:
                after.tables[change[0]] = change[1]
            self.assertNotEqual(disagreements(after, 200), [], name)

    def test_finds_what_a_refused_leave_has_left_behind(self):
        for table, row in ((answers_held.MEMBERS, None), (answers_held.EVENTS, [ROOM, "$leave", "1", event("leave")]),
                           (answers_held.OUTBOX, [ROOM, "$leave"]), (answers_held.REFUSALS, [ROOM, "$leave"])):
            after = Tables()
            after.tables[table] = after.tables[table] + [row] if row else [[ROOM, USER, "leave", "$leave"]]
            self.assertNotEqual(disagreements(after, 503), [], table)

    def test_in_doubt_a_leave_that_was_not_answered_may_be_stored_but_wholly(self):
        for status in (0, 503):
            self.assertEqual(disagreements(Tables(), status, in_doubt=True), [])
            self.assertEqual(disagreements(Tables(left=True), status, in_doubt=True), [])
        self.assertNotEqual(disagreements(Tables(), 200, in_doubt=True), [])
        for table in (answers_held.MEMBERS, answers_held.EVENTS, answers_held.OUTBOX):
            half = Tables(left=True)
            half.tables[table] = Tables().tables[table]
            self.assertNotEqual(disagreements(half, 503, in_doubt=True), [], table)

    def test_finds_a_leave_that_nobody_was_told_of(self):
        after = Tables(left=True)
        after.tables[answers_held.OUTBOX].append([ROOM, "$another"])
        self.assertNotEqual(disagreements(after, 200), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
