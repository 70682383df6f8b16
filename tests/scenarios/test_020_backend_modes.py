# SPDX-License-Identifier: PostgreSQL
"""What each sslmode of a backend demands of the server behind."""
import pytest

from peers.backend import accept_login
from peers.libpq import psql
from peers.proxy import route
from peers.stream import connect

TLS_SQL = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"


def login(port):
    """The messages that a plaintext client gets; the proxy's own error is the last."""
    with connect(port) as client:
        return client.login()


def tls_server(certs, cert="backend"):
    def script(stream, tell):
        first = accept_login(stream, certs.server(cert))
        tell(first)
        stream.rest()
    return script


def test_disable_speaks_plaintext_to_the_server(start, postgres):
    one = start(route({"address": postgres.address, "sslmode": "disable"}))
    assert psql(one.port, TLS_SQL, sslmode="disable").stdout == "f|\n"


def test_loopback_without_a_word_means_disable(start, postgres):
    one = start(route({"address": postgres.address}))
    assert psql(one.port, TLS_SQL, sslmode="disable").stdout == "f|\n"


def test_require_speaks_tls_to_the_server(start, postgres):
    one = start(route({"address": postgres.address, "sslmode": "require"}))
    assert psql(one.port, TLS_SQL, sslmode="disable").stdout == "t|TLSv1.3\n"
    assert one.end()["backend_tls_version"] == "TLSv1.3"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_server_with_the_right_ca_and_name_is_used(start, postgres, certs, mode):
    one = start(route({"address": postgres.address, "sslmode": mode,
                       "root_ca": certs.cert("backends-ca")}))
    assert psql(one.port, TLS_SQL, sslmode="disable").stdout == "t|TLSv1.3\n"
    assert one.end()["backend_verified"] is True


def test_a_name_of_the_server_is_resolved_and_compared(start, postgres, certs):
    one = start(route({"address": f"localhost:{postgres.port}", "sslmode": "verify-full",
                       "root_ca": certs.cert("backends-ca")}))
    assert psql(one.port, TLS_SQL, sslmode="disable").stdout == "t|TLSv1.3\n"


def test_root_ca_alone_means_verify_full(start, fake, certs):
    server = fake(tls_server(certs, "backend-other-name"))
    one = start(route({"address": server.address, "root_ca": certs.cert("backends-ca")}))
    assert login(one.port)[-1].type == "E"
    assert server.seen == [] or server.seen[0] is None or isinstance(server.seen[0], Exception)


def test_tls_enabled_means_verify_full(start, postgres, fake, certs):
    words = {"tls_enabled": True, "root_ca": certs.cert("backends-ca")}
    good = start(route({"address": postgres.address, **words}))
    assert psql(good.port, TLS_SQL, sslmode="disable").stdout == "t|TLSv1.3\n"
    server = fake(tls_server(certs, "backend-other-name"))
    bad = start(route({"address": server.address, **words}))
    assert login(bad.port)[-1].type == "E"


def test_tls_enabled_false_means_plaintext(start, postgres):
    one = start(route({"address": postgres.address, "tls_enabled": False}))
    assert psql(one.port, TLS_SQL, sslmode="disable").stdout == "f|\n"


@pytest.mark.parametrize("mode, cert, let_in", [
    ("require", "backend", True),
    ("require", "stranger", True),
    ("require", "backend-expired", True),
    ("verify-ca", "backend", True),
    ("verify-ca", "backend-other-name", True),
    ("verify-ca", "stranger", False),
    ("verify-ca", "backend-expired", False),
    ("verify-ca", "backend-for-clients", False),
    ("verify-full", "backend", True),
    ("verify-full", "backend-name-only", False),        # an IP address is looked for
    ("verify-full", "backend-other-name", False),
    ("verify-full", "stranger", False),
    ("verify-full", "backend-expired", False),
    ("verify-full", "backend-for-clients", False),
])
def test_each_mode_and_each_certificate(start, fake, certs, mode, cert, let_in):
    server = fake(tls_server(certs, cert))
    ca = None if mode == "require" else certs.cert("backends-ca")
    one = start(route({"address": server.address, "sslmode": mode, "root_ca": ca}))
    last = login(one.port)[-1]
    assert last.type == ("Z" if let_in else "E")
    if let_in:
        return
    assert last.code.startswith("08"), last.fields
    assert server.address not in str(last.fields) and "/" not in last.fields["M"]
    assert not any(isinstance(one, bytes) for one in server.seen), "the startup packet was sent"
    failed = one.wait_event("tls.handshake.failed")
    assert failed["leg"] == "backend"


