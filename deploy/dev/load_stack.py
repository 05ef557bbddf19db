"""The two parties of a load: a stack of its own in a directory, and a remote homeserver whose users leave."""
import json
import pathlib
import shlex
import subprocess
import sys

from cluster import Trouble
from free_port import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACK = pathlib.Path(__file__).with_name("stack.py")


class LoadStack:
    """Started by ./dev up with the switches that a load needs; ended by `end`. `statistics`: `reads` can be asked."""

    def __init__(self, directory, validators=1, statistics=False, gateway_settings=None, gateways=1, stores=1, database_uri=None,
                 store_settings=None, programs=None):
        self.directory = directory
        command = [sys.executable, STACK, "up", "--state-dir", directory, "--server-name", "here.example",
                   "--stores", str(stores), "--validators", str(validators), "--gateways", str(gateways), "--allow-private-networks",
                   "--insecure-federation-tls", "--allow-seeding"]
        command += ["--statement-statistics"] if statistics else []
        command += ["--rate-limits", gateway_settings] if gateway_settings else []
        command += ["--store-settings", json.dumps(store_settings)] if store_settings else []
        command += ["--database-uri", database_uri] if database_uri else []
        command += ["--bin-dir", programs] if programs else []
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Trouble(f"the stack did not start:\n{done.stderr}")
        self.reach = json.loads(done.stdout)
        if statistics:
            self.rows("create extension if not exists pg_stat_statements")

    def end(self):
        subprocess.run([sys.executable, STACK, "down", "--state-dir", self.directory], check=True)

    def posternctl(self, *arguments):
        """The command line of a posternctl for this stack; to be run in ROOT."""
        return shlex.split(self.reach["posternctl"]) + [str(argument) for argument in arguments]

    def seed(self, remote, rooms, users, prefix, version="10", others=()):
        """Rooms full of invited users of `remote`, with a joined one of each of `others`: [(room, user)], room by room."""
        command = self.posternctl("--timeout", 600, "room", "seed", "--rooms", rooms, "--users-per-room", users,
                                  "--user-prefix", prefix, "--remote", remote.name, "--version", version,
                                  *(word for name in others for word in ("--other", name)))
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
        if done.returncode != 0:
            raise Trouble(f"posternctl room seed: {done.stderr.strip()}")
        return [(room["room_id"], user) for room in json.loads(done.stdout)["rooms"] for user in room["users"]]

    def rows(self, query):
        """What PostgreSQL answers, as lists of text."""
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.reach["dsn"], "-c", query]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Trouble(f"psql: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def reads(self, texts):
        """Blocks that PostgreSQL has looked at for statements that have one of `texts` in them."""
        quoted = [f"'%{text}%'" for text in texts]
        found = self.rows("select coalesce(sum(shared_blks_hit + shared_blks_read), 0) from pg_stat_statements "
                          f"where query like any (array[{', '.join(quoted)}])")
        return int(found[0][0])


class RemoteServer:
    """A key of its own, published over HTTPS on a port of this machine, which is its name. `host`: an address of this machine, where
    loopback is not what others reach."""

    def __init__(self, directory, programs, host="localhost"):
        self.key = directory / "remote.key"
        client = programs / "posternctl"
        self.name = f"{host}:{free_port()}"
        if not self.key.exists():
            subprocess.run([client, "key", "generate", "--output", self.key], check=True, stdout=subprocess.DEVNULL)
        command = [client, "--json", "key", "serve", "--server-name", self.name, "--key", self.key]
        command += [] if host == "localhost" else ["--listen", self.name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise Trouble("the remote's key endpoint did not start")

    def end(self):
        self.process.terminate()
        self.process.wait()
