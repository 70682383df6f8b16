# SPDX-License-Identifier: PostgreSQL
"""Peers that are gone without a word: tcp_keepalive and tcp_user_timeout find out."""
import os
import shutil
import subprocess
import threading
import time

import pytest

from hostile.far_away import FarAway
from peers import wire
from peers.backend import accept_login
from peers.proxy import route
from peers.stream import Stream, connect

# the proxy's probes: each second, three of them unanswered
KEEPALIVE = {"tcp_keepalive": "1s"}
USER_TIMEOUT = {"tcp_keepalive": "0s", "tcp_user_timeout": "2s"}
LATE_S = 15


@pytest.fixture
def far():
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip")
    try:
        place = FarAway()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace: {error}")
    yield place
    place.remove()


def gone_within(proxy, seconds):
    until = time.monotonic() + seconds
    while not proxy.find("connection.end"):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def far_client(start, fake, far):
    """far_client(script, **limits): a proxy, and a client of it that is logged in from far away."""
    def one(script, **limits):
        def whole(stream, tell):
            accept_login(stream)
            script(stream, tell)

        server = fake(whole)
        there = route({"address": server.address},
                      {"sslmode": "disable"}, limits)
        port = there["listener"]["bind_address"].rpartition(":")[2]
        there["listener"]["bind_address"] = f"{far.here}:{port}"
        proxy = start(there)
        sock = far.socket()
        sock.connect((far.here, proxy.port))
        client = Stream(sock)
        client.login()
        return proxy, client
    return one


def read_to_the_end(stream, tell):
    tell(stream.rest())


def test_an_idle_client_that_is_gone_is_found_by_keepalive(far_client, far):
    proxy, client = far_client(read_to_the_end, **KEEPALIVE)
    assert not gone_within(proxy, 3), "it was there"
    far.pull()
    assert gone_within(proxy, LATE_S)
    client.close()


@pytest.mark.long
def test_without_either_it_stays(far_client, far):
    proxy, client = far_client(read_to_the_end, tcp_keepalive="0s", tcp_user_timeout="0s")
    far.pull()
    assert not gone_within(proxy, 6)
    client.close()


def test_a_client_that_takes_no_answer_is_found_by_the_user_timeout(far_client, far):
    def answer(stream, tell):
        stream.message()
        time.sleep(0.5)
        stream.send(wire.data_row(b"x" * 10000) + wire.READY)
        tell(stream.rest())

    proxy, client = far_client(answer, **USER_TIMEOUT)
    client.send(wire.query("select"))
    time.sleep(0.2)
    far.pull()
    assert gone_within(proxy, LATE_S)
    client.close()


@pytest.mark.parametrize("limits", [KEEPALIVE, USER_TIMEOUT], ids=["keepalive", "user timeout"])
def test_a_server_that_is_gone_ends_its_client(start, far, limits):
    listener = far.socket()
    listener.bind((far.there, 0))
    listener.listen()

    def serve():
        stream = Stream(listener.accept()[0])
        accept_login(stream)
        stream.message()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = f"{far.there}:{listener.getsockname()[1]}"
    proxy = start(route({"address": address, "sslmode": "disable"}, limits=limits))
    with connect(proxy.port) as client:
        assert client.login()[-1].type == "Z"
        far.pull()
        if limits is USER_TIMEOUT:      # a kernel that waits for an acknowledgement does not probe
            client.send(wire.query("select"))
        client.sock.settimeout(LATE_S)
        told = client.rest()
    assert [one.code for one in wire.messages_of(told)[0]] == ["08006"], told
    listener.close()
