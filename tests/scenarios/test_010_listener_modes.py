# SPDX-License-Identifier: PostgreSQL
"""What each sslmode of a listener demands of clients; psql is the client."""
import pytest

from peers import libpq
from peers.libpq import client_cert, psql
from peers.proxy import route


@pytest.fixture
def proxy(start, listener, postgres_clear):
    def one(*words, **more):
        return start(route({"address": postgres_clear.address}, listener(*words, **more)))
    return one


def test_disable_answers_n_and_prefer_goes_on_in_the_clear(proxy):
    one = proxy("disable")
    done = psql(one.port, "select current_user", sslmode="prefer")
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
    assert one.end()["negotiation"] == "plaintext"


def test_disable_leaves_a_client_that_requires_tls_with_libpq_s_own_words(proxy, postgres_clear):
    through = psql(proxy("disable").port, sslmode="require")
    direct = psql(postgres_clear.port, sslmode="require")
    assert through.returncode == direct.returncode == 2
    assert "server does not support SSL, but SSL was required" in through.stderr


def test_require_serves_a_client_with_tls(proxy, certs):
    one = proxy("require")
    done = psql(one.port, "select current_user", sslmode="verify-full",
                sslrootcert=certs.cert("servers-ca"))
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
    end = one.end()
    assert end["negotiation"] == "sslrequest"
    assert end["tls_version"] == "TLSv1.3"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_plaintext_is_refused_with_28000_and_a_hint(proxy, mode):
    done = psql(proxy(mode).port, sslmode="disable")
    assert done.returncode == 2
    assert "FATAL" in done.stderr and "HINT" in done.stderr, done.stderr
    assert "sslmode=" in done.stderr


def test_require_takes_a_client_without_a_certificate_even_with_client_ca(proxy, certs):
    one = proxy("require", client_ca=certs.cert("clients-ca"))
    done = psql(one.port, **client_cert(certs, None))
    assert done.returncode == 0, done.stderr


def test_require_with_client_ca_verifies_a_certificate_that_is_presented(proxy, certs):
    one = proxy("require", client_ca=certs.cert("clients-ca"))
    good = psql(one.port, **client_cert(certs, "alice"))
    bad = psql(one.port, **client_cert(certs, "alice-of-strangers"))
    assert good.returncode == 0, good.stderr
    assert bad.returncode == 2
    assert "alert" in bad.stderr, bad.stderr


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_of_the_right_ca_and_name_is_let_in(proxy, certs, mode):
    one = proxy(mode)
    done = psql(one.port, "select current_user", **client_cert(certs, "alice"))
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
    assert "CN=alice" in one.end()["cert_subject"].replace(" ", "")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_missing_certificate_is_told_as_28000_inside_tls(proxy, certs, mode):
    one = proxy(mode)
    done = psql(one.port, **client_cert(certs, None))
    assert done.returncode == 2
    assert "FATAL" in done.stderr and "certificate" in done.stderr, done.stderr
    assert one.wait_event("auth.failed")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("name, alert", [
    ("alice-of-strangers", "unknown ca"),
    ("alice-expired", "certificate expired"),
    ("alice-for-servers", ""),
])
def test_a_bad_certificate_is_refused_by_an_alert(proxy, certs, mode, name, alert):
    one = proxy(mode)
    done = psql(one.port, **client_cert(certs, name))
    assert done.returncode == 2
    assert "alert" in done.stderr and alert in done.stderr, done.stderr
    failed = one.wait_event("tls.handshake.failed")
    assert failed["leg"] == "client"
    assert one.find("backend.connect.ok") == []


def test_verify_ca_does_not_compare_the_name(proxy, certs):
    done = psql(proxy("verify-ca").port, "select current_user", user="alice",
                **client_cert(certs, "bob"))
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr


def test_verify_full_refuses_another_s_name_with_28000(proxy, certs):
    one = proxy("verify-full")
    done = psql(one.port, user="alice", **client_cert(certs, "bob"))
    assert done.returncode == 2
    assert "FATAL" in done.stderr and "alert" not in done.stderr, done.stderr
    failed = one.wait_event("auth.failed")
    assert "bob" in str(failed) and "alice" in str(failed)


def test_verify_full_refuses_a_name_that_the_server_would_cut(proxy, certs):
    """PostgreSQL lets a user of 64 bytes in as that of the first 63."""
    one = proxy("verify-full")
    done = psql(one.port, user="a" * 63 + "x", **client_cert(certs, "long-name"))
    assert done.returncode == 2 and "the user name is longer than 63 bytes" in done.stderr
    assert one.wait_event("auth.failed")["reason"] == "the user name is longer than 63 bytes"


def test_verify_full_knows_no_wildcards(proxy, certs):
    done = psql(proxy("verify-full").port, user="alice", **client_cert(certs, "wild"))
    assert done.returncode == 2
    assert "FATAL" in done.stderr, done.stderr


@pytest.mark.parametrize("user", ["Alice", "alice ", "alic", "alicea"])
def test_verify_full_compares_exactly(proxy, certs, user):
    done = psql(proxy("verify-full").port, user=user, **client_cert(certs, "alice"))
    assert done.returncode == 2, done.stdout
    assert "FATAL" in done.stderr, done.stderr


