#!/usr/bin/env python3
"""The leave handshake, played by two real parties and shown stage by stage. Called by ./dev demo, which has built the programs."""
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

from free_port import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACK = pathlib.Path(__file__).with_name("stack.py")
VERSIONS = ("6", "10", "12")
HERE = "here.example"
MEMBERSHIP_ROW = "select * from readable_memberships where room_id = :'room' and user_id = :'member'"
COLOURS = {"title": "1;36", "good": "32", "bad": "1;31", "quiet": "2"}


class Wrong(Exception):
    """Something was not as it should be; the demo ends."""


def coloured(kind, text):
    return f"\033[{COLOURS[kind]}m{text}\033[0m" if sys.stdout.isatty() else text


def title(text):
    print("\n" + coloured("title", text), flush=True)


def show(text, indent=4):
    print("\n".join(" " * indent + line if line else "" for line in str(text).splitlines()), flush=True)


def expect(what, fine):
    print(f"    {coloured('good', 'ok') if fine else coloured('bad', 'WRONG')}   {what}", flush=True)
    if not fine:
        raise Wrong(what)


class Demo:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.stack = None
        self.key_server = None
        self.remote = None

    # -- the two parties -------------------------------------------------------------------------------------------------

    def start_stack(self):
        title("The stack: a private PostgreSQL, store, validator and gateway")
        began = time.monotonic()
        command = [sys.executable, STACK, "up", "--state-dir", self.directory / "stack", "--server-name", HERE,
                   "--allow-private-networks", "--insecure-federation-tls"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Wrong("the stack did not start")
        self.stack = json.loads(done.stdout)
        show(f"{HERE} listens at {self.stack['federation_url']}; ready after {time.monotonic() - began:.1f} s")
        pids = self.stack["pids"]
        show(f"processes: gateway {pids['gateway'][0]}, validator {pids['validator'][0]}, store {pids['store'][0]}, "
             f"PostgreSQL {pids['postgres']}")

    def start_remote(self):
        title("The other party: a remote homeserver with a key of its own, published over HTTPS")
        self.remote = f"localhost:{free_port()}"
        self.run("key", "generate", "--output", self.key("remote"))
        command = self.posternctl() + ["key", "serve", "--server-name", self.remote, "--key", str(self.key("remote")), "--json"]
        show(coloured("quiet", "$ " + shlex.join(["posternctl"] + command[5:])))
        self.key_server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        serving = self.key_server.stdout.readline()
        if not serving:
            raise Wrong("the remote's key endpoint did not start")
        serving = json.loads(serving)
        show(f"{self.remote} serves {serving['key_id']} at {serving['url']}")

    def end(self):
        if self.key_server is not None:
            self.key_server.terminate()
            self.key_server.wait()
        subprocess.run([sys.executable, STACK, "down", "--state-dir", self.directory / "stack"], check=True)

    # -- talking to them -------------------------------------------------------------------------------------------------

    def key(self, name):
        return self.directory / f"{name}.key"

    def posternctl(self):
        return shlex.split(self.stack["posternctl"])

    def run(self, *arguments, ok=(0,), quiet=False):
        """Runs posternctl, shows the command, and returns what it printed."""
        arguments = [str(argument) for argument in arguments]
        if not quiet:
            show(coloured("quiet", "$ " + shlex.join(["posternctl"] + arguments)))
        done = subprocess.run(self.posternctl() + arguments, check=False, capture_output=True, text=True, cwd=ROOT)
        if done.returncode not in ok:
            show(done.stdout + done.stderr)
            raise Wrong(f"posternctl {arguments[0]} ended with status {done.returncode}")
        return done.stdout

    def ask(self, *arguments, ok=(0,)):
        """The same with --json, quietly; the value."""
        return json.loads(self.run("--json", *arguments, ok=ok, quiet=True))

    def leave(self, user, room, *options, ok=(0,)):
        """The remote's side of a leave; shows its stages and returns the whole of the answer."""
        arguments = ["leave", "--as", user, "--key", self.key("remote"), "--to", self.stack["federation_url"], *options, room]
        show(coloured("quiet", "$ " + shlex.join(["posternctl"] + [str(a) for a in arguments])))
        answer = self.ask(*arguments, ok=ok)
        for stage in answer["stages"]:
            show(f"{stage['name']:<22}{stage['us'] / 1000:>8.1f} ms  {stage['what']}")
        return answer

    def membership_row(self, room, user):
        command = ["psql", "-X", "-x", "-d", self.stack["dsn"], "-v", f"room={room}", "-v", f"member={user}",
                   "--pset=footer=off"]
        done = subprocess.run(command, check=False, input=MEMBERSHIP_ROW, capture_output=True, text=True)
        if done.returncode != 0:
            raise Wrong(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def make_room(self, version):
        room = self.ask("room", "create", "--version", version, "--creator", f"@ann:{HERE}")["room_id"]
        show(coloured("quiet", f"$ posternctl room create --version {version} --creator @ann:{HERE}"))
        show(room)
        return room

    def invite(self, room, name):
        user = f"@{name}:{self.remote}"
        event_id = self.run("room", "invite", room, user).strip()
        show(event_id)
        return user

    # -- the play --------------------------------------------------------------------------------------------------------

    def play_handshakes(self, version):
        title(f"A room of version {version}: invited, then rejected over v2 and over v1")
        room = self.make_room(version)
        for api, name, body in (("v2", "bob", {}), ("v1", "cat", [200, {}])):
            user = self.invite(room, name)
            began = time.monotonic()
            answer = self.leave(user, room, "--api", api, "--reason", "not today")
            took = (time.monotonic() - began) * 1000
            expect(f"{api} answered 200 {json.dumps(body)}; the whole handshake took {took:.0f} ms",
                   answer["status"] == 200 and answer["body"] == body)
            self.check_stored(room, user, answer["event_id"], whole=api == "v2")

    def check_stored(self, room, user, event_id, whole):
        print()
        show(self.run("explain", event_id, "--room", room).partition("\n\n")[2])
        steps = self.ask("explain", event_id, "--room", room)["verdict"]["steps"]
        expect("six steps, all ok", [s["outcome"] for s in steps[:6]] == ["ok"] * 6)
        row = self.membership_row(room, user)
        print()
        show("the membership, as PostgreSQL has it:")
        show(row)
        member = self.ask("member", "show", room, user)
        expect("the member has left, by this event",
               member["membership"] == "leave" and member["event_id"] == event_id and event_id in row and "| leave" in row)
        event = self.ask("event", "show", event_id, "--room", room)["event"]
        if whole:
            show("the event, as it is stored:")
            show(json.dumps(event, indent=2, ensure_ascii=False))
        expect(f"signed by {self.remote} and countersigned by {HERE}", set(event["signatures"]) == {self.remote, HERE})

    def play_refusals(self):
        title("Three refusals")
        room = self.make_room("10")
        bob, dan, mal = (self.invite(room, name) for name in ("bob", "dan", "mal"))

        show("\n1. The event's signature has been tampered with")
        self.refused(bob, room, 400, "M_INVALID_PARAM", "--tamper-signature")

        show("\n2. Someone else's user: another server submits a leave for dan, whose server it is not")
        template = self.directory / "dan.template"
        self.leave(dan, room, "--template-only", template)
        thief = self.play_thief(dan, room, template)
        self.expect_refusal(thief, 400, "M_INVALID_PARAM")

        show("\n3. A banned member: mal takes a template, is banned, and submits his leave all the same")
        template = self.directory / "mal.template"
        self.leave(mal, room, "--template-only", template)
        show(self.run("room", "ban", room, mal, "--reason", "spam"))
        self.refused(mal, room, 403, "M_FORBIDDEN", "--template", template)
        for user, membership in ((bob, "invite"), (dan, "invite"), (mal, "ban")):
            now = self.ask("member", "show", room, user)["membership"]
            expect(f"{user} still has membership {membership}", now == membership)

    def play_thief(self, user, room, template):
        thief = f"localhost:{free_port()}"
        self.run("key", "generate", "--output", self.key("thief"), quiet=True)
        arguments = ["leave", "--as", user, "--origin", thief, "--key", self.key("thief"), "--to",
                     self.stack["federation_url"], "--template", template, room]
        show(coloured("quiet", "$ " + shlex.join(["posternctl"] + [str(a) for a in arguments])))
        return self.ask(*arguments, ok=(1,))

    def refused(self, user, room, status, errcode, *options):
        self.expect_refusal(self.leave(user, room, *options, ok=(1,)), status, errcode)

    def expect_refusal(self, answer, status, errcode):
        show(f"answered {answer['status']} {json.dumps(answer['body'])}")
        expect(f"refused with {status} {errcode}", answer["status"] == status and answer["body"].get("errcode") == errcode)

    def play(self):
        self.start_stack()
        self.start_remote()
        for version in VERSIONS:
            self.play_handshakes(version)
        self.play_refusals()


WHAT_NEXT = f"""\
Keep a stack running, and try it yourself:
  ./dev up --server-name {HERE} --listen 127.0.0.1:8008 --allow-private-networks --insecure-federation-tls
      prints how to reach it as JSON; its "posternctl" is the start of the command lines below
  posternctl key generate --output /tmp/bob.key
  posternctl room create --version 12 --creator @ann:{HERE}
  posternctl key serve --server-name localhost:8449 --key /tmp/bob.key &      (the other server: it signs the invite)
  posternctl room invite ROOM @bob:localhost:8449
  posternctl leave --as @bob:localhost:8449 --key /tmp/bob.key --to http://127.0.0.1:8008 ROOM
  posternctl room show ROOM; posternctl explain EVENT; posternctl outbox
  ./dev down
Then: README.md says how a leave goes, ./dev test runs everything, ./dev --help has the rest."""


def main():
    with tempfile.TemporaryDirectory(prefix="postern-demo-") as directory:
        demo = Demo(directory)
        began = time.monotonic()
        try:
            demo.play()
        except Wrong as wrong:
            print(f"\n{coloured('bad', 'The demo failed')}: {wrong}", flush=True)
            for log in sorted((pathlib.Path(directory) / "stack" / "logs").glob("*.log")):
                print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
            return 1
        finally:
            demo.end()
        title(f"All of it was as it should be, in {time.monotonic() - began:.0f} s")
        print(WHAT_NEXT)
        return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
