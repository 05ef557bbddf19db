#!/usr/bin/env python3
"""The last release is replaced by the programs of today, tier by tier, and these by the last release again, while leaves come in."""
import os
import pathlib
import tempfile
import unittest

import released_programs
from operated_stack import ROOT, OperatedStack
from leaves_under_way import LeavesUnderWay
from load_stack import RemoteServer
from free_port import free_port

A_SECOND = 30
SECONDS = 100
REPLICAS = 2
# As docs/kubernetes.md has it, and the other way round.
DOCUMENTED = ("store", "validator", "gateway")
REVERSED = tuple(reversed(DOCUMENTED))


@unittest.skipUnless(released_programs.are_there(), "there are no programs of the last release: tests/operations/released_programs.py makes them")
class Upgrade(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="postern-upgrade-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.home = pathlib.Path(directory.name)
        self.old = released_programs.directory()
        self.new = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"))
        self.remote = RemoteServer(self.home, self.new)
        self.addCleanup(self.remote.end)
        self.stack = OperatedStack(self.home / "stack", self.old, free_port(), REPLICAS)
        self.addCleanup(self.stack.end)

    def one(self, query):
        return int(self.stack.rows(query)[0][0])

    def replace(self, tiers, programs, name):
        for tier in tiers:
            for number in range(1, REPLICAS + 1):
                seconds = self.stack.replace(tier, number, programs)
                print(f"{tier} {number} is {name} now, ready after {seconds:.2f} s", flush=True)

    def upgrade_and_back(self, order, name):
        migrations = "select count(*) from schema_migrations"
        functions = "select count(*) from function_schemas"
        leaves = LeavesUnderWay(self.stack, self.remote, self.home, A_SECOND, SECONDS, name)
        before = self.one(migrations)
        self.replace(order, self.new, "new")
        after = self.one(migrations)
        self.assertTrue(leaves.going_on(), "the load ended before everything was new")
        self.replace(reversed(order), self.old, "old again")
        self.assertTrue(leaves.going_on(), "the load ended before everything was old again")
        codes, wrong = leaves.end()
        print(f"{before} migrations before, {after} after; {self.one(functions)} sets of functions", flush=True)
        self.assertEqual(self.one(migrations), after)
        self.assertLessEqual(set(codes), {200, 429})
        self.assertEqual(wrong, [])

    def test_in_the_documented_order_and_back_costs_no_answer(self):
        self.upgrade_and_back(DOCUMENTED, "documented")

    def test_gateways_first_and_back_costs_no_answer(self):
        self.upgrade_and_back(REVERSED, "reversed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
