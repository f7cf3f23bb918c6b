"""A DNS server with answers of every kind, and a listener at every address, for the test that runs it in its machine.

It listens at the addresses that it is given, over UDP and TCP, and writes each question to its output: the address at
which it was asked, the way, and the name. What comes to the port of other servers is greeted with a line that is no TLS.
"""

import ipaddress
import selectors
import socket
import struct
import sys

PORT = 53
SERVER_PORT = 8448
A, CNAME, AAAA = 1, 5, 28
NXDOMAIN, SERVFAIL = 3, 2
# What is more than this comes over TCP.
UDP_MAX_BYTES = 512

PUBLIC, OTHER = "11.0.0.7", "11.0.0.8"
PUBLIC_V6 = "2600::7"

# What a name leads to: addresses, or another name.
RECORDS = {
    "four.test": [PUBLIC],
    "six.test": [PUBLIC_V6],
    "both.test": [PUBLIC, PUBLIC_V6],
    "alias.test": "chain.test",
    "chain.test": "four.test",
    "loop.test": "loop.test",
    "empty.test": [],
    "inside.test": ["10.0.0.5"],
    "self.test": ["127.0.0.1", "::1"],
    "mapped.test": ["::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    "mixed.test": ["127.0.0.1", "10.0.0.5", PUBLIC],
    "inside-alias.test": "inside.test",
    "many.test": [f"11.0.0.{last}" for last in range(100, 180)],
    # Only with a search domain of the machine would anybody ask for these.
    "missing.test.office.example": [PUBLIC],
    "intranet.office.example": [PUBLIC],
}
SILENT, FAILING, REBINDING, CHANGING = "silent.test", "failing.test", "rebinding.test", "changing.test"


class Answers:
    def __init__(self):
        self.rebinding = [PUBLIC]

    def find(self, name, kind, asked_at):
        """The response code and the records (name, type, data) for a question; None for no answer at all."""
        if name == SILENT:
            return None
        if name == FAILING:
            return SERVFAIL, []
        if name == CHANGING:
            return 0, addresses(name, [PUBLIC if asked_at == "127.0.0.53" else OTHER], kind)
        if name == REBINDING:
            # Whoever asks once gets the address that may be used, whoever asks again another one.
            found = addresses(name, self.rebinding, kind)
            if kind == A:
                self.rebinding = ["127.0.0.1"]
            return 0, found
        records = []
        for _ in range(4):
            entry = RECORDS.get(name)
            if entry is None:
                return NXDOMAIN, records
            if isinstance(entry, list):
                return 0, records + addresses(name, entry, kind)
            records.append((name, CNAME, wire(entry)))
            name = entry
        return 0, records


def addresses(name, texts, kind):
    parsed = [ipaddress.ip_address(text) for text in texts]
    return [(name, kind, address.packed) for address in parsed if {4: A, 6: AAAA}[address.version] == kind]


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(answers, query, asked_at, way):
    """The answer to a query, or None."""
    place, labels = 12, []
    while query[place]:
        labels.append(query[place + 1:place + 1 + query[place]].decode())
        place += 1 + query[place]
    kind = struct.unpack_from(">H", query, place + 1)[0]
    name = ".".join(labels).lower()
    print(asked_at, way, name, kind, flush=True)
    found = answers.find(name, kind, asked_at)
    if found is None:
        return None
    code, records = found
    head = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
    body = b"".join(wire(owner) + struct.pack(">HHIH", kind, 1, 0, len(data)) + data for owner, kind, data in records)
    question = query[12:place + 5]
    if way == "udp" and len(head + question + body) > UDP_MAX_BYTES:
        return query[:2] + struct.pack(">HHHHH", 0x8780, 1, 0, 0, 0) + question
    return head + question + body


def take_tcp(answers, listener, address):
    """Several questions may come over one connection."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as incoming:
        connection.settimeout(2)
        while len(length := incoming.read(2)) == 2:
            told = answer(answers, incoming.read(struct.unpack(">H", length)[0]), address, "tcp")
            if told is not None:
                connection.sendall(struct.pack(">H", len(told)) + told)


def take_udp(answers, place, address):
    query, client = place.recvfrom(4096)
    told = answer(answers, query, address, "udp")
    if told is not None:
        place.sendto(told, client)


def greet(listener):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"This is no TLS.\n")


def main():
    answers = Answers()
    places = selectors.DefaultSelector()
    for address in sys.argv[1:]:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((address, PORT))
        places.register(datagrams, selectors.EVENT_READ, lambda at=datagrams, to=address: take_udp(answers, at, to))
        listener = socket.create_server((address, PORT))
        places.register(listener, selectors.EVENT_READ, lambda at=listener, to=address: take_tcp(answers, at, to))
    servers = socket.create_server(("::", SERVER_PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    places.register(servers, selectors.EVENT_READ, lambda: greet(servers))
    print("ready", flush=True)
    while True:
        for key, _ in places.select():
            try:
                key.data()
            except OSError as error:
                print("error", error, flush=True)


if __name__ == "__main__":
    main()
