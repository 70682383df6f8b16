# SPDX-License-Identifier: PostgreSQL
"""Session tickets: across workers, reloads and instances; and never where they are not good."""
import os
import secrets
import shutil
import signal
import ssl

import pytest

from peers.backend import accept_login
from peers.proxy import route, run, toml
from peers.stream import connect_tls

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def serve(stream, tell):
    accept_login(stream)
    stream.rest()


def new_key():
    return secrets.token_hex(80)


@pytest.fixture
def keys(folder):
    """keys(lines): the ticket key file, written anew; its name."""
    def one(*lines, mode=0o600):
        file = os.path.join(folder, "tickets.keys")
        with open(file + ".new", "w", encoding="ascii") as out:
            out.write("".join(line + "\n" for line in lines))
        os.chmod(file + ".new", mode)
        os.rename(file + ".new", file)
        return file
    return one


@pytest.fixture
def serving(start, fake, listener):
    def one(workers=1, name="orders", **more):
        words = {"session_tickets": True, **more}
        return start(route({"address": fake(serve).address}, listener(**words), name=name),
                     workers=workers)
    return one


def log_in(port, context, session=None, user="alice"):
    """(whether it was resumed, the session that the server gave)"""
    with connect_tls(port, context, session=session) as client:
        assert client.login(user=user)[-1].type == "Z"
        return client.tls.session_reused, client.tls.session


@pytest.mark.parametrize("version", [V12, V13])
def test_no_tickets_unless_asked_for(serving, certs, version):
    one = serving(session_tickets=None)
    context = certs.client(version=version)
    _, session = log_in(one.port, context)
    assert not session.has_ticket
    assert not log_in(one.port, context, session)[0]
    assert [end["tls_resumed"] for end in one.wait_count("connection.end", 2)] == [False, False]


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("shared", [True, False], ids=["key file", "random keys"])
def test_a_session_is_resumed_by_any_worker(serving, certs, keys, version, shared):
    one = serving(workers=3, ticket_key_file=keys(new_key()) if shared else None)
    context = certs.client(version=version)
    resumed, session = log_in(one.port, context)
    assert not resumed and session.has_ticket
    for _ in range(12):
        resumed, session = log_in(one.port, context, session)
        assert resumed
    one.wait_count("connection.end", 12, tls_resumed=True)


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_is_resumed_after_a_reload_and_by_another_instance(serving, certs, keys, version):
    file = keys(new_key())
    one, other = serving(ticket_key_file=file), serving(ticket_key_file=file)
    context = certs.client(version=version)
    _, session = log_in(one.port, context)
    one.reload()
    resumed, session = log_in(one.port, context, session)
    assert resumed
    assert log_in(other.port, context, session)[0]


def test_random_keys_end_with_a_reload(serving, certs):
    one = serving()
    context = certs.client()
    _, session = log_in(one.port, context)
    one.reload()
    assert not log_in(one.port, context, session)[0]


def test_keys_are_rotated_by_a_new_one_in_front(serving, certs, keys):
    first, second = new_key(), new_key()
    one = serving(ticket_key_file=keys("# of today", first))
    context = certs.client(version=V12)
    _, session = log_in(one.port, context)
    keys(second, first)
    one.reload()
    resumed, renewed = log_in(one.port, context, session)
    assert resumed                      # what the old key sealed is opened, and sealed anew
    keys(second)
    one.reload()
    assert log_in(one.port, context, renewed)[0]
    assert not log_in(one.port, context, session)[0]


@pytest.mark.parametrize("text, mode, complaint", [
    ("ab" * 79, 0o600, "line 1 of"),
    ("zz" * 80, 0o600, "line 1 of"),
    ("# nothing", 0o600, "no ticket key in"),
    ("ab" * 80, 0o644, "has group or world access (mode 0644); chmod 0600"),
    ("ab" * 80, 0o620, "has group or world access (mode 0620)"),
])
def test_key_files_that_are_none(folder, listener, keys, text, mode, complaint):
    config = os.path.join(folder, "t.toml")
    words = listener(session_tickets=True, ticket_key_file=keys(text, mode=mode))
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route({"address": "127.0.0.1:5432"}, words)]))
    done = run("proxy", "-c", config, "--check")
    assert done.returncode == 1
    assert "listener.ticket_key_file: " in done.stderr and complaint in done.stderr, done.stderr
    assert text not in done.stderr or text.startswith("#")


def test_a_bad_key_file_keeps_the_keys_that_are_used(serving, certs, keys):
    one = serving(ticket_key_file=keys(new_key()))
    context = certs.client()
    _, session = log_in(one.port, context)
    keys("garbage")
    one.signal(signal.SIGHUP)
    assert "listener.ticket_key_file" in one.wait_event("reload.failed")["reason"]
    assert log_in(one.port, context, session)[0]


