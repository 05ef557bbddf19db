"""A Postern as ./dev up starts one, over TLS and named as another server finds it on this machine, and its operator."""
import json
import pathlib
import shlex
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPERATOR_SECONDS = 60


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
        while (found := self.member(room_id, user_id))["membership"] != membership:
            if time.monotonic() > deadline:
                raise AssertionError(f"{user_id} is still '{found['membership']}' in {room_id} after {seconds} s")
            time.sleep(0.05)
        return found
