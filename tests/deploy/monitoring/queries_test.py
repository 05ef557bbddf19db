#!/usr/bin/env python3
"""Every query of the dashboard and of the rules, asked of a real Prometheus that reads a running stack under a small load: none is an
error, and each finds something, but for those listed in QUIET. Then trouble is made, and the alerts see it. POSTERN_BIN_DIR names the
programs."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "deploy" / "dev"))
from bench_scenarios import in_turn
from leave_load import Sender
from load_stack import LoadStack, RemoteServer
from propagation import Destinations
from real_prometheus import PlayedExporter, Prometheus, read_json
from room_size import topic_of_operator

RULES = ROOT / "deploy" / "chart" / "files" / "rules.yml"
DASHBOARD = ROOT / "deploy" / "chart" / "files" / "dashboard.json"
PROGRAMS = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"))
NAMESPACE = "test"
PATIENCE_SECONDS = 30
LIMITS = "rc_federation: {window_size: 1000, sleep_limit: 20, sleep_delay: 50, reject_limit: 30, concurrent: 8}\n"
# Slow enough that Prometheus sees counters grow, and not only that they are there.
ROOMS, USERS, LEAVES_PER_SECOND = 6, 15, 12
FLOOD, FLOOD_AT_ONCE = 1000, 256

# What shows only in trouble, or only with other servers that have names, by what it needs. Without its namespace.
QUIET = {
    'ALERTS{alertname=~"Postern.*", alertstate="firing"}': "an alert",
    'postern_gateway_requests_total{route=~"send_leave_v[12]", status=~"5.."}': "an answer 5xx",
    'postern_gateway_refusals_total{reason="internal"}': "a fault of ours",
    'postern_gateway_refusals_total{reason="state_unresolved"}': "a room beyond the bounds of state resolution",
    'postern_gateway_refusals_total{reason="room_busy"}': "32 conflicts of one event",
    'postern_gateway_refusals_total{reason="overloaded"}': "a request that waits for a second",
    'postern_gateway_refusals_total{reason=~"unauthenticated|origin_key_unavailable|signing_key_unavailable"}': "a wrong signature",
    'postern_gateway_dummy_events_total{outcome="nobody_may"}': "a room where no user of ours may send",
    'postern_gateway_dummy_events_total{outcome=~"failed|room_busy|state_unresolved"}': "trouble with a room",
    'postern_gateway_rpc_seconds_count{outcome="overloaded"}': "1024 calls that wait",
    'postern_gateway_rpc_seconds_count{outcome=~"store_down|validator_down"}': "a tier that is down",
    'postern_gateway_rpc_seconds_count{outcome=~"store_down|validator_down|overloaded|deadline_exceeded|internal"}': "a tier that is down",
    'postern_gateway_rpc_given_up_total': "a replica that hangs",
    'postern_rpc_requests_total{answer="store_down"}': "no PostgreSQL",
    'postern_store_connections_opened_total{result="failed"}': "no PostgreSQL",
    'postern_store_conflicts_total': "two events of a room at the same moment",
    'postern_store_commits_in_doubt_total': "a connection lost around a commit",
    'postern_gateway_parked_pdus_total': "a server that answers 400",
    'postern_gateway_pdu_errors_total': "a server that does not accept an event",
    'postern_gateway_key_fetches_total{result="failed"}': "a server without keys",
    'postern_gateway_key_fetches_total{result="over_the_cap"}': "many servers without keys",
    'postern_gateway_rate_limited_total{action="refused", scope="address"}': "5000 requests at once from one address",
    'postern_gateway_well_known_fetches_total': "a server whose name has no port",
    'postern_gateway_gap_fetches_total': "a leave that cites an event that is not known",
    'postern_gateway_policy_server_rooms_total': "a room with a policy server",
    'postern_gateway_received_invites_total': "a server that invites users of ours",
    'postern_gateway_invite_leaves_total': "an invite that is rejected",
    'postern_gateway_received_transactions_total': "a server that sends transactions",
    'postern_gateway_received_pdus_total': "a server that sends events",
    'postern_gateway_received_edus_total': "a server that sends EDUs",
    'postern_gateway_streamed_answers_total': "a join of a large room",
    'postern_certificate_not_after_seconds': "TLS",
    'postern_calls_refused_total': "somebody who may not call",
    'postern_spans_total': "a collector of spans",
}
SELECTOR = re.compile(r"\b(postern(?:_gateway_|_validator_|_store_|_rpc_|_calls_|_certificate_|_build_|_spans_|:)[a-z0-9_:]+|process_[a-z_]+|up|ALERTS|container_[a-z_]+|kube_[a-z_]+)(\{[^}]*\})?")
SERIES_ENDINGS = re.compile(r"_(bucket|count|sum)$")
# As cAdvisor and kube-state-metrics write them.
CLUSTER_METRICS = """\
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{{namespace="{namespace}",pod="{pod}",container="postern"}} 1.5
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{{namespace="{namespace}",pod="{pod}",container="postern"}} 3e7
# TYPE kube_pod_container_status_restarts_total counter
kube_pod_container_status_restarts_total{{namespace="{namespace}",pod="{pod}",container="postern"}} 0
"""


def selectors(query):
    """What `query` reads, without the namespace that it is narrowed to."""
    found = set()
    for metric, labels in SELECTOR.findall(query):
        kept = [label for label in re.findall(r'[a-z_]+(?:=~|!~|!=|=)"[^"]*"', labels) if not label.startswith("namespace")]
        found.add(f"{metric}{{{', '.join(sorted(kept))}}}" if kept else metric)
    return found


def dashboard_queries():
    """(panel, query) with Grafana's variables filled in."""
    for panel in read_json(DASHBOARD)["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$namespace", ".*").replace("$__rate_interval", "1m")
            yield panel["title"], query


