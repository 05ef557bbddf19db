#!/usr/bin/env python3
"""PostgreSQL fails over to a synchronous standby while leaves come in: what was answered 200 is there."""
import os
import pathlib
import signal
import tempfile
import time
import unittest

from operated_stack import ROOT, OperatedStack
from standby import PairOfServers
from leaves_under_way import LeavesUnderWay
from load_stack import RemoteServer
from free_port import free_port

A_SECOND = 40
WAITING_FOR_STANDBY = "from pg_stat_activity where wait_event = 'SyncRep'"


class Failover(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="postern-failover-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.home = pathlib.Path(directory.name)
        self.home.chmod(0o711)  # PostgreSQL's user passes through
        programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"))
        self.pair = PairOfServers(self.home)
        self.addCleanup(self.pair.end)
        self.remote = RemoteServer(self.home, programs)
        self.addCleanup(self.remote.end)
        self.stack = OperatedStack(self.home / "stack", programs, free_port(), database_uri=self.pair.uri())
        self.addCleanup(self.stack.end)

    def first_200_after(self, leaves, moment):
        return min(at for at, status in leaves.answered if status == 200 and at > moment) - moment

    def test_a_failover_to_a_synchronous_standby_loses_nothing(self):
        leaves = LeavesUnderWay(self.stack, self.remote, self.home, A_SECOND, seconds=25)
        leaves.await_answers(5 * A_SECOND)
        self.pair.kill_first()
        killed = time.monotonic()
        self.pair.promote_second()
        promoted = time.monotonic()
        codes, wrong = leaves.end()
        print(f"promoted {promoted - killed:.2f} s after the first was killed; the first 200 came "
              f"{self.first_200_after(leaves, promoted):.2f} s after that", flush=True)
        self.assertEqual(wrong, [])
        self.assertLessEqual(set(codes), {200, 503})
        self.assertGreater(codes[200], 0.5 * sum(codes.values()))
        self.assertLess(self.first_200_after(leaves, promoted), 10)

    def test_a_commit_that_is_cancelled_while_it_waits_for_the_standby_is_no_200_before_the_standby_has_it(self):
        leaves = LeavesUnderWay(self.stack, self.remote, self.home, A_SECOND, seconds=15)
        leaves.await_answers(2 * A_SECOND)
        self.pair.signal(self.pair.second, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            cancelled = 0
            while time.monotonic() < stopped + 3:
                cancelled += int(self.pair.ask(self.pair.first, f"select count(pg_cancel_backend(pid)) {WAITING_FOR_STANDBY}"))
                time.sleep(0.1)
        finally:
            self.pair.signal(self.pair.second, signal.SIGCONT)
        early = [status for at, status in leaves.answered if stopped + 0.5 < at < stopped + 3 and status == 200]
        codes, wrong = leaves.end()
        print(f"{cancelled} commits were cancelled", flush=True)
        self.assertGreater(cancelled, 0)
        self.assertEqual(early, [])
        self.assertLessEqual(set(codes), {200, 503})
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
