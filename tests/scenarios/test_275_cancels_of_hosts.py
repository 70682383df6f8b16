# SPDX-License-Identifier: PostgreSQL
"""Cancel requests on a port with several hosts: by the key in the clear, by the name in TLS."""
import time

import psycopg
import pytest

from peers import wire
from peers.libpq import client_cert, connect as libpq_connect
from peers.proxy import PORT, route
from peers.stream import connect, connect_tls
from test_050_cancel import sleeping

A, B = "a.example.com", "b.example.com"


@pytest.fixture
def keyed(fake):
    """keyed(pid): a server whose sessions have that process id; tells of cancel requests."""
    def one(pid):
        def serve(stream, tell):
            first = stream.packet()
            if first is None:
                return
            if first[4:8] == wire.CANCEL_CODE.to_bytes(4, "big"):
                tell(first)
                return
            stream.send(wire.AUTHENTICATION_OK + wire.backend_key(pid) + wire.READY)
            stream.rest()
        return fake(serve)
    return one


@pytest.fixture
def port_of(start, certs):
    """port_of(servers, **more): a port whose hosts a, b, ... lead to these servers."""
    def one(servers, workers=1, hosts=None, limits=None, **more):
        words = [{"names": f"{letter}.example.com", "server_cert": certs.cert("server"),
                  "server_key": certs.key("server"), "backend": {"address": server.address},
                  **(hosts or {})}
                 for letter, server in zip("abcdefgh", servers)]
        return start(route(None, {**PORT, **more}, limits, hosts=words), workers=workers)
    return one


def cancel_in_the_clear(port, pid, key=b"\1\2\3\4"):
    with connect(port) as client:
        client.send(wire.cancel(pid, key))
        assert client.rest() == b""


def cancel_inside_tls(port, context, name, pid, key=b"\1\2\3\4"):
    with connect_tls(port, context, name=name) as client:
        client.send(wire.cancel(pid, key))
        assert client.rest() == b""


def session(one, context, name):
    client = connect_tls(one.port, context, name=name)
    assert client.login()[-1].type == "Z"
    return client


@pytest.mark.thread
def test_a_key_leads_to_the_server_of_its_session_whatever_the_worker(port_of, keyed, certs):
    servers = [keyed(100), keyed(200)]
    one = port_of(servers, workers=3)
    with session(one, certs.careless_client(), A), session(one, certs.careless_client(), B):
        for _ in range(6):                  # to one worker or another
            cancel_in_the_clear(one.port, 100)
            cancel_in_the_clear(one.port, 200)
    assert servers[0].wait(6) == [wire.cancel(100, b"\1\2\3\4")] * 6
    assert servers[1].wait(6) == [wire.cancel(200, b"\1\2\3\4")] * 6
    assert one.wait_count("cancel", 12, result="forwarded")


def test_an_unknown_key_goes_to_nobody(port_of, keyed, certs):
    servers = [keyed(100), keyed(200)]
    one = port_of(servers)
    cancel_in_the_clear(one.port, 100)
    told = one.wait_event("cancel", result="refused")
    assert told["reason"] == "no session has its key, and listener.cancel_unknown is refuse"
    with session(one, certs.careless_client(), A):
        cancel_in_the_clear(one.port, 100, key=b"\4\3\2\1")
    one.wait_event("connection.end", user="alice")
    cancel_in_the_clear(one.port, 100)
    one.wait_count("cancel", 3, result="refused")
    assert [server.seen for server in servers] == [[], []]
    one.stop()
    assert sum(told["count"] for told in one.find("limit.reached", limit="cancel_unknown")) == 3


def test_an_unknown_key_goes_to_everybody_where_that_is_asked_for(port_of, keyed):
    servers = [keyed(100), keyed(200), keyed(300)]
    one = port_of(servers, cancel_unknown="broadcast")
    cancel_in_the_clear(one.port, 4711)
    for server in servers:
        assert server.wait() == [wire.cancel(4711, b"\1\2\3\4")]
    assert one.end()["reason"] == "cancel"


def test_a_broadcast_goes_on_behind_a_server_that_is_down(port_of, keyed):
    servers = [keyed(100), keyed(200), keyed(300)]
    servers[1].listener.close()
    one = port_of(servers, cancel_unknown="broadcast")
    for count in (1, 2):                    # the second time it is known to be down
        cancel_in_the_clear(one.port, 4711)
        assert len(servers[0].wait(count)) == len(servers[2].wait(count)) == count
    servers[1].listener = servers[0].listener


def test_a_server_that_never_answers_delays_a_broadcast_for_no_other_one(port_of, keyed, blackhole):
    """One after the other, the last one would have to wait for a minute."""
    servers = [keyed(100), blackhole, keyed(300)]
    one = port_of(servers, cancel_unknown="broadcast", limits={"connect_timeout": "60s"})
    with connect(one.port) as client:
        client.send(wire.cancel(4711, b"\1\2\3\4"))
        for server in (servers[0], servers[2]):
            assert server.wait() == [wire.cancel(4711, b"\1\2\3\4")]
        assert client.is_open(0.3)          # not all have it
    assert one.wait_count("cancel", 2, result="forwarded")


