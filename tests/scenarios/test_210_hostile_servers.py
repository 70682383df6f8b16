# SPDX-License-Identifier: PostgreSQL
"""Servers that break every rule: their clients see none of it, and each ends in time."""
import time
from concurrent import futures

import pytest

from hostile import servers
from hostile.servers import EVIL
from peers import wire
from peers.backend import Lane
from peers.proxy import route
from peers.stream import connect

SHORT = {"handshake_timeout": "400ms", "login_timeout": "800ms", "connect_timeout": "800ms"}
DEADLINE_S = 15

LANES = 8


class JudgedLane(Lane):
    def run(self, case):
        self.case = case
        return visit(self.port)


@pytest.fixture
def lanes(start, fake, certs, verified):
    """lanes(count, tls): as many routes of one proxy."""
    def one(count, tls, **limits):
        found = [JudgedLane(fake, certs) for _ in range(count)]
        routes = []
        for number, lane in enumerate(found):
            backend = verified(lane.server.address) if tls else {
                "address": lane.server.address, "sslmode": "disable"}
            words = {**SHORT, **limits}
            if not tls:
                del words["handshake_timeout"]
            routes.append(route(backend, limits=words, name=f"lane{number}"))
            lane.port = int(routes[-1]["listener"]["bind_address"].rpartition(":")[2])
        start(*routes)
        return found
    return one


def run_all(found, table):
    """What the clients were told, by case."""
    names, told = list(table), {}

    def work(number):
        for name in names[number::len(found)]:
            told[name] = found[number].run(table[name])

    with futures.ThreadPoolExecutor(len(found)) as pool:
        list(pool.map(work, range(len(found))))
    assert len(told) == len(names)
    return told.items()


def visit(port):
    """A client's login and query; all bytes that it was told, until the end."""
    started = time.monotonic()
    told = b""
    with connect(port, timeout=20) as client:
        try:
            client.send(wire.startup())
            while more := client.sock.recv(65536):
                told += more
                if told.endswith(wire.READY):
                    client.send(wire.query("select"))
        except TimeoutError:
            raise AssertionError("the proxy never ended the connection") from None
        except OSError:
            pass
    assert time.monotonic() - started < DEADLINE_S
    return told


@pytest.mark.parametrize("table", ["ASKED", "SHAKING"])
def test_no_lie_before_the_login_reaches_a_client(lanes, table):
    for name, told in run_all(lanes(LANES, tls=True), getattr(servers, table)):
        found, left = wire.messages_of(told)
        assert left == b"" and [one.type for one in found] == ["E"], (name, told)
        assert found[0].code.startswith(("08", "57014")), (name, told)
        assert EVIL not in told, name


def test_a_login_that_is_none_is_never_ready(lanes):
    for name, told in run_all(lanes(LANES, tls=False), servers.LOGIN):
        assert wire.READY not in told, (name, told)


@pytest.mark.parametrize("name", servers.SESSION)
def test_what_is_spoilt_ends_a_session_and_reaches_no_client(lanes, name):
    lane, = lanes(1, tls=True, login_timeout="8s", handshake_timeout="5s", connect_timeout="5s")
    told = lane.run(servers.SESSION[name])
    assert told.startswith(wire.LOGGED_IN), told
    assert EVIL not in told
    behind = wire.messages_of(told[len(wire.LOGGED_IN):])
    assert behind[1] == b"" and [one.type for one in behind[0]] in ([], ["E"]), told
