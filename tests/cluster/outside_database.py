"""PostgreSQL outside of the cluster, as the chart has it by default: a server that pods reach by its address and a password."""
import signal

import nodes
import processes
from cluster import DATABASE, Cluster
from started import run

READY_SECONDS = 60
PATIENCE_SECONDS = 30
PASSWORD = "the-password-of-the-tests"


class OutsideDatabase:
    """On the bridge's address."""

    def __init__(self, directory):
        directory.mkdir()
        self.cluster = Cluster(directory)
        self.cluster.log.parent.mkdir(parents=True, exist_ok=True)
        self.cluster.prepare()
        data = self.cluster.directory / "data"
        with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as settings:
            settings.write(f"listen_addresses = '{nodes.BRIDGE_ADDRESS}'\n")
        with open(data / "pg_hba.conf", "a", encoding="utf-8") as allowed:
            allowed.write(f"host all {DATABASE} {nodes.POD_ADDRESSES} scram-sha-256\n")
        self.record = None
        self.start()
        self.rows(f"alter role {DATABASE} password '{PASSWORD}'")

    def uri(self, database=DATABASE):
        """As pods reach it."""
        return f"postgresql://{DATABASE}:{PASSWORD}@{nodes.BRIDGE_ADDRESS}:5432/{database}"

    def own_uri(self, database=DATABASE):
        """As who is beside it reaches it."""
        return f"host={self.cluster.directory} user={DATABASE} dbname={database}"

    def rows(self, query, database=DATABASE):
        said = run("psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.own_uri(database), "-c", query)
        return [line.split("\t") for line in said.splitlines()]

    def start(self):
        process, self.record = self.cluster.start()
        self.cluster.wait_until_ready(process, READY_SECONDS)

    def stop(self):
        """SIGINT: PostgreSQL waits for no client."""
        processes.end([self.record], signal.SIGINT, PATIENCE_SECONDS)

    def end(self):
        self.stop()
        self.cluster.retire()
