"""A private PostgreSQL cluster: on a Unix socket only, fsync on, kept in the state directory."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time
import urllib.parse

import processes

SOCKET_PATH_LIMIT = 107
SOCKET_NAME = ".s.PGSQL.5432"
DATABASE = "postern"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}
STATEMENT_STATISTICS = {"shared_preload_libraries": "pg_stat_statements"}


class Trouble(Exception):
    """What went wrong, in words for the person who called, and the log that says more."""

    def __init__(self, text, log=None):
        super().__init__(text)
        self.log = log


def newest_programs():
    """The directory of the newest PostgreSQL server programs, 15 at least."""
    found = []
    for postgres in pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"):
        version = postgres.parent.parent.name
        if version.isdigit() and int(version) >= 15:
            found.append((int(version), postgres.parent))
    if not found:
        raise Trouble("no PostgreSQL of 15 or newer under /usr/lib/postgresql: run ./dev setup")
    return max(found)[1]


class Cluster:
    """`directory` holds `data` and the socket. Where the server's user cannot enter it, or its path is too long for a socket,
    it lives in a temporary directory while it runs, and is brought home by `retire`."""

    def __init__(self, state_dir):
        self.home = state_dir / "postgres"
        self.log = state_dir / "logs" / "postgres.log"
        self.moved_to = state_dir / "postgres_is_in"
        self.programs = newest_programs()
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.directory = self.home
        if self.moved_to.exists():
            self.directory = pathlib.Path(self.moved_to.read_text(encoding="utf-8"))

    def dsn(self):
        role = urllib.parse.quote(DATABASE)
        return f"postgresql://{role}@/{DATABASE}?host={urllib.parse.quote(str(self.directory), safe='')}"

    def prepare(self, statistics=False):
        """Makes the cluster if there is none yet, at a place where its user can work. `statistics`: one that counts what each
        statement reads."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        self._own(self.home)
        if self.directory == self.home and not self._usable(self.home):
            self._move_out()
        data = self.directory / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            self._run([self.programs / "initdb", "-D", data, "-U", DATABASE, "-A", "trust", "-E", "UTF8",
                       "--locale=C.UTF-8", "--no-sync", "--no-instructions"])
            with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
                settings = SETTINGS | (STATEMENT_STATISTICS if statistics else {})
                file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        os.chmod(self.directory, 0o700)

    def start(self):
        return processes.start([self.programs / "postgres", "-D", self.directory / "data", "-k", self.directory],
                               self.log, self._environment(), self.user)

    def wait_until_ready(self, process, seconds):
        deadline = time.monotonic() + seconds
        probe = [self.programs / "pg_isready", "-q", "-h", self.directory]
        while subprocess.run(probe, check=False).returncode != 0:
            if process.poll() is not None:
                raise Trouble("PostgreSQL ended while it started", self.log)
            if time.monotonic() > deadline:
                raise Trouble(f"PostgreSQL was not ready after {seconds} s", self.log)
            time.sleep(0.02)
        self._make_database()

    def retire(self):
        """Brings a cluster that was moved out back home. It does not run any more."""
        if self.directory != self.home and self.directory.exists():
            shutil.rmtree(self.home, ignore_errors=True)
            shutil.move(self.directory, self.home)
        self.moved_to.unlink(missing_ok=True)

    def _make_database(self):
        psql = [self.programs / "psql", "-h", self.directory, "-U", DATABASE, "-d", "postgres", "-X", "-q", "-A", "-t", "-c"]
        found = subprocess.run(psql + [f"select 1 from pg_database where datname = '{DATABASE}'"], check=False,
                               capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.strip() != "1":
            found = subprocess.run(psql + [f"create database {DATABASE}"], check=False, capture_output=True, text=True)
        if found.returncode != 0:
            raise Trouble(f"psql: {found.stderr.strip()}", self.log)

    def _usable(self, directory):
        if len(os.fsencode(directory / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            return False
        if self.user is None:
            return True
        return subprocess.run(["test", "-w", directory, "-a", "-x", directory], check=False, user=self.user.pw_uid,
                              group=self.user.pw_gid, extra_groups=[]).returncode == 0

    def _move_out(self):
        place = pathlib.Path(tempfile.mkdtemp(prefix="postern-postgres-", dir="/tmp"))
        self.moved_to.write_text(str(place), encoding="utf-8")
        shutil.rmtree(place)
        shutil.move(self.home, place)
        self.directory = place

    def _own(self, directory):
        if self.user is not None and os.stat(directory).st_uid != self.user.pw_uid:
            shutil.chown(directory, self.user.pw_uid, self.user.pw_gid)

    def _environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {"LC_ALL": "C.UTF-8"}

    def _run(self, command):
        options = {} if self.user is None else {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with open(self.log, "ab") as output:
            done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                                  env=self._environment(), **options)
        if done.returncode != 0:
            raise Trouble(f"{command[0].name} failed with status {done.returncode}", self.log)
