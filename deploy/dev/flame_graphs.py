"""Where the CPU of a stack goes while a load is played: perf's samples of each service, as flame graphs."""
import collections
import contextlib
import html
import os
import re
import shutil
import subprocess

from cluster import Trouble
from stack_cost import SERVICES, children_of

HERTZ = 499
STACK_BYTES = 16384  # of each sample: programs and libraries have no frame pointers, so perf unwinds from a copy of the stack
TRIES = 5
ACKNOWLEDGED = b"ack\n"
WIDTH, ROW, MARGIN = 1200, 16, 34
SMALLEST_SHARE = 0.003
SAMPLE_FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")
ANGLES = re.compile(r"<[^<>]*>")


class FlameGraphs:
    """Samples from when it is made until `end`, which writes `directory`/NAME-SERVICE.svg and returns the files."""

    def __init__(self, reach, directory, name):
        if shutil.which("perf") is None:
            raise Trouble("flame graphs need perf: install linux-perf")
        self.directory, self.name = directory, name
        directory.mkdir(parents=True, exist_ok=True)
        self.controls = []  # closed, they end what perf samples
        self.recorders = {service: self._recorder(service, lambda service=service: reach["pids"][service]) for service in SERVICES[:3]}
        postgres = reach["pids"]["postgres"]
        self.recorders["postgres"] = self._recorder("postgres", lambda: [postgres, *children_of(postgres)])

    def _recorder(self, service, pids):
        """A perf that samples `pids()`, and has begun to. One of PostgreSQL's children may end before perf has found it: then once more."""
        for _ in range(TRIES):
            asked, ask = os.pipe()
            acknowledgement, acknowledge = os.pipe()
            process = subprocess.Popen(
                ["perf", "record", "-q", "-F", str(HERTZ), "--call-graph", f"dwarf,{STACK_BYTES}", "-o", self._samples(service),
                 "--delay", "-1", "--control", f"fd:{asked},{acknowledge}", "-p", ",".join(map(str, pids()))],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(asked, acknowledge))
            os.close(asked)
            os.close(acknowledge)
            control = (open(ask, "wb", buffering=0), open(acknowledgement, "rb", buffering=0))
            with contextlib.suppress(BrokenPipeError):
                control[0].write(b"enable\n")
            if control[1].read(len(ACKNOWLEDGED)) == ACKNOWLEDGED:
                self.controls += control
                return process
            for pipe in control:
                pipe.close()
            process.wait()
        raise Trouble(f"perf does not sample {service}: try `perf record -p` with the id of one of its processes")

    def _samples(self, service):
        return self.directory / f"{self.name}-{service}.perf"

    def end(self):
        for recorder in self.recorders.values():
            recorder.terminate()
        for pipe in self.controls:
            pipe.close()
        written = []
        for service, recorder in self.recorders.items():
            recorder.wait()
            file = self.directory / f"{self.name}-{service}.svg"
            file.write_text(drawn(folded(self._samples(service)), f"{service}, {self.name}"), encoding="utf-8")
            self._samples(service).unlink()
            written.append(file)
        return written


def folded(samples):
    """{stack, the outermost function first: how often it was met}."""
    told = subprocess.run(["perf", "script", "-i", samples, "--no-inline", "-F", "comm,ip,sym,dso"], check=True, capture_output=True, text=True,
                          errors="replace").stdout
    stacks, thread, frames = collections.Counter(), "", []
    for line in [*told.splitlines(), ""]:
        frame = SAMPLE_FRAME.match(line)
        if frame:
            frames.append(shortened(*frame.groups()))
        elif line.strip():
            thread = line.strip()
        elif frames:
            stacks[(thread, *reversed(frames))] += 1
            frames = []
    return stacks


def shortened(function, library):
    """Without what templates are of, and a name for what has none."""
    if function == "[unknown]":
        return f"[{library.rpartition('/')[2]}]"
    while ANGLES.search(function):
        function = ANGLES.sub("", function)
    return function.partition("(")[0] or function


class Node:
    def __init__(self):
        self.count, self.children = 0, {}


def tree_of(stacks):
    root = Node()
    for stack, count in stacks.items():
        node = root
        node.count += count
        previous = None
        for function in stack:
            if function != previous:  # what is inlined or calls itself is one frame
                node = node.children.setdefault(function, Node())
                node.count += count
            previous = function
    return root


def depth_of(node, least):
    return 1 + max((depth_of(child, least) for child in node.children.values() if child.count >= least), default=0)


def drawn(stacks, title):
    """An SVG that needs nothing else: a box for each function, as wide as its share, the callers below; its title says the share."""
    root = tree_of(stacks)
    if not root.count:
        raise Trouble(f"perf saw nothing of {title}")
    least = SMALLEST_SHARE * root.count
    height = depth_of(root, least) * ROW + MARGIN
    boxes = []

    def draw(node, name, left, level):
        width = WIDTH * node.count / root.count
        top = height - (level + 1) * ROW
        share = f"{html.escape(name)}: {100 * node.count / root.count:.1f} %"
        shown = html.escape(name[:int(width / 6.2)]) if width > 30 else ""
        hue = 20 + sum(map(ord, name)) % 35
        boxes.append(f'<g><title>{share}</title><rect x="{left:.1f}" y="{top}" width="{max(width - 0.4, 0.2):.1f}" height="{ROW - 1}" '
                     f'fill="hsl({hue},80%,68%)"/>' + (f'<text x="{left + 2:.1f}" y="{top + 11}">{shown}</text>' if shown else "") + "</g>")
        for child_name, child in sorted(node.children.items()):
            if child.count >= least:
                draw(child, child_name, left, level + 1)
            left += WIDTH * child.count / root.count

    draw(root, "all", 0.0, 0)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" font-size="10">\n'
            f'<rect width="100%" height="100%" fill="#fdfdf6"/><text x="4" y="18" font-size="14">{html.escape(title)}: {root.count} samples</text>\n'
            + "\n".join(boxes) + "\n</svg>\n")