class Watched:
    """A stack, servers that it tells, and a Prometheus that reads it all."""

    def __init__(self, keep):
        self.directory = pathlib.Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="postern-monitoring-")))
        limits = self.directory / "limits.yaml"
        limits.write_text(LIMITS, encoding="utf-8")
        self.stack = LoadStack(self.directory / "stack", validators=2, gateways=2, gateway_settings=limits)
        keep.callback(self.stack.end)
        self.remote = RemoteServer(self.directory, PROGRAMS)
        keep.callback(self.remote.end)
        self.destinations = Destinations(self.directory, healthy=2, dead=1)
        keep.callback(self.destinations.end)
        targets = [(url.removeprefix("http://"), {"postern_tier": tier, "namespace": NAMESPACE, "pod": f"{tier}-{number}"})
                   for tier, urls in self.stack.reach["admin"].items() for number, url in enumerate(urls)]
        exporter = PlayedExporter("".join(CLUSTER_METRICS.format(namespace=NAMESPACE, pod=labels["pod"]) for _, labels in targets))
        keep.callback(exporter.end)
        self.prometheus = Prometheus(self.directory, RULES, targets + [(exporter.address, {})])
        keep.callback(self.prometheus.end)
        self.prometheus.wait_until_ready()

    def play(self):
        """Leaves that are stored, one that is not, a fork, and a flood."""
        sender = Sender(self.stack, self.remote, self.directory, 16)
        members = in_turn(self.stack.seed(self.remote, ROOMS, USERS, "leaves", others=self.destinations.all()))
        batch = sender.take_templates(members)
        topic_of_operator(self.stack, members[0][0])
        statuses = sender.measured([], batch, lambda: None, LEAVES_PER_SECOND).by_status()
        if set(statuses) != {200}:
            raise RuntimeError(f"the load was answered {statuses}")
        self._tamper(*self.stack.seed(self.remote, 1, 1, "tampered")[0])
        flooding = Sender(self.stack, self.remote, self.directory, FLOOD_AT_ONCE)
        flood = [batch[number % len(batch)] for number in range(FLOOD)]
        flooding.send(flood)
        # What a counter has when it is first read is not growth: a flood that ends before that shows in no rate.
        if not self.prometheus.wait_for('postern_gateway_limited_requests_total{action="refused"}', PATIENCE_SECONDS):
            raise RuntimeError("a flood was not refused, or nobody reads the gateway")
        flooding.send(flood)

    def _tamper(self, room, user):
        command = self.stack.posternctl("leave", "--as", user, room, "--key", self.remote.key, "--to",
                                        self.stack.reach["federation_url"], "--destination", self.stack.reach["server_name"],
                                        "--no-key-server", "--tamper-signature")
        subprocess.run(command, check=False, capture_output=True, cwd=ROOT)

    def pid(self, tier):
        pids = self.stack.reach["pids"][tier]
        return pids if isinstance(pids, int) else pids[0]


class QueriesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keep = contextlib.ExitStack()
        cls.addClassCleanup(keep.close)
        cls.watched = Watched(keep)
        cls.watched.play()
        cls.prometheus = cls.watched.prometheus
        cls.until = time.monotonic() + PATIENCE_SECONDS
        cls.rules = [rule for group in cls.rules_of_prometheus() for rule in group["rules"]]

    @classmethod
    def rules_of_prometheus(cls):
        with urllib.request.urlopen(f"{cls.prometheus.url}/api/v1/rules", timeout=30) as answer:
            return json.load(answer)["data"]["groups"]

    def found(self, query):
        """Whether `query` finds something; soon after the load, what has yet to be read is waited for."""
        return bool(self.prometheus.wait_for(query, max(0, self.until - time.monotonic())))

    def test_1_each_query_of_the_dashboard_finds_something(self):
        asked = 0
        for panel, query in dashboard_queries():
            with self.subTest(panel=panel, query=query):
                asked += 1
                self.prometheus.ask(query)
                if not selectors(query) & QUIET.keys():
                    self.assertTrue(self.found(query), "it finds nothing")
        print(f"{asked} queries of the dashboard")

    def test_1_each_series_that_a_rule_reads_is_there(self):
        read = set()
        for rule in self.rules:
            self.prometheus.ask(rule["query"])
            read |= selectors(rule["query"])
        for selector in sorted(read):
            with self.subTest(selector=selector):
                self.assertTrue(selector in QUIET or self.found(selector), "there is no such series")
        print(f"{len(self.rules)} rules, {len(read)} selectors")

    def test_1_what_is_listed_as_quiet_is_read_and_known_to_the_code(self):
        read = set()
        for query in [query for _, query in dashboard_queries()] + [rule["query"] for rule in self.rules]:
            read |= selectors(query)
        self.assertLessEqual(set(QUIET), read)
        code = "".join(file.read_text(encoding="utf-8") for folder in ("http", "rpc", "services", "telemetry")
                       for file in (ROOT / folder).rglob("*.*") if file.suffix in (".cc", ".h"))
        for selector in QUIET:
            metric = SERIES_ENDINGS.sub("", selector.partition("{")[0])
            if metric != "ALERTS":
                self.assertIn(f'"{metric}"', code)

    def test_1_no_rule_is_broken_and_nothing_fires_that_need_not(self):
        for group in self.rules_of_prometheus():
            for rule in group["rules"]:
                self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
        firing = {alert["metric"]["alertname"] for alert in self.prometheus.ask('ALERTS{alertstate="firing"}')}
        self.assertEqual(firing, set())

    def test_2_trouble_is_seen(self):
        self.assert_alerts("PosternOriginFloods")
        os.kill(self.watched.pid("validator"), signal.SIGKILL)
        self.assert_alerts("PosternReplicaDown", 'postern_tier="validator"')
        os.kill(self.watched.pid("postgres"), signal.SIGINT)  # its fast shutdown
        self.assert_alerts("PosternDatabaseAway")
        unreachable = 'sum by (peer) (rate(postern_gateway_rpc_seconds_count{outcome=~"store_down|validator_down"}[2m])) > 0'
        self.assertTrue(self.prometheus.wait_for(unreachable, PATIENCE_SECONDS), "no gateway has noticed")
        os.kill(self.watched.pid("store"), signal.SIGKILL)
        self.assert_alerts("PosternTierDown", 'postern_tier="store"')

    def assert_alerts(self, name, labels=""):
        began = time.monotonic()
        found = self.prometheus.wait_for(f'ALERTS{{alertname="{name}", {labels}}}', PATIENCE_SECONDS)
        self.assertTrue(found, f"{name} is not even pending")
        print(f"{name}: {found[0]['metric']['alertstate']} after {time.monotonic() - began:.1f} s")
        for group in self.rules_of_prometheus():
            for alert in (alert for rule in group["rules"] for alert in rule.get("alerts", ())):
                for text in alert["annotations"].values():
                    self.assertNotRegex(text, "<error|<no value>|%!")


if __name__ == "__main__":
    unittest.main()
