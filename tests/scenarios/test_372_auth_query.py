# SPDX-License-Identifier: PostgreSQL
"""Verifiers that the server is asked for, by a role and a statement of the configuration."""
import os

import pytest
from psycopg import sql

from peers import sasl, stream
from peers.libpq import client_cert, psql
from peers.proxy import route, run, toml

PASSWORD = "open sesame"
STATEMENT = "select rolname, public.verifier_of($1) from pg_catalog.pg_roles where rolname = $1"
SETUP = (
    "set password_encryption = 'scram-sha-256'",
    "drop table if exists public.asked",
    "create table public.asked (about text, application text, who text)",
    """create or replace function public.verifier_of(name) returns text language sql
       security definer set search_path = pg_catalog as $$
       insert into public.asked values ($1, current_setting('application_name'), session_user);
       select rolpassword from pg_catalog.pg_authid where rolname = $1 $$""",
    "drop role if exists asker",
    "create role asker login password 'ask me'",
    "drop role if exists ann",
    "create role ann login password 'open sesame'",
)


@pytest.fixture
def asked(postgres):
    """asked(): whom the server was asked about since the last time."""
    with postgres.connect(dbname="postgres") as session:
        for statement in SETUP:
            session.execute(statement)

    def one():
        with postgres.connect(dbname="postgres") as session:
            rows = session.execute("delete from public.asked returning about, application, who").fetchall()
        assert {row[1:] for row in rows} <= {("pgtls auth_query", "asker")}
        return [row[0] for row in rows]
    return one


def secret(folder, text, name="password"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path, 0o600)
    return path


@pytest.fixture
def asking(start, listener, verified, postgres, folder, asked):
    """asking(**backend): a proxy that knows nobody by itself."""
    def one(password="ask me\n", **backend):
        words = {"scram": "bridge", "auth_query": STATEMENT, "auth_query_user": "asker",
                 "auth_query_password_file": secret(folder, password), **backend}
        return start(route(verified(postgres.address, **words), listener()))
    return one


@pytest.fixture
def scramdb(postgres):
    """A database that asks everybody for SCRAM."""
    with postgres.connect(dbname="postgres") as session:
        if not session.execute("select 1 from pg_database where datname = 'scramdb'").fetchall():
            session.execute("create database scramdb")
    return "scramdb"


def login(one, certs, scramdb, user="ann", password=PASSWORD, **more):
    return psql(one.port, "select current_user", user=user, password=password, dbname=scramdb,
                **client_cert(certs, None), **more)


@pytest.mark.parametrize("way", ["bridge", "auto"])
def test_a_verifier_is_found_and_remembered(asking, asked, certs, scramdb, way):
    one = asking(scram=way)
    for binding in ("require", "prefer", "disable"):
        done = login(one, certs, scramdb, channel_binding=binding)
        assert (done.returncode, done.stdout) == (0, "ann\n"), done.stderr
    assert asked() == ["ann"]
    assert one.wait_event("auth.ok")["scram"] == "bridged"


def test_the_lifetime_of_what_is_remembered(asking, asked, certs, scramdb):
    one = asking(auth_query_cache="0s")
    for _ in range(2):
        assert login(one, certs, scramdb).returncode == 0
    assert asked() == ["ann", "ann"]


def test_the_limit_of_what_is_remembered(asking, asked, certs, scramdb):
    one = asking(auth_query_cache_users=1)
    for user in ("ann", "scram", "ann"):
        assert login(one, certs, scramdb, user).returncode == 0
    assert asked() == ["ann", "scram", "ann"]


def test_a_changed_password_works_at_the_second_try(asking, asked, certs, scramdb, postgres):
    one = asking()
    assert login(one, certs, scramdb).returncode == 0
    with postgres.connect(dbname="postgres") as session:
        session.execute("set password_encryption = 'scram-sha-256'")
        session.execute("alter role ann password 'another'")
    assert login(one, certs, scramdb, password="another").returncode == 2
    assert login(one, certs, scramdb, password="another").returncode == 0
    assert asked() == ["ann", "ann"]


def test_strangers_are_refused_and_remembered_too(asking, asked, certs, scramdb):
    one = asking()
    for _ in range(2):
        done = login(one, certs, scramdb, user="no such user")
        assert 'password authentication failed for user "no such user"' in done.stderr
    assert asked() == []
    one.stop()
    assert len(one.find("backend.connect.ok")) == 3        # two logins, one question


