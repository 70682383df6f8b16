# SPDX-License-Identifier: PostgreSQL
"""Logins: what the server says, and that no password goes where it must not."""
import os
import time

import pytest

from peers import doctor, wire
from peers.postgres import PASSWORD

SCRAM_OFFER = wire.authentication(10, b"SCRAM-SHA-256\0\0")


@pytest.fixture
def real(postgres, certs):
    """real(**query): a diagnosis of PostgreSQL itself."""
    def one(user="alice", database="postgres", password=None, words=(), **query):
        query = {"sslrootcert": certs.cert("backends-ca"), **query}
        return doctor.check(doctor.uri("localhost", postgres.port, user=user, password=password,
                                       database=database, **query), *words)
    return one


@pytest.fixture
def scripted(fake, odd):
    """scripted(login, session=..., **query): a server with a good certificate."""
    odd.issue("good")

    def one(login, session=None, words=(), password="sesame", **query):
        server = fake(doctor.server(odd.server("good", "odd-issuing"), login=login,
                                    session=session))
        query = {"sslrootcert": odd.file("odd-ca.pem"), "connect_timeout": 20, **query}
        return doctor.check(doctor.uri("localhost", server.port, password=password, **query),
                            *words)
    return one


@pytest.mark.parametrize("user, method", [
    ("scram", "scram-sha-256"), ("md5", "md5"), ("clear", "password")])
def test_every_method(real, user, method):
    found = real(user=user, password=PASSWORD)
    assert found.errors == set(), found.text
    facts = found.facts("login")
    assert facts["method"] == method and facts["ready"].endswith(" ms")
    assert facts["protocol"] == "3.0"
    assert facts["server-version"] and facts["server-sees"].startswith("TLSv1.3")
    assert PASSWORD not in found.text


@pytest.mark.parametrize("user, finding", [
    ("clear", "login.cleartext-password"), ("md5", "login.md5")])
def test_a_method_that_is_weak(real, user, finding):
    assert real(user=user, password=PASSWORD).finding(finding)["severity"] == "warning"


@pytest.mark.parametrize("user", ["scram", "md5", "clear"])
def test_a_wrong_password(real, user):
    assert real(user=user, password="wrong").errors == {"login.password-wrong"}


def test_no_password(real):
    assert real(user="scram").errors == {"login.password-missing"}


def test_a_user_that_is_not_there(real):
    assert real(user="carol").errors == {"login.user-unknown"}


def test_a_database_that_is_not_there(real):
    assert real(database="nonsense").errors == {"login.database-unknown"}


def test_a_line_of_pg_hba_that_rejects(real):
    assert real(user="nobody").errors == {"login.no-hba-entry"}


def test_no_line_of_pg_hba(real):
    assert "login.no-hba-entry" in real(database="cleardb").errors


def test_a_database_that_may_not_be_used(real, postgres):
    with postgres.connect(dbname="postgres") as session:
        session.execute("revoke connect on database bench from public")
    try:
        assert real(database="bench").errors == {"login.database-forbidden"}
    finally:
        with postgres.connect(dbname="postgres") as session:
            session.execute("grant connect on database bench to public")


def test_too_many_connections_of_a_role(real, postgres):
    with postgres.connect(dbname="postgres") as session:
        session.execute("alter role bob connection limit 0")
    try:
        assert real(user="bob").errors == {"login.too-many-connections"}
    finally:
        with postgres.connect(dbname="postgres") as session:
            session.execute("alter role bob connection limit -1")


@pytest.mark.parametrize("code, text, finding", [
    ("57P03", "the database system is starting up", "login.starting-up"),
    ("57P03", "the database system is shutting down", "login.shutting-down"),
    ("57P01", "terminating connection due to administrator command", "login.shutting-down"),
    ("53300", "sorry, too many clients already", "login.too-many-connections"),
    ("XX000", "something else", "login.refused")])
def test_an_error_of_the_server(scripted, code, text, finding):
    found = scripted(wire.error_response(code, text))
    assert found.errors == {finding}
    assert found.finding(finding)["detail"] == f"{code}: {text}"


def test_what_the_server_says_is_escaped(scripted):
    found = scripted(wire.error_response("XX000", "\x1b[31mred\n"))
    assert found.finding("login.refused")["detail"] == "XX000: \\x1b[31mred\\x0a"


@pytest.mark.parametrize("code", [7, 9, 99])
def test_a_method_that_is_not_known(scripted, code):
    assert scripted(wire.authentication(code)).errors == {"login.method-unsupported"}


def test_a_mechanism_that_is_not_known(scripted):
    offer = wire.authentication(10, b"OAUTHBEARER\0\0")
    assert scripted(offer).errors == {"login.method-unsupported"}


@pytest.mark.parametrize("wanted", ["scram-sha-256", "!password"])
def test_a_method_that_is_forbidden(real, wanted):
    found = real(user="clear", password=PASSWORD, require_auth=wanted)
    assert "login.method-forbidden" in found.errors


def test_a_method_that_is_allowed(real):
    assert real(user="scram", password=PASSWORD,
                require_auth="md5,scram-sha-256").errors == set()


