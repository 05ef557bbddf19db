#!/usr/bin/env python3
"""The alerts: that promtool takes them, that each has been seen to fire and not to fire, and that each leads to a page that exists."""
import pathlib
import re
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy" / "chart" / "files" / "rules.yml"
TESTS = sorted(pathlib.Path(__file__).parent.glob("*.test.yml"))


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120)


def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts():
    return [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"] if "alert" in rule]


def cases():
    """(name, the alerts that are expected) of each test."""
    for file in TESTS:
        for test in read_yaml(file)["tests"]:
            expected = [sample["labels"] for check in test["promql_expr_test"] for sample in check.get("exp_samples", ())]
            yield test["name"], " ".join(expected)


def anchors(page):
    """As a forge makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


class RulesTest(unittest.TestCase):
    def test_promtool_takes_the_rules(self):
        done = promtool("check", "rules", RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_alerts_fire_when_they_should_and_only_then(self):
        done = promtool("test", "rules", *TESTS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_alert_was_seen_to_fire_and_not_to_fire(self):
        for name in (rule["alert"] for rule in alerts()):
            of_alert = [(said, expected) for said, expected in cases() if said.split()[0] == name]
            with self.subTest(alert=name):
                fires = [said for said, expected in of_alert if f'"{name}"' in expected or name == "PosternTierAbsent" and expected]
                silent = [said for said, expected in of_alert if said not in fires]
                self.assertTrue(fires, "no test in which it fires")
                self.assertTrue(silent, "no test in which it does not")

    def test_each_alert_says_how_bad_it_is_and_leads_to_a_page(self):
        for rule in alerts():
            with self.subTest(alert=rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})
                page, _, anchor = rule["annotations"]["runbook"].partition("#")
                self.assertIn(anchor, anchors(ROOT / page))

    def test_no_page_speaks_of_an_alert_that_is_none(self):
        known = {rule["alert"] for rule in alerts()}
        for page in (ROOT / "docs" / "runbooks").glob("*.md"):
            with self.subTest(page=page.name):
                self.assertLessEqual(set(re.findall(r"\bPostern[A-Z]\w+", page.read_text(encoding="utf-8"))), known)


if __name__ == "__main__":
    unittest.main()
