# SPDX-License-Identifier: PostgreSQL
"""Whose client certificates are let in: revocation lists, names, maps.  psql is the client."""
import os
import shutil
import signal

import pytest

from peers.backend import accept_login
from peers.libpq import client_cert, psql
from peers.proxy import route, run, toml
from peers.stream import connect_tls

DN = "CN=Alice,OU=People,O=pgtls tests"


@pytest.fixture
def serving(start, listener, postgres_clear):
    """serving(mode, **more): a proxy whose listener has these settings, and PostgreSQL."""
    def one(mode="verify-full", **more):
        return start(route({"address": postgres_clear.address}, listener(mode, **more)))
    return one


def let_in(one, certs, cert, user="alice"):
    done = psql(one.port, "select current_user", user=user, **client_cert(certs, cert))
    assert done.stdout.strip() == user, done.stderr


def kept_out(one, certs, cert, user="alice"):
    """What psql was told."""
    done = psql(one.port, user=user, **client_cert(certs, cert))
    assert done.returncode == 2, done.stdout
    return done.stderr


# Revocation lists

@pytest.mark.parametrize("words", [
    {"client_crl_file": "clients-both-list.crl"},
    {"client_crl_dir": "clients-lists"},
    {"client_crl_file": "clients-root-list.crl", "client_crl_dir": "clients-lists"},
], ids=["file", "folder", "both"])
def test_a_revoked_certificate_is_kept_out_by_an_alert(serving, certs, words):
    one = serving(**{key: certs.file(value) for key, value in words.items()})
    let_in(one, certs, "alice")
    assert "certificate revoked" in kept_out(one, certs, "alice-revoked")
    failed = one.wait_event("tls.handshake.failed")
    assert failed["alert_sent"] == "certificate_revoked"
    assert "certificate revoked (depth 0, serial " in failed["reason"]
    assert "subject CN=alice" in failed["reason"] and "issuer CN=clients issuing" in failed["reason"]


def test_without_lists_nobody_is_revoked(serving, certs):
    let_in(serving(), certs, "alice-revoked")


def test_an_authority_of_the_chain_without_a_list_is_a_refusal(serving, certs):
    """The whole chain is checked, as PostgreSQL does it."""
    one = serving(client_crl_file=certs.file("clients-list.crl"))
    kept_out(one, certs, "alice")
    failed = one.wait_event("tls.handshake.failed")
    assert "unable to get certificate CRL" in failed["reason"], failed
    assert "one of every authority in the chain, the root too" in failed["hint"]


def test_an_expired_list_is_a_refusal_and_a_warning_at_the_start(serving, certs, folder):
    one = serving(client_crl_file=certs.file("clients-both-list-expired.crl"))
    kept_out(one, certs, "alice")
    assert "CRL has expired" in one.wait_event("tls.handshake.failed")["reason"]
    done = run("proxy", "-c", one.config, "--check")
    assert done.returncode == 0
    assert "listener.client_crl_file: the revocation list of CN=clients issuing" in done.stderr
    assert "has expired, and every certificate of that authority will be refused" in done.stderr


def test_a_list_of_another_authority_does_not_count(serving, certs):
    one = serving(client_crl_file=certs.file("strangers-list.crl"))
    kept_out(one, certs, "alice")
    assert "unable to get certificate CRL" in one.wait_event("tls.handshake.failed")["reason"]


def test_lists_are_read_again_by_a_reload(serving, certs, folder):
    lists = os.path.join(folder, "lists.crl")
    shutil.copy(certs.file("clients-both-list-before.crl"), lists)
    one = serving(client_crl_file=lists, cert_refresh_interval="0s")
    let_in(one, certs, "alice-revoked")
    shutil.copy(certs.file("clients-both-list.crl"), lists)
    one.signal(signal.SIGHUP)                   # or at once, by itself, if that is faster
    one.wait_event("reload.ok")
    kept_out(one, certs, "alice-revoked")
    let_in(one, certs, "alice")


def test_a_list_that_is_put_into_the_folder_counts_without_a_signal(serving, certs, folder):
    lists = os.path.join(folder, "lists")
    os.mkdir(lists)
    shutil.copy(certs.file("clients-root-list.crl"), lists)
    shutil.copy(certs.file("clients-list-before.crl"), os.path.join(lists, "issuing.crl"))
    one = serving(client_crl_dir=lists, cert_refresh_interval="1s")
    let_in(one, certs, "alice-revoked")
    shutil.copy(certs.file("clients-list.crl"), os.path.join(folder, "new"))
    os.rename(os.path.join(folder, "new"), os.path.join(lists, "issuing.crl"))     # one change
    one.wait_event("reload.ok")
    kept_out(one, certs, "alice-revoked")
    let_in(one, certs, "alice")


# Names

