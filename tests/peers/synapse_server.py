"""A Synapse of its Python package, unmodified, on PostgreSQL and this machine's loopback, and its users."""
import hashlib
import hmac
import json
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import psycopg2

READY_SECONDS = 60
REQUEST_SECONDS = 30
LONG_POLL_MS = 2000

LOG_CONFIG = """\
version: 1
formatters: {line: {format: "%(asctime)s %(name)s %(levelname)s %(request)s %(message)s"}}
handlers: {file: {class: logging.FileHandler, formatter: line, filename: LOG}}
loggers: {synapse.storage.SQL: {level: INFO}}
root: {level: INFO, handlers: [file]}
disable_existing_loggers: false
"""


def make_database(dsn, name):
    """A database as Synapse wants one; where it may be had, as psycopg2 takes it."""
    parts = psycopg2.extensions.parse_dsn(dsn)
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name} encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0")
    connection.close()
    return {"user": parts["user"], "host": parts["host"], "dbname": name, "cp_min": 1, "cp_max": 5}


class Synapse:
    """`database`: of make_database. Its name is localhost:PORT, where it serves both other servers and its own users."""

    def __init__(self, directory, port, certificates, database):
        self.name = f"localhost:{port}"
        self.url = f"https://localhost:{port}"
        self.directory, self.certificates = directory, certificates
        self.log = directory / "synapse.log"
        self._secret = secrets.token_hex(16)
        self._trust = ssl.create_default_context(cafile=str(certificates.ca))
        self._process = None
        directory.mkdir()
        (directory / "log.yaml").write_text(LOG_CONFIG.replace("LOG", json.dumps(str(self.log))), encoding="utf-8")
        self._config = directory / "homeserver.yaml"
        # JSON is YAML too.
        self._config.write_text(json.dumps(self._settings(port, database), indent=1), encoding="utf-8")
        self._run("--generate-keys")

    def _settings(self, port, database):
        generous = {"per_second": 10000, "burst_count": 10000}
        return {
            "server_name": self.name,
            "pid_file": str(self.directory / "synapse.pid"),
            "listeners": [{"port": port, "tls": True, "type": "http", "bind_addresses": ["127.0.0.1"],
                           "resources": [{"names": ["client", "federation"], "compress": False}]}],
            "tls_certificate_path": str(self.certificates.certificate),
            "tls_private_key_path": str(self.certificates.key),
            "federation_custom_ca_list": [str(self.certificates.ca)],
            # Only here are the other servers on this very machine.
            "ip_range_blacklist": [],
            "database": {"name": "psycopg2", "args": database},
            "signing_key_path": str(self.directory / "signing.key"),
            "media_store_path": str(self.directory / "media"),
            "log_config": str(self.directory / "log.yaml"),
            "registration_shared_secret": self._secret,
            "trusted_key_servers": [],
            "report_stats": False,
            "presence": {"enabled": False},
            "rc_message": generous,
            "rc_login": {"address": generous, "account": generous},
            "rc_invites": {"per_room": generous, "per_user": generous, "per_issuer": generous},
            "rc_joins": {"local": generous, "remote": generous},
            "rc_joins_per_room": generous,
            "rc_federation": {"window_size": 1000, "sleep_limit": 10000, "sleep_delay": 1, "reject_limit": 10000, "concurrent": 100},
        }

    def _command(self, *arguments):
        return [sys.executable, "-m", "synapse.app.homeserver", "--config-path", str(self._config), *arguments]

    def _run(self, *arguments):
        subprocess.run(self._command(*arguments), check=True, cwd=self.directory, stdout=subprocess.DEVNULL)

    def start(self):
        with open(self.directory / "output.log", "ab") as output:
            self._process = subprocess.Popen(self._command(), cwd=self.directory, stdout=output, stderr=output)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.request("GET", "/_matrix/client/versions")
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Synapse does not answer; its logs are in {self.directory}") from None
                time.sleep(0.1)

    def stop(self):
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def request(self, method, target, content=None, token=None):
        """The answer's JSON. An answer that is an error is a urllib.error.HTTPError."""
        request = urllib.request.Request(self.url + target, method=method)
        if content is not None:
            request.data = json.dumps(content).encode()
            request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS, context=self._trust) as answer:
            return json.load(answer)

    def version(self):
        return self.request("GET", "/_matrix/federation/v1/version")["server"]

    def user(self, localpart):
        """A new user, logged in."""
        target = "/_synapse/admin/v1/register"
        nonce = self.request("GET", target)["nonce"]
        password = secrets.token_hex(8)
        signed = b"\0".join(part.encode() for part in (nonce, localpart, password, "notadmin"))
        mac = hmac.new(self._secret.encode(), signed, hashlib.sha1).hexdigest()
        answer = self.request("POST", target, {"nonce": nonce, "username": localpart, "password": password, "admin": False,
                                               "mac": mac})
        return SynapseUser(self, answer["user_id"], answer["access_token"])


