# SPDX-License-Identifier: PostgreSQL
"""Client certificates: missing, refused, of another user, not asked for."""
import pytest

from peers import doctor
from peers.proxy import route


@pytest.fixture
def checked(postgres, certs):
    """checked(cert, **query): the diagnosis of a login to a database that demands one."""
    def one(cert=None, user="alice", database="certdb", **query):
        if cert is not None:
            query |= {"sslcert": certs.cert(cert), "sslkey": certs.key(cert)}
        query = {"sslrootcert": certs.cert("backends-ca"), **query}
        return doctor.check(doctor.uri("localhost", postgres.port, user=user, database=database,
                                       **query))
    return one


def test_none_where_one_is_demanded(checked):
    found = checked()
    assert found.errors == {"client.certificate-missing"}
    assert found.facts("handshake")["asks-for-certificate"] == "yes"


def test_the_right_one(checked):
    found = checked("proxy")                # mapped to alice
    assert found.errors == set() and "ready" in found.facts("login"), found.text
    assert "CN=proxy" in found.facts("settings")["client-certificate"]


def test_one_that_is_not_the_users(checked):
    assert checked("proxy", user="carol").errors == {"client.certificate-name"}


def test_one_of_another_ca(checked):
    found = checked("alice")
    assert found.errors == {"client.certificate-refused"}
    assert found.state("login") == "failed"


def test_sslcertmode_disable_sends_none(checked):
    assert checked("proxy", sslcertmode="disable").errors == {"client.certificate-missing"}


@pytest.fixture
def good_server(fake, odd):
    odd.issue("good")
    return fake(doctor.server(odd.server("good", "odd-issuing")))


def test_one_that_nobody_asks_for(good_server, odd, certs):
    query = {"sslrootcert": odd.file("odd-ca.pem"), "sslcert": certs.cert("alice"),
             "sslkey": certs.key("alice")}
    found = doctor.check(doctor.uri("localhost", good_server.port, **query))
    assert found.finding("client.certificate-unasked")["severity"] == "warning"
    assert found.status == 0
    found = doctor.check(doctor.uri("localhost", good_server.port, sslcertmode="require",
                                    **query))
    assert "client.certificate-unasked" in found.errors


def test_the_listeners_words_are_understood_too(start, postgres, listener, verified, certs):
    proxy = start(route(verified(postgres.address), listener("verify-full")))
    target = {"sslrootcert": certs.cert("servers-ca")}
    found = doctor.check(doctor.uri("localhost", proxy.port, **target))
    assert found.errors == {"client.certificate-missing"}, found.text
    pair = {"sslcert": certs.cert("bob"), "sslkey": certs.key("bob")}
    found = doctor.check(doctor.uri("localhost", proxy.port, **target, **pair))
    assert found.errors == {"client.certificate-name"}, found.text
    pair = {"sslcert": certs.cert("alice"), "sslkey": certs.key("alice")}
    found = doctor.check(doctor.uri("localhost", proxy.port, **target, **pair))
    assert found.errors == set(), found.text
