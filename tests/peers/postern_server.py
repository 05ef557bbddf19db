"""A Postern as ./dev up starts one, over TLS and named as another server finds it on this machine, and its operator."""
import json
import pathlib
import shlex
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPERATOR_SECONDS = 60
POLL_SECONDS = 0.05


class Refused(Exception):
    """What posternctl said when it ended with another status than 0."""


class Postern:
    def __init__(self, directory, port, certificates):
        self.name = f"localhost:{port}"
        self.directory = directory
        directory.mkdir()
        settings = directory / "gateway.yaml"
        settings.write_text("".join(f"{key}: {json.dumps(str(value))}\n" for key, value in {
            "tls_certificate_file": certificates.certificate,
            "tls_key_file": certificates.key,
            "federation_ca_file": certificates.ca,
        }.items()), encoding="utf-8")
        up = [ROOT / "dev", "up", "--state-dir", directory / "state", "--server-name", self.name,
              "--listen", f"127.0.0.1:{port}", "--allow-private-networks", "--gateway-settings", settings]
        done = subprocess.run(up, check=True, stdout=subprocess.PIPE, text=True)
        self.stack = json.loads(done.stdout)

    def stop(self):
        subprocess.run([ROOT / "dev", "down", "--state-dir", self.directory / "state"], check=False)

    def operator(self, *arguments):
        """What posternctl prints as JSON. Raises Refused."""
        command = [*shlex.split(self.stack["posternctl"]), "--json", "--timeout", str(OPERATOR_SECONDS), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
        if done.returncode != 0:
            raise Refused(done.stderr.strip())
        return json.loads(done.stdout)

    def user(self, localpart):
        return f"@{localpart}:{self.name}"

    def member(self, room_id, user_id):
        return self.operator("member", "show", room_id, user_id)

    def wait_for_membership(self, room_id, user_id, membership, seconds):
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = self.member(room_id, user_id)
            except Refused:  # never a member yet
                found = {"membership": "none"}
            if found["membership"] == membership:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{user_id} is still '{found['membership']}' in {room_id} after {seconds} s")
            time.sleep(POLL_SECONDS)

    def wait_for_event(self, event_id, seconds):
        """Once an event that another server sends is held."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.operator("event", "show", event_id)["event"]
            except Refused:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def held_of(self, room_id):
        """What PostgreSQL holds of a room, read beside the store."""
        import psycopg2
        connection = psycopg2.connect(self.stack["dsn"])
        try:
            with connection.cursor() as cursor:
                def rows(statement):
                    cursor.execute(statement, {"room": room_id.encode()})
                    return cursor.fetchall()

                def number(statement):
                    return rows(statement)[0][0]
                return {
                    "memberships": dict(rows("select convert_from(user_id, 'UTF8'), membership from memberships where room_id = %(room)s")),
                    "by_their_events": dict(rows(
                        "select convert_from(m.user_id, 'UTF8'), convert_from(e.pdu, 'UTF8')::jsonb -> 'content' ->> 'membership' "
                        "from memberships m join events e using (room_id, event_id) where m.room_id = %(room)s")),
                    "waiting": number("select count(*) from deliveries where room_id = %(room)s"),
                    "parked": number("select count(*) from parked_deliveries where room_id = %(room)s"),
                    "not_accepted": number("select count(*) from events where room_id = %(room)s and outcome <> 1"),
                    "extremities": number("select cardinality(extremities) from rooms where room_id = %(room)s"),
                }
        finally:
            connection.close()
