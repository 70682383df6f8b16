# SPDX-License-Identifier: PostgreSQL
"""Servers that harm whoever asks what is wrong with them: endless, huge, absurd, full of escapes."""
import subprocess

import pytest

from peers import doctor, wire
from peers.proxy import program

ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m"


@pytest.fixture
def script(odd):
    """script(login, session): a server that verifies, and what it says."""
    odd.issue("good")

    def one(login=wire.LOGGED_IN, session=None, **more):
        return doctor.server(odd.server("good", "odd-issuing"), login=login, session=session, **more)
    return one


@pytest.fixture
def hostile(fake, script, odd):
    def one(*args, timeout=20, **more):
        return doctor.check(doctor.uri("localhost", fake(script(*args, **more)).port,
                                       password="sesame", connect_timeout=timeout,
                                       sslrootcert=odd.file("odd-ca.pem")))
    return one


# ---- without end ----

def for_ever(words):
    """The same again and again, until nobody listens."""
    def session(stream):
        while True:
            stream.send(words)
    return session


@pytest.mark.parametrize("message", [
    wire.parameter("server_version", "15.0"), wire.message("N", b"SNOTICE\0\0"),
    wire.parameter("x", "y" * 60000), wire.message("K", bytes(8))], ids=["S", "N", "long", "K"])
