# SPDX-License-Identifier: PostgreSQL
"""The proxy's own certificate towards servers that demand one, and chains of three levels."""
import ssl

import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, psql
from peers.proxy import route
from peers.stream import connect


def own(certs, name="proxy"):
    return {"client_cert": certs.cert(name), "client_key": certs.key(name)}


def test_hostssl_cert_is_served_with_the_proxy_s_certificate(start, listener, postgres, certs,
                                                             verified):
    one = start(route(verified(postgres.address, **own(certs)), listener("verify-full")))
    for user in ("alice", "bob"):
        done = psql(one.port, "select current_user, client_dn from pg_stat_ssl "
                    "where pid = pg_backend_pid()", user=user, dbname="certdb",
                    **client_cert(certs, user))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"{user}|/O=pgtls/CN=proxy"


def test_hostssl_cert_refuses_a_proxy_without_a_certificate(start, listener, postgres, certs,
                                                            verified):
    one = start(route(verified(postgres.address), listener("verify-full")))
    done = psql(one.port, dbname="certdb", **client_cert(certs, "alice"))
    direct = psql(**postgres.direct(dbname="certdb", user="alice", sslmode="require"))
    assert done.returncode == 2
    assert done.stderr.split("FATAL:")[1] == direct.stderr.split("FATAL:")[1]


def test_a_certificate_that_the_server_does_not_trust_is_an_error_not_a_hang(
        start, postgres, certs, verified):
    one = start(route(verified(postgres.address, **own(certs, "alice-of-strangers"))))
    with connect(one.port) as client:
        client.send(wire.startup(database="certdb"))
        found = wire.messages_of(client.rest())[0]
    assert [m.type for m in found] == ["E"]
    assert found[0].code.startswith("08")
    failed = one.wait_event("tls.handshake.failed")
    assert failed["leg"] == "backend" and "unknown" in str(failed).lower(), failed


def test_the_whole_chain_of_the_proxy_is_sent(start, fake, certs, verified):
    """The server knows the root only: the issuing certificate must come along."""
    def script(stream, tell):
        accept_login(stream, certs.server(client_ca="proxies-ca"))
        tell(dict(pair[0] for pair in stream.tls.getpeercert()["subject"])["commonName"])
        stream.rest()

    server = fake(script)
    one = start(route(verified(server.address, **own(certs))))
    with connect(one.port) as client:
        assert client.login()[-1].type == "Z"
    assert server.wait() == ["proxy"]


def test_a_server_that_sends_its_leaf_alone_does_not_verify(start, fake, certs, verified):
    def script(stream, tell):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs.file("backend.pem"), certs.key("backend"))
        try:
            accept_login(stream, context)
        except OSError as error:
            tell(str(error))

    server = fake(script)
    one = start(route(verified(server.address)))
    with connect(one.port) as client:
        assert client.login()[-1].type == "E"
    assert "unknown ca" in server.wait()[0].lower()


def test_a_root_ca_file_may_hold_several(start, listener, certs, postgres_clear):
    one = start(route({"address": postgres_clear.address},
                      listener("verify-ca", client_ca=certs.cert("both-ca"))))
    for name in ("alice", "alice-of-strangers"):
        assert psql(one.port, **client_cert(certs, name)).returncode == 0


@pytest.mark.parametrize("name", ["server", "strangers-ca"])
def test_another_ca_does_not_let_clients_in(start, listener, certs, postgres_clear, name):
    one = start(route({"address": postgres_clear.address},
                      listener("verify-ca", client_ca=certs.cert(name))))
    assert psql(one.port, **client_cert(certs, "alice")).returncode == 2
