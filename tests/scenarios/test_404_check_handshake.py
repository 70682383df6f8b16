# SPDX-License-Identifier: PostgreSQL
"""Handshakes that fail, and what is told of those that do not."""
import socket
import ssl
import subprocess
import time
import warnings

import pytest

from peers import doctor, wire
from peers.stream import connect, free_port


@pytest.fixture(scope="session")
def good(odd):
    return odd.issue("good")


@pytest.fixture
def scripted(fake, odd):
    def one(script, host="localhost", **query):
        query = {"sslrootcert": odd.file("odd-ca.pem"), "connect_timeout": 20, **query}
        return doctor.check(doctor.uri(host, fake(script).port, **query))
    return one


def is_direct(stream):
    return stream.sock.recv(1, socket.MSG_PEEK) == b"\x16"


def behind_s(rest):
    """Says S, reads a ClientHello, and goes on with `rest(stream)`."""
    def script(stream, _tell):
        if is_direct(stream) or stream.packet() != wire.SSL_REQUEST:
            return
        stream.send(b"S")
        if stream.sock.recv(65536):
            rest(stream)
    return script


def test_a_handshake_that_does_not_end(scripted):
    found = scripted(behind_s(lambda stream: stream.rest()), connect_timeout=3)
    assert found.errors == {"handshake.timeout"}


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_handshake_that_is_cut(scripted, end):
    found = scripted(behind_s(lambda stream: getattr(stream, end)()))
    assert found.errors == {"handshake.cut"}


def test_a_connection_that_is_reset_in_the_middle_of_a_record(scripted):
    def half(stream):
        stream.send(b"\x16\x03\x03\x00\x7a\x02\x00")
        stream.reset()

    assert scripted(behind_s(half)).errors == {"handshake.cut"}


def test_an_answer_that_is_not_tls(scripted):
    found = scripted(behind_s(lambda stream: stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
    assert found.errors == {"handshake.not-tls"}


@pytest.mark.parametrize("alert, finding", [
    (80, "handshake.failed"), (70, "handshake.old-protocol"),
    (40, "handshake.no-common-cipher"), (112, "handshake.sni-unknown"),
    (120, "handshake.wrong-alpn"), (116, "client.certificate-missing")])
def test_an_alert(scripted, alert, finding):
    record = bytes([0x15, 3, 3, 0, 2, 2, alert])
    assert scripted(behind_s(lambda stream: stream.send(record))).errors == {finding}


def test_an_old_server(scripted, odd, good):
    context = odd.server(good, "odd-issuing", weak=True)
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert scripted(doctor.server(context)).errors == {"handshake.old-protocol"}


def test_a_client_that_asks_for_too_new_a_version(scripted, odd, good):
    context = odd.server(good, "odd-issuing", version=ssl.TLSVersion.TLSv1_2)
    found = scripted(doctor.server(context), ssl_min_protocol_version="TLSv1.3")
    assert found.errors == {"handshake.old-protocol"}


def test_a_server_with_other_ciphers(scripted, odd, good):
    context = odd.server(good, "odd-issuing", version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES256-SHA")
    assert scripted(doctor.server(context)).errors == {"handshake.no-common-cipher"}


@pytest.fixture
def s_server(odd, good):
    """A TLS server of the openssl command that knows http/1.1 alone, behind SSLRequest."""
    port = free_port()
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-alpn", "http/1.1", "-quiet",
         "-cert", odd.chain(good, "odd-issuing"), "-key", odd.file("good.key")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until_it_listens(port)
    yield behind_ssl_request(port)
    process.kill()
    process.wait(10)


def test_a_server_that_speaks_another_protocol(scripted, s_server):
    assert scripted(s_server).errors == {"handshake.wrong-alpn"}


def wait_until_it_listens(port):
    until = time.monotonic() + 20
    while True:
        try:
            connect(port).close()
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


def behind_ssl_request(port):
    """Answers S and hands the ClientHello and its answer through to a TLS server."""
    def script(stream, _tell):
        if is_direct(stream) or stream.packet() != wire.SSL_REQUEST:
            return
        stream.send(b"S")
        hello = stream.sock.recv(65536)
        if hello:
            with connect(port) as other:
                other.send(hello)
                stream.send(other.recv())
    return script


def by_name(good, other):
    """A server that shows `good` to those who announce localhost, and `other` to the rest."""
    def choose(sock, name, _context):
        if name == "localhost":
            sock.context = good
    other.sni_callback = choose
    return other


def test_a_server_that_needs_sni(scripted, odd, good):
    odd.issue("nobody", subject="/CN=nobody", names="DNS:nobody")
    context = by_name(odd.server(good, "odd-issuing"), odd.server("nobody", "odd-issuing"))
    found = scripted(doctor.server(context))
    assert found.errors == set(), found.text
    assert found.facts("handshake")["sni-needed"] == "yes"
    assert "nobody" in found.finding("handshake.sni-needed")["detail"]


def test_a_server_that_does_not_know_the_name(scripted, odd, good):
    context = odd.server(good, "odd-issuing")
    context.sni_callback = lambda sock, name, _: (
        None if name is None else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
    assert scripted(doctor.server(context)).errors == {"handshake.sni-unknown"}


def test_what_a_handshake_tells(scripted, odd, good):
    context = odd.server(good, "odd-issuing", alpn=["postgresql"],
                         version=ssl.TLSVersion.TLSv1_2)
    facts = scripted(doctor.server(context)).facts("handshake")
    assert facts["version"] == "TLSv1.2" and facts["alpn"] == "postgresql"
    assert facts["cipher"].startswith("ECDHE-ECDSA-") and facts["group"]
    assert facts["sni-needed"] == "no" and facts["asks-for-certificate"] == "no"


def test_a_key_exchange_of_today(scripted, odd, good):
    found = scripted(doctor.server(odd.server(good, "odd-issuing")))
    hybrid = "post-quantum" in found.facts("handshake")["group"]
    assert hybrid != ("handshake.not-post-quantum" in found.ids)