def test_a_login_that_goes_on_for_ever(hostile, message):
    found = hostile(wire.AUTHENTICATION_OK, for_ever(message * max(1, 60000 // len(message))), timeout=3)
    assert found.errors == {"login.timeout"}
    assert len(found.text) < 100000


def test_a_session_that_goes_on_for_ever(hostile):
    found = hostile(wire.LOGGED_IN, for_ever(wire.data_row(b"0", b"") * 100), timeout=3)
    assert found.errors == set() and "clock.skew" in found.ids
    assert len(found.text) < 100000


def test_a_greeting_that_goes_on_for_ever(fake):
    server = fake(lambda stream, _tell: for_ever(b"Hello! " * 1000)(stream))
    assert doctor.check(doctor.uri("localhost", server.port, connect_timeout=1)).status == 1


@pytest.mark.parametrize("words", [b"+" + b"a" * 10000, b"*1000000\r\n", b"$1000000000\r\n",
                                   b"$-5\r\n", b"a" * 10000])
def test_a_reply_of_redis_without_an_end(fake, words):
    server = fake(lambda stream, _tell: for_ever(words)(stream))
    found = doctor.check(doctor.uri("localhost", server.port, user="", database="0",
                                    scheme="redis", connect_timeout=1))
    assert found.status == 1 and found.state("login") == "failed"


# ---- huge ----

@pytest.mark.parametrize("size", [60000, 70000, 2000000, 0x7fffffff])
def test_an_error_that_is_huge(hostile, size):
    error = wire.error_response("XX000", "a" * min(size, 2000000))
    if size > 2000000:
        error = b"E" + size.to_bytes(4, "big") + error[5:]
    found = hostile(error)
    assert found.errors == {"login.refused" if size < 65536 else "login.protocol-broken"}
    assert len(found.text) < 20000


def test_a_chain_of_a_hundred(fake, odd):
    odd.issue("good")
    odd.join("hundred.pem", "odd-issuing.pem", *["odd-ca.pem"] * 98)
    server = fake(doctor.server(odd.server("good", "hundred")))
    found = doctor.check(doctor.uri("localhost", server.port, connect_timeout=20,
                                    sslrootcert=odd.file("odd-ca.pem")))
    assert len(found.facts("certificate")["chain"]) == 3
    assert found.facts("certificate")["unused"] == ["CN=odd root,O=odd"] * 8 + [
        "... and more: 97 in all"]
    assert found.facts("login")["authenticated"] == "yes", found.text


# ---- absurd ----

NO_CLOCKS = [b"-9223372036854775808", b"9223372036854775807", b"99999999999999999999999", b"",
             b"now", b"1e9", b"1\0"]


def tells_no_clock(found):
    return (found.errors == set() and found.state("login") != "failed"
            and "clock" not in found.facts("login") and "clock.skew" not in found.ids)


@pytest.mark.parametrize("clock", NO_CLOCKS)
def test_a_clock_of_nowhere(hostile, clock):
    def session(stream):
        stream.message()
        stream.send(wire.data_row(clock, b"") + wire.command_complete() + wire.READY)
        stream.message()

    assert tells_no_clock(hostile(wire.LOGGED_IN, session))


@pytest.mark.parametrize("clock", NO_CLOCKS)
def test_a_clock_of_nowhere_of_redis(fake, clock):
    def answer(stream, _tell):
        stream.sock.recv(1000)
        stream.send(b"+PONG\r\n")
        stream.sock.recv(1000)
        stream.send(b"*2\r\n$%d\r\n%s\r\n$1\r\n0\r\n" % (len(clock), clock))

    assert tells_no_clock(doctor.check(doctor.uri(
        "localhost", fake(answer).port, user="", database="0", scheme="redis",
        connect_timeout=20)))


@pytest.mark.parametrize("iterations", [b"0", b"-1", b"2000000000", b"99999999999999999999"])
def test_a_password_is_not_stretched_for_ever(hostile, iterations):
    def session(stream):
        nonce = stream.message().body.split(b"r=")[1]
        stream.send(wire.authentication(11, b"r=" + nonce + b"x,s=c2FsdA==,i=" + iterations))
        stream.message()

    found = hostile(wire.authentication(10, b"SCRAM-SHA-256\0\0"), session)
    assert found.errors == {"login.protocol-broken"}
    assert "iteration count" in found.finding("login.protocol-broken")["detail"]


# ---- escape sequences ----

def is_harmless(text):
    """Lines of visible ASCII: nothing that a terminal would obey."""
    return all(line.isascii() and line.isprintable() for line in text.splitlines())


def shown(port, *words, **query):
    done = doctor.run(doctor.uri("localhost", port, **{"connect_timeout": 20, **query}), *words)
    assert done.stderr == ""
    assert is_harmless(done.stdout), repr(done.stdout)
    assert "owned" in done.stdout
    return done.stdout


@pytest.fixture
def speaking(odd):
    """A certificate with escapes wherever a text may stand."""
    odd.authority("speaking")
    return odd.issue("speaking-leaf", "speaking-issuing",
                     subject=f"/CN=localhost/O=org{ESCAPES}",
                     names="DNS:localhost,DNS:owned\x1b[2J,email:owned\x1b[2J,URI:owned:\x1b[2J")


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_no_escapes_of_a_server_reach_the_terminal(fake, odd, speaking, words):
    def session(stream):
        stream.message()
        stream.send(wire.data_row(b"1", ESCAPES.encode()) + wire.command_complete() + wire.READY)

    login = (wire.AUTHENTICATION_OK + wire.parameter("server_version", ESCAPES) + wire.READY)
    server = fake(doctor.server(odd.server(speaking, "speaking-issuing"), login=login,
                                plaintext=wire.error_response("28000", ESCAPES),
                                session=session))
    text = shown(server.port, *words, sslrootcert=odd.file("speaking-ca.pem"))
    assert text.count("owned") >= 5


@pytest.mark.parametrize("answer", [
    wire.error_response(ESCAPES, ESCAPES), wire.authentication(10, ESCAPES.encode() + b"\0\0")])
def test_no_escapes_of_a_refusal(fake, script, odd, answer):
    server = fake(script(answer, plaintext=wire.error_response("28000", "owned" + ESCAPES)))
    shown(server.port, sslrootcert=odd.file("odd-ca.pem"))


def test_no_escapes_of_whoever_else_answers(fake):
    shown(fake(doctor.answer(("owned" + ESCAPES).encode())).port, connect_timeout=2)


@pytest.mark.parametrize("kind", ["-", "+"])
def test_no_escapes_of_redis(fake, kind):
    server = fake(doctor.answer(f"{kind}ERR owned{ESCAPES[:-5]}\r\n".encode()))
    done = doctor.run(doctor.uri("localhost", server.port, user="", database="0", scheme="redis",
                                 connect_timeout=2))
    assert done.stderr == "" and is_harmless(done.stdout)


def test_show_prints_no_escapes(fake, odd, speaking, folder):
    server = fake(doctor.server(odd.server(speaking, "speaking-issuing")))
    for words in ([f"localhost:{server.port}"], [odd.file(f"{speaking}.pem")],
                  [odd.file(f"{speaking}.pem"), "--json"]):
        done = subprocess.run([program(), "cert", "show", *words], capture_output=True, text=True,
                              timeout=60, check=True)
        assert is_harmless(done.stdout) and "owned" in done.stdout
