# SPDX-License-Identifier: PostgreSQL
"""Names in certificates, by libpq's rules."""
import pytest

from peers import doctor

NUL = "DER:30:10:82:0e:6c:6f:63:61:6c:68:6f:73:74:00:2e:65:76:69"      # localhost\0.evi


@pytest.fixture
def named(fake, odd, request):
    """named(host, subject, names): the diagnosis of a server with this certificate."""
    def one(host, subject, names, **query):
        name = "named-" + str(abs(hash((subject, names))))
        odd.issue(name, subject=subject, names=names)
        port = fake(doctor.server(odd.server(name, "odd-issuing"))).port
        query = {"hostaddr": "127.0.0.1", "sslrootcert": odd.file("odd-ca.pem"), **query}
        return doctor.check(doctor.uri(host, port, **query))
    return one


@pytest.mark.parametrize("host, subject, names, finding", [
    ("db.example.com", "/CN=other", "DNS:other.example.com", "name.mismatch"),
    ("127.0.0.1", "/CN=localhost", "DNS:localhost", "name.ip-without-san"),
    ("a.b.example.com", "/CN=x", "DNS:*.example.com", "name.wildcard"),
    ("example.com", "/CN=x", "DNS:*.example.com", "name.wildcard"),
    ("db1.example.com", "/CN=x", "DNS:db*.example.com", "name.wildcard"),
    ("localhost", "/CN=x", NUL, "name.broken")])
def test_a_name_that_is_not_the_hosts(named, host, subject, names, finding):
    found = named(host, subject, names)
    assert found.errors == {finding}
    assert found.facts("verify")["verify-ca"] == "works"
    assert found.facts("verify")["verify-full"].startswith("fails")


def test_a_name_does_not_matter_to_verify_ca(named):
    found = named("db.example.com", "/CN=other", "DNS:other.example.com", sslmode="verify-ca")
    assert found.finding("name.mismatch")["severity"] == "warning"
    assert found.status == 0


@pytest.mark.parametrize("host, subject, names", [
    ("db.example.com", "/CN=x", "DNS:*.example.com"),
    ("DB.Example.Com", "/CN=x", "DNS:db.example.com"),
    ("127.0.0.1", "/CN=x", "IP:127.0.0.1")])
def test_a_name_that_fits(named, host, subject, names):
    assert named(host, subject, names).errors == set()


def test_a_common_name_alone_is_old(named):
    found = named("localhost", "/CN=localhost", None)
    assert found.finding("name.no-san")["severity"] == "warning"
    assert found.status == 0
