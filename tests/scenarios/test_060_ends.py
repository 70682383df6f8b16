# SPDX-License-Identifier: PostgreSQL
"""How connections end: each end is passed on as what it was."""
import socket
import time

import pytest

from hostile.forger import ALERT
from hostile.servers import accept_tls
from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, psql
from peers.proxy import route
from peers.stream import Truncated, connect, connect_tls

TAIL = wire.error_response("57P01", "terminating connection due to administrator command")


@pytest.fixture(params=["clear", "tls"])
def leg(request, start, listener, certs, fake, verified):
    """leg(script): a client logged in to a scripted server, both legs with or without TLS."""
    tls = request.param == "tls"

    def one(script, login=True):
        def whole(stream, tell):
            accept_login(stream, certs.server() if tls else None)
            script(stream, tell)

        server = fake(whole)
        backend = verified(server.address) if tls else {"address": server.address}
        proxy = start(route(backend, listener("require" if tls else "disable")))
        client = connect_tls(proxy.port, certs.client()) if tls else connect(proxy.port)
        request.addfinalizer(client.close)
        if login:
            client.login()
        return client, server, proxy

    one.tls = tls
    return one


def test_a_server_s_error_and_end_reach_the_client_whole(leg):
    def script(stream, _tell):
        stream.send(TAIL)
        if leg.tls:
            stream.close_notify()

    client, _, proxy = leg(script)
    assert client.rest() == TAIL
    client.close()
    assert proxy.end()


def test_a_long_tail_reaches_a_slow_client_whole(leg):
    tail = wire.data_row(b"x" * 1000) * 3000 + TAIL

    def script(stream, _tell):
        stream.send(tail)
        if leg.tls:
            stream.close_notify()

    client, _, _ = leg(script)
    time.sleep(0.5)
    assert client.rest() == tail


def test_whatever_is_under_way_at_the_end_a_client_that_pauses_gets_all_of_it(
        start, listener, certs, fake, verified):
    """
    Each client gets another amount, and begins to read when all has long come to rest.  They are
    about what Linux holds by default (the 4 MiB of tcp_wmem): of some the kernel has everything,
    of some the proxy holds the last bytes and knows of the end.
    """
    piece = wire.data_row(b"z" * 40000)
    sizes = range(98, 110)

    def script(stream, tell):
        accept_login(stream, certs.server())
        count = int(stream.message().body[:-1])
        stream.send(piece * count)
        stream.close_notify()
        tell(count)

    server = fake(script)
    one = start(route(verified(server.address), listener("require")))
    clients = [connect_tls(one.port, certs.client()) for _ in sizes]
    for client, size in zip(clients, sizes):
        client.login()
        client.send(wire.query(str(size)))
    time.sleep(7)                           # of a session that is over nobody waits so long
    for client, size in zip(clients, sizes):
        with client:
            assert client.rest() == piece * size, size


def test_a_long_tail_of_the_client_reaches_the_server_whole(leg):
    upload = wire.message("d", b"y" * 1000) * 3000

    def script(stream, tell):
        time.sleep(0.3)
        tell(stream.rest())

    client, server, _ = leg(script)
    client.send(upload + wire.TERMINATE)
    client.half_close()
    assert server.wait()[0] == upload + wire.TERMINATE


def test_the_client_s_half_close_leaves_the_other_direction_open(leg):
    def script(stream, tell):
        tell(stream.rest())                 # until the client's direction ended
        stream.send(wire.READY)
        if leg.tls:
            stream.close_notify()

    client, server, _ = leg(script)
    client.send(wire.query("select 1"))
    client.half_close()
    assert server.wait() == [wire.query("select 1")]
    assert client.rest() == wire.READY


def test_the_server_s_half_close_leaves_the_other_direction_open(leg):
    def script(stream, tell):
        stream.send(wire.READY)
        stream.half_close()
        tell(stream.rest())

    client, server, _ = leg(script)
    assert client.rest() == wire.READY
    client.send(wire.TERMINATE)
    client.half_close()
    assert server.wait() == [wire.TERMINATE]


def test_a_client_that_has_the_end_of_its_server_cannot_hold_the_session_by_sending(start, fake):
    def script(stream, tell):
        accept_login(stream)
        stream.half_close()
        tell(stream.rest())

    server = fake(script)
    one = start(route({"address": server.address}))
    with connect(one.port) as client:
        client.login()
        assert client.rest() == b""
        started = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < started + 30:
                client.send(b"Q")
                time.sleep(0.2)
        assert time.monotonic() - started > 4
    assert one.end()["reason"] == "server_closed"
    assert server.wait()[0].startswith(b"QQQQ")


