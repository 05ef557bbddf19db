#!/usr/bin/env python3
"""Starts and ends a whole Postern on this machine: PostgreSQL, store, validators, gateways. Called by ./dev up and ./dev down."""
import argparse
import fcntl
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import processes
from cluster import Cluster, Trouble
from option_values import count

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS = 60
POLL_SECONDS = 0.02
# The order in which processes are ended: who is asked before whom it asks.
TIERS = ("gateway", "validator", "store", "postgres")

UP_EXAMPLES = """\
examples:
  ./dev up                                           a stack under build/stack; its JSON on standard output
  ./dev up --listen 127.0.0.1:8008 --validators 3    gateway on a port of your choice, three validators
  ./dev up --state-dir /tmp/s --allow-private-networks --insecure-federation-tls --allow-seeding
                                                     what tests and load runs need: peers on this very machine
exit status: 0 ready, 1 a step failed (everything started has been ended), 2 usage
"""
DOWN_EXAMPLES = """\
examples:
  ./dev down                      ends the stack under build/stack; its data stay for the next ./dev up
  ./dev down --state-dir /tmp/s   ends exactly what ./dev up --state-dir /tmp/s started
exit status: 0 ended, or there was nothing to end; 1 failed; 2 usage
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


class Stack:
    """What runs for one state directory, and the file in it that remembers."""

    def __init__(self, state_dir):
        self.directory = state_dir
        self.record_file = state_dir / "stack.json"
        self.records = {tier: [] for tier in TIERS}
        if self.record_file.exists():
            self.records |= json.loads(self.record_file.read_text(encoding="utf-8"))

    def running(self):
        return [record for tier in TIERS for record in self.records[tier] if processes.is_ours(record)]

    def add(self, tier, record):
        self.records[tier].append(record)
        written = self.record_file.with_suffix(".new")
        written.write_text(json.dumps(self.records, indent=1), encoding="utf-8")
        written.rename(self.record_file)

    def end(self):
        for tier in TIERS:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to go.
            ask = signal.SIGINT if tier == "postgres" else signal.SIGTERM
            for record in processes.end(self.records[tier], ask, patience=30):
                say(f"{tier} {record['pid']} did not end when asked and was killed; its log: {record['log']}")
        if self.records["postgres"]:
            Cluster(self.directory).retire()
        self.record_file.unlink(missing_ok=True)


class Launch:
    """One run of `up`."""

    def __init__(self, options, stack):
        self.options = options
        self.stack = stack
        self.directory = stack.directory
        self.programs = pathlib.Path(options.bin_dir)
        self.logs = self.directory / "logs"
        self.logs.mkdir(exist_ok=True)
        self.cluster = Cluster(self.directory)

    def run(self):
        if not self.options.database_uri:
            self.cluster.prepare(self.options.statement_statistics)
            postgres, record = self.cluster.start()
            self.stack.add("postgres", record)
            self.cluster.wait_until_ready(postgres, READY_SECONDS)

        settings = self._store_settings()
        stores = [self._start("store", n, settings) for n in range(1, self.options.stores + 1)]
        validators = [self._start("validator", n, {}) for n in range(1, self.options.validators + 1)]
        stores, validators = self._ready(stores), self._ready(validators)
        settings = {"store": address_list(stores), "validator": address_list(validators)} | self._gateway_settings()
        gateways = []
        for number in range(1, self.options.gateways + 1):
            gateways.append(self._start("gateway", number, settings | {"listen": self._listen(number)}))
        return self._describe(stores, validators, self._ready(gateways))

    def _store_settings(self):
        uri = self.directory / "database.uri"
        write_secret(uri, self._dsn() + "\n")
        return {"server_name": self.options.server_name, "database_uri_file": str(uri), "allow_seeding": self.options.allow_seeding} | (
            self.options.store_settings)

    def _dsn(self):
        return self.options.database_uri or self.cluster.dsn()

    def _gateway_settings(self):
        key = self.directory / "signing.key"
        if not key.exists():
            subprocess.run([self.programs / "posternctl", "key", "generate", "--output", key], check=True,
                           stdout=subprocess.DEVNULL)
        old_keys = self.directory / "old_verify_keys"
        old_keys.touch()
        settings = {
            "server_name": self.options.server_name,
            "signing_key_file": str(key),
            "old_verify_keys_file": str(old_keys),
            "allow_private_networks": self.options.allow_private_networks,
            "insecure_federation_tls": self.options.insecure_federation_tls,
        }
        if self.options.allow_seeding and not self.options.gateway_settings:
            settings["rate_limits"] = False
        return settings

    def _listen(self, number):
        host, _, port = self.options.listen.rpartition(":")
        return f"{host}:{int(port) + number - 1 if int(port) else 0}"

    def _start(self, service, number, settings):
        name = f"{service}-{number}"
        port_file = self.directory / f"{name}.ports.json"
        port_file.unlink(missing_ok=True)
        local = "127.0.0.1:0"
        grpc_key = "admin_grpc_listen" if service == "gateway" else "listen"
        settings = {grpc_key: local, "admin_listen": local, "port_file": str(port_file), "plaintext": True} | settings
        # JSON values are YAML too, whatever characters they hold.
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())
        if service == "gateway" and self.options.gateway_settings:
            text += pathlib.Path(self.options.gateway_settings).read_text(encoding="utf-8")
        config = self.directory / f"{name}.yaml"
        config.write_text(text, encoding="utf-8")
        command = [self.programs / f"postern-{service}", "--config", config]
        process, record = processes.start(command, self.logs / f"{name}.log", service_environment())
        self.stack.add(service, record)
        return {"name": name, "process": process, "port_file": port_file, "record": record}

    def _ready(self, services):
        """Waits until each of `services` says that it is ready; adds its ports."""
        deadline = time.monotonic() + READY_SECONDS
        for service in services:
            missing = "its ports"
            while missing is not None:
                if service["process"].poll() is not None:
                    raise Trouble(f"{service['name']} ended with status {service['process'].returncode} while it started",
                                  service["record"]["log"])
                if time.monotonic() > deadline:
                    raise Trouble(f"{service['name']} was not ready after {READY_SECONDS} s: {missing}",
                                  service["record"]["log"])
                time.sleep(POLL_SECONDS)
                if service["port_file"].exists():
                    service["ports"] = json.loads(service["port_file"].read_text(encoding="utf-8"))
                    missing = what_is_missing(service["ports"]["admin"])
        return services

    def _describe(self, stores, validators, gateways):
        services = {"gateway": gateways, "validator": validators, "store": stores}
        addresses = {tier: [f"127.0.0.1:{s['ports']['grpc']}" for s in found] for tier, found in services.items()}
        host = self.options.listen.rpartition(":")[0]
        urls = [f"http://{host}:{s['ports']['federation']}" for s in gateways]
        pids = {tier: [s["record"]["pid"] for s in found] for tier, found in services.items()}
        client = self.programs / "posternctl"
        if client.is_relative_to(ROOT):
            client = client.relative_to(ROOT)
        reach = [part for tier in ("gateway", "store", "validator") for part in (f"--{tier}", ",".join(addresses[tier]))]
        return {
            "server_name": self.options.server_name,
            "federation_url": urls[0],
            "federation_urls": urls,
            "admin": {tier: [f"http://127.0.0.1:{s['ports']['admin']}" for s in found] for tier, found in services.items()},
            "grpc": addresses,
            "posternctl": shlex.join([str(client)] + reach),
            "dsn": self._dsn(),
            "state_dir": str(self.directory),
            "pids": pids | {"postgres": record["pid"] for record in self.stack.records["postgres"]},
        }


def address_list(services):
    return ",".join(f"127.0.0.1:{service['ports']['grpc']}" for service in services)


def what_is_missing(admin_port):
    """None if the service is ready, else what /readyz says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz", timeout=5):
            return None
    except urllib.error.HTTPError as refused:
        return refused.read().decode("utf-8", "replace").strip()
    except OSError as error:
        return f"/readyz: {error}"


