#!/usr/bin/env python3
"""./dev up and ./dev down as a caller sees them. POSTERN_BIN_DIR names the programs."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEV = str(ROOT / "dev")


def dev(*arguments, **options):
    return subprocess.run([DEV, *arguments], check=False, capture_output=True, text=True, timeout=120, **options)


def alive(pid):
    """A process that only waits for its parent to take notice is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids_of(stack):
    pids = stack["pids"]
    return [*pids["gateway"], *pids["validator"], *pids["store"], pids["postgres"]]


class StackTest(unittest.TestCase):
    def setUp(self):
        # Mode 0700: PostgreSQL's user cannot enter it.
        self.directory = tempfile.TemporaryDirectory(prefix="postern-stack-test-")
        self.state = str(pathlib.Path(self.directory.name) / "state")

    def tearDown(self):
        dev("down", "--state-dir", self.state)
        for log in pathlib.Path(self.state).glob("logs/*.log"):
            # What a sanitizer has found in a process that nobody waits for stands in its log only.
            self.assertNotRegex(log.read_text(encoding="utf-8", errors="replace"), "Sanitizer|runtime error:", log)
        self.directory.cleanup()

    def up(self, *arguments):
        # Reads its output to the end: returns only if no process of the stack holds the pipe.
        done = dev("up", "--state-dir", self.state, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout), done.stderr

    def test_says_how_to_reach_what_it_started_and_ends_it(self):
        stack, _ = self.up("--server-name", "here.example", "--validators", "2", "--gateways", "2")
        self.assertEqual(stack["server_name"], "here.example")
        self.assertEqual(stack["state_dir"], self.state)
        self.assertEqual(stack["federation_url"], stack["federation_urls"][0])
        self.assertEqual([len(stack["pids"][s]) for s in ("gateway", "validator", "store")], [2, 2, 1])
        self.assertEqual(len(stack["federation_urls"]), 2)
        for url in stack["federation_urls"]:
            with urllib.request.urlopen(url + "/_matrix/key/v2/server", timeout=10) as answer:
                self.assertEqual(json.load(answer)["server_name"], "here.example")
        for urls in stack["admin"].values():
            for url in urls:
                with urllib.request.urlopen(url + "/readyz", timeout=10) as answer:
                    self.assertEqual(answer.status, 200)
        room = subprocess.run(shlex.split(stack["posternctl"]) + ["--json", "room", "create", "--creator", "@ann:here.example"],
                              check=True, capture_output=True, text=True, cwd=ROOT).stdout
        psql = ["psql", "-X", "-A", "-t", "-d", stack["dsn"], "-c", "select encode(room_id, 'escape') from rooms"]
        rooms = subprocess.run(psql, check=True, capture_output=True, text=True).stdout
        self.assertEqual(rooms.strip(), json.loads(room)["room_id"])

        self.assertTrue(all(alive(pid) for pid in pids_of(stack)))
        self.assertNotEqual(dev("up", "--state-dir", self.state).returncode, 0)
        self.assertTrue(all(alive(pid) for pid in pids_of(stack)))

        self.assertEqual(dev("down", "--state-dir", self.state).returncode, 0)
        self.assertFalse(any(alive(pid) for pid in pids_of(stack)))
        self.assertEqual(dev("down", "--state-dir", self.state).returncode, 0)

        again, _ = self.up("--server-name", "here.example")
        rooms = subprocess.run(psql[:-3] + [again["dsn"]] + psql[-2:], check=True, capture_output=True, text=True).stdout
        self.assertEqual(rooms.strip(), json.loads(room)["room_id"])

    def test_keeps_no_descriptor_of_its_caller(self):
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        done = subprocess.run([DEV, "up", "--state-dir", self.state], check=True, capture_output=True, pass_fds=[writer])
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")  # the end of it: nobody holds the other side
        os.close(reader)
        for pid in pids_of(json.loads(done.stdout)):
            self.assertEqual(os.getsid(pid), pid)

    def test_warns_loudly_of_what_is_for_tests_only(self):
        switches = ["--allow-private-networks", "--insecure-federation-tls", "--allow-seeding"]
        _, said = self.up(*switches)
        for switch in switches:
            self.assertIn(f"WARNING: {switch}", said)

    def test_ends_everything_if_a_step_fails(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as limits:
            limits.write("rc_federation: {no_such_key: 1}\n")
        done = dev("up", "--state-dir", self.state, "--rate-limits", limits.name)
        os.unlink(limits.name)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertIn("no_such_key", done.stderr)
        processes = subprocess.run(["pgrep", "-f", self.directory.name], check=False, capture_output=True, text=True)
        self.assertEqual(processes.stdout, "")

    def test_down_leaves_a_process_alone_that_only_has_the_number(self):
        state = pathlib.Path(self.state)
        state.mkdir()
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        bystander = subprocess.Popen(["sleep", "60"])
        record = {"pid": bystander.pid, "start_time": 1, "boot_id": boot, "log": ""}
        (state / "stack.json").write_text(json.dumps({"gateway": [record]}), encoding="utf-8")
        self.assertEqual(dev("down", "--state-dir", self.state).returncode, 0)
        self.assertIsNone(bystander.poll())
        bystander.kill()
        bystander.wait()

    def test_down_of_an_unknown_directory_does_nothing(self):
        done = dev("down", "--state-dir", self.state)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertFalse(os.path.exists(self.state))

    def test_mistakes_are_answered_at_once(self):
        for arguments in (["up", "--listen", "here"], ["up", "--validators", "0"], ["up", "--rate-limits", "/nowhere"], ["fly"],
                          ["build", "fast"], ["test", "--slow"], ["bars", "--rooms", "0"], ["bars", "--scenario", "fast"]):
            self.assertEqual(dev(*arguments).returncode, 2, arguments)

    def test_every_command_explains_itself(self):
        commands = re.findall(r"^  ([a-z-]+) {2,}", dev("--help").stdout, re.MULTILINE)
        self.assertIn("deploy-test", commands)
        for command in commands:
            done = dev(command, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            self.assertIn("usage: ./dev " + command, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
