# SPDX-License-Identifier: PostgreSQL
"""The first bytes of a client, legal and not; measured against PostgreSQL."""
import socket
import ssl
import struct
import time

import pytest

from peers import wire
from peers.backend import accept_login, record_everything
from peers.proxy import route
from peers.stream import Truncated, connect


@pytest.fixture
def secret(fake):
    """A server that must never see a byte of those who are refused."""
    return fake(record_everything)


@pytest.fixture
def tls_only(start, listener, secret):
    return start(route({"address": secret.address}, listener("require")))


@pytest.fixture
def impatient(start, listener, secret):
    """The same for what may be half of a handshake."""
    return start(route({"address": secret.address}, listener("require"),
                       {"handshake_timeout": "1s"}))


@pytest.fixture
def clear_only(start, secret):
    return start(route({"address": secret.address}))


@pytest.fixture
def to_postgres(start, listener, postgres_clear):
    """One proxy with a TLS listener; the server behind speaks plaintext."""
    return start(route({"address": postgres_clear.address}, listener("require")))


def errors(data):
    return [one.code for one in wire.messages_of(data)[0] if one.type == "E"]


def test_plaintext_startup_on_a_tls_listener_is_28000_with_a_hint(tls_only, secret):
    with connect(tls_only.port) as client:
        client.send(wire.startup())
        found, left = wire.messages_of(client.rest())
    assert [one.type for one in found] == ["E"] and left == b""
    assert found[0].code == "28000"
    assert "sslmode=" in found[0].fields["H"]
    assert secret.accepted == 0


def test_gss_first_is_declined_and_tls_follows_on_the_same_socket(to_postgres, certs):
    with connect(to_postgres.port) as client:
        client.send(wire.GSS_REQUEST)
        assert client.read(1) == b"N"
        assert client.ask_for_tls() == b"S"
        client.start_tls(certs.client(), server_hostname="localhost")
        assert client.login()[-1].type == "Z"


