# SPDX-License-Identifier: PostgreSQL
"""Clients that break every rule: no server sees them, each ends in time, others are served."""
import time
from concurrent import futures

import pytest

from hostile import clients
from hostile.clients import EVIL, Dialer
from peers import wire
from peers.backend import accept_login
from peers.proxy import route

SHORT = {"first_byte_timeout": "400ms", "handshake_timeout": "400ms", "login_timeout": "800ms",
         "connect_timeout": "800ms"}
# for those who must get as far as a session first
PATIENT = {"first_byte_timeout": "5s", "handshake_timeout": "5s", "login_timeout": "8s",
           "connect_timeout": "5s"}
DEADLINE_S = 15


def record_session(stream, tell):
    """A login, and then every byte is kept."""
    if accept_login(stream) is not None:
        tell(stream.rest())


@pytest.fixture
def place(start, listener, fake):
    def one(**limits):
        server = fake(record_session)
        return server, start(route({"address": server.address}, listener("require"),
                                   {**SHORT, **limits}))
    return one


def run(attack, port, certs):
    """Does one case and waits for the end; how long that took."""
    dialer = Dialer(port, certs)
    try:
        try:
            attack(dialer)
        except (OSError, EOFError):
            pass                        # the proxy was faster
        started = time.monotonic()
        dialer.until_end()
        return time.monotonic() - started
    finally:
        dialer.close()


def test_no_lie_before_the_login_reaches_a_server(place, certs):
    server, one = place()

    def judge(name):
        took = run(clients.CASES[name], one.port, certs)
        assert took < DEADLINE_S, name
        return name

    with futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(judge, clients.CASES)) == list(clients.CASES)
    assert server.accepted == 0, server.seen
    assert one.is_running()


@pytest.mark.parametrize("name", clients.OF_SESSIONS)
def test_what_is_spoilt_ends_a_session_and_reaches_no_server(place, certs, name):
    server, one = place(**PATIENT)
    assert run(clients.OF_SESSIONS[name], one.port, certs) < DEADLINE_S
    for seen in server.wait():
        assert isinstance(seen, bytes) and EVIL not in seen, seen
        assert seen.count(wire.query("once")) <= 1


@pytest.mark.parametrize("name", clients.SERVED)
def test_what_is_only_odd_is_served(place, certs, name):
    _, one = place(**PATIENT)
    dialer = Dialer(one.port, certs)
    clients.SERVED[name](dialer)
    dialer.close()
