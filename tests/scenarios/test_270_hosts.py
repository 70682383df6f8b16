# SPDX-License-Identifier: PostgreSQL
"""Several hosts on one port, by the name that clients announce (SNI)."""
import os
import secrets
import shutil
import signal
import ssl
import struct

import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, psql
from peers.proxy import PORT, route, run, toml
from peers.s_client import s_client
from peers.stream import connect, connect_tls

A, B = "a.example.com", "b.example.com"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def server(fake):
    """server(word): a server that tells `word` of each session, and gives it to the client."""
    def one(word):
        def serve(stream, tell):
            if accept_login(stream, ready=wire.AUTHENTICATION_OK + wire.parameter("who", word)
                            + wire.READY) is not None:
                tell(word)
            stream.rest()
        return fake(serve)
    return one


@pytest.fixture
def host(certs):
    """host(names, server, **more): the settings of a host; `server` None: that of the port."""
    def one(names, server=None, cert=None, **more):
        words = {"names": names}
        if cert:
            words |= {"server_cert": certs.cert(cert), "server_key": certs.key(cert)}
        if server:
            words |= {"backend": {"address": server.address}}
        return {**words, **more}
    return one


@pytest.fixture
def two(start, server, host):
    """two(**more): a port for A and B with their own certificates and servers."""
    def one(a=None, b=None, hosts=(), workers=1, **more):
        return start(route(None, {**PORT, **more},
                           hosts=[host(A, server("a"), "host-a", **(a or {})),
                                  host(B, server("b"), "host-b", **(b or {})), *hosts]),
                     workers=workers)
    return one


def who(stream, user="alice"):
    """The server that the client got to, or the error code."""
    found = stream.login(user=user)
    if found[-1].type == "E":
        return found[-1].code
    return next(m.body.split(b"\0")[1].decode() for m in found
                if m.type == "S" and m.body.startswith(b"who"))


def reach(one, context, name, **more):
    with connect_tls(one.port, context, name=name, **more) as client:
        return who(client)


def common_name(stream):
    return dict(pair[0] for pair in stream.tls.getpeercert()["subject"])["commonName"]


# Which host

@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("how", ["sslrequest", "direct"])
def test_each_name_gets_its_certificate_and_its_server(two, certs, version, how):
    one = two(workers=2)
    context = certs.client(version=version, alpn=["postgresql"])
    for name, word in ((A, "a"), (B, "b"), (A.upper(), "a")) * 2:
        with connect(one.port) as client:
            if how == "sslrequest":
                assert client.ask_for_tls() == b"S"
            client.start_tls(context, server_hostname=name)
            assert common_name(client) == name.lower()
            assert who(client) == word
    ends = one.wait_count("connection.end", 6)
    assert {(end["sni"], end["negotiation"]) for end in ends} == \
        {(name, how) for name in (A, B, A.upper())}


def test_psql_names_its_host(start, postgres, postgres_clear, certs, host, verified):
    hosts = [{**host(A, cert="host-a"), "backend": verified(postgres.address)},
             {**host(B, cert="host-b"), "backend": {"address": postgres_clear.address}}]
    one = start(route(None, PORT, hosts=hosts))
    asked = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    for name, has_tls in ((A, "t"), (B, "f")):
        done = psql(one.port, asked, host=name, **client_cert(certs, None))
        assert done.stdout.strip() == has_tls, done.stderr
    refused = psql(one.port, host="c.example.com", **client_cert(certs, None))
    assert "unrecognized name" in refused.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("words, alert, said", [
    (["-servername", "c.example.com"], "unrecognized_name", "unrecognized name"),
    (["-noservername"], "missing_extension", "missing extension"),
])
def test_a_client_of_no_host_is_refused_by_name(two, version, words, alert, said):
    one = two()
    answer = s_client(one.port, version, *words)
    assert not answer.works and (said in answer.text or "alert number 109" in answer.text), \
        answer.text
    failed = one.wait_event("tls.handshake.failed")
    assert failed["alert_sent"] == alert and failed["hint"], failed
    if alert == "unrecognized_name":
        assert failed["sni"] == "c.example.com"
        assert "no host has the name \"c.example.com\" (SNI)" in failed["reason"]
    else:
        assert "announces no server name (SNI)" in failed["reason"]


def test_the_two_words_stand_for_unknown_names_and_for_none(two, server, host, certs):
    one = two(hosts=[host("*", server("any"), "server"),
                     host("/no_sni/", server("none"), "server-rsa")])
    context = certs.careless_client()
    for name, word in ((A, "a"), ("c.example.com", "any"), (None, "none"), (B, "b")):
        assert reach(one, context, name) == word
    assert "rsa" in s_client(one.port, "-noservername").text.lower()


def test_a_star_is_not_for_clients_without_a_name(two, server, host):
    one = two(hosts=[host("*", server("any"), "server")])
    assert not s_client(one.port, "-noservername").works
    assert one.wait_event("tls.handshake.failed")["alert_sent"] == "missing_extension"