def test_gss_and_ssl_are_both_declined_in_either_order(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    for order in ((wire.GSS_REQUEST, wire.SSL_REQUEST), (wire.SSL_REQUEST, wire.GSS_REQUEST)):
        with connect(one.port) as client:
            for request in order:
                client.send(request)
                assert client.read(1) == b"N"
            assert client.login()[-1].type == "Z"


@pytest.mark.parametrize("request_twice", [wire.SSL_REQUEST, wire.GSS_REQUEST])
def test_the_same_question_twice_is_0a000(clear_only, secret, request_twice):
    with connect(clear_only.port) as client:
        client.send(request_twice)
        assert client.read(1) == b"N"
        client.send(request_twice)
        assert errors(client.rest()) == ["0A000"]
    assert secret.accepted == 0


@pytest.mark.parametrize("behind", [wire.startup(), b"\0", wire.SSL_REQUEST])
def test_bytes_behind_a_declined_request_are_08p01(clear_only, secret, behind):
    with connect(clear_only.port) as client:
        client.send(wire.SSL_REQUEST + behind)
        answer = client.rest()
    assert errors(answer.lstrip(b"N")) == ["08P01"], answer
    assert secret.accepted == 0


@pytest.mark.parametrize("cut", ["whole", "half", "one byte"])
def test_a_client_hello_pipelined_behind_ssl_request_is_served(to_postgres, certs, cut):
    """Legal since the protocol was written, and PostgreSQL 17 takes it."""
    with connect(to_postgres.port) as client:
        client.begin_tls(certs.client(), server_hostname="localhost")
        hello = client.first_flight()
        count = {"whole": len(hello), "half": len(hello) // 2, "one byte": 1}[cut]
        client.sock.sendall(wire.SSL_REQUEST + hello[:count])
        assert client.sock.recv(1) == b"S"
        client.sock.sendall(hello[count:])
        client.handshake()
        assert client.login()[-1].type == "Z"


@pytest.mark.parametrize("injected", [wire.startup(), wire.query("select 1"), b"\0",
                                      wire.startup() + wire.query("drop table t"),
                                      wire.cancel(1, b"\0" * 4), wire.SSL_REQUEST])
@pytest.mark.parametrize("together", [True, False])
def test_plaintext_behind_ssl_request_never_reaches_the_server(impatient, secret, injected,
                                                               together):
    with connect(impatient.port) as client:
        if together:
            client.send(wire.SSL_REQUEST + injected)
            assert client.read(1) == b"S"
        else:
            assert client.ask_for_tls() == b"S"
            client.send(injected)
        try:
            left = client.rest()
        except ConnectionResetError:
            left = b""
    assert b"E" not in left[:1], "an ErrorResponse in the clear behind S"
    assert impatient.wait_event("tls.handshake.failed")["leg"] == "client"
    assert secret.accepted == 0


def test_plaintext_injected_before_tls_is_not_read_as_startup(to_postgres, certs):
    """CVE-2021-23214: bytes that came early may only ever be fed to TLS."""
    with connect(to_postgres.port) as client:
        client.begin_tls(certs.client(), server_hostname="localhost")
        hello = client.first_flight()
        client.sock.sendall(wire.SSL_REQUEST + wire.startup(user="mallory") + hello)
        assert client.sock.recv(1) == b"S"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.handshake()
    assert to_postgres.find("auth.ok") == []


def test_ssl_request_inside_tls_is_0a000(to_postgres, certs):
    with connect(to_postgres.port) as client:
        client.ask_for_tls()
        client.start_tls(certs.client(), server_hostname="localhost")
        client.send(wire.SSL_REQUEST)
        found = wire.messages_of(client.rest())[0]
    assert found[0].code == "0A000"
    assert "1234.5679" in found[0].fields["M"]


def test_gss_request_inside_tls_is_0a000(to_postgres, certs):
    with connect(to_postgres.port) as client:
        client.ask_for_tls()
        client.start_tls(certs.client(), server_hostname="localhost")
        client.send(wire.GSS_REQUEST)
        assert errors(client.rest()) == ["0A000"]


def test_direct_tls_without_alpn_is_closed_without_a_word(tls_only, secret, certs):
    with connect(tls_only.port) as client:
        client.start_tls(certs.client(), server_hostname="localhost")
        client.send(wire.startup())
        assert client.rest() == b""
    failed = tls_only.wait_event("tls.handshake.failed")
    assert "ALPN" in failed["reason"]
    assert secret.accepted == 0


@pytest.mark.parametrize("alpn", [("http/1.1",), ("POSTGRESQL",), ("postgres",)])
def test_direct_tls_with_another_alpn_is_alert_120(tls_only, secret, certs, alpn):
    with connect(tls_only.port) as client:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol|alert"):
            client.start_tls(certs.client(alpn=alpn), server_hostname="localhost")
    assert tls_only.wait_event("tls.handshake.failed")["alert_sent"] == "no_application_protocol"
    assert secret.accepted == 0


@pytest.mark.parametrize("alpn", [(), ("postgresql",), ("http/1.1",)])
def test_direct_tls_is_refused_with_a_clear_log(start, listener, secret, certs, alpn):
    one = start(route({"address": secret.address}, listener("require", direct_tls="refuse")))
    with connect(one.port) as client:
        client.begin_tls(certs.client(alpn=alpn), server_hostname="localhost")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.handshake()
            client.login()
    assert "direct" in str(one.end()).lower()
    assert secret.accepted == 0


@pytest.mark.parametrize("alpn", [("postgresql",), ("http/1.1", "postgresql")])
def test_direct_tls_is_served(to_postgres, certs, alpn):
    with connect(to_postgres.port) as client:
        client.start_tls(certs.client(alpn=alpn), server_hostname="localhost")
        assert client.tls.selected_alpn_protocol() == "postgresql"
        assert client.login()[-1].type == "Z"
        client.send(wire.TERMINATE)
    assert to_postgres.end()["negotiation"] == "direct"


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("postgres",)])
def test_direct_tls_demands_the_protocol_postgresql(tls_only, secret, certs, alpn):
    with connect(tls_only.port) as client:
        client.begin_tls(certs.client(alpn=alpn), server_hostname="localhost")
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError, Truncated)):
            client.handshake()
            client.login()
    failed = tls_only.wait_event("tls.handshake.failed")
    assert failed.get("alert_sent") == ("no_application_protocol" if alpn else None)
    assert "ALPN" in failed["hint"] + failed["reason"]
    assert secret.accepted == 0


