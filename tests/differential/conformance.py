"""Asks postern-conformance."""
import json
import subprocess


def outputs(program, cases):
    """The outputs to `cases`, in their order."""
    lines = "\n".join(case.line(str(number)) for number, case in enumerate(cases)) + "\n"
    answered = subprocess.run([str(program)], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    by_id = {}
    for line in answered.splitlines():
        answer = json.loads(line)
        by_id[answer["id"]] = answer["output"]
    return [by_id[str(number)] for number in range(len(cases))]