def test_several_names_of_one_host(start, server, host, certs):
    one = start(route({"address": server("port").address}, PORT,
                      hosts=[host([A, B, "/no_sni/"], cert="host-a")]))
    for name in (A, B, None):
        assert reach(one, certs.careless_client(), name) == "port"


# The hello

def test_a_hello_byte_by_byte_and_in_many_records(two, certs):
    one = two()
    for size in (1, 7, 100):
        with connect(one.port) as client:
            assert client.ask_for_tls() == b"S"
            client.begin_tls(certs.client(), server_hostname=B)
            hello = client.first_flight()
            kind, version, length = struct.unpack("!BHH", hello[:5])
            assert length == len(hello) - 5
            for at in range(5, len(hello), size):
                piece = hello[at:at + size]
                client.sock.sendall(struct.pack("!BHH", kind, version, len(piece)) + piece)
            client.handshake()
            assert who(client) == "b"
    with connect(one.port) as client:
        assert client.ask_for_tls() == b"S"
        client.begin_tls(certs.client(), server_hostname=A)
        for byte in client.first_flight():
            client.sock.sendall(bytes([byte]))
        client.handshake()
        assert who(client) == "a"


def test_a_hello_behind_its_request_in_one_segment(two, certs):
    one = two()
    with connect(one.port) as client:
        client.begin_tls(certs.client(), server_hostname=B)
        client.sock.sendall(wire.SSL_REQUEST + client.first_flight())
        assert client.sock.recv(1) == b"S"
        client.handshake()
        assert who(client) == "b"


# Rules of each host

def test_each_host_has_its_own_authority_and_mode(two, certs):
    one = two(a={"sslmode": "verify-full", "client_ca": certs.cert("clients-ca")},
              b={"sslmode": "verify-ca", "client_ca": certs.cert("strangers-ca")})
    assert reach(one, certs.client(cert="alice"), A) == "a"
    assert reach(one, certs.client(cert="bob"), A) == "28000"
    assert reach(one, certs.client(), A) == "28000"
    assert reach(one, certs.client(), B) == "28000"
    assert reach(one, certs.client(cert="alice-of-strangers"), B) == "b"
    for cert, name in (("alice", B), ("alice-of-strangers", A)):
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            reach(one, certs.client(cert=cert), name)
    assert [failed["alert_sent"] for failed in one.wait_count("tls.handshake.failed", 2)] == \
        ["unknown_ca"] * 2


def test_a_lax_host_beside_a_strict_one(two, certs):
    one = two(a={"sslmode": "verify-full", "client_ca": certs.cert("clients-ca")},
              b={"sslmode": "require"})
    assert reach(one, certs.client(), B) == "b"
    assert reach(one, certs.client(), A) == "28000"
    # no certificate is asked for where there is no authority
    assert "No client certificate CA names sent" in s_client(one.port, "-servername", B).text
    assert "clients root" in s_client(one.port, "-servername", A).text


@pytest.mark.parametrize("a, b, good, bad", [
    ({"min_protocol_version": "TLSv1.3"}, {"max_protocol_version": "TLSv1.2"}, "-tls1_3",
     "-tls1_2"),
    ({"groups": "P-384"}, {"groups": "X25519"}, "-groups P-384", "-groups X25519"),
    ({"ciphersuites": "TLS_AES_128_GCM_SHA256"}, {"ciphersuites": "TLS_AES_256_GCM_SHA384"},
     "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384"),
    ({"ciphers": "AES128+ECDHE+AESGCM"}, {"ciphers": "AES256+ECDHE+AESGCM"},
     "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
     "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384"),
], ids=["versions", "groups", "ciphersuites", "ciphers"])
def test_each_host_has_its_own_words(two, a, b, good, bad):
    """What the one takes, the other does not."""
    one = two(a=a, b=b)
    for name, takes, refuses in ((A, good, bad), (B, bad, good)):
        assert s_client(one.port, "-servername", name, *takes.split()).works
        assert not s_client(one.port, "-servername", name, *refuses.split()).works


def test_another_group_than_the_hello_brings_is_asked_for_again(two):
    """HelloRetryRequest: the second hello means the same host."""
    one = two(b={"groups": "P-384"})
    answer = s_client(one.port, "-tls1_3", "-servername", B, "-groups", "X25519:P-384")
    assert answer.works and "384" in answer.group


def test_each_host_has_its_own_largest_record(start, fake, host, certs):
    def serve(stream, tell):
        accept_login(stream)
        if stream.message() is not None:
            stream.send(wire.data_row(b"x" * 60000) + wire.command_complete() + wire.READY)
        stream.rest()

    hosts = [host(A, fake(serve), "host-a", max_record_size="1KiB"),
             host(B, fake(serve), "host-b", max_record_size="16KiB")]
    one = start(route(None, PORT, hosts=hosts))
    for name, most in ((A, 1024), (B, 16384)):
        with connect_tls(one.port, certs.client(), name=name) as client:
            client.login()
            client.records.clear()
            client.query("select")
            largest = max(length for kind, length in client.records if kind == 23)
        assert most - 1024 < largest <= most + 256, largest