class SynapseUser:
    def __init__(self, server, user_id, token):
        self.server, self.user_id, self.token = server, user_id, token
        self._since = None
        self._rooms = {}
        self._events = {}

    def _sync(self, wait_ms):
        query = {"timeout": wait_ms} | ({"since": self._since} if self._since else {})
        answer = self.server.request("GET", "/_matrix/client/v3/sync?" + urllib.parse.urlencode(query), token=self.token)
        self._since = answer["next_batch"]
        for section, rooms in answer.get("rooms", {}).items():
            for room_id, room in rooms.items():
                self._rooms[room_id] = (section, room)
                for part in ("state", "timeline"):
                    self._events.setdefault(room_id, []).extend(room.get(part, {}).get("events", []))

    def _wait(self, seconds, missing, find):
        deadline = time.monotonic() + seconds
        while True:
            self._sync(LONG_POLL_MS)
            found = find()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.user_id} has not seen after {seconds} s: {missing()}")

    def wait_for(self, room_id, section, seconds):
        """What /sync says of the room once it is in that section: "invite", "join", "knock", "leave"."""
        def find():
            found = self._rooms.get(room_id)
            return found[1] if found is not None and found[0] == section else None
        return self._wait(seconds, lambda: f"{room_id} in '{section}', but {self._rooms.get(room_id, [None])[0]}", find)

    def wait_for_event(self, room_id, event_id, seconds):
        """The event of a room that the user is in, as /sync brings it."""
        def find():
            return next((event for event in self._events.get(room_id, []) if event["event_id"] == event_id), None)
        return self._wait(seconds, lambda: f"{event_id} in {room_id}", find)

    def wait_for_membership(self, room_id, user_id, membership, seconds):
        """The newest member event of somebody, once it says so."""
        def find():
            events = [event for event in self._events.get(room_id, [])
                      if (event["type"], event.get("state_key")) == ("m.room.member", user_id)]
            return events[-1] if events and events[-1]["content"]["membership"] == membership else None
        return self._wait(seconds, lambda: f"{user_id} as '{membership}' in {room_id}", find)

    def _in_room(self, method, room_id, what, content=None):
        target = f"/_matrix/client/v3/rooms/{urllib.parse.quote(room_id, safe='')}/{what}"
        return self.server.request(method, target, content, self.token)

    def _enter(self, what, room_id, by):
        query = urllib.parse.urlencode({"via": by, "server_name": by})
        self.server.request("POST", f"/_matrix/client/v3/{what}/{urllib.parse.quote(room_id, safe='')}?{query}", {}, self.token)

    def join(self, room_id, by):
        """By way of the server `by`, unless the user's own is in the room."""
        self._enter("join", room_id, by)

    def knock(self, room_id, by):
        self._enter("knock", room_id, by)

    def leave(self, room_id):
        self._in_room("POST", room_id, "leave", {})

    def create_room(self, version):
        content = {"room_version": version, "preset": "private_chat", "name": f"a room of version {version}"}
        return self.server.request("POST", "/_matrix/client/v3/createRoom", content, self.token)["room_id"]

    def kick(self, room_id, user_id):
        self._in_room("POST", room_id, "kick", {"user_id": user_id})

    def invite(self, room_id, user_id):
        self._in_room("POST", room_id, "invite", {"user_id": user_id})

    def say(self, room_id, text):
        """The id of the message."""
        what = f"send/m.room.message/{secrets.token_hex(8)}"
        return self._in_room("PUT", room_id, what, {"msgtype": "m.text", "body": text})["event_id"]

    def members(self, room_id):
        """Membership by user, as the user's server has it."""
        return {event["state_key"]: event["content"]["membership"] for event in self._in_room("GET", room_id, "members")["chunk"]}
