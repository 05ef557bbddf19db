#!/usr/bin/env python3
"""docs/logs.md: that it has every message and every field that the services write."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
FOLDERS = ("configuration", "http", "matrix", "rpc", "services", "telemetry")
CALL = re.compile(r"telemetry::Log\((.*?)\);", re.DOTALL)
FIELD = re.compile(r'\{"(\w+)",')


def calls():
    """(file, arguments) of each line that is written."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.cc")):
            for found in CALL.finditer(file.read_text(encoding="utf-8")):
                yield file.relative_to(ROOT), found[1]


class LogsTest(unittest.TestCase):
    def test_every_message_has_its_row(self):
        count = 0
        for file, arguments in calls():
            for message in re.findall(r'"([^"]{3,})"', FIELD.split(arguments)[0]):
                count += 1
                with self.subTest(file=file, message=message):
                    self.assertIn(f"`{message}`", PAGE)
        self.assertGreater(count, 30)

    def test_every_field_is_spoken_of(self):
        for file, arguments in calls():
            for field in FIELD.findall(arguments):
                with self.subTest(file=file, field=field):
                    self.assertIn(f"`{field}`", PAGE)


if __name__ == "__main__":
    unittest.main()