# Tickets

@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("keys", ["random", "shared"])
def test_a_ticket_is_good_at_its_host_only(two, certs, folder, version, keys):
    """Even where one key file seals the tickets of both."""
    file = os.path.join(folder, "tickets.keys") if keys == "shared" else None
    if file:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_hex(80) + "\n")
    one = two(session_tickets=True, ticket_key_file=file)
    context = certs.careless_client(version=version)
    sessions = {}
    for name in (A, B):
        with connect_tls(one.port, context, name=name) as client:
            who(client)
            sessions[name] = client.tls.session
        assert sessions[name].has_ticket
    for ticket in (A, B):
        for name in (A, B):
            with connect_tls(one.port, context, name=name, session=sessions[ticket]) as client:
                assert client.tls.session_reused == (ticket == name), (ticket, name)
                assert who(client) == name[0]


def test_tickets_of_one_host_alone(two, certs):
    one = two(a={"session_tickets": True})
    context = certs.careless_client()
    for name, has_ticket in ((A, True), (B, False)):
        with connect_tls(one.port, context, name=name) as client:
            who(client)
            assert client.tls.session.has_ticket == has_ticket


# The port

def test_plaintext_and_the_answer_are_the_listener_s(start, server, host, certs):
    one = start(route({"address": server("port").address}, {"sslmode": "prefer"},
                      hosts=[host(A, server("a"), "host-a")]))
    with connect(one.port) as client:
        assert who(client) == "port"
    assert reach(one, certs.client(), A) == "a"


def test_a_strict_port_takes_no_plaintext_for_any_host(two):
    with connect(two().port) as client:
        client.send(wire.startup())
        assert wire.messages_of(client.rest())[0][0].code == "28000"


def test_limits_are_those_of_the_port(start, server, host, certs):
    one = start(route(None, PORT, limits={"max_connections": 2},
                      hosts=[host(A, server("a"), "host-a"), host(B, server("b"), "host-b")]))
    with connect_tls(one.port, certs.client(), name=A) as first, \
            connect_tls(one.port, certs.client(), name=B) as second:
        assert (who(first), who(second)) == ("a", "b")
        assert reach(one, certs.client(), A) == "53300"


def test_a_reload_brings_hosts_and_takes_them(start, server, host, certs, folder):
    words = route(None, PORT, hosts=[host(A, server("a"), "host-a")])
    one = start(words)
    with connect_tls(one.port, certs.client(), name=A) as held:
        assert who(held) == "a"
        words["hosts"] = [host(B, server("b"), "host-b")]
        with open(one.config, "w", encoding="utf-8") as out:
            out.write(toml(one.top, [words]))
        one.signal(signal.SIGHUP)
        one.wait_event("reload.ok")
        assert reach(one, certs.client(), B) == "b"
        assert not s_client(one.port, "-servername", A).works
        held.send(wire.query("select"))
        assert held.is_open(0.1)


def test_the_certificate_of_a_host_is_renewed(start, server, host, certs, folder):
    files = {}
    for end in ("crt", "key"):
        files[end] = os.path.join(folder, "host." + end)
        shutil.copy(certs.file("host-a." + end), files[end])
    words = host([A, B], server("a"))
    words |= {"server_cert": files["crt"], "server_key": files["key"]}
    one = start(route(None, PORT, hosts=[words]))
    with connect_tls(one.port, certs.client(), name=A) as client:
        assert common_name(client) == A
    for end in ("crt", "key"):
        shutil.copy(certs.file("host-b." + end), files[end])
    one.signal(signal.SIGHUP)
    one.wait_event("reload.ok")
    with connect_tls(one.port, certs.client(), name=B) as client:
        assert common_name(client) == B


def test_check_warns_of_a_name_that_the_certificate_does_not_have(two, server, host):
    one = two(hosts=[host("other.example.com", server("other"), "host-a")])
    done = run("proxy", "-c", one.config, "--check")
    assert done.returncode == 0, done.stderr
    assert "the certificate is not for the host name \"other.example.com\"" in done.stderr
    assert f"\"{A}\"" not in done.stderr and f"\"{B}\"" not in done.stderr


def test_check_tells_of_hosts_and_of_what_is_wrong_with_them(two, certs, folder):
    one = two()
    done = run("proxy", "-c", one.config, "--check")
    assert done.returncode == 0, done.stderr
    assert f"host {A}" in done.stdout and f"host {B}" in done.stdout
    with open(one.config, encoding="utf-8") as text:
        broken = text.read().replace(certs.cert("host-b"), certs.file("missing.crt"))
    config = os.path.join(folder, "broken.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(broken)
    done = run("proxy", "-c", config, "--check")
    assert done.returncode == 1
    assert "route \"orders\": host.server_cert: could not open" in done.stderr
