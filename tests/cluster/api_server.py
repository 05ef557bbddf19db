"""A Kubernetes API server with its etcd, as processes of this machine, and kubectl and Helm for it."""
import json
import os
import ssl
import subprocess
import urllib.request

from started import ROOT, run
import free_port

CHART = ROOT / "deploy" / "chart"
READY_SECONDS = 120
SERVICE_ADDRESSES = "10.96.0.0/16"
# Nobody else reaches the network that this server is in.
TOKEN = "the-token-of-the-tests"
# The strictest of Kubernetes' own standards: other pods are refused, and who makes a workload of such pods is warned.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


class ApiServer:
    """At `address`. `paths` are of the programs; `started` ends it."""

    def __init__(self, directory, started, paths, address="127.0.0.1", options=()):
        self.directory, self.started, self.paths, self.address = directory, started, paths, address
        directory.mkdir(parents=True)
        self.url = f"https://{address}:{free_port.free_port()}"
        self.certificate = directory / "certificates" / "apiserver.crt"
        self.kubeconfig = directory / "kubeconfig"
        self._start(self._start_etcd(), options)
        self._write_kubeconfig()

    def kubectl(self, *arguments, given=None):
        """What it prints; trouble if it fails."""
        return run(self.paths["kubectl"], "--kubeconfig", self.kubeconfig, *arguments, given=given)

    def kubectl_done(self, *arguments, given=None):
        """The same as it ended, whatever it says."""
        command = [self.paths["kubectl"], "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True, input=given)

    def helm_done(self, *arguments):
        homes = {f"HELM_{name}_HOME": str(self.directory / "helm") for name in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run([str(word) for word in (self.paths["helm"], *arguments)], check=False, capture_output=True, text=True,
                              env=os.environ | homes | {"KUBECONFIG": str(self.kubeconfig)})

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *documents):
        self.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)}))

    def make_namespace(self, name):
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})

    def install_definitions(self, *directories):
        """CustomResourceDefinitions; waits until what they define is served."""
        self.kubectl("apply", "--server-side", *(word for directory in directories for word in ("-f", directory)))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

    def _start_etcd(self):
        url, peers = (f"http://127.0.0.1:{free_port.free_port()}" for _ in range(2))
        process = self.started.start("etcd", [
            "/usr/bin/etcd", "--data-dir", self.directory / "etcd", "--listen-client-urls", url, "--advertise-client-urls", url,
            "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"])

        def healthy():
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                    return json.load(answer)["health"] == "true"
            except OSError:
                return False
        self.started.await_ready("etcd", process, healthy, READY_SECONDS)
        return url

    def _start(self, etcd, options):
        key, tokens = self.directory / "service-accounts.key", self.directory / "tokens.csv"
        run("openssl", "genrsa", "-out", key, "2048")
        tokens.write_text(f'{TOKEN},tester,tester,"system:masters"\n', encoding="utf-8")
        process = self.started.start("kube-apiserver", [
            self.paths["kube-apiserver"], f"--etcd-servers={etcd}", f"--cert-dir={self.certificate.parent}", f"--token-auth-file={tokens}",
            f"--bind-address={self.address}", f"--advertise-address={self.address}", f"--secure-port={self.url.rpartition(':')[2]}",
            "--authorization-mode=RBAC", f"--service-account-issuer={self.url}", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
            "--endpoint-reconciler-type=none", "--kubelet-preferred-address-types=InternalIP", *options])

        def ready():
            try:
                asked = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
                trusted = ssl.create_default_context(cafile=str(self.certificate))
                with urllib.request.urlopen(asked, timeout=2, context=trusted) as answer:
                    return answer.status == 200
            except OSError:
                return False
        self.started.await_ready("kube-apiserver", process, ready, READY_SECONDS)

    def _write_kubeconfig(self):
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.certificate)}}],
            "users": [{"name": "tester", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "tester"}}]}), encoding="utf-8")
        self.kubeconfig.chmod(0o600)  # Helm warns otherwise
