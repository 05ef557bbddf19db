"""metrics.k8s.io as a test wants it: every pod uses as much CPU as is said. It extends the cluster's API, as the metrics-server does where there
is one, so that autoscalers have something to go by."""
import base64
import datetime
import http.server
import json
import ssl
import threading
import urllib.parse

import free_port
import nodes
from started import await_that, run

NAMESPACE = "kube-system"
NAME = "resource-metrics"
GROUP = "metrics.k8s.io/v1beta1"
READY_SECONDS = 60


class ResourceMetrics:
    """On the bridge's address. `millicores`: what each pod uses."""

    def __init__(self, directory, api_server):
        self.api_server, self.millicores = api_server, 0
        directory.mkdir()
        certificate, key = directory / "tls.crt", directory / "tls.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
            "-addext", f"subjectAltName=DNS:{NAME}.{NAMESPACE}.svc", "-keyout", key, "-out", certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        port = free_port.free_port()
        self.server = http.server.ThreadingHTTPServer((nodes.BRIDGE_ADDRESS, port), self._handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self._register(port, certificate.read_bytes())

    def end(self):
        self.api_server.kubectl("delete", "apiservice", f"v1beta1.{GROUP.partition('/')[0]}")
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def _register(self, port, certificate):
        metadata = {"name": NAME, "namespace": NAMESPACE}
        ports = [{"name": "https", "port": port, "protocol": "TCP"}]
        self.api_server.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": ports,
             "metadata": metadata | {"labels": {"kubernetes.io/service-name": NAME}},
             "endpoints": [{"addresses": [nodes.BRIDGE_ADDRESS], "conditions": {"ready": True}}]},
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"v1beta1.{GROUP.partition('/')[0]}"},
             "spec": {"group": GROUP.partition("/")[0], "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                      "caBundle": base64.b64encode(certificate).decode("ascii"),
                      "service": {"name": NAME, "namespace": NAMESPACE, "port": port}}})
        await_that("metrics are served by the cluster's API", lambda: self.api_server.kubectl_done(
            "get", "--raw", f"/apis/{GROUP}").returncode == 0, READY_SECONDS)

    def _answer(self, target):
        """Of what an autoscaler asks, and of the server that asks whether this is here; None of anything else."""
        path, _, query = target.partition("?")
        words = path.strip("/").split("/")
        if "/".join(words[:3]) != f"apis/{GROUP}":
            return None
        if len(words) == 3:
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP, "resources": [
                {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}]}
        if len(words) != 6 or words[3] != "namespaces" or words[5] != "pods":
            return None
        selector = urllib.parse.parse_qs(query).get("labelSelector", [""])[0]
        pods = self.api_server.get("pods", "--namespace", words[4], "--selector", selector)["items"]
        return {"kind": "PodMetricsList", "apiVersion": GROUP, "metadata": {}, "items": [self._of(pod) for pod in pods]}

    def _of(self, pod):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}, "timestamp": now, "window": "10s",
                "containers": [{"name": container["name"], "usage": {"cpu": f"{self.millicores}m", "memory": "32Mi"}}
                               for container in pod["spec"]["containers"]]}

    def _handler(self):
        answer_to = self._answer

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                answer = answer_to(self.path)
                body = json.dumps(answer or {}).encode("utf-8")
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass
        return Handler