# A ticket is good where the rules are the same, and nowhere else

@pytest.mark.parametrize("version", [V12, V13])
def test_a_certificate_in_a_ticket_is_the_user_s_still(serving, certs, keys, version):
    one = serving(sslmode="verify-full", ticket_key_file=keys(new_key()))
    context = certs.client(cert="alice", version=version)
    _, session = log_in(one.port, context)
    with connect_tls(one.port, context, session=session) as client:
        assert client.tls.session_reused
        assert client.login(user="bob")[-1].code == "28000"
    resumed, _ = log_in(one.port, context, session)
    assert resumed
    end = one.wait_event("connection.end", tls_resumed=True, user="alice")
    assert end["cert_subject"] == "CN=alice"


@pytest.mark.parametrize("version", [V12, V13])
def test_no_ticket_outlives_a_revocation(serving, certs, keys, folder, version):
    lists = os.path.join(folder, "lists.crl")
    shutil.copy(certs.file("clients-both-list-before.crl"), lists)
    one = serving(sslmode="verify-ca", client_crl_file=lists, ticket_key_file=keys(new_key()))
    context = certs.client(cert="alice-revoked", version=version)
    _, session = log_in(one.port, context)
    assert log_in(one.port, context, session)[0]
    shutil.copy(certs.file("clients-both-list.crl"), lists)
    one.reload()
    with pytest.raises((ssl.SSLError, OSError, EOFError)):
        log_in(one.port, context, session)
    assert one.wait_event("tls.handshake.failed")["alert_sent"] == "certificate_revoked"


def test_no_ticket_outlives_its_authority(serving, certs, keys, folder):
    authorities = os.path.join(folder, "ca.crt")
    shutil.copy(certs.cert("clients-ca"), authorities)
    one = serving(sslmode="verify-ca", client_ca=authorities, ticket_key_file=keys(new_key()))
    context = certs.client(cert="alice")
    _, session = log_in(one.port, context)
    shutil.copy(certs.cert("strangers-ca"), authorities)
    one.reload()
    with pytest.raises((ssl.SSLError, OSError, EOFError)):
        log_in(one.port, context, session)
    assert one.wait_event("tls.handshake.failed")["alert_sent"] == "unknown_ca"


@pytest.mark.parametrize("change", [
    {"sslmode": "verify-ca"},
    {"client_name": "DN"},
    {"name": "others"},
    {"client_ca": "both-ca.crt"},
    {"client_crl_file": "clients-both-list.crl"},
], ids=lambda change: next(iter(change)))
def test_a_ticket_of_other_rules_is_not_resumed(serving, certs, keys, change):
    """The keys are the same, the rules are not: a full handshake."""
    file = keys(new_key())
    change = {key: certs.file(value) if "." in value else value for key, value in change.items()}
    first = serving(**{"sslmode": "verify-full", "ticket_key_file": file})
    second = serving(**{"sslmode": "verify-full", "ticket_key_file": file, **change})
    user = "CN=alice" if change.get("client_name") else "alice"
    context = certs.client(cert="alice")
    _, session = log_in(first.port, context)
    assert not log_in(second.port, context, session, user=user)[0]
    _, session = log_in(second.port, context, user=user)
    assert log_in(second.port, context, session, user=user)[0]
    assert not log_in(first.port, context, session)[0]


def test_a_ticket_does_not_outlive_the_map(serving, certs, keys, folder):
    ident = os.path.join(folder, "ident")
    with open(ident, "w", encoding="ascii") as out:
        out.write("m alice alice\nm alice bob\n")
    one = serving(sslmode="verify-full", ident_file=ident, ident_map="m",
                  ticket_key_file=keys(new_key()))
    context = certs.client(cert="alice")
    _, session = log_in(one.port, context, user="bob")
    with open(ident, "w", encoding="ascii") as out:
        out.write("m alice alice\nm alice rob\n")
    one.reload()
    with connect_tls(one.port, context, session=session) as client:
        assert not client.tls.session_reused
        assert client.login(user="bob")[-1].code == "28000"


def test_a_ticket_of_another_map_of_the_same_file_is_not_resumed(serving, certs, keys, folder):
    ident = os.path.join(folder, "ident")
    with open(ident, "w", encoding="ascii") as out:
        out.write("m alice alice\nn alice alice\n")
    words = {"sslmode": "verify-full", "ident_file": ident, "ticket_key_file": keys(new_key())}
    one, other = (serving(ident_map=name, **words) for name in "mn")
    context = certs.client(cert="alice")
    _, session = log_in(one.port, context)
    assert not log_in(other.port, context, session)[0]
    _, session = log_in(one.port, context)
    assert log_in(one.port, context, session)[0]
