"""PostgreSQL in the cluster, as a StatefulSet of one pod with a volume of a node's: for tests only, as the chart has none. For a Release it is
what an OutsideDatabase is."""
import json

from release import NAMESPACE, READY_SECONDS, is_ready
from started import await_that, run

NAME = "inside-database"
IMAGE = "localhost/postgresql:t"
USER = 10002  # of the image
ROLE, DATABASE, PASSWORD = "postern", "postgres", "the-password-of-the-tests"
# The cluster of databases is made where there is none yet.
STARTED = """set -e
programs=$(echo /usr/lib/postgresql/*/bin)
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  echo "$PASSWORD" >/tmp/password
  "$programs/initdb" -D "$PGDATA" -U "$ROLE" -A scram-sha-256 --pwfile /tmp/password -E UTF8 --locale C.UTF-8
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec "$programs/postgres" -D "$PGDATA" -c 'listen_addresses=*' -c unix_socket_directories=/tmp -c max_connections=200
"""


class InsideDatabase:
    """Applied, and ready. `node` has its volume, in `directory`."""

    def __init__(self, api_server, node, directory):
        self.api_server = api_server
        directory.mkdir()
        metadata = {"name": NAME, "namespace": NAMESPACE}
        api_server.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": NAME}, "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": str(directory)}, "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}]}]}}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": {"app": NAME}, "ports": [{"port": 5432}]}},
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": self._stateful_set()})
        self.await_ready()
        self.address = api_server.get("service", NAME, "--namespace", NAMESPACE)["spec"]["clusterIP"]

    def uri(self, database=DATABASE):
        """As pods reach it."""
        return f"postgresql://{ROLE}:{PASSWORD}@{NAME}.{NAMESPACE}.svc.cluster.local:5432/{database}"

    def own_uri(self, database=DATABASE):
        """As who is in no pod reaches it."""
        return f"postgresql://{ROLE}:{PASSWORD}@{self.address}:5432/{database}"

    def rows(self, query):
        said = run("psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.own_uri(), "-c", query)
        return [line.split("\t") for line in said.splitlines()]

    def replace_pod(self):
        """Another pod has the same volume then."""
        before = self._pod()["metadata"]["uid"]
        self.api_server.kubectl("delete", "pod", f"{NAME}-0", "--namespace", NAMESPACE)
        self.await_ready()
        assert self._pod()["metadata"]["uid"] != before

    def await_ready(self):
        await_that(f"{NAME} is ready", lambda: (pod := self._pod()) is not None and is_ready(pod), READY_SECONDS)

    def end(self):
        for what in (f"statefulset/{NAME}", f"service/{NAME}", f"pvc/data-{NAME}-0"):
            self.api_server.kubectl("delete", "--namespace", NAMESPACE, what)
        self.api_server.kubectl("delete", f"pv/{NAME}")

    def _pod(self):
        done = self.api_server.kubectl_done("get", "pod", f"{NAME}-0", "--namespace", NAMESPACE, "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    @staticmethod
    def _stateful_set():
        variables = {"PGDATA": "/data/cluster", "ROLE": ROLE, "PASSWORD": PASSWORD}
        container = {
            "name": "postgresql", "image": IMAGE, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", STARTED],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "shared-memory", "mountPath": "/dev/shm"}]}
        return {
            "serviceName": NAME, "replicas": 1, "selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": {"app": NAME}}, "spec": {
                "automountServiceAccountToken": False, "containers": [container],
                # On a root mismatch alone: else the next pod's kubelet lets the group into files that PostgreSQL then refuses.
                "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                                    "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}},
                "volumes": [{"name": "shared-memory", "emptyDir": {"medium": "Memory"}}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}}]}
