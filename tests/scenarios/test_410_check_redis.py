# SPDX-License-Identifier: PostgreSQL
"""Redis: TLS, AUTH, PING, against Redis itself; what it says when something is wrong."""
import pytest

from peers import doctor
from peers.doctor import answer
from peers.redis import Redis


@pytest.fixture(scope="module")
def secure(session_folder, certs):
    """Redis with TLS, a default user with a password, and one who may do nothing."""
    server = Redis(session_folder, "secure", tls=certs, auth_clients="optional",
                   config=["--requirepass", "sesame",
                           "--user", "alice", "on", ">secret", "+ping", "+auth", "+time",
                           "--user", "mute", "on", ">mute"])
    yield server
    server.stop()


@pytest.fixture(scope="module")
def strict(session_folder, certs):
    server = Redis(session_folder, "strict", tls=certs)
    yield server
    server.stop()


def ask(port, user="", password=None, words=(), scheme="rediss", **query):
    return doctor.check(doctor.uri("localhost", port, user=user, password=password,
                                   database="0", scheme=scheme, **query), *words)


def test_everything_is_good(secure, certs):
    found = ask(secure.tls_port, password="sesame", cacert=certs.cert("backends-ca"))
    assert found.errors == set() and found.status == 0, found.text
    facts = found.facts("login")
    assert facts["authenticated"] == "yes" and facts["ping"] == "PONG" and facts["clock"]
    assert found.facts("verify")["verify-full"] == "works"
    assert found.json["target"].startswith("rediss://")


def test_a_user_with_a_name(secure, certs):
    found = ask(secure.tls_port, user="alice", password="secret",
                cacert=certs.cert("backends-ca"))
    assert found.errors == set(), found.text


def test_a_wrong_password(secure, certs):
    found = ask(secure.tls_port, password="wrong", cacert=certs.cert("backends-ca"))
    assert found.errors == {"login.password-wrong"}


def test_no_password(secure, certs):
    found = ask(secure.tls_port, cacert=certs.cert("backends-ca"))
    assert found.errors == {"login.password-missing"}


def test_a_user_who_may_not_ping(secure, certs):
    found = ask(secure.tls_port, user="mute", password="mute", cacert=certs.cert("backends-ca"))
    assert found.errors == {"redis.forbidden"}


def test_a_password_that_nobody_asks_for(strict, certs):
    found = ask(strict.tls_port, password="sesame", cacert=certs.cert("backends-ca"),
                cert=certs.cert("proxy"), key=certs.key("proxy"))
    assert found.finding("redis.password-needless")["severity"] == "warning"
    assert found.status == 0, found.text


def test_a_client_certificate_that_is_missing(strict, certs):
    found = ask(strict.tls_port, cacert=certs.cert("backends-ca"))
    assert found.errors == {"client.certificate-missing"}


def test_a_client_certificate_that_is_refused(strict, certs):
    found = ask(strict.tls_port, cacert=certs.cert("backends-ca"), cert=certs.cert("alice"),
                key=certs.key("alice"))
    assert found.errors == {"client.certificate-refused"}


def test_an_unknown_ca(secure, certs):
    found = ask(secure.tls_port, password="sesame", cacert=certs.cert("servers-ca"))
    assert found.errors == {"certificate.unknown-ca"}
    assert found.state("login") == "skipped"


def test_a_wrong_name(secure, certs):
    found = ask(secure.tls_port, password="sesame", cacert=certs.cert("backends-ca"),
                sni="cache.example")
    assert found.errors == {"name.mismatch"}


def test_a_password_is_withheld_in_the_clear(secure):
    found = ask(secure.port, password="sesame", scheme="redis")
    assert found.errors == {"login.password-withheld"}
    found = ask(secure.port, password="sesame", scheme="redis",
                words=["--send-password-unverified"])
    assert found.errors == set(), found.text
    assert "settings.weak-mode" in found.ids


@pytest.mark.parametrize("words, finding", [
    (b"-DENIED Redis is running in protected mode\r\n", "redis.protected-mode"),
    (b"-LOADING Redis is loading the dataset in memory\r\n", "redis.loading"),
    (b"-ERR max number of clients reached\r\n", "login.too-many-connections"),
    (b"-ERR unknown\r\n", "login.refused")])
def test_an_error_of_redis(fake, words, finding):
    assert ask(fake(answer(words)).port, scheme="redis").errors == {finding}


def test_a_unix_socket_needs_no_proof(folder):
    path = f"{folder}/redis.sock"
    server = Redis(folder, "socket", config=["--unixsocket", path, "--requirepass", "sesame"])
    try:
        found = doctor.check(f"redis://:sesame@{path.replace('/', '%2F')}/0")
        assert found.errors == set(), found.text
    finally:
        server.stop()
