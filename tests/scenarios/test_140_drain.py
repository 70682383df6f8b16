# SPDX-License-Identifier: PostgreSQL
"""SIGTERM and SIGINT: sessions end between messages, running work is finished first."""
import signal
import socket
import threading
import time

import pytest

from peers import wire
from peers.backend import accept_login
from peers.proxy import route
from peers.stream import Truncated, connect, connect_tls


def errors(data):
    return [m.code for m in wire.messages_of(data)[0] if m.type == "E"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.thread
def test_an_idle_session_ends_with_57p01(start, listener, postgres_clear, certs, number):
    one = start(route({"address": postgres_clear.address}, listener("require"),
                      {"drain_timeout": "60s"}))
    with connect_tls(one.port, certs.client()) as client:
        client.login()
        one.signal(number)
        assert errors(client.rest()) == ["57P01"]
    assert one.wait_exit(20) == 0
    assert one.find("drain")


def send_sleep(client, server, seconds, more=""):
    """A login, and a query that takes so long and has begun."""
    key = next(one.body for one in client.login() if one.type == "K")
    client.send(wire.query(f"select pg_sleep({seconds}){more}"))
    server.wait_asleep("pid", wire.pid_of(key))


def is_refused(port):
    """Refused at once, and not left in a queue; who was in it is reset."""
    try:
        with connect(port) as late:
            late.send(wire.startup())
            late.recv()
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        pass
    return False


@pytest.mark.parametrize("loop", ["epoll", "io_uring"])
def test_whoever_comes_while_it_drains_is_refused(start, postgres_clear, loop):
    """And may go to another proxy.  The workers hear of the drain a moment after it is logged."""
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "60s"}),
                event_loop=loop, workers=2, ready=False)
    one.wait_event("listener.ready")
    with connect(one.port) as client:
        send_sleep(client, postgres_clear, 30)
        one.signal(signal.SIGTERM)
        one.wait_event("drain")
        until = time.monotonic() + 10
        while not is_refused(one.port):
            assert time.monotonic() < until
        assert all(is_refused(one.port) for _ in range(5))
        assert one.is_running()         # the second signal, behind the scenario, ends it


def test_a_running_query_finishes_first(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "60s"}))
    with connect(one.port) as client:
        send_sleep(client, postgres_clear, 2, ", 'finished'")
        one.signal(signal.SIGTERM)
        data = client.rest()
    assert b"finished" in data
    kinds = "".join(m.type for m in wire.messages_of(data)[0])
    assert kinds == "TDCZE", kinds
    assert errors(data) == ["57P01"]
    assert one.wait_exit(20) == 0


def test_a_statement_that_waits_for_no_sync_finishes_first(start, postgres_clear):
    """Flush has it answered without a ReadyForQuery: drivers that pipeline do so."""
    batch = [("P", b"\0select pg_sleep(2)::text || 'finished'\0\0\0"), ("B", bytes(8)),
             ("E", bytes(5)), ("H", b"")]
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "60s"}))
    with connect(one.port) as client:
        key = next(one.body for one in client.login() if one.type == "K")
        client.send(b"".join(wire.message(*part) for part in batch))
        postgres_clear.wait_asleep("pid", wire.pid_of(key))
        one.signal(signal.SIGTERM)
        found = client.messages_until("CE")
        assert [m.type for m in found] == list("12DC") and b"finished" in found[2].body
        client.send(wire.message("S"))
        assert client.message().type == "Z"
        assert errors(client.rest()) == ["57P01"]
    assert one.wait_exit(20) == 0


def test_a_transaction_may_finish_within_the_time(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "60s"}))
    with connect(one.port) as client:
        client.login()
        client.query("begin")
        one.signal(signal.SIGTERM)
        assert client.is_open(0.5)
        assert client.query("select 1")[-1].body == b"T"
        client.send(wire.query("commit"))
        assert errors(client.rest()) == ["57P01"]
    assert one.wait_exit(20) == 0


