# SPDX-License-Identifier: PostgreSQL
"""What a server answers before TLS, and without it."""
import pytest

from peers import doctor, wire
from peers.proxy import route


@pytest.fixture
def scripted(fake, odd):
    """scripted(script, **query): the diagnosis of a server of our own making."""
    def one(script, **query):
        query = {"sslrootcert": odd.file("odd-ca.pem"), "connect_timeout": 20, **query}
        return doctor.check(doctor.uri("localhost", fake(script).port, **query))
    return one


@pytest.fixture(scope="session")
def context(odd):
    odd.issue("good")
    return odd.server("good", "odd-issuing")


def test_everything_is_good(scripted, context):
    found = scripted(doctor.server(context))
    assert found.errors == set() and found.status == 0, found.text
    assert found.facts("negotiate")["sslrequest"] == "S"
    assert found.facts("negotiate")["gssencrequest"] == "N"
    assert found.facts("plaintext")["plaintext"].startswith("refused")


def test_a_server_without_tls(postgres_clear):
    found = doctor.check(doctor.uri("localhost", postgres_clear.port))
    assert found.errors == {"negotiate.no-tls"}
    assert found.facts("negotiate")["sslrequest"] == "N"


def test_a_server_without_tls_is_enough_for_prefer(postgres_clear):
    found = doctor.check(doctor.uri("localhost", postgres_clear.port, sslmode="prefer"))
    assert found.finding("negotiate.no-tls")["severity"] == "warning"
    assert found.status == 0 and "ready" in found.facts("login")


def test_an_error_in_answer_to_sslrequest(scripted):
    found = scripted(doctor.answer(wire.error_response("53300", "secret words")))
    assert found.errors == {"negotiate.error-answer"}
    assert "secret words" not in found.text           # of a peer that nobody has verified


@pytest.mark.parametrize("behind", [b"X", wire.LOGGED_IN])
def test_bytes_behind_s(scripted, behind):
    assert scripted(doctor.answer(b"S" + behind)).errors == {"negotiate.bytes-behind-s"}


def test_direct_tls_that_is_not_taken(scripted, context):
    found = scripted(doctor.server(context), sslnegotiation="direct", sslmode="verify-full")
    assert found.errors == {"negotiate.direct-refused"}


def test_direct_tls_that_is_taken(start, postgres, listener, verified, certs):
    proxy = start(route(verified(postgres.address), listener(direct_tls="require")))
    found = doctor.check(doctor.uri("localhost", proxy.port, sslnegotiation="direct",
                                    sslrootcert=certs.cert("servers-ca")))
    assert found.errors == set(), found.text
    assert found.facts("handshake")["alpn"] == "postgresql"
    assert found.facts("negotiate")["direct"].startswith("taken")


def test_direct_tls_of_postgresql(postgres, certs):
    found = doctor.check(doctor.uri("localhost", postgres.port,
                                    sslrootcert=certs.cert("backends-ca")))
    word = "taken" if postgres.installation.version() >= 17 else "not taken"
    assert found.facts("negotiate")["direct"].startswith(word)


def test_gssapi_that_is_taken(scripted, context):
    found = scripted(doctor.server(context, gss=b"G"))
    assert found.finding("negotiate.gss")["severity"] == "info"


def test_plaintext_that_is_accepted(postgres, certs):
    found = doctor.check(doctor.uri("localhost", postgres.port,
                                    sslrootcert=certs.cert("backends-ca")))
    assert "negotiate.plaintext-accepted" in found.ids
    assert found.facts("verify")["disable"].startswith("works")


def test_tls_that_is_demanded(postgres):
    found = doctor.check(doctor.uri("localhost", postgres.port, database="tlsdb",
                                    sslmode="disable"))
    assert "negotiate.plaintext-refused" in found.errors
    assert "negotiate.plaintext-accepted" not in found.ids


def test_tls_that_is_demanded_is_good_where_it_was_asked_for(postgres, certs):
    found = doctor.check(doctor.uri("localhost", postgres.port, database="tlsdb",
                                    sslrootcert=certs.cert("backends-ca")))
    assert found.status == 0
    assert found.facts("verify")["disable"].startswith("fails")


def test_a_connection_that_is_reset_instead_of_an_answer(scripted):
    def script(stream, _tell):
        stream.sock.recv(100)
        stream.reset()

    assert scripted(script).errors == {"server.closes"}
