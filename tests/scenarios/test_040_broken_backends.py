# SPDX-License-Identifier: PostgreSQL
"""Servers that lie, break off or never answer: the client gets an error, and no more."""
import time

import pytest

from peers import wire
from peers.backend import Blackhole, accept_login, refusing_address
from peers.proxy import route
from peers.stream import connect, connect_tls


def refusal(port):
    """The ErrorResponse that a plaintext client gets instead of a login, and how long it took."""
    started = time.monotonic()
    with connect(port) as client:
        client.send(wire.startup())
        found, left = wire.messages_of(client.rest())
    assert left == b""
    assert [m.type for m in found] == ["E"], found
    return found[0], time.monotonic() - started


def assert_told_without_secrets(error, address):
    assert error.code.startswith("08"), error.fields
    host, _, port = address.rpartition(":")
    for secret in (host, port, ".crt", "/tmp"):
        assert secret not in str(error.fields), error.fields


@pytest.fixture
def behind(start, fake):
    """behind(script, mode): a proxy with a scripted server behind TLS."""
    def one(script, mode="require", **limits):
        server = fake(script)
        return server, start(route({"address": server.address, "sslmode": mode}, limits=limits))
    return one


@pytest.mark.parametrize("junk", [b"x", wire.AUTHENTICATION_OK, wire.LOGGED_IN, b"\x15\x03\x03"])
def test_bytes_behind_s_end_the_attempt_and_no_startup_is_sent(behind, junk):
    """CVE-2021-23222: what a man in the middle sends before TLS is never read as the server's."""
    def script(stream, tell):
        assert stream.packet() == wire.SSL_REQUEST
        stream.send(b"S" + junk)
        tell(stream.rest())

    server, one = behind(script, handshake_timeout="1s")
    error, _ = refusal(one.port)
    assert_told_without_secrets(error, server.address)
    assert b"alice" not in server.wait()[0]


def test_a_good_handshake_with_bytes_injected_before_it_is_refused(behind, certs):
    def script(stream, tell):
        assert stream.packet() == wire.SSL_REQUEST
        stream.sock.sendall(b"S" + wire.AUTHENTICATION_OK)
        try:
            stream.start_tls(certs.server(), server_side=True)
            tell(stream.rest())
        except OSError as error:
            tell(str(error).encode())

    server, one = behind(script)
    error, _ = refusal(one.port)
    assert_told_without_secrets(error, server.address)
    assert b"alice" not in server.wait()[0]


def test_e_instead_of_s_is_a_refusal_whose_text_is_not_shown(behind):
    """CVE-2024-10977: whoever answers before TLS is nobody."""
    def script(stream, _tell):
        stream.packet()
        stream.send(wire.error_response("28000", "visit http://evil.example"))

    server, one = behind(script)
    error, _ = refusal(one.port)
    assert_told_without_secrets(error, server.address)
    assert "evil" not in str(error.fields)


def test_n_is_never_a_reason_to_speak_plaintext(behind):
    def script(stream, tell):
        stream.packet()
        stream.send(b"N")
        tell(stream.rest())

    server, one = behind(script)
    error, _ = refusal(one.port)
    assert_told_without_secrets(error, server.address)
    assert server.wait() == [b""]


@pytest.mark.parametrize("answer", [b"G", b"Z", b"\0", b"s", b"\x16"])
def test_any_other_byte_is_a_refusal(behind, answer):
    def script(stream, tell):
        stream.packet()
        stream.send(answer)
        tell(stream.rest())

    server, one = behind(script)
    assert_told_without_secrets(refusal(one.port)[0], server.address)
    assert server.wait() == [b""]


@pytest.mark.parametrize("where", ["at once", "behind S", "in the handshake"])
def test_a_server_that_closes_early(behind, where):
    def script(stream, _tell):
        if where != "at once":
            stream.packet()
            stream.send(b"S")
        if where == "in the handshake":
            stream.sock.recv(100)

    server, one = behind(script)
    error, seconds = refusal(one.port)
    assert_told_without_secrets(error, server.address)
    assert seconds < 5


@pytest.mark.parametrize("where", ["before S", "behind S"])
def test_a_server_that_never_answers(behind, where):
    def script(stream, _tell):
        stream.packet()
        if where == "behind S":
            stream.send(b"S")
        stream.rest()

    server, one = behind(script, connect_timeout="400ms", handshake_timeout="400ms")
    error, seconds = refusal(one.port)
    assert_told_without_secrets(error, server.address)
    assert 0.3 < seconds < 5


