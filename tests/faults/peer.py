#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""A client or a server in a process of its own, to be killed: goes to a place and stays there.

    tests/faults/peer.py client PORT CERTS PLACE
    tests/faults/peer.py server PORT CERTS PLACE       PORT is the one it listens on

Says "there" once it has arrived, waits for a line, and then reads until the end, which ends it.
"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenarios"))
sys.path.insert(1, "/usr/lib/python3/dist-packages")

from peers import wire                                                  # noqa: E402
from peers.certs import Certs                                           # noqa: E402
from peers.stream import Stream, connect                                # noqa: E402

LOTS = wire.message("d", b"x" * 60000)


def there():
    print("there", flush=True)


def stay(stream):
    there()
    sys.stdin.readline()
    try:
        while stream.sock.recv(65536):
            pass
    except ConnectionError:
        pass
    sys.exit(0)


def pour(stream):
    """Sends copy data until nobody takes it any more, and then some."""
    stream.send(LOTS)
    there()
    try:
        while True:
            stream.send(LOTS)
    except OSError:
        sys.exit(0)


def client(port, certs, place):
    stream = connect(port, timeout=None)
    if place == "accepted":
        stay(stream)
    assert stream.ask_for_tls() == b"S"
    if place == "client-tls":
        stream.begin_tls(certs.client(), server_hostname="localhost")
        stream.sock.sendall(stream.first_flight()[:50])
        stay(stream)
    stream.start_tls(certs.client(), server_hostname="localhost")
    if place == "opening":
        stay(stream)
    stream.send(wire.startup())
    if place in ("connecting", "asking", "backend-tls", "login"):
        stay(stream)
    assert stream.messages_until("ZE")[-1].type == "Z"
    if place == "idle":
        stay(stream)
    if place == "ending":
        stream.send(wire.TERMINATE)
        stay(stream)
    stream.send(wire.query("select"))
    if place == "busy":
        stay(stream)
    if place == "copy out":             # reads a little of what is poured
        stream.read(100000)
        stay(stream)
    pour(stream)


def serve(stream, certs, place):
    if place == "asking":
        stay(stream)
    assert stream.packet() == wire.SSL_REQUEST
    stream.send(b"S")
    if place == "backend-tls":
        stay(stream)
    stream.start_tls(certs.server(), server_side=True)
    if place == "login":
        stay(stream)
    stream.packet()
    stream.send(wire.LOGGED_IN)
    if place in ("idle", "ending"):
        stay(stream)
    stream.message()
    if place == "copy out":
        pour(stream)
    if place == "copy in":              # takes a little of what is poured
        stream.read(100000)
    stay(stream)


def server(port, certs, place):
    listener = socket.create_server(("127.0.0.1", port))
    print("listening", flush=True)
    sock, _ = listener.accept()
    sock.settimeout(None)
    serve(Stream(sock), certs, place)


if __name__ == "__main__":
    ROLE, PORT, CERTS, PLACE = sys.argv[1:]
    {"client": client, "server": server}[ROLE](int(PORT), Certs(CERTS), PLACE)