@pytest.mark.parametrize("lie", [wire.AUTHENTICATION_OK + wire.READY,
                                 wire.authentication(12, b"v=" + b"A" * 43 + b"=")])
def test_a_server_that_does_not_know_the_password(scripted, lie):
    """It lets everybody in, to hear what they say."""
    def session(stream):
        first = stream.message().body
        nonce = first.split(b"r=")[1]
        stream.send(wire.authentication(11, b"r=" + nonce + b"x,s=c2FsdA==,i=4096"))
        stream.message()
        stream.send(lie)

    assert scripted(SCRAM_OFFER, session).errors == {"login.server-unproven"}


def test_a_login_that_is_cut(scripted):
    assert scripted(b"").errors == {"login.cut"}


def test_a_login_that_does_not_end(scripted):
    found = scripted(b"", session=lambda stream: stream.rest(), connect_timeout=3)
    assert found.errors == {"login.timeout"}


@pytest.mark.parametrize("words", [b"T\0\0\0\4", b"R\0\0\0\3", b"R\xff\xff\xff\xff",
                                   wire.message("R", b"\0"), b"SSH-2.0 hello"])
def test_what_is_not_the_protocol(scripted, words):
    assert scripted(words).errors == {"login.protocol-broken"}


def test_an_older_protocol(scripted):
    older = wire.message("v", b"\0\3\0\0" + b"\0\0\0\0")
    found = scripted(older + wire.LOGGED_IN)
    assert found.status == 0
    assert found.finding("login.protocol-older")["severity"] == "info"


def test_clocks_that_differ(scripted):
    def session(stream):
        stream.message()
        row = wire.data_row(str(int(time.time()) + 3600).encode(), b"")
        stream.send(row + wire.command_complete() + wire.READY)
        stream.message()

    found = scripted(wire.LOGGED_IN, session)
    assert found.finding("clock.skew")["severity"] == "warning"
    assert "ahead" in found.finding("clock.skew")["detail"]


# ---- passwords ----

def listening(seen):
    """Asks for the password in the clear, and keeps what comes."""
    def session(stream):
        answer = stream.message()
        if answer is not None:
            seen.append(answer.body)
    return session


@pytest.mark.parametrize("offer", [wire.authentication(3), wire.authentication(5, b"salt"),
                                   SCRAM_OFFER])
@pytest.mark.parametrize("query", [{"sslmode": "prefer"}, {"sslmode": "allow"},
                                   {"sslmode": "require", "sslrootcert": None}])
def test_a_password_is_withheld_where_nobody_was_verified(fake, certs, offer, query):
    seen = []
    server = fake(doctor.server(certs.server(), login=offer, session=listening(seen)))
    found = doctor.check(doctor.uri("localhost", server.port, password="sesame", **query))
    assert found.errors == {"login.password-withheld"}
    server.stop()
    assert seen == []


def test_a_password_is_withheld_in_the_clear(postgres_clear):
    found = doctor.check(doctor.uri("localhost", postgres_clear.port, user="scram",
                                    password=PASSWORD, sslmode="disable"))
    assert found.errors == {"login.password-withheld"}


def test_a_password_goes_out_where_it_was_told_to(fake, certs):
    seen = []
    server = fake(doctor.server(certs.server(), login=wire.authentication(3),
                                session=listening(seen)))
    doctor.check(doctor.uri("localhost", server.port, password="sesame", sslmode="prefer"),
                 "--send-password-unverified")
    server.stop()
    assert seen == [b"sesame\0"]


def test_a_password_does_not_follow_a_failed_verification(fake, odd, certs):
    seen = []
    server = fake(doctor.server(certs.server(), login=wire.authentication(3),
                                session=listening(seen)))
    found = doctor.check(doctor.uri("localhost", server.port, password="sesame",
                                    sslrootcert=odd.file("odd-ca.pem")))
    server.stop()
    assert found.errors == {"certificate.unknown-ca"} and seen == []


@pytest.mark.parametrize("mode", ["verify-ca", "require"])
def test_the_chain_is_proof_where_it_was_asked_for(fake, certs, mode):
    """libpq takes require for verify-ca where a root file is named; with verify-full it is none."""
    seen = []
    server = fake(doctor.server(certs.server("backend-other-name"), login=wire.authentication(3),
                                session=listening(seen)))
    for sslmode, errors in ((mode, {"login.cut"}), ("verify-full", {"name.mismatch"})):
        found = doctor.check(doctor.uri("localhost", server.port, password="sesame",
                                        sslmode=sslmode, sslrootcert=certs.cert("backends-ca")))
        assert found.errors == errors
    server.stop()
    assert seen == [b"sesame\0"]


def test_the_password_of_the_file_is_used(postgres, certs, folder):
    path = os.path.join(folder, "pgpass")
    with open(path, "w", encoding="ascii") as out:
        out.write(f"localhost:{postgres.port}:postgres:scram:{PASSWORD}\n")
    os.chmod(path, 0o600)
    found = doctor.check(doctor.uri("localhost", postgres.port, user="scram",
                                    sslrootcert=certs.cert("backends-ca")),
                         env={"PGPASSFILE": path})
    assert found.errors == set(), found.text
