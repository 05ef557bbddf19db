#!/usr/bin/env python3
"""./dev bench --compare would mislead if it paired or divided wrongly."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "dev"))
import figures
import pure_benchmarks


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


if __name__ == "__main__":
    unittest.main()
