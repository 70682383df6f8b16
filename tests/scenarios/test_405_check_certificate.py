# SPDX-License-Identifier: PostgreSQL
"""Chains with a fault, each shown by a server to a check with verify-full."""
import pytest

from peers import doctor
from peers.odd_certs import when


@pytest.fixture
def shown(fake, odd):
    """shown(chain..., **query): the diagnosis of a server that sends this chain."""
    def one(*names, root="odd-ca.pem", host="localhost", weak=False, **query):
        context = odd.server(*names, weak=weak)
        port = fake(doctor.server(context)).port
        return doctor.check(doctor.uri(host, port, sslrootcert=odd.file(root), **query))
    return one


def test_a_good_chain(shown, odd):
    odd.issue("good")
    found = shown("good", "odd-issuing")
    # what the TLS libraries and the machine (is localhost ::1 too?) say is not about the chain
    assert found.ids <= {"handshake.not-post-quantum", "connect.some-dead"}, found.text
    assert found.status == 0, found.text
    assert len(found.facts("certificate")["chain"]) == 3
    assert found.facts("certificate")["in-order"] == "yes"
    assert [found.facts("verify")[mode] for mode in ("verify-ca", "verify-full")] == ["works"] * 2


def test_one_that_has_expired(shown, odd):
    odd.issue("expired", start=when(days=-9), end=when(days=-2))
    found = shown("expired", "odd-issuing")
    assert found.errors == {"certificate.expired"}
    assert found.state("verify") == "failed" and found.state("login") == "skipped"
    assert "expired" in found.facts("verify")["verify-ca"]


def test_one_that_has_expired_is_a_warning_for_require(shown, odd):
    odd.issue("expired", start=when(days=-9), end=when(days=-2))
    found = shown("expired", "odd-issuing", sslmode="prefer")
    assert found.finding("certificate.expired")["severity"] == "warning"
    assert found.status == 0


def test_one_from_the_future(shown, odd):
    odd.issue("future", start=when(days=20))
    found = shown("future", "odd-issuing")
    assert found.errors == {"certificate.not-yet-valid"}
    assert "clock.skew" not in found.ids


def test_one_from_the_next_minutes_is_a_clock_that_is_behind(shown, odd):
    odd.issue("minutes", start=when(minutes=50))
    found = shown("minutes", "odd-issuing")
    assert found.errors == {"certificate.not-yet-valid"}
    assert "minutes" in found.finding("clock.skew")["detail"]


def test_one_that_expires_soon(shown, odd):
    odd.issue("soon", start=when(days=-80), end=when(days=5))
    found = shown("soon", "odd-issuing")
    assert found.status == 0
    assert found.finding("certificate.expires-soon")["severity"] == "warning"


def test_one_that_lives_a_week_only(shown, odd):
    odd.issue("week", start=when(days=-1), end=when(days=6))
    assert "certificate.expires-soon" not in shown("week", "odd-issuing").ids


def test_one_that_is_signed_by_itself(shown, odd):
    odd.issue("alone", issuer=None)
    assert shown("alone").errors == {"certificate.self-signed"}
    assert shown("alone", root="alone.pem").errors == set()


def test_the_ca_of_somebody_else(shown, odd):
    odd.issue("good")
    odd.authority("other")
    assert shown("good", "odd-issuing", root="other-ca.pem").errors == {"certificate.unknown-ca"}


def test_the_leaf_alone(shown, odd):
    odd.issue("good")
    found = shown("good")
    assert found.errors == {"certificate.leaf-only"}
    assert "ssl_cert_file" in found.finding("certificate.leaf-only")["advice"]["server"]


def test_a_missing_intermediate(shown, odd):
    odd.issue("good")
    assert shown("good", "odd-ca").errors == {"certificate.missing-intermediate"}


def test_a_wrong_order(shown, odd):
    odd.issue("good")
    found = shown("good", "odd-ca", "odd-issuing")
    assert found.finding("certificate.wrong-order")["severity"] == "warning"
    assert found.status == 0


def test_a_ca_that_was_made_anew(shown, odd):
    odd.issue("good")
    odd.issue("anew-ca", None, "/O=odd/CN=odd root", ca=True)
    found = shown("good", "odd-issuing", root="anew-ca.pem")
    assert found.errors == {"certificate.bad-signature"}


def test_a_weak_key(shown, odd):
    odd.issue("short", key="rsa:1024")
    found = shown("short", "odd-issuing", weak=True)
    assert found.errors == {"certificate.weak-key"}
    assert "RSA 1024" in found.finding("certificate.weak-key")["detail"]


def test_a_weak_key_is_a_warning_for_require_without_a_root(fake, odd):
    odd.issue("short", key="rsa:1024")
    port = fake(doctor.server(odd.server("short", "odd-issuing", weak=True))).port
    found = doctor.check(doctor.uri("localhost", port, sslmode="require"))
    assert found.finding("certificate.weak-key")["severity"] == "warning"
    assert found.status == 0, found.text


def test_sha_1(shown, odd):
    odd.issue("sha1", digest="sha1")
    found = shown("sha1", "odd-issuing", weak=True)
    assert found.errors == {"certificate.weak-hash"}


def test_one_that_was_revoked(shown, odd):
    odd.issue("revoked")
    odd.crl("revoking.crl", "odd-issuing", ["revoked"])
    odd.crl("root.crl", "odd-ca")
    lists = odd.join("both.crl", "revoking.crl", "root.crl")
    found = shown("revoked", "odd-issuing", sslcrl=lists)
    assert found.errors == {"certificate.revoked"}
    odd.issue("good")
    assert shown("good", "odd-issuing", sslcrl=lists).errors == set()


def test_a_list_that_has_expired(shown, odd):
    odd.issue("good")
    odd.crl("old.crl", "odd-issuing", last=when(days=-9), next_=when(days=-2))
    odd.crl("root.crl", "odd-ca")
    found = shown("good", "odd-issuing", sslcrl=odd.join("old-both.crl", "old.crl", "root.crl"))
    assert found.errors == {"certificate.crl-expired"}


def test_a_ca_without_a_list(shown, odd):
    odd.issue("good")
    found = shown("good", "odd-issuing", sslcrl=odd.file(odd.crl("root.crl", "odd-ca")))
    assert found.errors == {"certificate.crl-missing"}


def test_one_for_clients(shown, odd):
    odd.issue("for-clients", usage="clientAuth")
    assert shown("for-clients", "odd-issuing").errors == {"certificate.wrong-purpose"}


def test_one_that_is_signed_by_a_leaf(shown, odd):
    odd.issue("good")
    odd.issue("child", issuer="good")
    assert shown("child", "good", "odd-issuing").errors == {"certificate.invalid-ca"}


def test_another_fault_has_a_finding_too(shown, odd):
    odd.issue("critical", names=f"{odd_names()}\n1.2.3.4=critical,ASN1:UTF8String:x")
    assert shown("critical", "odd-issuing").errors == {"certificate.refused"}


def odd_names():
    return "DNS:localhost,IP:127.0.0.1"


def test_a_signature_that_channel_binding_does_not_know(shown, odd):
    odd.issue("edwards-ca", None, "/O=odd/CN=edwards", ca=True, key="ed25519")
    odd.issue("edwards", issuer="edwards-ca", digest="null")
    found = shown("edwards", root="edwards-ca.pem")
    assert found.finding("binding.undefined")["severity"] == "warning"
    assert found.status == 0
    found = shown("edwards", root="edwards-ca.pem", channel_binding="require")
    assert "binding.undefined" in found.errors
