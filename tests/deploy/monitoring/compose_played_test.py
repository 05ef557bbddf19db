#!/usr/bin/env python3
"""deploy/compose.yaml without containers: PostgreSQL with a password, the three services with the very environment, secrets and names that it
gives them, and a real Prometheus with the very files that it mounts, in a network of their own which leads nowhere. Needs root. Not shown
by it: the images, and Grafana."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "deploy" / "dev"))
import stack
from cluster import DATABASE, Cluster
from compose_test import DEPLOY, GIVEN, PROGRAMS, SERVICES, TIERS, filled

INSIDE = "POSTERN_COMPOSE_PLAYED"
PASSWORD = "not-a-secret"
SECONDS = 90
READS = {"gateway": 9093, "validator": 9091, "store": 9092}
# What compose mounts where; a private mount namespace has them at the same places.
MOUNTED = {volume.split(":")[1]: DEPLOY / volume.split(":")[0]
           for volume in SERVICES["prometheus"]["volumes"] if volume.startswith("./")}


class Names:
    """A DNS server that has every service of the compose file at 127.0.0.1, as the network of compose has them, and nothing else."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, asker = self.socket.recvfrom(4096)
            name, kind, end = self._question(query)
            known = name.rstrip(".").lower() in SERVICES
            answers = 1 if known and kind == 1 else 0
            header = query[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + answers.to_bytes(2, "big") + b"\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + socket.inet_aton("127.0.0.1")
            self.socket.sendto(header + query[12:end] + record * answers, asker)

    @staticmethod
    def _question(query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        return ".".join(labels), int.from_bytes(query[at + 1:at + 3], "big"), at + 5


class Played:
    def __init__(self, keep):
        self.keep = keep
        self.directory = pathlib.Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="postern-compose-", dir="/tmp")))
        self.directory.chmod(0o711)
        self._places()
        self.names = Names()
        self._database()
        for tier in ("store", "validator", "gateway"):
            self._service(tier)
        self._prometheus()

    def _places(self):
        for command in (["ip", "link", "set", "lo", "up"], ["mount", "-t", "tmpfs", "tmpfs", "/run"], ["mount", "-t", "tmpfs", "tmpfs", "/etc/prometheus"]):
            subprocess.run(command, check=True)
        resolv = self.directory / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        subprocess.run(["mount", "--bind", resolv, os.path.realpath("/etc/resolv.conf")], check=True)
        for place, file in MOUNTED.items():
            pathlib.Path(place).write_bytes(file.read_bytes())
        secrets = pathlib.Path("/run/secrets")
        secrets.mkdir()
        (secrets / "database.uri").write_text(f"postgresql://postern:{PASSWORD}@postgres/postern\n", encoding="utf-8")
        subprocess.run([PROGRAMS / "posternctl", "key", "generate", "--output", secrets / "signing.key"], check=True, stdout=subprocess.DEVNULL)

    def _database(self):
        """As the image makes it: everybody from the network by password."""
        cluster = Cluster(self.directory)
        cluster.log.parent.mkdir()
        cluster.prepare()
        data = cluster.directory / "data"
        with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as settings:
            settings.write("listen_addresses = '*'\npassword_encryption = 'scram-sha-256'\n")
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n", encoding="utf-8")
        process, _ = cluster.start()
        self.keep.callback(self._end, process)
        cluster.wait_until_ready(process, SECONDS)
        subprocess.run([cluster.programs / "psql", "-q", "-X", "-h", cluster.directory, "-U", DATABASE, "-d", DATABASE,
                        "-c", f"alter role {DATABASE} password '{PASSWORD}'"], check=True)

    def _service(self, tier):
        settings = {name: filled(value) for name, value in SERVICES[tier]["environment"].items()}
        log = self.keep.enter_context(open(self.directory / f"{tier}.log", "wb"))
        process = subprocess.Popen([PROGRAMS / f"postern-{tier}"], env=settings, stdout=log, stderr=log)
        self.keep.callback(self._end, process)
        self.await_(f"{tier} to be ready", lambda: stack.what_is_missing(READS[tier]) is None)

    def _prometheus(self):
        # The image's own arguments.
        command = ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", f"--storage.tsdb.path={self.directory / 'metrics'}"]
        log = self.keep.enter_context(open(self.directory / "prometheus.log", "wb"))
        self.keep.callback(self._end, subprocess.Popen(command, stdout=log, stderr=log))
        self.await_("Prometheus", lambda: self.asked("targets") is not None)

    def asked(self, what):
        """The data of its API, or None while there is none."""
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/{what}", timeout=10) as answer:
                return json.load(answer)["data"]
        return None

    def await_(self, what, holds):
        deadline = time.monotonic() + SECONDS
        while not holds():
            if time.monotonic() > deadline:
                logs = "".join(f"\n{log.name}:\n{log.read_text(encoding='utf-8')[-2000:]}" for log in self.directory.glob("*.log"))
                raise RuntimeError(f"no {what} within {SECONDS} s{logs}")
            time.sleep(0.1)

    @staticmethod
    def _end(process):
        process.terminate()
        process.wait(timeout=60)


@unittest.skipUnless(os.environ.get(INSIDE), "only in a network of its own")
class ComposePlayed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keep = contextlib.ExitStack()
        cls.addClassCleanup(keep.close)
        cls.played = Played(keep)

    def test_other_servers_are_answered_on_its_port(self):
        with urllib.request.urlopen("http://127.0.0.1:8008/_matrix/key/v2/server", timeout=10) as answer:
            self.assertEqual(json.load(answer)["server_name"], GIVEN["POSTERN_SERVER_NAME"])

    def test_a_room_is_made_from_within_the_gateways_network(self):
        done = subprocess.run([PROGRAMS / "posternctl", "room", "create", "--version", "10", "--creator", f"@ann:{GIVEN['POSTERN_SERVER_NAME']}"],
                              check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_prometheus_reads_each_service_by_its_name(self):
        def up():
            return {target["labels"]["postern_tier"] for target in self.played.asked("targets")["activeTargets"] if target["health"] == "up"}

        self.played.await_("target that is up, of each tier", lambda: up() == set(TIERS))

    def test_prometheus_judges_every_rule_without_error(self):
        def rules():
            return [rule for group in self.played.asked("rules")["groups"] for rule in group["rules"]]

        self.assertGreater(len(rules()), 10)
        self.played.await_("rule that has been judged", lambda: all(rule["health"] == "ok" for rule in rules()))


@unittest.skipIf(os.environ.get(INSIDE), "inside")
@unittest.skipUnless(os.geteuid() == 0, "needs root, for a network of its own")
class InANetworkOfItsOwn(unittest.TestCase):
    def test_the_compose_file_is_played(self):
        done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-B", "-m",
                               "unittest", "-v", "compose_played_test"], check=False, cwd=pathlib.Path(__file__).parent,
                              env=os.environ | {INSIDE: "1", "POSTERN_BIN_DIR": str(PROGRAMS.absolute())})
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