def test_nothing_of_a_startup_packet_reaches_the_question(asking, asked, certs, scramdb):
    """CVE-2025-12819: a search_path of a client; and a name that is not a name."""
    one = asking()
    for name in ("ann' or '1'='1", 'ann"; drop table public.asked; --', "ann\\", "$1"):
        with stream.connect_tls(one.port, certs.client()) as client:
            knocking = sasl.Login(client, name, database="scramdb", search_path="evil, public",
                                  application_name="evil", role="postgres",
                                  options="-c search_path=evil -c session_authorization=postgres")
            knocking.offered()
            assert knocking.first() is not None
    assert asked() == []
    with stream.connect_tls(one.port, certs.client()) as client:
        knocking = sasl.Login(client, "ann", database="scramdb", search_path="evil, public",
                              application_name="evil")
        assert knocking.whole()[-1].type == "Z"
    assert asked() == ["ann"]


def test_a_name_that_the_server_would_cut_is_nobodys(asking, asked, certs, scramdb, postgres):
    """PostgreSQL takes the first 63 bytes of it for a name: of whom is not asked."""
    longest = "x" * 63
    with postgres.connect(dbname="postgres") as session:
        session.execute("set password_encryption = 'scram-sha-256'")
        session.execute(f"drop role if exists {longest}")
        session.execute(f"create role {longest} login password 'open sesame'")
    one = asking(auth_query="select public.verifier_of($1)")
    assert login(one, certs, scramdb, longest).returncode == 0
    done = login(one, certs, scramdb, longest + "y")
    assert "password authentication failed" in done.stderr
    assert asked() == [longest]


def test_the_file_is_asked_first(asking, asked, certs, scramdb, folder, postgres):
    from peers import verifiers
    users = verifiers.userlist(folder, verifiers.copied(postgres, "ann"))
    one = asking(auth_file=users)
    assert login(one, certs, scramdb).returncode == 0
    assert asked() == []


def test_another_database(asking, asked, certs, scramdb):
    """The function is in postgres only: what the setting says is seen by the failure."""
    one = asking(auth_query_database="template1")
    assert login(one, certs, scramdb).returncode == 2
    assert "verifier_of" in one.wait_event("auth.failed", phase="auth_query")["reason"]


FAILURES = [
    ({"password": "wrong\n"}, "password authentication failed"),
    ({"auth_query": "select rolpassword from pg_authid where rolname = $1"}, "permission denied"),
    ({"auth_query": "select null from generate_series(1, 2) where $1 = $1"}, "more than one row"),
    ({"auth_query_user": "md5"}, "in clear or as md5"),
]


@pytest.mark.parametrize("words, reason", FAILURES)
def test_a_question_that_fails_is_told_and_lets_nobody_in(asking, certs, scramdb, words, reason):
    words = {"auth_query_database": "scramdb" if "password" in words else "postgres", **words}
    one = asking(**words)
    done = login(one, certs, scramdb)
    assert done.returncode == 2
    assert "could not look up how to authenticate the user" in done.stderr
    assert reason in one.wait_event("auth.failed", phase="auth_query")["reason"]


def test_who_has_no_verifier_is_told_what_strangers_are_told(asking, certs, scramdb):
    """PostgreSQL makes an exchange up for a password that is kept as md5, too."""
    told = []
    for statement in ("select 'md5f6fdffe48c908deb0f4c3bd36c032e72' || substr($1, 1, 0)",
                      "select null where $1 = $1", "select '' where $1 <> $1"):
        one = asking(auth_query=statement)
        for _ in range(2):
            with stream.connect_tls(one.port, certs.client()) as client:
                knocking = sasl.Login(client, "ann", database=scramdb)
                assert knocking.offered() == [sasl.PLUS, sasl.SCRAM]
                last = knocking.final(sasl.body_of(knocking.first(), 11))
                told.append((last.type, tuple(sorted(last.fields.items()))))
        one.stop()
        assert "md5f6" not in one.text().replace(one.config_text, "")
        failures = one.find("auth.failed", phase="auth_query")
        assert len(failures) == (1 if "md5" in statement else 0)     # it is remembered
        assert all("not a SCRAM-SHA-256 verifier" in line["reason"] for line in failures)
    assert len(set(told)) == 1 and told[0][0] == "E", told


