# SPDX-License-Identifier: PostgreSQL
"""What a backend says of TLS, seen by the server: lists, keys, versions, ciphers, groups."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from peers import wire
from peers.backend import accept_login
from peers.proxy import route, run, toml
from peers.stream import connect, free_port

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def server_of(fake):
    """server_of(context): a server that tells version and cipher of each session."""
    def one(context):
        def serve(stream, tell):
            accept_login(stream, context)
            tell((stream.tls.version(), stream.tls.cipher()[0]))
            stream.rest()
        return fake(serve)
    return one


def log_in(port):
    """ReadyForQuery, or the error that the client was told."""
    with connect(port) as client:
        return client.login()[-1]


def works(one):
    assert log_in(one.port).type == "Z"


def fails(one):
    assert log_in(one.port).code == "08001"
    return one.wait_event("tls.handshake.failed", leg="backend")


def check(folder, backend):
    config = os.path.join(folder, "check.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route(backend)]))
    return run("proxy", "-c", config, "--check")


# Revocation lists

@pytest.mark.parametrize("words", [{"crl_file": "backends-both.crl"},
                                   {"crl_dir": "backends-lists"}], ids=["file", "folder"])
def test_a_revoked_server_is_refused(start, server_of, certs, verified, words):
    words = {key: certs.file(value) for key, value in words.items()}
    good, bad = server_of(certs.server()), server_of(certs.server("backend-revoked"))
    works(start(route(verified(good.address, **words))))
    works(start(route(verified(bad.address))))          # lists are not the platform's to say
    failed = fails(start(route(verified(bad.address, **words))))
    assert failed["alert_sent"] == "certificate_revoked"
    assert "certificate revoked (depth 0, serial " in failed["reason"]


def test_an_authority_without_a_list_is_a_refusal(start, server_of, certs, verified):
    server = server_of(certs.server())
    one = start(route(verified(server.address, crl_file=certs.file("backends-list.crl"))))
    assert "unable to get certificate CRL" in fails(one)["reason"]


def test_lists_are_read_again_by_a_reload(start, server_of, certs, verified, folder):
    lists = os.path.join(folder, "lists.crl")
    shutil.copy(certs.file("backends-both.crl"), lists)
    server = server_of(certs.server())
    one = start(route(verified(server.address, crl_file=lists), {"cert_refresh_interval": "0s"}))
    works(one)
    shutil.copy(certs.file("backends-list.crl"), lists)
    works(one)
    one.signal(signal.SIGHUP)
    one.wait_event("reload.ok")
    fails(one)


@pytest.mark.parametrize("words, complaint", [
    ({"crl_file": "missing.crl"}, "backend.crl_file: could not open"),
    ({"crl_file": "garbage.crt"}, "backend.crl_file: "),
    ({"crl_dir": "missing"}, "backend.crl_dir: "),
    ({"crl_dir": "server.crt"}, "backend.crl_dir: "),
])
def test_lists_that_cannot_be_read_are_errors(folder, certs, verified, words, complaint):
    words = {key: certs.file(value) for key, value in words.items()}
    done = check(folder, verified("127.0.0.1:5432", **words))
    assert done.returncode == 1 and complaint in done.stderr, done.stderr


# The proxy's own key

def test_an_encrypted_client_key_is_opened_by_its_command(start, fake, certs, verified):
    def serve(stream, tell):
        accept_login(stream, certs.server(client_ca="proxies-ca"))
        tell(dict(pair[0] for pair in stream.tls.getpeercert()["subject"])["commonName"])
        stream.rest()

    server = fake(serve)
    one = start(route(verified(server.address, client_cert=certs.cert("proxy"),
                               client_key=certs.key("proxy-encrypted"),
                               key_passphrase_command="echo secret")))
    works(one)
    assert server.wait() == ["proxy"]


@pytest.mark.parametrize("command, complaint", [
    (None, "needs a passphrase; set a command that prints it"),
    ("echo wrong", "wrong passphrase"),
    ("exit 7", "key_passphrase_command ended with status 7"),
])
def test_a_client_key_that_stays_closed_is_an_error(folder, certs, verified, command, complaint):
    done = check(folder, verified("127.0.0.1:5432", client_cert=certs.cert("proxy"),
                                  client_key=certs.key("proxy-encrypted"),
                                  key_passphrase_command=command))
    assert done.returncode == 1
    assert "backend.client_key: " in done.stderr and complaint in done.stderr, done.stderr


# Versions, ciphers, groups

@pytest.mark.parametrize("words, spoken, unspoken", [
    ({"min_protocol_version": "TLSv1.3"}, V13, V12),
    ({"max_protocol_version": "TLSv1.2"}, V12, V13),
])
def test_the_range_of_versions_is_kept(start, server_of, certs, verified, words, spoken, unspoken):
    good, bad = (server_of(certs.server(version=one)) for one in (spoken, unspoken))
    works(start(route(verified(good.address, **words))))
    assert good.wait()[0][0] == spoken.name.replace("_", ".")
    assert fails(start(route(verified(bad.address, **words))))["alert_received"] == \
        "protocol_version"


def test_ciphers_of_tls_1_2_are_those_that_are_offered(start, server_of, certs, verified):
    context = certs.server(version=V12)
    server = server_of(context)
    words = {"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}
    one = start(route(verified(server.address, **words)))
    works(one)
    assert server.wait()[0] == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert one.end()["backend_tls_cipher"] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert fails(one)["alert_received"] == "handshake_failure"


def test_no_cbc_suite_is_offered_by_default(start, server_of, certs, verified):
    context = certs.server(version=V12)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA")
    fails(start(route(verified(server_of(context).address))))


def test_ciphersuites_of_tls_1_3_are_those_that_are_offered(start, server_of, certs, verified):
    server = server_of(certs.server())
    works(start(route(verified(server.address, ciphersuites="TLS_CHACHA20_POLY1305_SHA256"))))
    assert server.wait()[0] == ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")


@pytest.fixture
def s_server(certs):
    """s_server(words...): openssl s_server in direct TLS; its port."""
    running = []

    def one(*words):
        port = free_port()
        running.append(subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certs.cert("backend"),
             "-cert_chain", certs.cert("backend"), "-key", certs.key("backend"), "-alpn",
             "postgresql", "-quiet", *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        return port
    yield one
    for process in running:
        process.kill()
        process.wait()
        process.stdin.close()


def test_groups_are_those_that_are_offered(start, s_server, verified):
    """Python's ssl cannot choose a group: the server is openssl's, in direct TLS."""
    port = s_server("-groups", "P-521:P-256")
    good = start(route(verified(f"127.0.0.1:{port}", sslnegotiation="direct", groups="P-521")))
    bad = start(route(verified(f"127.0.0.1:{port}", sslnegotiation="direct", groups="X25519")))
    with connect(good.port) as client:
        client.send(wire.startup())
        done = good.wait_event("tls.handshake.ok", leg="backend")
    assert done["tls_group"] == "secp521r1"
    assert fails(bad)["alert_received"] == "handshake_failure"


def test_openssl_cnf_says_what_the_settings_do_not(start, server_of, certs, verified, folder):
    conf = os.path.join(folder, "openssl.cnf")
    with open(conf, "w", encoding="ascii") as out:
        out.write("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = d\n[d]\n"
                  "MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\n")
    env = {"OPENSSL_CONF": conf}
    good, old = server_of(certs.server()), server_of(certs.server(version=V12))
    works(start(route(verified(good.address)), env=env))
    assert good.wait()[0] == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert fails(start(route(verified(old.address)), env=env))["alert_received"] == \
        "protocol_version"
    works(start(route(verified(old.address, min_protocol_version="TLSv1.2")), env=env))


@pytest.mark.parametrize("words, complaint", [
    ({"min_protocol_version": "TLSv1.1"}, "backend.min_protocol_version: \"TLSv1.1\" is broken"),
    ({"max_protocol_version": "TLSv1.4"}, "backend.max_protocol_version: \"TLSv1.4\" is not one"),
    ({"ciphers": "eNULL"}, "backend.ciphers: "),
    ({"ciphersuites": "AES"}, "backend.ciphersuites: \"AES\" is unknown"),
    ({"groups": "P-1"}, "backend.groups: \"P-1\" is unknown"),
])
def test_words_that_cannot_take_effect_are_errors(folder, verified, words, complaint):
    done = check(folder, verified("127.0.0.1:5432", **words))
    assert done.returncode == 1 and complaint in done.stderr, done.stderr