@pytest.mark.parametrize("kind, users", [
    ("CN", ["Alice"]),
    ("DN", [DN]),
    ("SAN-DNS", ["alice.example.com", "second.example.com"]),
    ("SAN-URI", ["spiffe://example.com/alice"]),
    ("SAN-EMAIL", ["alice@example.com"]),
])
def test_the_kind_of_name_that_is_compared(start, fake, listener, certs, kind, users):
    def serve(stream, tell):
        tell(accept_login(stream))
        stream.rest()

    server = fake(serve)
    one = start(route({"address": server.address}, listener("verify-full", client_name=kind)))
    everything = ["Alice", DN, "alice.example.com", "second.example.com",
                  "spiffe://example.com/alice", "alice@example.com", "alice", "ALICE.example.com",
                  "*.example.com", "", "localhost"]
    for user in everything:
        with connect_tls(one.port, certs.client(cert="alice-names")) as client:
            last = client.login(user=user)[-1]
        assert (last.type == "Z") == (user in users), (user, last)
        assert last.type == "Z" or last.code == "28000"
    assert len(server.seen) == len(users)


def test_a_certificate_without_such_a_name_is_nobody_s(serving, certs):
    one = serving(client_name="SAN-EMAIL")
    assert "the name in the client certificate is not the user name" in kept_out(one, certs, "alice")
    failed = one.wait_event("auth.failed")
    assert failed["reason"] == \
        "the client certificate has no email address, and the user is \"alice\""


def test_the_log_tells_names_found_and_expected_and_whose_certificate_it_is(serving, certs):
    one = serving()
    told = kept_out(one, certs, "long-subject", user="bob")
    failed = one.wait_event("auth.failed")
    assert failed["reason"] == \
        "the common name (CN) in the client certificate is \"alice\", the user \"bob\""
    assert failed["cert_subject"].startswith("CN=alice,O=Some ") and "quoted" in str(failed)
    assert failed["cert_issuer"].startswith("CN=clients issuing")
    assert int(failed["cert_serial"], 16) > 0
    assert "alice" not in told                  # the client learns no name but its own


# Maps

@pytest.fixture
def ident(folder):
    """ident(text): a file with the map."""
    def one(text, name="pg_ident.conf"):
        file = os.path.join(folder, name)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        return file
    return one


def test_a_map_says_who_may_log_in_as_whom(serving, certs, ident):
    file = ident("# comment\nother  bob    nobody\ncerts  bob   alice\ncerts  bob   bob\n")
    one = serving(ident_file=file, ident_map="certs")
    let_in(one, certs, "bob", user="alice")
    let_in(one, certs, "bob", user="bob")
    text = kept_out(one, certs, "bob", user="nobody")
    assert "log in as a user that the certificate may be used for" in text
    kept_out(one, certs, "alice", user="alice")         # equal, but without a line
    hint = one.wait_count("auth.failed", 2)[0]["hint"]
    assert f"add a line for that name and that user to map certs of {file}" == hint
    assert file not in text and "certs" not in text     # clients learn nothing of maps


def test_a_regular_expression_is_for_the_whole_name(serving, certs, ident):
    file = ident("m  /([a-z]+)@example\\.com  \\1\nm  /spiffe.*  nobody\n")
    one = serving(ident_file=file, ident_map="m", client_name="SAN-EMAIL")
    let_in(one, certs, "alice-names", user="alice")
    kept_out(one, certs, "alice-names", user="bob")
    file = ident("m  /lice@example  alice\nm  /alice  alice\n")
    one.signal(signal.SIGHUP)
    one.wait_event("reload.ok")
    kept_out(one, certs, "alice-names", user="alice")


def test_a_map_of_whole_subjects(serving, certs, ident):
    one = serving(ident_file=ident(f"m  \"{DN}\"  alice\n"), ident_map="m", client_name="DN")
    let_in(one, certs, "alice-names", user="alice")
    kept_out(one, certs, "alice", user="alice")


def test_a_map_that_cannot_be_read_keeps_what_runs(serving, certs, ident):
    one = serving(ident_file=ident("m  alice  bob\n"), ident_map="m")
    let_in(one, certs, "alice", user="bob")
    ident("m  /(  bob\n")
    one.signal(signal.SIGHUP)
    failed = one.wait_event("reload.failed")["reason"]
    assert "listener.ident_file: " in failed and "pg_ident.conf" in failed
    let_in(one, certs, "alice", user="bob")


@pytest.mark.parametrize("text, name, complaint", [
    ("m alice\n", "m", "line 1"),
    ("m alice bob\n", "n", "has no line of the map \"n\""),
    (None, "m", "No such file or directory"),
])
def test_maps_that_are_none(folder, listener, ident, text, name, complaint):
    file = ident(text) if text is not None else os.path.join(folder, "missing")
    config = os.path.join(folder, "t.toml")
    words = listener("verify-full", ident_file=file, ident_map=name)
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route({"address": "127.0.0.1:5432"}, words)]))
    done = run("proxy", "-c", config, "--check")
    assert done.returncode == 1
    assert "listener.ident_file: " in done.stderr and complaint in done.stderr, done.stderr