def test_in_auto_a_question_that_fails_leaves_the_login_as_it_is(asking, certs, scramdb):
    one = asking(scram="auto", auth_query_database="scramdb", password="wrong\n")
    assert login(one, certs, scramdb, channel_binding="disable").returncode == 0
    done = login(one, certs, scramdb)
    assert "channel binding check failed" in done.stderr
    assert len(one.wait_count("auth.failed", 2, phase="auth_query")) == 2


# What SASLprep maps, normalises, forbids, or does not know; RFC 4013 and PostgreSQL's saslprep.c.
PASSWORDS = [
    "plain", "bell\x07", "p\u00e4ss", "o\u0308x", "I\u00adX", "\u00aa", "\u2168", "a\u00a0z", "a\u2003z",
    "a\u200bz", "a\u3000z", "\u00ad", "bell\x07\u00e4", "\u0627\u0031", "\u0627x\u0627", "\u0627\u0628",
    "\u0340x", "\u2126", "\ufb01n", "\uff46\uff55ll", "\ufdfa", "\u1e9b\u0323", "\ud55c\uae00", "\u1112\u1161",
    "\ue000", "\ufffd", "\u0221x", "\U0001f600", "\U0001d400", "\U0002f868", "\U0002f874",
    "\U0002f91f", "\U0002f95f", "\U0002f9bf", "\U000e0001x", "\u2028x",
    "\u0e33", "\u0958", "\u03d2\u0301", "x\u034fy", "x\ufe0fy", "\u06ddx", "\u1806x", "\u200ex",
    "\u05d0\u05d1", "\u05d01", "1\u05d0", "\u0345\u03b1", "\u212b", "\u00bd", "\u3392", "\uffe0",
]


def test_passwords_are_prepared_as_postgresql_prepares_them(start, listener, verified, postgres,
                                                            folder, certs, scramdb, asked):
    """A role for each, whose verifier PostgreSQL makes, and a route that logs in as it."""
    routes = []
    with postgres.connect(dbname="postgres") as session:
        session.execute("set password_encryption = 'scram-sha-256'")
        for number, password in enumerate(PASSWORDS):
            role = f"prepared{number}"
            session.execute(f"drop role if exists {role}")
            session.execute(sql.SQL("create role {} login superuser password {}").format(
                sql.Identifier(role), sql.Literal(password)))
            routes.append(route(verified(
                postgres.address, scram="bridge", auth_query_user=role, auth_query_database=scramdb,
                auth_query="select rolpassword from pg_catalog.pg_authid where rolname = $1",
                auth_query_password_file=secret(folder, password + "\n", role)), listener(),
                name=role))
    one = start(*routes)
    wrong = []
    for password, words in zip(PASSWORDS, routes):
        port = int(words["listener"]["bind_address"].rpartition(":")[2])
        with stream.connect_tls(port, certs.client()) as client:
            knocking = sasl.Login(client, "ann", database=scramdb)
            if knocking.message().type != "R":
                wrong.append(password)
    assert not wrong, one.find("auth.failed")


REFUSED = [
    ({"auth_query_user": None}, "needs auth_query_user"),
    ({"auth_query": "select verifier from users"}, "does not use $1"),
    ({"auth_query": None}, "has no effect without auth_query"),
    ({"auth_query_cache": "0s", "auth_query_cache_users": 5}, "has no effect with auth_query_cache"),
    ({"auth_query_cache": "soon"}, "is not a duration"),
    ({"auth_query_cache_users": 0}, "out of range"),
    ({"auth_query_database": ""}, "auth_query_database"),
    ({"auth_query_user": ""}, "auth_query_user"),
    ({"auth_query_password_file": "/nowhere"}, "could not open"),
    ({"scram": "passthrough"}, "has no effect with this scram"),
    ({"sslmode": "prefer", "root_ca": None}, "could come in plaintext"),
]


@pytest.mark.parametrize("words, complaint", REFUSED)
def test_what_cannot_take_effect_is_refused_at_load(folder, listener, verified, words, complaint):
    backend = verified("127.0.0.1:1", auth_query=STATEMENT, auth_query_user="asker") | words
    config = os.path.join(folder, "checked.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route(backend, listener())]))
    done = run("proxy", "-c", config, "--check")
    assert done.returncode == 1
    assert complaint in done.stderr, done.stderr
