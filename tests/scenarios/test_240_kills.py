# SPDX-License-Identifier: PostgreSQL
"""kill -9 of client, proxy and server, wherever a conversation stands: the others are let go."""
import os
import subprocess
import time

import pytest

from peers.backend import Blackhole
from peers.proxy import route
from peers.stream import free_port

PEER = os.path.join(os.path.dirname(__file__), "..", "faults", "peer.py")
BEFORE_THE_SERVER = ["accepted", "client-tls", "opening"]
WITH_A_SERVER = ["asking", "backend-tls", "login", "idle", "busy", "copy out", "copy in", "ending"]
QUICK = ["client-tls", "backend-tls", "idle", "copy out"]
LATE_S = 20


def places(names):
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.long, id=name)
            for name in names]


class Peer:
    def __init__(self, role, port, certs, place):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", PEER, role, str(port), certs.folder, place],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def wait(self, word):
        line = self.process.stdout.readline().strip()
        assert line == word, f"{line!r} instead of {word!r}"

    def must_end(self, what):
        """It goes on, and finds the end of its connection."""
        try:
            self.process.communicate("go\n", timeout=LATE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(what) from None

    def kill(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def peer(certs):
    running = []

    def one(role, port, place):
        running.append(Peer(role, port, certs, place))
        return running[-1]

    yield one
    for each in running:
        each.kill()


@pytest.fixture
def scene(start, listener, verified, peer):
    """scene(place): the proxy, a client and a server with a conversation that stands there."""
    def one(place):
        port = free_port()
        server = peer("server", port, place)
        server.wait("listening")
        proxy = start(route(verified(f"127.0.0.1:{port}"), listener("require"),
                            {"login_timeout": "60s", "handshake_timeout": "60s",
                             "first_byte_timeout": "60s", "connect_timeout": "60s",
                             "drain_timeout": "1s"}))
        before = proxy.descriptors_at_rest()
        client = peer("client", proxy.port, place)
        client.wait("there")
        if place not in BEFORE_THE_SERVER:
            server.wait("there")
        if place != "ending":
            wait_until(lambda: proxy.descriptors() > before, "no connection is held")
        return proxy, client, server, before
    return one


def wait_until(true, what):
    until = time.monotonic() + LATE_S
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.05)


@pytest.mark.parametrize("place", places(BEFORE_THE_SERVER + WITH_A_SERVER))
def test_a_killed_client_is_forgotten(scene, place):
    proxy, client, server, before = scene(place)
    client.kill()
    if place not in BEFORE_THE_SERVER:
        server.must_end("the server was not told")
    wait_until(lambda: proxy.descriptors() <= before, "the proxy keeps its sockets")


@pytest.mark.parametrize("place", places(WITH_A_SERVER))
def test_a_killed_server_ends_its_client(scene, place):
    proxy, client, server, before = scene(place)
    server.kill()
    client.must_end("the client was not told")
    wait_until(lambda: proxy.descriptors() <= before, "the proxy keeps its sockets")


@pytest.mark.parametrize("place", places(BEFORE_THE_SERVER + WITH_A_SERVER))
def test_a_killed_proxy_ends_both(scene, place, request):
    proxy, client, server, _ = scene(place)
    proxy.process.kill()
    proxy.process.wait(10)
    request.node.proxies.clear()        # its end needs no judging
    client.must_end("the client was not told")
    if place not in BEFORE_THE_SERVER:
        server.must_end("the server was not told")


def test_a_client_killed_while_its_server_is_connected_to_is_forgotten(start, listener, peer):
    hole = Blackhole()
    one = start(route({"address": hole.address}, listener("require"), {"connect_timeout": "60s"}))
    before = one.descriptors_at_rest()
    client = peer("client", one.port, "connecting")
    client.wait("there")
    wait_until(lambda: one.descriptors() == before + 2, "no attempt is made")
    client.kill()
    wait_until(lambda: one.descriptors() == before, "the attempt goes on")
    hole.stop()
