# SPDX-License-Identifier: PostgreSQL
"""Every wait has its own limit; the limit that ended a connection is named in the log."""
import contextlib
import time

import pytest

from peers import wire
from peers.backend import accept_login
from peers.proxy import route
from peers.stream import Truncated, connect, connect_tls

# generous in what is too late: the machine may be busy
EARLY, LATE = 0.3, 8


@contextlib.contextmanager
def ends_in_time():
    """Begun before the limit can run: whatever holds this process up is in it."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert EARLY < took < LATE, took


def until_end(client):
    try:
        return client.rest()
    except (ConnectionResetError, Truncated):
        return b""


@pytest.fixture
def proxy(start, listener, postgres_clear):
    def one(mode="disable", **limits):
        return start(route({"address": postgres_clear.address}, listener(mode), limits))
    return one


def reason(one):
    return str(one.end())


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_a_silent_client_is_closed_by_first_byte_timeout(proxy, mode):
    one = proxy(mode, first_byte_timeout="500ms")
    with ends_in_time(), connect(one.port) as client:
        assert until_end(client) == b""


@pytest.mark.parametrize("sent", [b"", wire.SSL_REQUEST])
def test_login_timeout_ends_what_is_shorter_by_default(proxy, sent):
    """And is named for it: first_byte_timeout and handshake_timeout are 10 s."""
    one = proxy("require", login_timeout="500ms")
    with ends_in_time(), connect(one.port) as client:
        client.send(sent)
        until_end(client)
    assert one.end()["reason"] == "login_timeout"
    if sent:
        assert "login_timeout" in one.wait_event("tls.handshake.failed")["reason"]


@pytest.mark.parametrize("first", [b"\0", wire.SSL_REQUEST[:7]])
def test_half_a_first_packet_does_not_hold_a_place(proxy, first):
    one = proxy("require", first_byte_timeout="500ms", handshake_timeout="500ms",
                login_timeout="500ms")
    with ends_in_time(), connect(one.port) as client:
        client.send(first)
        until_end(client)
    assert "timeout" in reason(one)


def test_silence_behind_s_is_closed_by_handshake_timeout(proxy):
    one = proxy("require", handshake_timeout="500ms")
    with ends_in_time(), connect(one.port) as client:
        assert client.ask_for_tls() == b"S"
        until_end(client)
    assert "handshake_timeout" in reason(one) or "handshake" in reason(one)


def test_half_a_client_hello_is_closed_by_handshake_timeout(proxy, certs):
    one = proxy("require", handshake_timeout="500ms")
    with ends_in_time(), connect(one.port) as client:
        client.ask_for_tls()
        client.begin_tls(certs.client(), server_hostname="localhost")
        client.sock.sendall(client.first_flight()[:40])
        while client.sock.recv(1000):
            pass


def test_a_slow_loris_does_not_renew_its_time(proxy, certs):
    one = proxy("require", first_byte_timeout="900ms", handshake_timeout="900ms",
                login_timeout="900ms")
    with connect(one.port) as client:
        client.begin_tls(certs.client(), server_hostname="localhost")
        drip = wire.SSL_REQUEST + client.first_flight()
        started = time.monotonic()
        client.sock.settimeout(0.05)
        ended = False
        for byte in drip:
            try:
                client.sock.sendall(bytes([byte]))
                ended = client.sock.recv(100) == b""
            except TimeoutError:
                pass
            except OSError:
                ended = True
            if ended or time.monotonic() - started > LATE:
                break
        assert ended and time.monotonic() - started < 5


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_no_startup_packet_is_closed_by_login_timeout(proxy, certs, mode):
    one = proxy(mode, login_timeout="700ms")
    started = time.monotonic()
    client = connect_tls(one.port, certs.client()) if mode == "require" else connect(one.port)
    with client:
        if mode == "disable":
            client.send(wire.SSL_REQUEST)
            assert client.read(1) == b"N"
        until_end(client)
    assert time.monotonic() - started < LATE
    assert "login_timeout" in reason(one) or "login" in reason(one)


def test_no_password_is_closed_by_login_timeout(proxy):
    one = proxy(login_timeout="700ms")
    with ends_in_time(), connect(one.port) as client:
        client.send(wire.startup(user="scram"))
        until_end(client)
    assert "login" in reason(one)


def test_login_timeout_is_over_once_the_session_is_ready(proxy, certs):
    """No deadline of the login may end a session later."""
    one = proxy("require", login_timeout="2s", first_byte_timeout="2s",
                handshake_timeout="2s", connect_timeout="2s")
    with connect_tls(one.port, certs.client()) as client:
        client.login()
        time.sleep(2.5)
        assert client.query("select 1")[-1].type == "Z"


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_an_idle_session_is_ended_with_57p05(proxy, certs, mode):
    one = proxy(mode, idle_timeout="700ms")
    client = connect_tls(one.port, certs.client()) if mode == "require" else connect(one.port)
    with client, ends_in_time():
        client.login()
        found = wire.messages_of(client.rest())[0]
    assert [m.code for m in found if m.type == "E"] == ["57P05"]
    assert "idle" in reason(one)


def test_a_busy_session_is_not_idle(proxy):
    one = proxy(idle_timeout="2s")
    with connect(one.port) as client:
        client.login()
        for _ in range(5):
            time.sleep(0.6)
            assert client.query("select 1")[-1].type == "Z"


def test_a_half_sent_message_is_not_followed_by_an_error(start, fake):
    """An ErrorResponse inside a message would corrupt it."""
    notice = wire.parameter("TimeZone", "x" * 100)

    def script(stream, _tell):
        accept_login(stream)
        stream.send(notice[:50])
        stream.rest()

    one = start(route({"address": fake(script).address}, limits={"idle_timeout": "600ms"}))
    with connect(one.port) as client:
        client.login()
        assert until_end(client) == notice[:50]
    assert one.end()


@pytest.mark.parametrize("half", [b"Q", wire.query("select 1")[:-1]])
def test_half_a_message_of_a_client_does_not_hold_a_session(proxy, half):
    one = proxy(idle_timeout="700ms")
    with connect(one.port) as client, ends_in_time():
        client.login()
        client.send(half)
        found = wire.messages_of(client.rest())[0]
    assert [m.code for m in found if m.type == "E"] == ["57P05"]
    assert "idle" in reason(one)


def test_a_session_whose_query_runs_is_not_idle(proxy):
    one = proxy(idle_timeout="1s")
    with connect(one.port) as client:
        client.login()
        assert client.query("select pg_sleep(2.5)")[-1].type == "Z"


def test_idle_timeout_zero_means_never(proxy):
    one = proxy(idle_timeout="0s")
    with connect(one.port) as client:
        client.login()
        assert client.is_open(1)
