"""Two PostgreSQL servers: one that takes writes, and a synchronous standby of it."""
import contextlib
import os
import shutil
import signal
import time

from operated_stack import PATIENCE_SECONDS, POLL_SECONDS, READY_SECONDS, run_postgres

import processes
from cluster import DATABASE, Cluster, Trouble
from stack_cost import children_of

STANDBY_NAME = "standby"


class PairOfServers:
    """`directory` is for both. A commit waits until the standby has written it."""

    def __init__(self, directory):
        self.first, self.second = Cluster(directory / "first"), Cluster(directory / "second")
        self.records = {}
        for cluster in (self.first, self.second):
            cluster.log.parent.mkdir(parents=True)
        self.first.prepare()
        self._start(self.first)
        try:
            self._copy_to_second()
            self._start(self.second)
            self.ask(self.first, f"alter system set synchronous_standby_names = '{STANDBY_NAME}'")
            self.ask(self.first, "select pg_reload_conf()")
            self._await("a synchronous standby", lambda: self.ask(self.first, "select sync_state from pg_stat_replication") == "sync")
        except BaseException:
            self.end()
            raise

    def uri(self):
        """Finds whichever of the two takes writes."""
        hosts = ",".join(str(cluster.directory) for cluster in (self.first, self.second))
        return f"host={hosts} user={DATABASE} dbname={DATABASE} target_session_attrs=read-write"

    def ask(self, cluster, query):
        return run_postgres(cluster, cluster.programs / "psql", "-h", cluster.directory, "-U", DATABASE, "-d", DATABASE, "-X", "-q", "-A", "-t",
                            "-c", query).strip()

    def signal(self, cluster, what):
        """To the server and all its processes, each of which is a group of its own."""
        server = self.records[cluster]["pid"]
        for process in [server, *children_of(server)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, what)

    def kill_first(self):
        """As a machine that is gone: nothing of it says goodbye."""
        self.signal(self.first, signal.SIGKILL)
        self._await("the end of the first", lambda: processes.start_time(self.records[self.first]["pid"]) is None)

    def promote_second(self):
        run_postgres(self.second, self.second.programs / "pg_ctl", "promote", "-D", self.second.directory / "data", "-w")

    def end(self):
        processes.end(list(self.records.values()), signal.SIGINT, PATIENCE_SECONDS)

    def _start(self, cluster):
        process, self.records[cluster] = cluster.start()
        cluster.wait_until_ready(process, READY_SECONDS)

    def _copy_to_second(self):
        home = self.second.home
        home.mkdir(mode=0o700)
        if self.second.user is not None:
            shutil.chown(home, self.second.user.pw_uid)
        run_postgres(self.first, self.first.programs / "pg_basebackup", "-D", home / "data", "-R", "-c", "fast",
                     "-d", f"host={self.first.directory} user={DATABASE} application_name={STANDBY_NAME}")
        self.second.prepare()

    def _await(self, what, holds):
        deadline = time.monotonic() + READY_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise Trouble(f"there was no {what} within {READY_SECONDS} s", self.first.log)
            time.sleep(POLL_SECONDS)
