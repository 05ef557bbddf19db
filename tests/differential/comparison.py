"""Compares answers, explains differences by the amendments, and keeps the account."""
import collections

MISMATCHES_SHOWN = 20


class Comparison:
    def __init__(self, seed):
        self.seed = seed
        self.mismatches = 0
        self.agreed = collections.Counter()  # by operation and what was answered
        self.explained = collections.Counter()  # by operation and amendments

    def take(self, cases, outputs):
        for case, output in zip(cases, outputs):
            answer = case.answer_of(output)
            if case.reference() is not None and answer == case.reference():
                self.agreed[case.op, case.kind()] += 1
                continue
            amended, names = case.amended()
            if amended is not None and answer == amended and names:
                self.explained[case.op, ", ".join(names)] += 1
            else:
                self._mismatch(case, output, amended, names)

    def _mismatch(self, case, output, amended, names):
        self.mismatches += 1
        if self.mismatches > MISMATCHES_SHOWN:
            return
        number = case.room.removeprefix("room")
        print(f"MISMATCH {case.op} in {case.room}: --seed {self.seed} --room {number}\n"
              f"  postern:   {output}\n  reference: {case.reference()} {case.broke}\n  amended:   {amended} {names}\n"
              f"  {case.line(case.room)}", flush=True)

    def report(self):
        for (op, kind), count in sorted(self.agreed.items()):
            print(f"{count:9} {op}: {kind}")
        for (op, names), count in sorted(self.explained.items()):
            print(f"{count:9} {op}: as the specification, not the reference: {names}")

    def is_telling(self, rooms):
        """Whether the rooms were worth growing: much was allowed, much refused, and much had to be resolved."""
        needed = {("auth_check", "allowed"): 5, ("auth_check", "refused"): 5, ("state_resolve", "equal, power or members disputed"): 2}
        poor = [f"{op} {kind}" for (op, kind), each in needed.items() if self.agreed[op, kind] < each * rooms]
        if poor and rooms >= 100:
            print(f"too few cases of: {', '.join(poor)}")
            return False
        return True
