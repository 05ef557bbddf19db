"""What a stack spent between two moments: CPU by service, from /proc; round trips and transactions, from /metrics."""
import os
import pathlib
import re
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
SERVICES = ("gateway", "validator", "store", "postgres")
# What a template takes; a leave's own are counted apart from it.
TEMPLATE_METHODS = {"GetTemplateContext", "Authorize"}
WRITES = {"persist_events", "persist_plain", "create_room", "seed_events", "put_server_keys"}
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def stat_fields(pid):
    """The fields after the name, as proc(5) numbers them from 3 on; None for a process that is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def ticks_of(pid):
    """Of the process itself, then of those of its children that have ended and been waited for."""
    fields = stat_fields(pid)
    if fields is None:
        return 0, 0
    user, system, children_user, children_system = (int(field) for field in fields[11:15])
    return user + system, children_user + children_system


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields is not None and int(fields[1]) == pid:
            found.append(int(entry))
    return found


def postgres_ticks(postmaster):
    own, reaped = ticks_of(postmaster)
    return own + reaped + sum(ticks_of(child)[0] for child in children_of(postmaster))


def samples(admin_url, name):
    """[(labels, value)] of one metric."""
    with urllib.request.urlopen(admin_url + "/metrics", timeout=10) as answer:
        text = answer.read().decode("utf-8")
    found = []
    for line in text.splitlines():
        match = SAMPLE.match(line)
        if match and match[1] == name:
            found.append((dict(LABEL.findall(match[2] or "")), float(match[3])))
    return found


class Snapshot:
    """A stack as it is now. What a gateway does unasked, such as gathering extremities, is no leave's: of that only the CPU counts."""

    def __init__(self, reach):
        pids = reach["pids"]
        self.ticks = {service: {pid: ticks_of(pid)[0] for pid in pids[service] if stat_fields(pid)} for service in SERVICES[:3]}
        self.ticks["postgres"] = {pids["postgres"]: postgres_ticks(pids["postgres"])}
        self.rpcs, self.rpc_messages, self.rpc_bytes, self.writes, self.refusals = {}, {}, {}, {}, {}
        self.branches_asked = 0
        for url in reach["admin"]["gateway"]:
            for labels, value in samples(url, "postern_gateway_rpc_seconds_count"):
                if labels["caller"] == "request":
                    self._add(self.rpcs, labels["method"], value)
                elif labels["method"] == "PersistEvent":
                    self._add(self.writes, "unasked", -value)
            for labels, value in samples(url, "postern_gateway_rpc_bytes_total"):
                if labels["caller"] == "request":
                    self._add(self.rpc_bytes, labels["method"], value)
            for labels, value in samples(url, "postern_gateway_rpc_messages_total"):
                if labels["caller"] == "request":
                    self._add(self.rpc_messages, labels["method"], value)
            self.branches_asked += sum(int(value) for _, value in samples(url, "postern_gateway_branches_asked_total"))
            for labels, value in samples(url, "postern_gateway_refusals_total"):
                self._add(self.refusals, labels["reason"], value)
        for url in reach["admin"]["store"]:
            for labels, value in samples(url, "postern_store_transaction_seconds_count"):
                if labels["statement"] in WRITES:
                    self._add(self.writes, labels["statement"], value)

    @staticmethod
    def _add(counts, key, value):
        counts[key] = counts.get(key, 0) + int(value)


class Cost:
    """What lies between two snapshots."""

    def __init__(self, before, after):
        self.cpu_seconds = {}
        # Services of which a process ended meanwhile: what it had spent is not known.
        self.incomplete = [service for service in SERVICES if after.ticks[service].keys() != before.ticks[service].keys()]
        for service in SERVICES:
            was, now = before.ticks[service], after.ticks[service]
            self.cpu_seconds[service] = sum(now[pid] - was[pid] for pid in was.keys() & now.keys()) / TICKS
        self.rpcs = _difference(before.rpcs, after.rpcs)
        self.rpc_messages = _difference(before.rpc_messages, after.rpc_messages)
        self.rpc_bytes = _difference(before.rpc_bytes, after.rpc_bytes)
        self.writes = _difference(before.writes, after.writes)
        self.refusals = _difference(before.refusals, after.refusals)
        self.branches_asked = after.branches_asked - before.branches_asked

    def leave_rpcs(self):
        return sum(count for method, count in self.rpcs.items() if method not in TEMPLATE_METHODS)

    def leave_bytes(self):
        return sum(count for method, count in self.rpc_bytes.items() if method not in TEMPLATE_METHODS)

    def transactions(self):
        return sum(self.writes.values())


def _difference(before, after):
    changed = {key: value - before.get(key, 0) for key, value in after.items()}
    return {key: value for key, value in changed.items() if value}
