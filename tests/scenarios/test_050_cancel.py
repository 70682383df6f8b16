# SPDX-License-Identifier: PostgreSQL
"""CancelRequest: in the clear and inside TLS, of every legal length, byte for byte."""
import os
import signal
import subprocess
import threading
import time

import psycopg
import pytest

from peers import wire
from peers.backend import accept_login, take_cancel, wire_tap
from peers.libpq import client_cert, conninfo, connect as libpq_connect
from peers.proxy import route
from peers.stream import connect, connect_tls

LENGTHS = [16, 17, 20, 44, 100, 267, 268]


def cancel_of_length(length):
    return wire.cancel(4711, bytes(i % 256 for i in range(length - 12)))


@pytest.mark.parametrize("length", LENGTHS)
def test_a_cancel_in_the_clear_reaches_the_server_as_it_is(start, fake, length):
    server = fake(take_cancel)
    one = start(route({"address": server.address}))
    with connect(one.port) as client:
        client.send(cancel_of_length(length))
        assert client.rest() == b""         # never an answer
    assert server.wait() == [cancel_of_length(length)]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_cancel_inside_tls_reaches_the_server_as_it_is(start, fake, listener, certs, length):
    server = fake(take_cancel)
    one = start(route({"address": server.address}, listener("verify-full")))
    with connect_tls(one.port, certs.client(cert="alice")) as client:
        client.send(cancel_of_length(length))
        assert client.rest() == b""
    assert server.wait() == [cancel_of_length(length)]


@pytest.mark.parametrize("length", [0, 8, 12, 15, 269, 1000, 10004])
def test_a_cancel_of_another_length_is_refused(start, fake, length):
    server = fake(take_cancel)
    one = start(route({"address": server.address}))
    packet = bytearray(cancel_of_length(max(length, 16))[:max(length, 8)])
    packet[:4] = length.to_bytes(4, "big")
    with connect(one.port) as client:
        client.send(bytes(packet))
        assert client.rest() == b""
    assert server.accepted == 0


def test_a_cancel_may_be_cut_at_every_byte(start, fake):
    server = fake(take_cancel)
    one = start(route({"address": server.address}))
    packet = cancel_of_length(20)
    for cut in range(1, len(packet)):
        with connect(one.port) as client:
            client.send(packet[:cut])
            time.sleep(0.01)
            client.send(packet[cut:])
            assert client.rest() == b""
    assert server.wait(len(packet) - 1) == [packet] * (len(packet) - 1)


def test_a_trailing_terminate_is_tolerated(start, fake):
    server = fake(take_cancel)
    one = start(route({"address": server.address}))
    with connect(one.port) as client:
        client.send(cancel_of_length(16) + wire.TERMINATE)
        assert client.rest() == b""
    assert server.wait()[0][:16] == cancel_of_length(16)


def test_a_cancel_uses_the_tls_of_the_backend_leg(start, fake, certs, verified):
    def script(stream, tell):
        assert stream.packet() == wire.SSL_REQUEST
        stream.send(b"S")
        stream.start_tls(certs.server(), server_side=True)
        tell(stream.packet())

    server = fake(script)
    one = start(route(verified(server.address)))
    with connect(one.port) as client:
        client.send(cancel_of_length(16))
        assert client.rest() == b""
    assert server.wait()[0] == cancel_of_length(16)


def test_a_client_waits_until_the_server_took_the_cancel(start, fake):
    """libpq takes the end of the connection as the sign that it may go on."""
    def script(stream, tell):
        stream.packet()
        time.sleep(0.5)
        tell(time.monotonic())

    server = fake(script)
    one = start(route({"address": server.address}))
    with connect(one.port) as client:
        client.send(cancel_of_length(16))
        assert client.rest() == b""
        ended = time.monotonic()
    assert ended >= server.wait()[0]


def test_a_cancel_never_goes_to_a_server_that_does_not_verify(start, fake, certs, verified):
    def script(stream, tell):
        try:
            accept_login(stream, certs.server("stranger"))
        except OSError:
            pass
        tell("done")

    server = fake(script)
    one = start(route(verified(server.address)))
    with connect(one.port) as client:
        client.send(cancel_of_length(16))
        assert client.rest() == b""
    assert server.wait() == ["done"]


@pytest.mark.parametrize("mode, words, passes", [
    ("disable", {}, True),
    ("require", {}, True),
    ("verify-ca", {}, False),
    ("verify-full", {}, False),
    ("require", {"cancel": "tls-only"}, False),
    ("verify-full", {"cancel": "allow"}, True),
])
def test_the_cancel_setting_rules_cancels_in_the_clear(start, fake, listener, mode, words, passes):
    server = fake(take_cancel)
    one = start(route({"address": server.address}, listener(mode, **words)))
    with connect(one.port) as client:
        client.send(cancel_of_length(16))
        assert client.rest() == b""
    if passes:
        assert server.wait() == [cancel_of_length(16)]
    else:
        time.sleep(0.2)
        assert server.accepted == 0


def test_verify_modes_demand_a_certificate_for_a_cancel_too(start, fake, listener, certs):
    server = fake(take_cancel)
    one = start(route({"address": server.address}, listener("verify-full")))
    with connect_tls(one.port, certs.client()) as client:
        client.send(cancel_of_length(16))
        client.rest()
    time.sleep(0.2)
    assert server.accepted == 0


