"""A stack of several replicas a tier behind a proxy, whose processes can be restarted and killed one by one while it serves."""
import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "dev"))
import processes  # noqa: E402
import stack  # noqa: E402
from cluster import Trouble  # noqa: E402
from load_stack import LoadStack  # noqa: E402

READY_SECONDS = 30
# As minReadySeconds of a Deployment: so long all replicas are ready before the next is ended, so that everybody has connected.
SETTLED_SECONDS = 2.5
PATIENCE_SECONDS = 40
POLL_SECONDS = 0.05
# What an operator's proxy would have: it looks at readiness, and asks another gateway where one has gone without an answer. A leave may
# be sent twice: the second is answered as the first was.
PROXY = """\
global
  maxconn 1000
  stats socket {socket}
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
frontend federation
  bind 127.0.0.1:{port}
  default_backend gateways
backend gateways
  balance roundrobin
  option httpchk GET /readyz
{servers}
"""


class OperatedStack(LoadStack):
    """`replicas` of each tier. Other servers reach the gateways through the proxy."""

    def __init__(self, directory, programs, port, replicas=2, database_uri=None, store_settings=None):
        # Of which directory each process is started; all of `programs` at first.
        self.programs = collections.defaultdict(lambda: programs)
        super().__init__(directory, validators=replicas, gateways=replicas, stores=replicas, database_uri=database_uri,
                         store_settings=store_settings, programs=programs)
        self.processes = stack.Stack(directory)
        urls = zip(self.reach["federation_urls"], self.reach["admin"]["gateway"])
        servers = "".join(f"  server gateway-{number} {url.partition('//')[2]} check port {admin.rpartition(':')[2]} inter 100ms fall 1 rise 1\n"
                          for number, (url, admin) in enumerate(urls, 1))
        settings = directory / "proxy.cfg"
        settings.write_text(PROXY.format(port=port, servers=servers, socket=self._proxy_socket()), encoding="utf-8")
        log = directory / "logs" / "proxy.log"
        try:
            self.proxy, _ = processes.start(["/usr/sbin/haproxy", "-db", "-f", settings], log)
            self.reach["federation_url"] = f"http://127.0.0.1:{port}"
        except BaseException:
            super().end()
            raise

    def end(self):
        self.proxy.terminate()
        self.proxy.wait()
        super().end()

    def replace(self, service, number, programs):
        """As `restart`, with the program of another directory, now and from then on."""
        self.programs[service, number] = programs
        return self.restart(service, number)

    def restart(self, service, number):
        """Asks one process to end, as an operator does, waits for that, starts it anew at the same place, and lets it settle. Seconds until it
        is ready."""
        killed = processes.end([self._record(service, number)], signal.SIGTERM, PATIENCE_SECONDS)
        if killed:
            raise Trouble(f"{service} {number} did not end in {PATIENCE_SECONDS} s when it was asked", killed[0]["log"])
        seconds = self.start(service, number)
        time.sleep(SETTLED_SECONDS)
        return seconds

    def kill(self, service, number):
        record = self._record(service, number)
        os.kill(record["pid"], signal.SIGKILL)
        while processes.start_time(record["pid"]) is not None:
            time.sleep(POLL_SECONDS)

    def start(self, service, number):
        """Where the one that is gone was. Seconds until it is ready."""
        name = f"{service}-{number}"
        ports = json.loads((self.directory / f"{name}.ports.json").read_text(encoding="utf-8"))
        self._keep_ports(service, name, ports)
        began = time.monotonic()
        command = [self.programs[service, number] / f"postern-{service}", "--config", self.directory / f"{name}.yaml"]
        process, record = processes.start(command, self.directory / "logs" / f"{name}.log", stack.service_environment())
        self.processes.add(service, record)
        while (missing := stack.what_is_missing(ports["admin"])) is not None:
            if process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                raise Trouble(f"{name} was not ready after {time.monotonic() - began:.0f} s: {missing}", record["log"])
            time.sleep(POLL_SECONDS)
        ready = time.monotonic() - began
        while service == "gateway" and not self._proxy_takes(name):
            if time.monotonic() - began > READY_SECONDS:
                raise Trouble(f"the proxy does not take {name} for ready")
            time.sleep(POLL_SECONDS)
        return ready

    def _proxy_socket(self):
        return self.directory / "proxy.sock"

    def _proxy_takes(self, name):
        """Another one must not be ended before the proxy knows that this one is there again."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self._proxy_socket()))
            asking.sendall(b"show stat\n")
            lines = b"".join(iter(lambda: asking.recv(65536), b"")).decode("utf-8").splitlines()
        fields = lines[0].lstrip("# ").split(",")
        states = {row["svname"]: row["status"] for row in (dict(zip(fields, line.split(","))) for line in lines[1:] if line)}
        return states.get(name, "").startswith("UP")

    def _record(self, service, number):
        name = f"{service}-{number}"
        own = [record for record in self.processes.records[service] if pathlib.Path(record["log"]).stem == name]
        return own[-1]

    def _keep_ports(self, service, name, ports):
        config = self.directory / f"{name}.yaml"
        places = {"admin_listen": ports["admin"], "admin_grpc_listen" if service == "gateway" else "listen": ports["grpc"]}
        if service == "gateway":
            places["listen"] = ports["federation"]
        lines = config.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.partition(":")[0] not in places]
        kept += [f'{key}: "127.0.0.1:{port}"' for key, port in places.items()]
        config.write_text("\n".join(kept) + "\n", encoding="utf-8")


def run_postgres(cluster, *command):
    """A program of PostgreSQL, as the user who runs the cluster."""
    options = {} if cluster.user is None else {"user": cluster.user.pw_uid, "group": cluster.user.pw_gid, "extra_groups": []}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **options)
    if done.returncode != 0:
        raise Trouble(f"{pathlib.Path(command[0]).name}: {done.stderr.strip()}")
    return done.stdout