def test_questions_inside_direct_tls_are_declined_and_the_login_goes_on(to_postgres, certs):
    with connect(to_postgres.port) as client:
        client.start_tls(certs.client(alpn=["postgresql"]), server_hostname="localhost")
        for question in (wire.SSL_REQUEST, wire.GSS_REQUEST):
            client.send(question)
            assert client.read(1) == b"N"
        assert client.login()[-1].type == "Z"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_direct_tls_is_no_way_round_certificates(start, listener, secret, certs, mode):
    one = start(route({"address": secret.address}, listener(mode)))
    with connect(one.port) as client:
        client.start_tls(certs.client(alpn=["postgresql"]), server_hostname="localhost")
        assert errors(b"".join(wire.message(m.type, m.body) for m in client.login())) == ["28000"]
    assert secret.accepted == 0


def test_direct_tls_may_be_demanded(start, listener, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address},
                      listener("require", direct_tls="require")))
    with connect(one.port) as client:
        client.start_tls(certs.client(alpn=["postgresql"]), server_hostname="localhost")
        assert client.login()[-1].type == "Z"
    for first in (wire.SSL_REQUEST, wire.startup()):
        with connect(one.port) as client:
            client.send(first)
            assert errors(client.rest()) == ["28000"]


def test_direct_tls_on_a_plaintext_listener_is_closed_without_a_word(clear_only, secret, certs):
    with connect(clear_only.port) as client:
        client.begin_tls(certs.client(), server_hostname="localhost")
        client.sock.sendall(client.first_flight())
        assert client.sock.recv(100) == b""
    assert secret.accepted == 0


@pytest.mark.parametrize("alpn, good", [((), True), (("postgresql",), True),
                                        (("http/1.1", "postgresql"), True),
                                        (("http/1.1",), False), (("POSTGRESQL",), False)])
def test_alpn_behind_ssl_request(to_postgres, certs, alpn, good):
    with connect(to_postgres.port) as client:
        client.ask_for_tls()
        if not good:
            with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol|alert"):
                client.start_tls(certs.client(alpn=alpn), server_hostname="localhost")
            return
        client.start_tls(certs.client(alpn=alpn), server_hostname="localhost")
        assert client.tls.selected_alpn_protocol() == ("postgresql" if alpn else None)
        assert client.login()[-1].type == "Z"