def test_a_query_is_answered_although_the_client_half_closed(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    with connect(one.port) as client:
        client.login()
        client.send(wire.query("select pg_sleep(0.3), 42"))
        client.half_close()
        found = wire.messages_of(client.rest())[0]
    assert "D" in [m.type for m in found]


@pytest.mark.parametrize("clean", [True, False])
def test_the_server_s_truncation_stays_a_truncation(start, listener, certs, fake, verified, clean):
    def script(stream, _tell):
        accept_login(stream, certs.server())
        stream.send(wire.READY)
        if clean:
            stream.close_notify()

    server = fake(script)
    one = start(route(verified(server.address), listener("require")))
    with connect_tls(one.port, certs.client()) as client:
        client.login()
        assert client.read(len(wire.READY)) == wire.READY
        if clean:
            assert client.recv() == b""
        else:
            with pytest.raises(Truncated):
                client.recv()


@pytest.mark.parametrize("clean", [True, False])
def test_the_client_s_truncation_stays_a_truncation(start, listener, certs, fake, verified, clean):
    def script(stream, tell):
        accept_login(stream, certs.server())
        try:
            stream.rest()
            tell("close_notify")
        except Truncated:
            tell("truncated")

    server = fake(script)
    one = start(route(verified(server.address), listener("require")))
    with connect_tls(one.port, certs.client()) as client:
        client.login()
        if clean:
            client.close_notify()
    assert server.wait() == ["close_notify" if clean else "truncated"]


@pytest.mark.parametrize("clean", [True, False])
def test_new_keys_that_cannot_be_answered_any_more_cost_none_of_the_answer(
        start, listener, certs, fake, verified, clean):
    """Our direction towards the server has ended when it asks for ours, amid a bulk answer."""
    part = wire.data_row(b"k" * 40000) * 30

    def script(stream, _tell):
        one = accept_tls(stream, certs)
        one.packet()
        one.send(wire.LOGGED_IN)
        one.message()
        try:
            one.rest()
        except Truncated:
            assert not clean
        for _ in range(3):
            one.update_keys(please=True)
            one.send(part)
        one.send_record(ALERT, b"\1\0")

    server = fake(script)
    one = start(route(verified(server.address), listener("require")))
    with connect_tls(one.port, certs.client()) as client:
        client.login()
        client.send(wire.query("select"))
        if clean:
            client.close_notify()
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == part * 3
    assert server.seen == []


def asked_and_ended(stream):
    """A whole session in one flight: the end comes long before the server is ready."""
    stream.send(wire.startup("postgres") + wire.query("select 42") + wire.TERMINATE)
    stream.half_close()
    return [m.type for m in wire.messages_of(stream.rest())[0]][-4:]


@pytest.mark.parametrize("tls", [False, True])
def test_who_asked_and_ended_before_the_server_was_ready_is_answered(start, postgres_clear,
                                                                    listener, certs, tls):
    one = start(route({"address": postgres_clear.address}, listener("prefer")))
    with connect(postgres_clear.port) as direct:
        assert asked_and_ended(direct) == list("TDCZ")
    with connect_tls(one.port, certs.client()) if tls else connect(one.port) as client:
        assert asked_and_ended(client) == list("TDCZ")
    assert one.end()["reason"] == "client_closed"


def test_who_leaves_a_login_without_a_question_ends_it(start, fake):
    def script(stream, tell):
        stream.packet()
        tell("asked")
        tell(stream.rest())

    server = fake(script)
    one = start(route({"address": server.address}))
    with connect(one.port) as client:
        client.send(wire.startup())
        server.wait()
        client.half_close()
        assert client.rest() == b""
    assert one.end()["reason"] == "client_closed"
    assert server.wait(2)[1] == b""


def test_terminate_ends_both_legs_cleanly(leg):
    def script(stream, tell):
        tell(stream.message().type)
        if leg.tls:
            stream.close_notify()

    client, server, proxy = leg(script)
    client.send(wire.TERMINATE)
    assert server.wait() == ["X"]
    assert client.rest() == b""
    client.close()
    assert proxy.end()["reason"]


def test_a_client_that_resets_ends_the_server_s_leg(leg):
    def script(stream, tell):
        try:
            stream.rest()
        except (OSError, Truncated):
            pass
        tell("ended")

    client, server, proxy = leg(script)
    client.reset()
    assert server.wait() == ["ended"]
    assert proxy.end()


def test_a_server_that_resets_ends_the_client_s_leg(leg):
    def script(stream, _tell):
        time.sleep(0.1)
        stream.reset()

    client, _, proxy = leg(script)
    try:
        client.rest()
    except (OSError, Truncated):
        pass
    assert proxy.end()


def test_a_server_killed_in_a_query_is_told_as_libpq_tells_it(start, listener, postgres, certs,
                                                             verified):
    """pg_terminate_backend: FATAL 57P01 must not be lost."""
    one = start(route(verified(postgres.address), listener("require")))
    through = psql(one.port, "select pg_terminate_backend(pg_backend_pid())", user="postgres",
                   **client_cert(certs, None))
    assert "terminating connection due to administrator command" in through.stderr


def test_nothing_is_left_when_everybody_went(leg):
    def script(stream, _tell):
        stream.rest()

    client, _, proxy = leg(script)
    client.send(wire.TERMINATE)
    client.half_close()
    client.close()
    proxy.end()
