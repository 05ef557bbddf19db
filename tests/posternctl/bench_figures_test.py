#!/usr/bin/env python3
"""./dev bench --compare would mislead if it paired or divided wrongly."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "dev"))
import bench
import bench_scenarios
import figures
import pure_benchmarks
import write_ahead_log
from leave_load import Answer, Load
from write_ahead_log import WriteAheadLog


def repetition(name, cpu_time, family=0, **more):
    return {"name": name, "cpu_time": cpu_time, "time_unit": "us", "run_type": "iteration", "family_index": family,
            "per_family_instance_index": 0} | more


class Figures(unittest.TestCase):
    def test_the_ratio_is_after_through_before(self):
        self.assertEqual(figures.compared({"a": 4, "gone": 1}, {"new": 2, "a": 6}),
                         [{"name": "a", "before": 4, "after": 6, "ratio": 1.5}])

    def test_there_is_no_ratio_to_zero(self):
        self.assertIsNone(figures.compared({"a": 0}, {"a": 6})[0]["ratio"])
        self.assertIn("-", figures.comparison({"a": 0}, {"a": 6})[1])

    def test_what_only_one_has_is_named(self):
        self.assertEqual(figures.comparison({"a": 1, "gone": 1}, {"new": 2, "a": 1})[-1], "in one of the two only: gone, new")

    def test_figures_in_figures_have_long_names_and_words_none(self):
        self.assertEqual(figures.flat({"hot": {"cpu": {"store": 2.5}, "held": True, "note": "x"}, "n": 1}), {"hot.cpu.store": 2.5, "n": 1})


class PureBenchmarks(unittest.TestCase):
    def test_of_the_repetitions_the_least_is_kept_in_the_programs_order(self):
        kept = pure_benchmarks.least_of_each([repetition("b", 9.0, family=1), repetition("a", 5.0), repetition("b", 3.0, family=1),
                                              repetition("b_mean", 6.0, family=1, run_type="aggregate")])
        self.assertEqual([(one["name"], one["cpu_time"], one["most_over_least"]) for one in kept], [("a", 5.0, 1.0), ("b", 3.0, 3.0)])

    def test_times_are_told_in_nanoseconds(self):
        self.assertEqual(pure_benchmarks.cpu_ns({"benchmarks": [repetition("a", 5.0), repetition("b", 5.0, time_unit="ns")]}),
                         {"a": 5000.0, "b": 5.0})


class SpentCost:
    """What two leaves took."""
    cpu_seconds = {"gateway": 0.002, "validator": 0.001, "store": 0.001, "postgres": 0.004}
    rpcs = {"GetEventContext": 2, "PersistEvent": 2}
    rpc_messages = {"GetEventContext": 1, "PersistEvent": 2}
    rpc_bytes = {"PersistEvent": 100}
    branches_asked = 1

    @staticmethod
    def transactions():
        return 2


class Scenarios(unittest.TestCase):
    def test_costs_are_told_for_each_leave(self):
        answers = [Answer("!r", "@a", 200, "$a", 2000, ""), Answer("!r", "@b", 503, "$b", 4000, "")]
        told = bench_scenarios.figures(Load(answers, 0.5, 0.0004), SpentCost(), log_bytes=3000, syncs=1)
        self.assertEqual((told["leaves"], told["answers"], told["leaves_per_second"]), (2, {"200": 1, "503": 1}, 4.0))
        self.assertEqual(told["ms"], {"50": 4.0, "95": 4.0, "99": 4.0, "most": 4.0})
        self.assertEqual(told["cpu_us"], {"gateway": 1000, "validator": 500, "store": 500, "postgres": 2000, "in_all": 4000, "client": 200})
        self.assertEqual(told["cpu_over_client"], 20.0)
        self.assertEqual([told[name] for name in ("rpcs", "messages", "rpc_bytes", "wal_bytes", "fsyncs", "transactions", "branches_asked")],
                         [2, 1.5, 50, 1500, 0.5, 1, 0.5])

    def test_of_validators_that_are_held_is_said_what_each_made_over_the_first(self):
        def held(validators, a_second):
            return {"held_validators": validators, "leaves_per_second": a_second, "quota_used": 0.97, "cpu_us": {"validator": 500.0},
                    "judging_messages": 0.5, "machine_idle": 0.4}

        lines = bench.told_of_scaling({"many-rooms": {}, "held-1": held(1, 40.0), "held-4": held(4, 152.0)})
        self.assertEqual([line.split()[:4] for line in lines[2:]], [["1", "40.0", "40.0", "1.000"], ["4", "152.0", "38.0", "0.950"]])
        self.assertEqual(bench.told_of_scaling({"many-rooms": {}}), [])

    def test_rooms_are_taken_in_turn(self):
        members = [("!a", "@1"), ("!a", "@2"), ("!a", "@3"), ("!b", "@1"), ("!b", "@2")]
        self.assertEqual(bench_scenarios.in_turn(members), [("!a", "@1"), ("!b", "@1"), ("!a", "@2"), ("!b", "@2"), ("!a", "@3")])


class PlayedDatabase:
    """Of its connections as many have not reported, each time that is asked, as `silent` says."""

    def __init__(self, silent):
        self.silent, self.asked = list(silent), []

    def rows(self, query):
        self.asked.append(query)
        if "pg_stat_activity" in query:
            return [[str(self.silent.pop(0))]]
        return [["7"]] if "pg_stat_wal" in query else [["1000.0"]]


class Syncs(unittest.TestCase):
    def setUp(self):
        self.addCleanup(setattr, write_ahead_log.time, "sleep", write_ahead_log.time.sleep)
        self.slept = []
        write_ahead_log.time.sleep = self.slept.append

    def test_are_read_when_every_connection_has_reported(self):
        read = []
        self.assertEqual(WriteAheadLog(PlayedDatabase([2, 0]), lambda: read.append(1)).syncs(), 7)
        self.assertEqual((len(read), len(self.slept)), (2, 2))

    def test_are_waited_for_where_one_does_not_read(self):
        self.assertEqual(WriteAheadLog(PlayedDatabase([1, 1, 1]), lambda: None).syncs(), 7)
        self.assertGreater(self.slept[-1], write_ahead_log.IDLE_REPORT_SECONDS)


if __name__ == "__main__":
    unittest.main()
