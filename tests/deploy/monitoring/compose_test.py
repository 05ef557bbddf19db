#!/usr/bin/env python3
"""deploy/compose.yaml: that the services take the settings it gives them, and that every file it mounts is there. POSTERN_BIN_DIR names
the programs."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
PROGRAMS = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
TIERS = ("gateway", "validator", "store")
GIVEN = {"POSTERN_SERVER_NAME": "here.example"}
DATABASE_URI = "postgresql://postern@postgres/postern\n"


def filled(text):
    """As compose fills ${NAME:-default} and ${NAME:?complaint}."""
    return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda m: GIVEN.get(m[1], m[3] if m[2] == "-" else f"{m[1]} is not given"), text)


class ComposeTest(unittest.TestCase):
    def test_each_service_takes_its_settings(self):
        with tempfile.TemporaryDirectory() as directory:
            (pathlib.Path(directory) / "database.uri").write_text(DATABASE_URI, encoding="utf-8")
            subprocess.run([PROGRAMS / "posternctl", "key", "generate", "--output", pathlib.Path(directory) / "signing.key"], check=True,
                           stdout=subprocess.DEVNULL)
            for tier in TIERS:
                settings = {name: filled(value).replace("/run/secrets", directory) for name, value in SERVICES[tier]["environment"].items()}
                with self.subTest(tier=tier):
                    done = subprocess.run([PROGRAMS / f"postern-{tier}", "--check-config"], check=False, capture_output=True, text=True,
                                          env=settings, timeout=30)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_variable_is_one_that_the_service_reads(self):
        for tier in TIERS:
            told = subprocess.run([PROGRAMS / f"postern-{tier}", "--help"], check=True, capture_output=True, text=True, timeout=30).stdout
            flags = {flag.replace("-", "_").upper() for flag in re.findall(r"^  --([a-z0-9-]+)", told, re.MULTILINE)}
            for name in SERVICES[tier]["environment"]:
                with self.subTest(tier=tier, variable=name):
                    self.assertIn(name.removeprefix("POSTERN_"), flags)

    def test_every_file_that_is_mounted_is_there(self):
        for name, service in SERVICES.items():
            for volume in service.get("volumes", ()):
                source = volume.split(":")[0]
                with self.subTest(service=name, source=source):
                    self.assertTrue((DEPLOY / source).exists() if source.startswith("./") else source in COMPOSE["volumes"])

    def test_a_secret_goes_to_whom_it_belongs(self):
        holders = {secret: [name for name, service in SERVICES.items() if secret in service.get("secrets", ())] for secret in COMPOSE["secrets"]}
        self.assertEqual(holders, {"database.password": ["postgres"], "database.uri": ["store"], "signing.key": ["gateway"],
                                   "grafana.password": ["grafana"]})

    def test_only_the_gateway_reaches_the_outside(self):
        self.assertEqual([name for name, service in SERVICES.items() if "outside" in service["networks"]], ["gateway"])
        self.assertTrue(COMPOSE["networks"]["inside"]["internal"])
        for name, service in SERVICES.items():
            if name != "gateway":
                self.assertTrue(all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name)

    def test_prometheus_reads_the_ports_that_the_services_open(self):
        read = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
        ports = {found["names"][0]: found["port"] for job in read["scrape_configs"] for found in job["dns_sd_configs"]}
        opened = {tier: int(SERVICES[tier]["environment"]["POSTERN_ADMIN_LISTEN"].rpartition(":")[2]) for tier in TIERS}
        self.assertEqual(ports, opened)
        labels = {job["relabel_configs"][0]["replacement"] for job in read["scrape_configs"]}
        self.assertEqual(labels, set(TIERS))

    def test_promtool_takes_its_configuration(self):
        done = subprocess.run(["promtool", "check", "config", "--syntax-only", DEPLOY / "monitoring" / "prometheus.yml"], check=False,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