def test_a_transaction_that_does_not_finish_is_ended_at_the_deadline(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "1s"}))
    with connect(one.port) as client:
        client.login()
        client.query("begin")
        started = time.monotonic()
        one.signal(signal.SIGTERM)
        data = client.rest()
    assert errors(data) == ["57P01"]
    assert 0.7 < time.monotonic() - started < 6
    assert one.wait_exit(20) == 0


def test_an_unfinished_message_is_closed_without_another(start, fake):
    row = wire.data_row(b"x" * 1000)

    def script(stream, _tell):
        accept_login(stream)
        stream.message()
        stream.send(row[:300])
        stream.rest()

    one = start(route({"address": fake(script).address}, limits={"drain_timeout": "700ms"}))
    with connect(one.port) as client:
        client.login()
        client.send(wire.query("select"))
        assert client.read(300) == row[:300]
        one.signal(signal.SIGTERM)
        try:
            assert client.rest() == b""
        except (ConnectionResetError, Truncated):
            pass
    assert one.wait_exit(20) == 0


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM),
                                     (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_ends_at_once(start, postgres_clear, numbers):
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "60s"}))
    with connect(one.port) as client:
        send_sleep(client, postgres_clear, 40)
        one.signal(numbers[0])
        one.wait_event("drain")
        time.sleep(0.3)
        assert one.is_running()
        one.signal(numbers[1])
        assert one.wait_exit(20) == 0


def test_those_who_are_logging_in_do_not_hold_up_the_end(start, listener, postgres_clear):
    one = start(route({"address": postgres_clear.address}, listener("require"),
                      {"drain_timeout": "2s", "first_byte_timeout": "60s",
                       "handshake_timeout": "60s", "login_timeout": "60s"}))
    clients = [connect(one.port) for _ in range(3)]
    clients[1].ask_for_tls()
    one.wait_event("client.accept")
    one.signal(signal.SIGTERM)
    assert one.wait_exit(20) == 0
    for client in clients:
        client.close()


def test_who_waits_for_a_server_s_login_is_told_57p01_at_once(start, fake):
    """Not at the end of drain_timeout: there is no session yet that could end by itself."""
    def never(stream, tell):
        tell(stream.packet())
        stream.rest()

    server = fake(never)
    one = start(route({"address": server.address}, limits={"drain_timeout": "60s"}))
    with connect(one.port) as client:
        client.send(wire.startup())
        server.wait()
        one.signal(signal.SIGTERM)
        assert client.messages_until("E")[-1].code == "57P01"
        client.rest()
    assert one.wait_exit(20) == 0


def test_a_stuck_client_does_not_hold_up_the_end(start, fake):
    def script(stream, _tell):
        accept_login(stream)
        stream.message()
        stream.sock.settimeout(1)
        try:
            while True:
                stream.send(wire.data_row(b"x" * 60000))
        except TimeoutError:
            over.wait(60)

    over = threading.Event()
    one = start(route({"address": fake(script).address}, limits={"drain_timeout": "1s"}))
    with connect(one.port) as client:
        client.login()
        client.send(wire.query("select"))
        time.sleep(1)
        one.signal(signal.SIGTERM)
        assert one.wait_exit(20) == 0
    over.set()


def test_a_proxy_without_sessions_ends_at_once(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}, limits={"drain_timeout": "60s"}))
    one.signal(signal.SIGTERM)
    assert one.wait_exit(20) == 0


def test_the_port_is_free_again(start, postgres_clear):
    words = route({"address": postgres_clear.address})
    first = start(words)
    with connect(first.port) as client:
        client.login()
        first.signal(signal.SIGTERM)
        client.rest()
    assert first.wait_exit(20) == 0
    with connect(start(words).port) as client:
        assert client.login()[-1].type == "Z"


def test_sigpipe_does_not_end_it(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    for _ in range(20):
        client = connect(one.port)
        client.login()
        client.send(wire.query("select repeat('x', 1000000)") * 5)
        client.sock.shutdown(socket.SHUT_RD)
        client.reset()
    time.sleep(0.3)
    assert one.is_running()