def test_require_with_root_ca_verifies_the_chain(start, fake, certs):
    server = fake(tls_server(certs, "stranger"))
    one = start(route({"address": server.address, "sslmode": "require",
                       "root_ca": certs.cert("backends-ca")}))
    assert login(one.port)[-1].type == "E"


@pytest.mark.parametrize("name, cert, let_in", [
    ("localhost", "backend", True),
    ("localhost", "backend-name-only", True),
    ("localhost", "backend-common-name", True),
    ("LOCALHOST", "backend-name-only", True),
    ("127.0.0.1", "backend", True),
    ("one.db.example.com", "backend-wildcard", True),
    ("one.two.db.example.com", "backend-wildcard", False),
    ("db.example.com", "backend-wildcard", False),
    ("any", "backend-wildcard", False),         # a DNS name is there: the CN does not count
    ("localhost", "backend-other-name", False),
])
def test_verify_name_is_what_is_compared(start, fake, certs, name, cert, let_in):
    server = fake(tls_server(certs, cert))
    one = start(route({"address": server.address, "sslmode": "verify-full", "verify_name": name,
                       "root_ca": certs.cert("backends-ca")}))
    assert login(one.port)[-1].type == ("Z" if let_in else "E")
    if not let_in:
        failed = str(one.wait_event("tls.handshake.failed"))
        assert name in failed


@pytest.mark.parametrize("address, sni, seen", [
    ("127.0.0.1", None, None),
    ("localhost", None, "localhost"),
    ("127.0.0.1", "db.example.com", "db.example.com"),
    ("localhost", "", None),
])
def test_sni_is_announced_as_configured(start, fake, certs, address, sni, seen):
    names = []
    context = certs.server("backend")
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def script(stream, _tell):
        accept_login(stream, context)
        stream.rest()

    server = fake(script)
    one = start(route({"address": f"{address}:{server.port}", "sslmode": "verify-full", "sni": sni,
                       "root_ca": certs.cert("backends-ca")}))
    assert login(one.port)[-1].type == "Z"
    assert names == [seen]


def test_a_server_without_tls_is_an_error_never_plaintext(start, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address, "sslmode": "verify-full",
                       "root_ca": certs.cert("backends-ca")}))
    last = login(one.port)[-1]
    assert last.type == "E" and last.code.startswith("08"), last
    assert postgres_clear.address not in str(last.fields)
    assert "backend" in str(one.end())


def test_hostssl_is_reached_only_with_tls(start, postgres):
    clear = start(route({"address": postgres.address}))
    tls = start(route({"address": postgres.address, "sslmode": "require"}))
    refused = psql(clear.port, dbname="tlsdb", sslmode="disable")
    assert refused.returncode == 2 and "FATAL" in refused.stderr
    assert psql(tls.port, dbname="tlsdb", sslmode="disable").returncode == 0


def test_the_system_s_store_does_not_know_our_ca(start, postgres):
    one = start(route({"address": postgres.address, "sslmode": "verify-full",
                       "root_ca": "system"}))
    assert login(one.port)[-1].type == "E"
    assert one.wait_event("tls.handshake.failed")["leg"] == "backend"


def test_the_system_s_store_is_used_where_it_knows_the_ca(start, postgres, certs, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certs.cert("backends-ca"))
    one = start(route({"address": postgres.address, "sslmode": "verify-full",
                       "root_ca": "system"}))
    assert login(one.port)[-1].type == "Z"


def test_a_server_with_tls_1_2_only_is_used(start, fake, certs):
    import ssl

    def script(stream, _tell):
        accept_login(stream, certs.server("backend", version=ssl.TLSVersion.TLSv1_2))
        stream.rest()

    server = fake(script)
    one = start(route({"address": server.address, "sslmode": "verify-full",
                       "root_ca": certs.cert("backends-ca")}))
    assert login(one.port)[-1].type == "Z"
    server.stop()
    assert one.end()["backend_tls_version"] == "TLSv1.2"


def test_alpn_postgresql_is_offered_to_the_server(start, fake, certs):
    def script(stream, tell):
        accept_login(stream, certs.server("backend", alpn=["postgresql"]))
        tell(stream.tls.selected_alpn_protocol())
        stream.rest()

    server = fake(script)
    one = start(route({"address": server.address, "sslmode": "require"}))
    assert login(one.port)[-1].type == "Z"
    assert server.wait()[0] == "postgresql"


def test_tls_on_both_legs(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("verify-full")))
    done = psql(one.port, TLS_SQL, sslmode="verify-full", sslrootcert=certs.cert("servers-ca"),
                sslcert=certs.cert("alice"), sslkey=certs.key("alice"))
    assert done.stdout == "t|TLSv1.3\n", done.stderr
    end = one.end()
    assert end["tls_version"] == end["backend_tls_version"] == "TLSv1.3"