def test_a_startup_packet_may_be_cut_at_every_byte(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    packet = wire.startup(application_name="x")
    for cut in range(1, len(packet)):
        with connect(one.port) as client:
            client.send(packet[:cut])
            time.sleep(0.002)
            client.send(packet[cut:])
            assert client.messages_until("ZE")[-1].type == "Z", cut


def test_everything_may_come_byte_by_byte(to_postgres, certs):
    with connect(to_postgres.port) as client:
        for byte in wire.SSL_REQUEST:
            client.sock.sendall(bytes([byte]))
        assert client.sock.recv(1) == b"S"
        client.begin_tls(certs.client(), server_hostname="localhost")
        for byte in client.first_flight():
            client.sock.sendall(bytes([byte]))
        client.handshake()
        for byte in wire.startup():
            client.send(bytes([byte]))          # a record each
        assert client.messages_until("ZE")[-1].type == "Z"


@pytest.mark.parametrize("length", [8, 9, 100, 10003, 10004])
def test_startup_packets_up_to_10004_bytes_reach_the_server(start, fake, length):
    def script(stream, tell):
        tell(accept_login(stream))

    server = fake(script)
    one = start(route({"address": server.address}))
    smallest = len(wire.startup("alice", application_name=""))
    packet = (wire.startup_of_length(length) if length >= smallest
              else wire.packet(struct.pack("!I", wire.PROTOCOL_3_0) + b"\0" * (length - 8)))
    with connect(one.port) as client:
        client.send(packet)
        if length >= smallest:
            assert client.messages_until("ZE")[-1].type == "Z"
            assert server.wait() == [packet]
        else:
            client.rest()           # the server's answer to that, whatever it is; no hang


@pytest.mark.parametrize("length", [0, 4, 7, 10005, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_an_impossible_length_is_closed_without_a_byte(clear_only, secret, length):
    started = time.monotonic()
    with connect(clear_only.port) as client:
        client.send(struct.pack("!II", length, wire.PROTOCOL_3_0))
        assert client.rest() == b""
    assert time.monotonic() - started < 5
    assert secret.accepted == 0


@pytest.mark.parametrize("length", [10005, 0x7FFFFFFF, 0x80000000])
def test_an_impossible_length_inside_tls_is_closed(tls_only, secret, certs, length):
    with connect(tls_only.port) as client:
        client.ask_for_tls()
        client.start_tls(certs.client(), server_hostname="localhost")
        client.send(struct.pack("!II", length, wire.PROTOCOL_3_0))
        try:
            assert client.rest() == b""
        except Truncated:
            pass
    assert secret.accepted == 0


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 16,
                                  b"\xff" * 16, b"\x80\x2e\x01\x03\x01" + b"\0" * 30])
def test_what_is_not_postgresql_gets_no_answer(clear_only, secret, junk):
    with connect(clear_only.port) as client:
        client.send(junk)
        try:
            assert client.rest() == b""
        except ConnectionResetError:
            pass
    assert secret.accepted == 0


def test_protocol_2_gets_the_old_style_error(clear_only):
    with connect(clear_only.port) as client:
        client.send(wire.packet(struct.pack("!I", 2 << 16) + b"\0" * 288))
        answer = client.rest()
    assert answer.startswith(b"EFATAL:  unsupported frontend protocol 2.0"), answer


@pytest.mark.parametrize("code", [4 << 16, (1234 << 16) + 9999])
def test_other_protocols_are_0a000(clear_only, secret, code):
    with connect(clear_only.port) as client:
        client.send(wire.packet(struct.pack("!I", code) + b"user\0alice\0\0"))
        assert errors(client.rest()) == ["0A000"]
    assert secret.accepted == 0


@pytest.mark.parametrize("minor", [2, 9999])
def test_newer_minor_versions_are_the_server_s_business(start, postgres_clear, minor):
    one = start(route({"address": postgres_clear.address}))

    def talk(port):
        with connect(port) as client:
            client.send(wire.startup(version=(3 << 16) + minor, **{"_pq_.no_such_option": "1"}))
            return [m for m in client.messages_until("ZE") if m.type == "v"]

    assert talk(one.port) == talk(postgres_clear.port) != []


@pytest.mark.parametrize("packet", [
    wire.packet(struct.pack("!I", wire.PROTOCOL_3_0) + b"\0"),                    # no user
    wire.packet(struct.pack("!I", wire.PROTOCOL_3_0) + b"database\0postgres\0\0"),
])
def test_a_startup_without_a_user_is_28000(start, postgres_clear, packet):
    one = start(route({"address": postgres_clear.address}))
    for port in (one.port, postgres_clear.port):
        with connect(port) as client:
            client.send(packet)
            assert errors(client.rest()) == ["28000"]


@pytest.mark.parametrize("text", [b"user\0alice", b"user\0alice\0", b"user"])
def test_a_startup_without_its_end_is_08p01(start, postgres_clear, text):
    one = start(route({"address": postgres_clear.address}))
    packet = wire.packet(struct.pack("!I", wire.PROTOCOL_3_0) + text)
    answers = []
    for port in (one.port, postgres_clear.port):
        with connect(port) as client:
            client.send(packet)
            answers.append(errors(client.rest()))
    assert answers[0] == answers[1]


def test_a_user_named_twice_cannot_slip_past_verify_full(start, listener, fake, certs):
    """The name that is compared must be the one that the server will take: the last."""
    def script(stream, tell):
        tell(accept_login(stream))

    server = fake(script)
    one = start(route({"address": server.address}, listener("verify-full")))
    body = b"user\0alice\0user\0postgres\0database\0postgres\0\0"
    with connect(one.port) as client:
        client.ask_for_tls()
        client.start_tls(certs.client(cert="alice"), server_hostname="localhost")
        client.send(wire.packet(struct.pack("!I", wire.PROTOCOL_3_0) + body))
        assert "E" in [m.type for m in wire.messages_of(client.rest())[0]]
    assert server.accepted == 0


def test_a_health_check_is_not_worth_a_line_at_info(start, fake):
    server = fake(record_everything)
    one = start(route({"address": server.address}), log_level="info")
    for _ in range(3):
        connect(one.port).close()
    time.sleep(0.3)
    assert [e["event"] for e in one.events if e["event"].startswith("connection")] == []
    assert server.accepted == 0


def test_half_close_behind_ssl_request(tls_only):
    with connect(tls_only.port) as client:
        client.send(wire.SSL_REQUEST)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b"S"
