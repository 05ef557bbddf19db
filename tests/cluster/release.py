"""Postern as the chart installs it on the two nodes, with what its operator makes before: secrets, and certificates for the services."""
import contextlib
import json
import re
import shlex
import subprocess
import time
import urllib.request

import chart
import nodes
from load_stack import LoadStack
from started import Trouble, await_that, run

NAMESPACE = chart.NAMESPACE
SERVER_NAME = "here.example"
IMAGE_TAG = "t"
CURL_IMAGE = "localhost/curl:t"
READY_SECONDS = 180
ADMIN_PORTS = {"gateway": 9093, "validator": 9091, "store": 9092}


def values_of(name):
    """What a cluster that is for tests alone must have; everything else is as the chart has it."""
    return {
        "serverName": SERVER_NAME,
        "image": {"registry": "localhost", "tag": IMAGE_TAG, "pullPolicy": "Never"},
        "signingKey": {"existingSecret": f"{name}-signing-key"},
        "database": {"existingSecret": f"{name}-database-uri"},
        "mtls": {"existingSecrets": {tier: f"{name}-{tier}-certificate" for tier in chart.TIERS}},
        # The other servers are played on the bridge; thousands of their users leave within a minute.
        "gateway": {"config": {"allowed_networks": [f"{nodes.BRIDGE_ADDRESS}/32"], "insecure_federation_tls": True, "rate_limits": False}},
        "store": {"extraEnv": [{"name": "POSTERN_ALLOW_SEEDING", "value": "true"}]},
        "tests": {"http": {"image": CURL_IMAGE}},
    }


