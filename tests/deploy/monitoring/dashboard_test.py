#!/usr/bin/env python3
"""The dashboard, as Grafana reads it: panels that have a place, a question and an answer. What their queries find: queries_test.py."""
import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
DASHBOARD = json.loads((ROOT / "deploy" / "chart" / "files" / "dashboard.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Of Grafana itself, and of its field options.
KINDS = {"timeseries", "stat", "table"}
UNITS = {"short", "s", "reqps", "ops", "percentunit", "bytes", "Bps"}
# Counted, but another metric that is shown says the same.
SAID_BY_ANOTHER = {"postern_gateway_conflicts_total", "postern_validator_verdicts_total"}


def cells(panel):
    place = panel["gridPos"]
    return {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}


class DashboardTest(unittest.TestCase):
    def test_it_is_known_by_its_uid_and_belongs_to_no_installation(self):
        self.assertEqual((DASHBOARD["uid"], DASHBOARD["title"]), ("postern", "Postern"))
        self.assertNotIn("id", DASHBOARD)
        self.assertNotIn("__inputs", DASHBOARD)
        self.assertGreaterEqual(DASHBOARD["schemaVersion"], 36)

    def test_each_panel_has_an_id_and_a_place_of_its_own(self):
        self.assertEqual(len({panel["id"] for panel in PANELS}), len(PANELS))
        taken = set()
        for panel in PANELS:
            with self.subTest(panel=panel["title"]):
                of_panel = cells(panel)
                self.assertFalse(taken & of_panel)
                self.assertLessEqual(max(x for x, _ in of_panel), WIDTH - 1)
                taken |= of_panel

    def test_each_row_is_a_question_or_a_part_and_holds_panels(self):
        kinds = [panel["type"] for panel in sorted(PANELS, key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))]
        self.assertEqual(kinds[0], "row")
        self.assertNotIn(("row", "row"), list(zip(kinds, kinds[1:])))

    def test_each_panel_says_what_it_shows_and_asks_for_it(self):
        for panel in SHOWN:
            with self.subTest(panel=panel["title"]):
                self.assertIn(panel["type"], KINDS)
                self.assertTrue(panel["description"])
                self.assertEqual(panel["datasource"], SOURCE)
                self.assertEqual(len({target["refId"] for target in panel["targets"]}), len(panel["targets"]))
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"], SOURCE)
                    self.assertTrue(target["expr"])
                    self.assertIn('namespace=~"$namespace"', target["expr"])
                self.assertIn(panel["fieldConfig"]["defaults"].get("unit", "short"), UNITS)

    def test_every_metric_of_the_services_is_read(self):
        code = "".join(file.read_text(encoding="utf-8") for folder in ("http", "rpc", "services", "telemetry")
                       for file in (ROOT / folder).rglob("*.*") if file.suffix in (".cc", ".h"))
        read = json.dumps(DASHBOARD) + (ROOT / "deploy" / "chart" / "files" / "rules.yml").read_text(encoding="utf-8")
        unread = {metric for metric in re.findall(r'"(postern_[a-z_]+)"', code) if metric not in read}
        self.assertEqual(unread, SAID_BY_ANOTHER)

    def test_no_title_comes_twice(self):
        titles = [panel["title"] for panel in PANELS]
        self.assertEqual(len(set(titles)), len(titles))

    def test_every_variable_that_is_used_is_there(self):
        variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
        self.assertEqual(set(variables), {"datasource", "namespace"})
        self.assertEqual(variables["datasource"]["query"], "prometheus")
        self.assertEqual(variables["namespace"]["allValue"], ".*")


if __name__ == "__main__":
    unittest.main()