def sleeping(session, server):
    """A thread in which the session sleeps for a minute; the error it ends with."""
    errors = []

    def run():
        try:
            session.execute("select pg_sleep(60)")
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    server.wait_asleep("pid", session.info.backend_pid)
    return thread, errors


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.thread
def test_psycopg_cancels_a_running_query(start, listener, postgres, certs, verified, tls):
    """libpq 15 cancels in the clear even where the session has TLS."""
    one = start(route(verified(postgres.address), listener("require" if tls else "disable")))
    words = client_cert(certs, None) if tls else {"sslmode": "disable"}
    with libpq_connect(one.port, **words) as session:
        thread, errors = sleeping(session, postgres)
        session.cancel()
        thread.join(20)
        assert [type(one) for one in errors] == [psycopg.errors.QueryCanceled]
        assert session.execute("select 1").fetchone() == (1,)
    assert one.wait_event("cancel")


def kinds(packets):
    codes = {wire.SSL_REQUEST[4:8]: "asks for TLS", wire.CANCEL_CODE.to_bytes(4, "big"): "cancel"}
    return [codes.get(packet[4:8], "startup") for packet in packets]


@pytest.mark.parametrize("mode, database, way", [
    ("allow", "tlsdb", ["startup", "asks for TLS", "asks for TLS"]),    # hostssl only
    ("allow", "cleardb", ["startup", "cancel"]),                        # hostnossl only
    ("allow", "postgres", ["startup", "cancel"]),
    ("prefer", "tlsdb", ["asks for TLS", "asks for TLS"]),
    ("disable", "cleardb", ["startup", "cancel"]),
    ("require", "tlsdb", ["asks for TLS", "asks for TLS"]),
])
def test_a_cancel_goes_the_way_that_its_session_went(start, fake, postgres, mode, database, way):
    """Its key would be seen in the clear where the session had to be in TLS."""
    server = fake(wire_tap(postgres.port))
    one = start(route({"address": server.address, "sslmode": mode}))
    with libpq_connect(one.port, dbname=database, sslmode="disable") as session:
        thread, errors = sleeping(session, postgres)
        session.cancel()
        thread.join(20)
        assert [type(one) for one in errors] == [psycopg.errors.QueryCanceled]
        assert session.execute("select 1").fetchone() == (1,)
    assert kinds(server.seen) == way


@pytest.mark.parametrize("mode", ["allow", "prefer"])
def test_without_tls_at_the_server_a_cancel_goes_in_the_clear(start, fake, postgres_clear, mode):
    server = fake(wire_tap(postgres_clear.port))
    one = start(route({"address": server.address, "sslmode": mode}))
    with libpq_connect(one.port, sslmode="disable") as session:
        thread, errors = sleeping(session, postgres_clear)
        session.cancel()
        thread.join(20)
        assert [type(one) for one in errors] == [psycopg.errors.QueryCanceled]
    assert kinds(server.seen)[-1] == "cancel"


def test_a_cancel_inside_tls_cancels_a_running_query(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("verify-full")))
    context = certs.client(cert="alice")
    with connect_tls(one.port, context) as session, connect_tls(one.port, context) as second:
        key = next(m.body for m in session.login() if m.type == "K")
        session.send(wire.query("select pg_sleep(60)"))
        postgres.wait_asleep("pid", wire.pid_of(key))
        second.send(wire.packet(wire.CANCEL_CODE.to_bytes(4, "big") + key))
        assert second.rest() == b""
        found = session.messages_until("Z")
    assert [m.code for m in found if m.type == "E"] == ["57014"]


def test_a_wrong_key_cancels_nothing(start, postgres):
    one = start(route({"address": postgres.address}))
    with connect(one.port) as session, connect(one.port) as second:
        key = next(m.body for m in session.login() if m.type == "K")
        session.send(wire.query("select pg_sleep(0.7)"))
        wrong = key[:4] + bytes(byte ^ 0xFF for byte in key[4:])
        second.send(wire.packet(wire.CANCEL_CODE.to_bytes(4, "big") + wrong))
        assert second.rest() == b""
        assert [m.type for m in session.messages_until("Z")][-2:] == ["C", "Z"]


def test_control_c_in_psql(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")))
    words = psycopg.conninfo.make_conninfo("", **conninfo(
        one.port, application_name="interrupted", **client_cert(certs, None)))
    process = subprocess.Popen(["psql", "-XAtq", "-d", words, "-c", "select pg_sleep(60)"],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               preexec_fn=os.setsid)
    postgres.wait_asleep("application_name", "interrupted")
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=20)
    assert "canceling statement due to user request" in text


def test_the_cancel_key_is_never_in_the_log(start, fake):
    server = fake(take_cancel)
    one = start(route({"address": server.address}))
    key = b"\x7a\x6b\x5c\x4d"
    with connect(one.port) as client:
        client.send(wire.cancel(1234567, key))
        client.rest()
    one.wait_event("cancel")
    for text in (key.hex(), str(int.from_bytes(key, "big")), "1234567"):
        assert text not in one.text()
