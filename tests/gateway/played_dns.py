#!/usr/bin/env python3
"""A DNS server on loopback, over UDP and TCP, that answers what the test says and remembers what it was asked.

Prints its port. Then a JSON object a line on standard input, and an answer a line on standard output:
  {"name": "a.example", "type": "A", "answers": [["192.0.2.1"], ["192.0.2.2"]]}   one list a question; the last one stays
  {"name": "a.example", "type": "SRV", "answers": [[[10, 5, 8448, "b.example"]]], "ttl": 60}
  {"name": "a.example", "type": "A", "rcode": 2}    answers nothing but this code
  {"name": "a.example", "type": "A", "silent": true}
  {"name": "a.example", "type": "A", "answers": [["192.0.2.1"]], "only_by_tcp": true}
  {"asked": true}                                   answers ["A a.example", …] and forgets them
  {"forget": true}                                  everything, once all questions before it are answered
Ends when its standard input does. A name with nothing below it and no record does not exist; CNAMEs are followed, as a
resolver that recurses does.
"""
import json
import socket
import struct
import sys
import threading

TYPES = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}
NAMES = {number: name for name, number in TYPES.items()}
OK, NO_SUCH_NAME = 0, 3
LONGEST_BY_UDP = 512


class Zone:
    def __init__(self):
        self.lock = threading.Lock()
        self.sets = {}
        self.asked = []

    def set(self, command):
        with self.lock:
            self.sets[(command["name"].lower(), command["type"])] = command

    def clear(self):
        with self.lock:
            self.sets = {}
            self.asked = []

    def forget_asked(self):
        with self.lock:
            asked, self.asked = self.asked, []
            return asked

    def exists(self, name):
        return any(known == name or known.endswith("." + name) for known, _ in self.sets)

    def find(self, name, kind):
        """The command for the question, and the records (name, type, ttl, data) of one answer."""
        with self.lock:
            self.asked.append(f"{kind} {name}")
            records = []
            for _ in range(8):
                command = self.sets.get((name, kind))
                alias = self.sets.get((name, "CNAME"))
                if command is not None or alias is None:
                    break
                target = alias["answers"][0][0].lower()
                records.append((name, "CNAME", alias.get("ttl", 300), target))
                name = target
            if command is None:
                return {"rcode": OK if self.exists(name) else NO_SUCH_NAME}, records
            answers = command.get("answers", [[]])
            chosen = answers.pop(0) if len(answers) > 1 else answers[0]
            records += [(name, kind, command.get("ttl", 300), data) for data in chosen]
            return command, records


def encode_name(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(struct.pack("B", len(label)) + label.encode() for label in labels) + b"\0"


def encode_data(kind, data):
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, data)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, data)
    if kind == "CNAME":
        return encode_name(data)
    priority, weight, port, target = data
    return struct.pack("!HHH", priority, weight, port) + encode_name(target)


def read_question(message):
    labels, place = [], 12
    while message[place]:
        size = message[place]
        labels.append(message[place + 1:place + 1 + size].decode())
        place += 1 + size
    (kind,) = struct.unpack("!H", message[place + 1:place + 3])
    return ".".join(labels).lower(), kind, message[12:place + 5]


def answer(zone, message, by_udp):
    """The answer's bytes, or None."""
    name, number, question = read_question(message)
    command, records = zone.find(name, NAMES.get(number, str(number)))
    if command.get("silent"):
        return None
    body = b""
    for owner, kind, ttl, data in records:
        encoded = encode_data(kind, data)
        body += encode_name(owner) + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(encoded)) + encoded
    flags = 0x8180 | command.get("rcode", OK)
    size = 12 + len(question) + len(body)
    if by_udp and (command.get("only_by_tcp") or size > LONGEST_BY_UDP):
        flags, records, body = flags | 0x0200, [], b""
    return message[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + body


def serve_udp(zone, server):
    while True:
        message, peer = server.recvfrom(4096)
        reply = answer(zone, message, by_udp=True)
        if reply is not None:
            server.sendto(reply, peer)


def serve_connection(zone, connection):
    with connection, connection.makefile("rwb") as stream:
        while True:
            head = stream.read(2)
            if len(head) < 2:
                return
            reply = answer(zone, stream.read(struct.unpack("!H", head)[0]), by_udp=False)
            if reply is not None:
                stream.write(struct.pack("!H", len(reply)) + reply)
                stream.flush()


def serve_tcp(zone, server):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve_connection, args=(zone, connection), daemon=True).start()


def await_questions(port):
    """Until what was sent by UDP before has been read: the socket keeps the order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.sendto(struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + encode_name("last") + b"\0\1\0\1", ("127.0.0.1", port))
        asker.recv(4096)


def bind_both():
    """A UDP and a TCP socket on one free port."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
            return udp, tcp
        except OSError:  # the port is taken for UDP
            udp.close()
            tcp.close()


def main():
    zone = Zone()
    udp, tcp = bind_both()
    for serve, server in ((serve_udp, udp), (serve_tcp, tcp)):
        threading.Thread(target=serve, args=(zone, server), daemon=True).start()
    print(udp.getsockname()[1], flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "forget" in command:
            await_questions(udp.getsockname()[1])
            reply = zone.clear()
        elif "asked" in command:
            reply = zone.forget_asked()
        else:
            reply = zone.set(command)
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