class Release(LoadStack):
    """A release called `name`, not yet installed. For the loads of deploy/dev it is a stack."""

    def __init__(self, name, api_server, database, directory, programs, database_name="postern"):  # pylint: disable=super-init-not-called
        self.name, self.api_server, self.database, self.programs = name, api_server, database, programs
        self.fullname = name if "postern" in name else f"{name}-postern"
        self.directory = directory / name
        self.directory.mkdir()
        self.values = values_of(name)
        self.reach = {"server_name": SERVER_NAME, "posternctl": str(programs / "posternctl"), "dsn": database.own_uri(database_name)}
        self._make_secrets(database.uri(database_name))

    def helm(self, *arguments):
        """What Helm prints; trouble if it fails."""
        done = self.api_server.helm_done(*arguments, "--namespace", NAMESPACE)
        if done.returncode != 0:
            raise Trouble(f"helm {arguments[0]}: {done.stderr.strip()}\n{done.stdout[-2000:]}\n{self.pods_in_words()}")
        return done.stdout

    def upgrade(self, over=None, *options):
        """Installs it, or changes what is said with `over`; waits until all is ready. Seconds."""
        self.values = chart.merged(self.values, over or {})
        began = time.monotonic()
        self.helm("upgrade", "--install", self.name, chart.CHART, "-f", self.file("values.json", json.dumps(self.values)), "--wait",
                  f"--timeout={2 * READY_SECONDS}s", *options)
        self.reach["federation_url"] = f"http://{self.service_address('gateway')}:8008"
        return time.monotonic() - began

    def uninstall(self):
        self.helm("uninstall", self.name, "--wait")

    def kubectl(self, *arguments):
        return self.api_server.kubectl("--namespace", NAMESPACE, *arguments)

    def deployment(self, tier):
        return f"deployment/{self.fullname}-{tier}"

    def pods(self, tier):
        """Those that are not on their way out, by name."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={tier}"
        found = self.api_server.get("pods", "--namespace", NAMESPACE, "--selector", selector)["items"]
        return sorted((pod for pod in found if "deletionTimestamp" not in pod["metadata"]), key=lambda pod: pod["metadata"]["name"])

    def pod(self, name):
        return self.api_server.get("pod", name, "--namespace", NAMESPACE)

    def pods_in_words(self):
        return self.api_server.kubectl_done("--namespace", NAMESPACE, "get", "pods", "-o", "wide").stdout + "\n".join(
            self.api_server.kubectl_done("--namespace", NAMESPACE, "events").stdout.splitlines()[-15:])

    def await_rollout(self, *tiers):
        for tier in tiers:
            self.kubectl("rollout", "status", self.deployment(tier), f"--timeout={READY_SECONDS}s")

    def await_gone(self, tier, count):
        """Until no more than `count` pods are there, those on their way out among them."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={tier}"
        await_that(f"{count} pods of {tier}", lambda: len(self.api_server.get("pods", "--namespace", NAMESPACE, "--selector", selector)[
            "items"]) <= count, READY_SECONDS)

    def spread(self):
        """Over both nodes again, after one had none."""
        for tier in chart.TIERS:
            self.kubectl("rollout", "restart", self.deployment(tier))
        self.await_rollout(*chart.TIERS)
        for tier in chart.TIERS:
            self.await_gone(tier, self.values.get(tier, {}).get("replicas", 2))

    def service_address(self, name):
        return self.api_server.get("service", f"{self.fullname}-{name}", "--namespace", NAMESPACE)["spec"]["clusterIP"]

    def counted(self, tier, metric):
        """{pod: the sum of a counter} of those that answer."""
        return {pod["metadata"]["name"]: counter_of(pod, tier, metric) for pod in self.pods(tier) if pod["status"].get("podIP")}

    def verdicts(self):
        """{validator: how many}."""
        return self.counted("validator", "postern_validator_verdicts_total")

    @contextlib.contextmanager
    def drained(self, node, seconds=240):
        """Or trouble, if that takes longer; in either case pods may run there again afterwards."""
        began = time.monotonic()
        try:
            self.api_server.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={seconds}s")
            print(f"{node} was drained in {time.monotonic() - began:.0f} s", flush=True)
            yield
        finally:
            self.api_server.kubectl("uncordon", node)

    @contextlib.contextmanager
    def operator_access(self):
        """As docs/kubernetes.md has it: posternctl by way of port-forward."""
        with self._forwarded("gateway", 7103) as gateway, self._forwarded("store", 7102) as store:
            certificate = self.directory / "gateway-tls"
            plain = self.reach["posternctl"]
            self.reach["posternctl"] = shlex.join([
                plain, "--gateway", f"localhost:{gateway}", "--store", f"localhost:{store}", "--certificate", str(certificate / "tls.crt"),
                "--certificate-key", str(certificate / "tls.key"), "--ca", str(certificate / "ca.crt")])
            try:
                yield
            finally:
                self.reach["posternctl"] = plain

    def seed(self, *arguments, **options):
        with self.operator_access():
            return super().seed(*arguments, **options)

    @contextlib.contextmanager
    def _forwarded(self, tier, port):
        command = [self.api_server.paths["kubectl"], "--kubeconfig", self.api_server.kubeconfig, "--namespace", NAMESPACE, "port-forward",
                   self.deployment(tier), f":{port}"]
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        try:
            said = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) -> ", said)
            if found is None:
                raise Trouble(f"kubectl port-forward to {tier}: {said}")
            yield found[1]
        finally:
            process.terminate()
            process.wait()

    def _make_secrets(self, uri):
        key = self.directory / "signing.key"
        run(self.programs / "posternctl", "key", "generate", "--output", key)
        self._make_secret("signing-key", f"--from-file={key}")
        self._make_secret("database-uri", f"--from-file=uri={self.file('database.uri', uri)}")
        authority = self.directory / "authority"
        authority.mkdir()
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=services",
            "-keyout", authority / "ca.key", "-out", authority / "ca.crt")
        for tier in chart.TIERS:
            self._make_certificate(tier, authority)

    def _make_certificate(self, tier, authority):
        """For the names that templates/certificates.yaml has."""
        place = self.directory / f"{tier}-tls"
        place.mkdir()
        service = f"{self.fullname}-{tier}"
        names = ["localhost", service, f"{service}.{NAMESPACE}.svc", f"{service}.{NAMESPACE}.svc.cluster.local"]
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={service}",
            "-CA", authority / "ca.crt", "-CAkey", authority / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", f"subjectAltName={','.join(f'DNS:{name}' for name in names)}", "-addext", "extendedKeyUsage=serverAuth,clientAuth",
            "-keyout", place / "tls.key", "-out", place / "tls.crt")
        (place / "ca.crt").write_bytes((authority / "ca.crt").read_bytes())
        self._make_secret(f"{tier}-certificate", "--type=kubernetes.io/tls",
                          *(f"--from-file={place / name}" for name in ("tls.crt", "tls.key", "ca.crt")))

    def _make_secret(self, name, *options):
        self.kubectl("create", "secret", "generic", f"{self.name}-{name}", *options)

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path


def counter_of(pod, tier, metric):
    """The sum over all labels; 0 of a counter that has not begun."""
    url = f"http://{pod['status']['podIP']}:{ADMIN_PORTS[tier]}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode("utf-8")
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{metric}[{{ ]", line))


def is_ready(pod):
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in pod["status"].get("conditions", []))


def restarts(pod):
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
