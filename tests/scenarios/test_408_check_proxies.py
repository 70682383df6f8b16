# SPDX-License-Identifier: PostgreSQL
"""What a proxy between does to channel binding, and how it is seen."""
from peers import doctor, wire
from peers.postgres import PASSWORD
from peers.proxy import route


def through(proxy, certs, user="scram", password=PASSWORD, **query):
    return doctor.check(doctor.uri("localhost", proxy.port, user=user, password=password,
                                   sslrootcert=certs.cert("servers-ca"), **query))


def test_a_proxy_breaks_channel_binding(start, postgres, listener, verified, certs):
    proxy = start(route(verified(postgres.address), listener()))
    found = through(proxy, certs)
    assert found.errors == {"binding.broken"}
    assert "channel_binding=disable" in found.finding("binding.broken")["advice"]["client"]
    found = through(proxy, certs, channel_binding="disable")
    assert found.errors == set(), found.text


def test_a_proxy_takes_plus_away(fake, odd):
    """Offers no PLUS, and refuses the client that says so as PostgreSQL does."""
    def refuse(stream):
        stream.message()
        stream.send(wire.error_response("28000", "SCRAM channel binding negotiation error"))

    odd.issue("good")
    offer = wire.authentication(10, b"SCRAM-SHA-256\0\0")
    port = fake(doctor.server(odd.server("good", "odd-issuing"), login=offer,
                              session=refuse)).port
    found = doctor.check(doctor.uri("localhost", port, password="x",
                                    sslrootcert=odd.file("odd-ca.pem")))
    assert found.errors == {"binding.stripped"}
    assert found.finding("binding.not-offered")["severity"] == "warning"


def test_a_proxy_to_a_server_without_tls_offers_no_binding(start, postgres_clear, listener,
                                                           certs):
    proxy = start(route({"address": postgres_clear.address, "sslmode": "disable"}, listener()))
    found = through(proxy, certs)
    assert found.status == 0, found.text
    assert found.finding("binding.not-offered")["severity"] == "warning"
    assert found.facts("login")["server-sees"] == "no TLS"
    assert "proxy.ends-tls" in found.ids
    found = through(proxy, certs, channel_binding="require")
    assert found.errors == {"binding.not-offered"}


def test_a_server_without_a_proxy_is_bound(postgres, certs):
    found = doctor.check(doctor.uri("localhost", postgres.port, user="scram", password=PASSWORD,
                                    channel_binding="require",
                                    sslrootcert=certs.cert("backends-ca")))
    assert found.status == 0 and "proxy.ends-tls" not in found.ids, found.text
    assert found.facts("login")["mechanism"] == "SCRAM-SHA-256-PLUS"


def test_binding_and_a_method_that_has_none(postgres, certs):
    found = doctor.check(doctor.uri("localhost", postgres.port, user="md5", password=PASSWORD,
                                    channel_binding="require",
                                    sslrootcert=certs.cert("backends-ca")))
    assert "binding.not-offered" in found.errors