def test_a_dead_address_of_a_list_delays_a_cancel_for_no_other_one(start, keyed, blackhole):
    """Whose session it is another proxy knows, perhaps; every address gets it."""
    servers = [keyed(100), keyed(200)]
    one = start(route({"address": [blackhole.address, servers[0].address, blackhole.address,
                                   servers[1].address]}, limits={"connect_timeout": "60s"}))
    with connect(one.port) as client:
        client.send(wire.cancel(4711, b"\1\2\3\4"))
        for server in servers:
            assert server.wait() == [wire.cancel(4711, b"\1\2\3\4")]


def test_every_address_of_a_name_gets_a_cancel(start, keyed):
    """localhost may have two of them, and only one has a server."""
    server = keyed(100)
    one = start(route({"address": f"localhost:{server.port}"}))
    cancel_in_the_clear(one.port, 4711)
    assert server.wait() == [wire.cancel(4711, b"\1\2\3\4")]
    assert one.end()["reason"] == "cancel"


def test_broadcasts_are_limited_and_a_known_key_is_not(port_of, keyed, certs):
    servers = [keyed(100), keyed(200)]
    one = port_of(servers, cancel_unknown="broadcast")
    begun = time.monotonic()
    clients = [connect(one.port) for _ in range(60)]
    for client in clients:
        client.send(wire.cancel(4711, b"\0\0\0\0"))
    for client in clients:
        assert client.rest() == b""
        client.close()
    seconds = int(time.monotonic() - begun) + 2
    one.wait_count("connection.end", 60)
    refused = len(one.find("cancel", result="refused"))
    assert refused >= 60 - 10 * seconds
    assert len(servers[0].wait(60 - refused)) == 60 - refused
    assert refused > 0 or seconds > 5
    with session(one, certs.careless_client(), A):
        cancel_in_the_clear(one.port, 100)
    assert wire.cancel(100, b"\1\2\3\4") in servers[0].wait(61 - refused)


def test_a_cancel_that_names_its_host_goes_there_and_nowhere_else(port_of, keyed, certs):
    servers = [keyed(100), keyed(200)]
    one = port_of(servers, cancel_unknown="broadcast")
    with session(one, certs.careless_client(), A), session(one, certs.careless_client(), B):
        for pid in (100, 200, 4711):        # also with the key of somebody else, or of nobody
            cancel_inside_tls(one.port, certs.careless_client(), B, pid)
        assert servers[1].wait(3) == [wire.cancel(pid, b"\1\2\3\4") for pid in (100, 200, 4711)]
    assert servers[0].seen == []


def test_a_host_that_verifies_wants_a_certificate_for_a_cancel(port_of, keyed, certs):
    servers = [keyed(100), keyed(200)]
    one = port_of(servers, hosts={"sslmode": "verify-full", "client_ca": certs.cert("clients-ca")})
    with session(one, certs.careless_client(cert="alice"), A):
        cancel_inside_tls(one.port, certs.careless_client(), A, 100)
        cancel_in_the_clear(one.port, 100)  # tls-only, since a host verifies
        reasons = [told["reason"] for told in one.wait_count("cancel", 2, result="refused")]
        assert reasons == ["without a client certificate",
                           "in the clear, and listener.cancel is tls-only"]
        assert servers[0].seen == []
        cancel_inside_tls(one.port, certs.careless_client(cert="alice"), A, 100)
        servers[0].wait()


def test_hosts_of_one_server_need_no_key(start, keyed, listener, certs):
    """Every host leads there, so an unknown key does too."""
    server = keyed(100)
    one = start(route({"address": server.address}, listener(),
                      hosts=[{"names": [A]}, {"names": [B], "groups": "X25519"}]))
    cancel_in_the_clear(one.port, 4711)
    assert server.wait() == [wire.cancel(4711, b"\1\2\3\4")]


def test_one_host_with_a_server_of_its_own(port_of, keyed):
    server = keyed(100)
    one = port_of([server])
    cancel_in_the_clear(one.port, 4711)
    assert server.wait() == [wire.cancel(4711, b"\1\2\3\4")]


def test_libpq_cancels_through_a_port_with_hosts(start, postgres, postgres_clear, certs,
                                                 verified):
    """libpq 15 cancels in the clear, where no name is announced."""
    cert = {"server_cert": certs.cert("host-a"), "server_key": certs.key("host-a")}
    hosts = [{"names": [A], **cert, "backend": verified(postgres.address)},
             {"names": [B], **cert, "backend": {"address": postgres_clear.address}}]
    one = start(route(None, PORT, hosts=hosts), workers=2)
    with libpq_connect(one.port, host=A, **client_cert(certs, None)) as client:
        thread, errors = sleeping(client, postgres)
        client.cancel()
        thread.join(20)
        assert [type(error) for error in errors] == [psycopg.errors.QueryCanceled]
