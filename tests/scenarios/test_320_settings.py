# SPDX-License-Identifier: PostgreSQL
"""What tests/settings.txt wants beside the tests by subject: wrong values, and a few settings
that have no file of their own."""
import os

import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, psql
from peers.proxy import route, run, toml
from peers.stream import connect

# What is no value of the setting, and what is said about it.
WRONG = [
    ("event_loop", "kqueue", "is not one of"),
    ("protocol", "mysql", "postgresql"),
    ("listener.client_name", "serial", "client_name"),
    ("listener.direct_tls", "maybe", "is not one of allow, require, refuse"),
    ("listener.cert_refresh_interval", "500ms", "shorter than a second"),
    ("backend.sslnegotiation", "straight", "is not one of postgres, direct"),
    ("listener.record_layer", "own", "is not one of auto, library, record, kernel"),
    ("backend.record_layer", "ktls", "is not one of auto, library, record, kernel"),
    ("backend.source_address", "eth0", "is not an IP address"),
    ("limits.max_pending_logins", 0, "out of range"),
    ("limits.max_connections_per_ip", -1, "out of range"),
    ("limits.handshakes_per_second", 1000001, "out of range"),
    ("limits.first_byte_timeout", "10", "is not a duration"),
    ("limits.handshake_timeout", "0s", "out of range"),
    ("limits.connect_timeout", "2h", "out of range"),
    ("limits.idle_timeout", "-1s", "is not a duration"),
    ("limits.drain_timeout", "25h", "out of range"),
    ("limits.tcp_keepalive", "1500ms", "whole seconds"),
    ("limits.tcp_user_timeout", "1500us", "tcp_user_timeout"),
]


@pytest.fixture
def check(folder):
    """check(top, route): a finished `pgtls proxy -c FILE --check`."""
    def one(top, words):
        config = os.path.join(folder, "pgtls.toml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(toml(top, [words]))
        return run("proxy", "-c", config, "--check")
    return one


@pytest.mark.parametrize("setting, value, complaint", WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_value_is_told_with_its_setting(check, setting, value, complaint):
    top, words = {}, route({"address": "127.0.0.1:5432"})
    section, _, name = setting.rpartition(".")
    if section:
        words[section][name] = value
    elif name == "event_loop":
        top[name] = value
    else:
        words = {name: value, **words}
    done = check(top, words)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert name in done.stderr and complaint in done.stderr, done.stderr


def test_epoll_waits_for_sockets_where_event_loop_says_so(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}), event_loop="epoll")
    assert psql(one.port).stdout.strip() == "1"
    kinds = one.open_files()
    assert "anon_inode:[eventpoll]" in kinds and "anon_inode:[io_uring]" not in kinds


def test_client_name_cn_compares_the_common_name(start, listener, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address},
                      listener("verify-full", client_name="CN")))
    assert psql(one.port, **client_cert(certs, "alice")).stdout.strip() == "1"
    assert psql(one.port, user="bob", **client_cert(certs, "alice")).returncode == 2
    assert one.wait_event("auth.failed")["user"] == "bob"


def test_protocol_postgresql_may_be_written(start, postgres_clear):
    one = start({"protocol": "postgresql", **route({"address": postgres_clear.address})})
    assert psql(one.port).stdout.strip() == "1"


def test_the_server_sees_source_address(start, fake):
    def script(stream, tell):
        tell(stream.sock.getpeername()[0])
        accept_login(stream)

    server = fake(script)
    one = start(route({"address": server.address, "source_address": ["127.0.0.2"]}))
    with connect(one.port) as client:
        assert client.login()[-1].type == "Z"
    assert server.wait() == ["127.0.0.2"]


def test_each_family_has_its_own_source_addresses(start, fake):
    """Never the system's choice: a firewall may know the sources only."""
    def script(stream, tell):
        tell(stream.sock.getpeername()[0])
        accept_login(stream)

    server = fake(script)
    one = start(route({"address": [server.address, f"localhost:{server.port}"],
                       "source_address": ["::1", "127.0.0.2", "127.0.0.3"]}))
    for _ in range(4):
        with connect(one.port) as client:
            assert client.login()[-1].type == "Z"
    assert server.wait(4) == ["127.0.0.2", "127.0.0.3"] * 2


def test_without_a_source_of_its_family_an_address_is_not_tried(start, fake):
    server = fake(lambda stream, tell: tell("connected"))
    one = start(route({"address": f"localhost:{server.port}", "source_address": "fe80::1"}))
    with connect(one.port) as client:
        assert client.login()[-1].code == "08001"
    assert "source_address" in one.wait_event("backend.connect.failed")["hint"]
    assert server.seen == []


@pytest.mark.parametrize("address, sources, code", [
    ("127.0.0.1:5432", ["127.0.0.2", "::1"], 1), ("[::1]:5432", "127.0.0.2", 1),
    (["127.0.0.1:5432", "[::1]:5432"], ["127.0.0.2", "::1"], 0), ("localhost:5432", "::1", 0),
])
def test_source_address_of_a_family_that_no_server_has(check, address, sources, code):
    done = check({}, route({"address": address, "source_address": sources}))
    assert done.returncode == code, done.stderr
    assert not code or "no address of the backend is of its family" in done.stderr


@pytest.mark.parametrize("name", ["db.example.com.", "a..b", ".a", "10.0.0.1", "::1", "a b"])
def test_an_sni_that_no_client_may_announce(check, verified, name):
    done = check({}, route(verified("db.example.com:5432", sni=name)))
    assert done.returncode == 1 and "backend.sni" in done.stderr, done.stderr


# Direct TLS towards the server

def direct_server(certs, alpn):
    """TLS from the first byte, as PostgreSQL 17 takes it."""
    def script(stream, tell):
        stream.start_tls(certs.server("backend", alpn=alpn), server_side=True)
        tell(stream.tls.selected_alpn_protocol())
        if stream.packet() is not None:
            stream.send(wire.LOGGED_IN)
            stream.rest()
    return script


def test_sslnegotiation_direct_begins_with_tls_and_alpn(start, fake, certs, verified):
    server = fake(direct_server(certs, ["postgresql"]))
    one = start(route(verified(server.address, sslnegotiation="direct")))
    with connect(one.port) as client:
        assert client.login()[-1].type == "Z"
    assert server.wait() == ["postgresql"]


def test_sslnegotiation_direct_demands_alpn_of_the_server(start, fake, certs, verified):
    server = fake(direct_server(certs, []))
    one = start(route(verified(server.address, sslnegotiation="direct")))
    with connect(one.port) as client:
        assert client.login()[-1].type == "E"
    assert "ALPN" in str(one.wait_event("tls.handshake.failed"))


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_sslnegotiation_direct_needs_a_mode_that_demands_tls(check, mode):
    done = check({}, route({"address": "127.0.0.1:5432", "sslmode": mode,
                            "sslnegotiation": "direct"}))
    assert done.returncode == 1 and "sslnegotiation" in done.stderr, done.stderr