def test_a_server_that_refuses_connections(start):
    address = refusing_address()
    one = start(route({"address": address}))
    error, _ = refusal(one.port)
    assert_told_without_secrets(error, address)
    failed = one.wait_event("backend.connect.failed")
    assert address in str(failed)


def test_a_server_that_cannot_be_reached_in_time(start, blackhole):
    one = start(route({"address": blackhole.address}, limits={"connect_timeout": "500ms"}))
    error, seconds = refusal(one.port)
    assert_told_without_secrets(error, blackhole.address)
    assert 0.4 < seconds < 5
    assert one.wait_event("backend.connect.failed")


def test_a_name_that_does_not_exist(start):
    one = start(route({"address": "no-such-host.invalid:5432", "sslmode": "disable"},
                      limits={"connect_timeout": "3s"}))
    error, _ = refusal(one.port)
    assert error.code.startswith("08")
    assert "no-such-host" not in str(error.fields)
    assert "no-such-host.invalid" in str(one.wait_event("backend.connect.failed"))


def test_the_error_reaches_a_client_inside_its_tls(start, listener, certs):
    one = start(route({"address": refusing_address()}, listener("require")))
    with connect_tls(one.port, certs.client()) as client:
        client.send(wire.startup())
        found = wire.messages_of(client.rest())[0]          # rest(): ended by close_notify
    assert [m.type for m in found] == ["E"] and found[0].code.startswith("08")


def test_a_server_that_hangs_in_the_login(start, fake):
    def script(stream, _tell):
        stream.packet()
        stream.rest()

    one = start(route({"address": fake(script).address}, limits={"login_timeout": "600ms"}))
    started = time.monotonic()
    with connect(one.port) as client:
        client.send(wire.startup())
        client.rest()
    assert 0.4 < time.monotonic() - started < 5
    assert "login_timeout" in str(one.end()) or "timeout" in str(one.end())


@pytest.mark.parametrize("text", [b"R\0\0\0\3", b"R\0\0\0\0", b"K\xff\xff\xff\xff" + b"x" * 100,
                                  b"R\x7f\xff\xff\xff\0\0\0\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_login_that_is_not_the_protocol_is_ended(start, fake, text):
    def script(stream, tell):
        stream.packet()
        stream.send(text)
        tell(stream.rest())

    server = fake(script)
    one = start(route({"address": server.address}, limits={"login_timeout": "1s"}))
    with connect(one.port) as client:
        client.send(wire.startup())
        client.rest()
    server.wait()
    assert one.end()
    assert one.is_running()


@pytest.mark.parametrize("text", [b"D\0\0\0\0", b"D\0\0\0\3", b"D\xff\xff\xff\xff"])
def test_a_broken_length_behind_the_login_does_not_hurt_the_proxy(start, fake, text):
    def script(stream, _tell):
        accept_login(stream)
        stream.message()
        stream.send(text + b"x" * 100)

    one = start(route({"address": fake(script).address}))
    with connect(one.port) as client:
        client.login()
        client.send(wire.query("select 1"))
        client.rest()
    assert one.end()
    assert one.is_running()


def test_a_session_that_breaks_does_not_touch_the_others(start, postgres_clear, fake):
    def script(stream, _tell):
        accept_login(stream)
        stream.reset()

    broken = route({"address": fake(script).address}, name="broken")
    one = start(route({"address": postgres_clear.address}), broken)
    port = int(broken["listener"]["bind_address"].rpartition(":")[2])
    with connect(one.port) as good:
        good.login()
        for _ in range(20):
            with connect(port) as bad:
                bad.send(wire.startup())
                try:
                    bad.rest()
                except ConnectionResetError:
                    pass
            assert good.query("select 1")[-1].type == "Z"
    assert len(one.wait_count("connection.end", 20, route="broken")) == 20


def test_a_blackhole_does_not_hold_up_other_routes(start, postgres_clear):
    hole = Blackhole()
    try:
        dead = route({"address": hole.address}, limits={"connect_timeout": "60s"}, name="dead")
        one = start(route({"address": postgres_clear.address}), dead, workers=1)
        port = int(dead["listener"]["bind_address"].rpartition(":")[2])
        waiting = [connect(port) for _ in range(5)]
        for client in waiting:
            client.send(wire.startup())
        started = time.monotonic()
        with connect(one.port) as good:
            assert good.login()[-1].type == "Z"
        assert time.monotonic() - started < 8
        for client in waiting:
            client.close()
    finally:
        hole.stop()