def service_environment():
    """Ours without POSTERN_…: those are settings, and the stack's files are to hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POSTERN_")}


def write_secret(path, text):
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def warn(options):
    warnings = {
        "--allow-private-networks": "the gateway connects to private and loopback addresses that a stranger names",
        "--insecure-federation-tls": "the gateway believes any certificate of another server",
        "--allow-seeding": "anybody who reaches the admin port may fill rooms with events that nobody judged",
    }
    for switch, danger in warnings.items():
        if getattr(options, switch[2:].replace("-", "_")):
            say(f"WARNING: {switch} is for tests only: {danger}.")
    if options.allow_seeding and not options.gateway_settings:
        say("WARNING: a seeding stack has no rate limits (give --rate-limits FILE to have them).")


def up(options, stack):
    if stack.running():
        raise Trouble(f"a stack of {stack.directory} is running: end it with ./dev down --state-dir {stack.directory}")
    stack.records = {tier: [] for tier in TIERS}
    warn(options)
    # A signal ends what has been started, like any other failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        description = Launch(options, stack).run()
    except BaseException:
        stack.end()
        raise
    print(json.dumps(description), flush=True)


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="./dev", add_help=False)
    commands = parser.add_subparsers(dest="command", required=True)
    default = ROOT / "build" / "stack"
    raw = argparse.RawDescriptionHelpFormatter
    up_parser = commands.add_parser("up", epilog=UP_EXAMPLES, formatter_class=raw, description=(
        "Starts a private PostgreSQL, the store, validators and gateways, waits until all are ready, and prints one JSON\n"
        "object that says how to reach them. Everything keeps running until ./dev down."))
    down_parser = commands.add_parser("down", epilog=DOWN_EXAMPLES, formatter_class=raw, description=(
        "Ends exactly what ./dev up started for a state directory."))
    for command in (up_parser, down_parser):
        command.add_argument("--state-dir", type=pathlib.Path, default=default, metavar="DIR",
                             help="where data, keys, logs and the list of processes are (default: build/stack)")
    add = up_parser.add_argument
    add("--server-name", default="postern.test", metavar="NAME", help="this homeserver's name (default: postern.test)")
    add("--listen", default="127.0.0.1:0", type=listen_address, metavar="ADDR:PORT",
        help="where other servers connect; further gateways take the next ports; 0: any free one (default: 127.0.0.1:0)")
    add("--stores", type=count(64), default=1, metavar="N", help="how many stores on the one database (default: 1)")
    add("--validators", type=count(64), default=1, metavar="N", help="how many validators (default: 1)")
    add("--gateways", type=count(64), default=1, metavar="N", help="how many gateways, each on a port of its own (default: 1)")
    add("--database-uri", metavar="URI", help="a database that is there already; nothing starts or ends it (default: one of its own)")
    add("--store-settings", type=json.loads, default={}, help=argparse.SUPPRESS)  # for tests: a JSON object
    add("--gateway-settings", "--rate-limits", metavar="FILE", type=readable_file,
        help="further lines of YAML for the gateways, as their own file has them: rc_federation, address_limit, sender, …")
    add("--allow-private-networks", action="store_true", help="TESTS ONLY: let the gateway connect to loopback addresses")
    add("--insecure-federation-tls", action="store_true", help="TESTS ONLY: believe any certificate of another server")
    add("--allow-seeding", action="store_true", help="TESTS ONLY: allow `posternctl room seed`; no rate limits")
    # For ./dev bars; costs CPU, so not for the rest of it.
    add("--statement-statistics", action="store_true", help=argparse.SUPPRESS)
    add("--bin-dir", default=os.environ.get("POSTERN_BIN_DIR", ROOT / "build" / "release" / "bin"), help=argparse.SUPPRESS)
    # Lets ./dev find mistakes before it builds.
    add("--only-check", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def listen_address(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"expected ADDRESS:PORT, not '{text}'")
    return text


def readable_file(text):
    if not os.access(text, os.R_OK):
        raise argparse.ArgumentTypeError(f"cannot read '{text}'")
    return text


def main():
    options = read_options(sys.argv[1:])
    directory = options.state_dir.absolute()
    if options.command == "up" and options.only_check:
        return 0
    if options.command == "down" and not (directory / "stack.json").exists():
        say(f"nothing runs for {directory}")
        return 0
    if options.command == "up":
        options.bin_dir = pathlib.Path(options.bin_dir).absolute()
        directory.mkdir(parents=True, exist_ok=True)
    try:
        with open(directory / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stack = Stack(directory)
            if options.command == "up":
                up(options, stack)
            else:
                stack.end()
    except (Trouble, OSError, subprocess.CalledProcessError) as trouble:
        say(f"./dev {options.command}: {trouble}")
        log = getattr(trouble, "log", None)
        if log is not None:
            say(f"--- the end of {log}\n{processes.tail(log)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
