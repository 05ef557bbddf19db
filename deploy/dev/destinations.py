#!/usr/bin/env python3
"""Homeservers that are told things, for ./dev bars: each a TLS port of this machine that takes transactions. Prints their names, and on
SIGTERM writes what each was told to the file given: [{"name", "transactions", "repeated", "told": [[room, state key, ms], …]}, …],
in the order in which it was told first."""
import argparse
import asyncio
import json
import pathlib
import signal
import ssl
import subprocess
import sys
import tempfile
import time


class Destination:
    """`pause`: seconds that it takes over each answer."""

    def __init__(self, pause):
        self.pause = pause
        self.name = None
        self.transactions = 0
        self.repeated = 0
        self.told = {}

    async def serve(self, context):
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=context, limit=1 << 20)
        self.name = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _talk(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
                self._note(head, await reader.readexactly(length))
                await asyncio.sleep(self.pause)
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"pdus":{}}')
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def _note(self, head, body):
        if not head.startswith(b"PUT /_matrix/federation/v1/send/"):
            return
        self.transactions += 1
        now = time.time() * 1000
        for pdu in json.loads(body)["pdus"]:
            if pdu["type"] != "m.room.member":
                continue  # a dummy event
            key = (pdu["room_id"], pdu["state_key"])
            self.repeated += key in self.told
            self.told.setdefault(key, now)

    def described(self):
        return {"name": self.name, "transactions": self.transactions, "repeated": self.repeated,
                "told": [[room, key, at] for (room, key), at in self.told.items()]}


def certificate(directory):
    key, pem = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", pem], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


async def play(options):
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    destinations = [Destination(options.pause if number < options.slow else 0) for number in range(options.count)]
    with tempfile.TemporaryDirectory() as directory:
        context = certificate(pathlib.Path(directory))
        for destination in destinations:
            await destination.serve(context)
    print(json.dumps([destination.name for destination in destinations]), flush=True)
    await ended.wait()
    options.report.write_text(json.dumps([destination.described() for destination in destinations]), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1, help="how many")
    parser.add_argument("--slow", type=int, default=0, help="how many of them, the first, take their time")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds that those take over each answer")
    parser.add_argument("--report", type=pathlib.Path, required=True, help="where to write what they were told")
    asyncio.run(play(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
