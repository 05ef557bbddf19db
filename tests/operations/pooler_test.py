#!/usr/bin/env python3
"""PgBouncer between the stores and PostgreSQL, in transaction mode, with fewer connections than the stores have."""
import json
import os
import pathlib
import tempfile
import time
import unittest

from operated_stack import PATIENCE_SECONDS, POLL_SECONDS, READY_SECONDS, ROOT, OperatedStack
from leaves_under_way import LeavesUnderWay
from load_stack import RemoteServer
from free_port import free_port

import processes
from cluster import DATABASE, Cluster, Trouble

A_SECOND = 40
SERVER_CONNECTIONS = 6
SETTINGS = """\
[databases]
{database} = host={socket} user={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
unix_socket_dir =
"""


class PooledDatabase:
    """`directory` is for both; PostgreSQL's user passes through it."""

    def __init__(self, directory):
        self.cluster = Cluster(directory / "database")
        self.cluster.log.parent.mkdir(parents=True)
        self.cluster.prepare()
        process, record = self.cluster.start()
        self.records = [record]
        try:
            self.cluster.wait_until_ready(process, READY_SECONDS)
            self.port = free_port()
            settings = self.cluster.directory / "pooler.ini"
            settings.write_text(SETTINGS.format(database=DATABASE, socket=self.cluster.directory, port=self.port,
                                                connections=SERVER_CONNECTIONS), encoding="utf-8")
            settings.chmod(0o644)
            pooler, record = processes.start(["/usr/sbin/pgbouncer", settings], directory / "pooler.log", user=self.cluster.user)
            self.records.insert(0, record)
            self._await_pooler(pooler, record)
        except BaseException:
            self.end()
            raise

    def uri(self):
        return f"host=127.0.0.1 port={self.port} user={DATABASE} dbname={DATABASE}"

    def end(self):
        processes.end(self.records, 2, PATIENCE_SECONDS)

    def _await_pooler(self, pooler, record):
        deadline = time.monotonic() + READY_SECONDS
        while "process up" not in processes.tail(record["log"]):
            if pooler.poll() is not None or time.monotonic() > deadline:
                raise Trouble(f"the pooler did not start: {processes.tail(record['log'])}")
            time.sleep(POLL_SECONDS)


class Pooler(unittest.TestCase):
    def test_leaves_are_stored_through_a_pooler_of_transactions(self):
        directory = tempfile.TemporaryDirectory(prefix="postern-pooler-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        home = pathlib.Path(directory.name)
        home.chmod(0o711)
        programs = pathlib.Path(os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"))
        database = PooledDatabase(home)
        self.addCleanup(database.end)
        remote = RemoteServer(home, programs)
        self.addCleanup(remote.end)
        stack = OperatedStack(home / "stack", programs, free_port(), database_uri=database.uri(),
                              store_settings={"transaction_pooler": True})
        self.addCleanup(stack.end)
        leaves = LeavesUnderWay(stack, remote, home, A_SECOND, seconds=10)
        # Connections of PostgreSQL go, those of the stores stay.
        leaves.await_answers(4 * A_SECOND)
        ended = stack.rows("select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and usename is not null")
        codes, wrong = leaves.end()
        connections = int(stack.rows("select count(*) from pg_stat_activity where backend_type = 'client backend'")[0][0])
        print(json.dumps({"ended": int(ended[0][0]), "connections of PostgreSQL": connections}), flush=True)
        self.assertLessEqual(connections, SERVER_CONNECTIONS)
        self.assertLessEqual(set(codes), {200, 503})
        self.assertGreater(codes[200], 0.9 * sum(codes.values()))
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
