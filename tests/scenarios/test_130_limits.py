# SPDX-License-Identifier: PostgreSQL
"""Limits on connections, and what is left when connections are gone."""
import resource
import subprocess

import pytest

from peers import wire
from peers.libpq import client_cert, psql
from peers.proxy import program, route, sanitized
from peers.stream import connect, connect_tls, free_ports


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_one_client_too_many_gets_53300(start, listener, postgres_clear, certs, mode):
    one = start(route({"address": postgres_clear.address}, listener(mode),
                      {"max_connections": 3}))

    def open_one():
        return connect_tls(one.port, certs.client()) if mode == "require" else connect(one.port)

    clients = [open_one() for _ in range(3)]
    for client in clients:
        assert client.login()[-1].type == "Z"
    with open_one() as refused:
        last = refused.login()[-1]
        assert last.type == "E" and last.code == "53300", last
    assert one.wait_event("limit.reached")
    clients.pop().close()
    one.wait_count("connection.end", 2)
    with open_one() as again:
        assert again.login()[-1].type == "Z"
    for client in clients:
        client.close()


def test_limits_are_per_route(start, postgres_clear):
    backend = {"address": postgres_clear.address}
    first = route(backend, limits={"max_connections": 1}, name="first")
    second = route(backend, limits={"max_connections": 1}, name="second")
    one = start(first, second)
    port = int(second["listener"]["bind_address"].rpartition(":")[2])
    with connect(one.port) as a, connect(port) as b:
        assert a.login()[-1].type == b.login()[-1].type == "Z"


def test_a_cancel_is_let_in_although_the_limit_is_reached(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}, limits={"max_connections": 1}))
    with connect(one.port) as session, connect(one.port) as second:
        key = next(m.body for m in session.login() if m.type == "K")
        session.send(wire.query("select pg_sleep(30)"))
        postgres_clear.wait_asleep("pid", wire.pid_of(key))
        second.send(wire.packet(wire.CANCEL_CODE.to_bytes(4, "big") + key))
        assert second.rest() == b""
        assert "57014" in [m.code for m in session.messages_until("Z")]


@pytest.mark.parametrize("how", ["terminate", "close", "reset", "no login", "refused"])
def test_no_descriptor_is_left_behind(start, listener, postgres_clear, certs, how):
    one = start(route({"address": postgres_clear.address}, listener("require")))
    with connect_tls(one.port, certs.client()) as first:
        first.login()
    one.end()
    before = one.descriptors_at_rest()
    clients = []
    for _ in range(100):
        if how == "refused":
            clients.append(connect(one.port))
            clients[-1].send(wire.startup())
            continue
        clients.append(connect_tls(one.port, certs.client()))
        if how != "no login":
            clients[-1].login()
    for client in clients:
        if how == "terminate":
            client.send(wire.TERMINATE)
            client.rest()
        if how == "reset":
            client.reset()
        client.close()
    one.wait_count("connection.end", 101)
    assert one.comes_down_to(before), (one.descriptors(), before)


def test_failed_backends_leave_no_descriptor_behind(start, fake):
    def script(stream, _tell):
        stream.packet()

    one = start(route({"address": fake(script).address, "sslmode": "require"}))
    for round_of in range(2):
        for _ in range(40):
            with connect(one.port) as client:
                client.send(wire.startup())
                client.rest()
        one.wait_count("connection.end", 40 * (round_of + 1))
        if round_of == 0:
            before = one.descriptors_at_rest()
    assert one.comes_down_to(before), (one.descriptors(), before)


@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps freed memory for a while")
def test_memory_of_closed_connections_is_used_again(start, listener, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address}, listener("require")))

    def rounds(count):
        ended = len(one.find("connection.end"))
        for _ in range(count):
            clients = [connect_tls(one.port, certs.client()) for _ in range(50)]
            for client in clients:
                client.login()
                client.close()
        one.wait_count("connection.end", ended + 50 * count)
        return one.resident_kib()

    rounds(2)
    before = rounds(2)
    after = rounds(4)
    assert after - before < 6 * 1024


def test_the_limit_of_open_files_is_raised(start, postgres_clear, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        one = start(route({"address": postgres_clear.address}, limits={"max_connections": 1000}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with open(f"/proc/{one.process.pid}/limits", encoding="ascii") as limits:
        row = next(line for line in limits if line.startswith("Max open files"))
    assert int(row.split()[3]) >= min(2 * 1000 + 1000, hard)     # max_pending_logins is 1000


def test_workers_and_their_listeners_have_descriptors_of_their_own(start, postgres_clear):
    """A machine of many cores listens on hundreds of sockets: they start, and cost no session."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(12)]
    limits = {"max_connections": 20, "max_pending_logins": 10}
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        one = start(route({"address": postgres_clear.address}, {"bind_address": addresses}, limits),
                    workers=20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE)[0]
    assert allowed - one.descriptors_at_rest() >= 2 * 20 + 10


def test_a_limit_of_open_files_that_cannot_be_raised_is_a_warning(folder, postgres_clear):
    from peers.proxy import toml
    words = route({"address": postgres_clear.address}, limits={"max_connections": 5000})
    config = f"{folder}/pgtls.toml"
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({"log_format": "text", "workers": 1}, [words]))
    process = subprocess.Popen(["sh", "-c", "ulimit -n 300; exec \"$0\" -c \"$1\"", program(),
                                config], stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "listener.ready" in line:
                break
        # Told before or behind the first line that is served.
        process.terminate()
        lines += list(process.stderr)
        assert any("files" in line for line in lines), lines
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stderr.close()


def test_psql_is_told_why(start, listener, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address}, listener("require"),
                      {"max_connections": 1}))
    with connect_tls(one.port, certs.client()) as client:
        client.login()
        done = psql(one.port, **client_cert(certs, None))
        assert done.returncode == 2 and "too many" in done.stderr, done.stderr
