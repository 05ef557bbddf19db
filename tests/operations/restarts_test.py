#!/usr/bin/env python3
"""Every process of a stack with two replicas a tier is restarted, then killed, while leaves come in."""
import os
import pathlib
import tempfile
import unittest

from operated_stack import ROOT, OperatedStack
from load_stack import RemoteServer
from leaves_under_way import LeavesUnderWay
from free_port import free_port

A_SECOND = 40
REPLICAS = 2
TIERS = ("validator", "store", "gateway")


class Restarts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="postern-restarts-", dir="/tmp")
        cls.addClassCleanup(directory.cleanup)
        cls.home = pathlib.Path(directory.name)
        programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"))
        cls.remote = RemoteServer(cls.home, programs)
        cls.addClassCleanup(cls.remote.end)
        cls.stack = OperatedStack(cls.home / "stack", programs, free_port(), REPLICAS)
        cls.addClassCleanup(cls.stack.end)

    def test_a_rolling_restart_of_every_tier_costs_no_answer(self):
        leaves = LeavesUnderWay(self.stack, self.remote, self.home, A_SECOND, seconds=40, name="restarted")
        for tier in TIERS:
            for number in range(1, REPLICAS + 1):
                seconds = self.stack.restart(tier, number)
                print(f"{tier} {number} restarted, ready after {seconds:.2f} s", flush=True)
        self.assertTrue(leaves.going_on(), "the load ended before the last restart")
        codes, wrong = leaves.end()
        self.assertEqual(set(codes), {200})
        self.assertEqual(wrong, [])

    def test_a_killed_process_costs_answers_but_no_leave(self):
        leaves = LeavesUnderWay(self.stack, self.remote, self.home, A_SECOND, seconds=20, name="killed")
        for tier in TIERS:
            self.stack.kill(tier, 1)
            seconds = self.stack.start(tier, 1)
            print(f"{tier} 1 killed, ready again after {seconds:.2f} s", flush=True)
        self.assertTrue(leaves.going_on(), "the load ended before the last process was killed")
        codes, wrong = leaves.end()
        # 502: the proxy's word for a gateway that went away in the midst of an answer.
        self.assertLessEqual(set(codes), {200, 502, 503})
        self.assertGreater(codes[200], 0.9 * sum(codes.values()))
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
