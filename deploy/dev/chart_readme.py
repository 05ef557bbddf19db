#!/usr/bin/env python3
"""Writes deploy/chart/README.md: what stands in README.head.md there, and a table of every value, from the comments of values.yaml.

A comment of one or more lines that begins with `# -- ` describes the key below it; a key that has only keys below it needs none.
With --check nothing is written; the exit status says whether the file is current."""
import pathlib
import re
import sys

CHART = pathlib.Path(__file__).resolve().parents[1] / "chart"
KEY = re.compile(r"^( *)([A-Za-z][\w]*):(?: +(.*))?$")
COMMENT = re.compile(r"^ *# ?(.*)$")


class Undocumented(Exception):
    """A value of which no comment says what it is for."""


def described_values(text):
    """[(dotted name, default as YAML, what it is for)] of a values.yaml, in its order."""
    found, path, comment = [], [], None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := COMMENT.match(line):
            said = match.group(1)
            comment = said[3:] if said.startswith("-- ") else f"{comment} {said}" if comment is not None else None
            continue
        match = KEY.match(line)
        if match is None:
            comment = None if not line.strip() else comment
            continue
        indent, key, value = len(match.group(1)) // 2, match.group(2), match.group(3)
        if indent > len(path):
            continue  # inside of a value that was described as a whole
        path = path[:indent]
        if comment is None and value is not None:
            raise Undocumented(f"line {number + 1}: {'.'.join([*path, key])}: no comment says what it is for")
        if comment is None:
            path.append(key)  # what is below speaks for itself
            continue
        found.append((".".join([*path, key]), value if value is not None else below(lines, number), comment))
        comment = None
    return found


def below(lines, number):
    """The default of a key whose value stands in the lines below it; empty if none does."""
    indent = len(lines[number]) - len(lines[number].lstrip())
    block = []
    for line in lines[number + 1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        block.append(line.strip())
    return "see values.yaml" if any(block) else ""


def cell(text):
    return text.replace("|", "\\|")


def readme():
    head = (CHART / "README.head.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {f'`{cell(default)}`' if default and default != 'see values.yaml' else default} | {cell(what)} |"
            for name, default, what in described_values((CHART / "values.yaml").read_text(encoding="utf-8"))]
    return "\n".join([head.rstrip(), "", "## Values", "", "| value | default | |", "|---|---|---|", *rows, ""])


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print("usage: deploy/dev/chart_readme.py [--check]", file=sys.stderr)
        return 2
    try:
        text = readme()
    except Undocumented as undocumented:
        print(f"deploy/chart/values.yaml, {undocumented}", file=sys.stderr)
        return 1
    file = CHART / "README.md"
    if sys.argv[1:] == ["--check"]:
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return 0
        print("deploy/chart/README.md is not what values.yaml says: run deploy/dev/chart_readme.py", file=sys.stderr)
        return 1
    file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