def test_mtls_is_verify_ca(start, certs, postgres_clear):
    one = start(route({"address": postgres_clear.address},
                      {"mtls": True, "server_cert": certs.cert("server"),
                       "server_key": certs.key("server"), "client_ca": certs.cert("clients-ca")}))
    assert psql(one.port, user="alice", **client_cert(certs, "bob")).returncode == 0
    assert psql(one.port, **client_cert(certs, None)).returncode == 2
    assert psql(one.port, sslmode="disable").returncode == 2


def test_client_ca_alone_means_verify_ca(start, listener, certs, postgres_clear):
    one = start(route({"address": postgres_clear.address},
                      listener(None, client_ca=certs.cert("clients-ca"))))
    assert psql(one.port, user="alice", **client_cert(certs, "bob")).returncode == 0
    assert psql(one.port, **client_cert(certs, None)).returncode == 2


def test_server_cert_alone_means_require(start, listener, certs, postgres_clear):
    one = start(route({"address": postgres_clear.address}, listener(None)))
    assert psql(one.port, **client_cert(certs, None)).returncode == 0
    assert psql(one.port, sslmode="disable").returncode == 2


def test_the_whole_chain_is_served(proxy, certs):
    """Clients have the root only: the issuing certificate must come from the proxy."""
    one = proxy("require")
    done = psql(one.port, sslmode="verify-ca", sslrootcert=certs.cert("servers-ca"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cert", ["server-rsa", "server-ed25519"])
def test_other_kinds_of_keys_serve_too(proxy, certs, cert):
    done = psql(proxy("require", cert).port, sslmode="verify-full",
                sslrootcert=certs.cert("servers-ca"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version, word", [("TLSv1.2", "TLSv1.2"), ("TLSv1.3", "TLSv1.3")])
def test_both_versions_of_tls_are_served(proxy, certs, version, word):
    one = proxy("verify-full")
    done = psql(one.port, ssl_min_protocol_version=version, ssl_max_protocol_version=version,
                **client_cert(certs, "alice"))
    assert done.returncode == 0, done.stderr
    assert one.end()["tls_version"] == word


def test_a_client_that_gives_up_on_our_certificate_is_told_in_the_log(proxy, certs):
    one = proxy("require")
    done = psql(one.port, sslmode="verify-full", sslrootcert=certs.cert("strangers-ca"))
    assert done.returncode == 2
    failed = one.wait_event("tls.handshake.failed")
    assert failed["leg"] == "client"
    assert "unknown" in str(failed).lower()


def test_a_password_passes_through(proxy, certs):
    one = proxy("require")
    good = psql(one.port, user="scram", password="open sesame", **client_cert(certs, None))
    bad = psql(one.port, user="scram", password="wrong", **client_cert(certs, None))
    assert good.returncode == 0, good.stderr
    assert 'password authentication failed for user "scram"' in bad.stderr


@pytest.mark.parametrize("user", ["md5", "clear"])
def test_old_ways_to_log_in_pass_through(proxy, certs, user):
    done = psql(proxy("require").port, "select current_user", user=user, password="open sesame",
                **client_cert(certs, None))
    assert (done.returncode, done.stdout) == (0, user + "\n"), done.stderr


def test_the_server_s_own_refusal_reaches_the_client_whole(proxy, certs, postgres_clear):
    through = psql(proxy("require").port, dbname="nowhere", **client_cert(certs, None))
    direct = psql(postgres_clear.port, dbname="nowhere")
    assert through.stderr.split("FATAL:")[1] == direct.stderr.split("FATAL:")[1]


def test_several_addresses_of_one_listener_serve_alike(start, listener, certs, postgres_clear):
    first, second = (route({}, {})["listener"]["bind_address"] for _ in range(2))
    one = start(route({"address": postgres_clear.address},
                      listener("require", bind_address=[first, second])))
    for address in (first, second):
        done = psql(int(address.rpartition(":")[2]), **client_cert(certs, None))
        assert done.returncode == 0, done.stderr
    assert len(one.wait_count("connection.end", 2)) == 2


def test_several_routes_have_their_own_rules(start, listener, certs, postgres_clear):
    backend = {"address": postgres_clear.address}
    strict, lax = route(backend, listener("verify-full"), name="strict"), route(backend, name="lax")
    one = start(strict, lax)
    port = int(lax["listener"]["bind_address"].rpartition(":")[2])
    assert psql(one.port, sslmode="disable").returncode == 2
    assert psql(port, sslmode="disable").returncode == 0
    assert one.end(route="lax")
    assert libpq.psql(one.port, **client_cert(certs, "alice")).returncode == 0


def test_several_workers_share_a_port(start, listener, certs, postgres_clear):
    one = start(route({"address": postgres_clear.address}, listener("require")), workers=3,
                ready=False)
    one.wait_event("listener.ready")
    for _ in range(12):
        done = psql(one.port, **client_cert(certs, None))
        assert done.returncode == 0, done.stderr
    assert len(one.wait_count("connection.end", 12)) == 12
