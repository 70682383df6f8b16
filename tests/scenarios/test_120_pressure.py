# SPDX-License-Identifier: PostgreSQL
"""Slow readers hold up their own stream, not the memory of the proxy nor the others."""
import threading
import time

import pytest

from peers import wire
from peers.backend import accept_login
from peers.proxy import route, sanitized
from peers.stream import connect, connect_tls

CHUNK = wire.data_row(b"x" * 65000)
MOST_MIB = 24                       # what one slow stream may cost beside the kernel's buffers


def pour(stream, tell):
    """Sends until it is stopped, and tells how much went out."""
    sent = 0
    stream.sock.settimeout(2)
    try:
        while sent < 400 * 1024 * 1024:
            stream.send(CHUNK)
            sent += len(CHUNK)
    except TimeoutError:
        pass
    tell(sent)
    return sent


def pour_and_end(stream, tell):
    pour(stream, tell)


def take_nothing(_stream, tell):
    """Takes nothing, and stays to the end of the scenario."""
    tell("here")


@pytest.fixture(params=["clear", "tls"])
def pair(request, start, listener, certs, fake, verified):
    tls, over = request.param == "tls", threading.Event()
    request.addfinalizer(over.set)

    def one(script):
        def whole(stream, tell):
            accept_login(stream, certs.server() if tls else None)
            script(stream, tell)
            if script is not pour_and_end:
                over.wait(60)           # a server that ends says something of its own

        server = fake(whole)
        backend = verified(server.address) if tls else {"address": server.address}
        proxy = start(route(backend, listener("require" if tls else "disable")))
        client = connect_tls(proxy.port, certs.client()) if tls else connect(proxy.port)
        request.addfinalizer(client.close)
        client.login()
        return client, server, proxy
    return one


def assert_bounded(proxy, before):
    if not sanitized():
        grown = (proxy.resident_kib() - before) / 1024
        assert grown < MOST_MIB, f"{grown} MiB for one slow stream"


def test_a_client_that_does_not_read_stops_the_server(pair):
    def script(stream, tell):
        stream.message()
        pour(stream, tell)

    client, server, proxy = pair(script)
    before = proxy.resident_kib()
    client.send(wire.query("select"))
    sent = server.wait(timeout=60)[0]
    assert sent < 300 * 1024 * 1024, "the server was never stopped"
    assert_bounded(proxy, before)


def test_a_client_that_reads_again_gets_everything(pair):
    total = 60 * 1024 * 1024

    def script(stream, _tell):
        stream.message()
        for _ in range(total // len(CHUNK)):
            stream.send(CHUNK)
        stream.send(wire.READY)
        stream.rest()

    client, _, proxy = pair(script)
    before = proxy.resident_kib()
    client.send(wire.query("select"))
    time.sleep(1)
    assert_bounded(proxy, before)
    expected = total // len(CHUNK) * len(CHUNK) + len(wire.READY)
    assert len(client.read(expected)) == expected


def test_a_server_that_does_not_read_stops_the_client(pair):
    client, _, proxy = pair(take_nothing)
    before = proxy.resident_kib()
    sent = 0
    client.sock.settimeout(1.5)
    with pytest.raises(TimeoutError):
        while sent < 400 * 1024 * 1024:
            client.send(CHUNK)
            sent += len(CHUNK)
    assert sent < 300 * 1024 * 1024
    assert_bounded(proxy, before)


def test_a_waiting_stream_costs_no_cpu(pair):
    def script(stream, tell):
        stream.message()
        pour(stream, tell)

    client, server, proxy = pair(script)
    client.send(wire.query("select"))
    server.wait(timeout=60)
    before = proxy.cpu_seconds()
    time.sleep(1.5)
    assert proxy.cpu_seconds() - before < 0.3


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_peer_that_hung_up_while_the_other_is_stuck_costs_no_cpu(pair, who):
    """Neither EPOLLHUP nor half-closes may make the loop spin."""
    client, server, proxy = pair(pour_and_end if who == "server" else take_nothing)
    server.wait(timeout=60)
    if who == "client":
        client.sock.settimeout(1)
        try:
            while True:
                client.send(CHUNK)
        except TimeoutError:
            pass
        client.close()
    before = proxy.cpu_seconds()
    time.sleep(1.5)
    assert proxy.cpu_seconds() - before < 0.4


def test_others_go_on_beside_a_stuck_stream(start, postgres_clear, fake):
    def script(stream, tell):
        accept_login(stream)
        stream.message()
        pour(stream, tell)
        over.wait(60)

    over, server = threading.Event(), fake(script)
    stuck = route({"address": server.address}, name="stuck")
    one = start(route({"address": postgres_clear.address}), stuck, workers=1)
    port = int(stuck["listener"]["bind_address"].rpartition(":")[2])
    with connect(port) as slow, connect(one.port) as good:
        slow.login()
        slow.send(wire.query("select"))
        good.login()
        slowest = 0
        for _ in range(100):
            started = time.monotonic()
            assert good.query("select 1")[-1].type == "Z"
            slowest = max(slowest, time.monotonic() - started)
    over.set()
    assert slowest < 5                  # behind the stuck one it would be the rest of the minute


def test_an_idle_proxy_sleeps(start, listener, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address}, listener("require")))
    clients = [connect_tls(one.port, certs.client()) for _ in range(10)]
    for client in clients:
        client.login()
    before = one.cpu_seconds()
    time.sleep(1.5)
    assert one.cpu_seconds() - before < 0.3
    for client in clients:
        client.close()
