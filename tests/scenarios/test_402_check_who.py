# SPDX-License-Identifier: PostgreSQL
"""Who answers, if not PostgreSQL (or Redis)."""
import http.server
import threading

import pytest

from peers import doctor
from peers.doctor import answer
from peers.redis import Redis


@pytest.fixture
def web(request):
    """A real HTTP server, in the clear or with a context."""
    running = []

    def one(context=None):
        class Quiet(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05},
                                  daemon=True)
        thread.start()
        running.append((server, thread))
        return server.server_address[1]

    yield one
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join(10)


def who(port, scheme="postgresql", wait=20, **more):
    """`wait`: what a server takes that answers nothing; the others do not wait so long."""
    return doctor.check(doctor.uri("127.0.0.1", port, scheme=scheme, connect_timeout=wait,
                                   **more))


def test_an_http_server(web):
    assert who(web(), wait=4).errors == {"server.http"}


def test_an_https_server(web, certs):
    assert who(web(certs.server()), wait=4).errors == {"server.http"}


def greeting(words):
    def script(stream, _tell):
        stream.send(words)
        stream.rest()
    return script


@pytest.mark.parametrize("words, finding", [
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "server.ssh"),
    (b"J\0\0\0\x0a8.0.36\0" + bytes(60), "server.mysql"),
    (b"220 mail.example ESMTP\r\n", "server.unknown")])
def test_a_server_that_speaks_first(fake, words, finding):
    assert who(fake(greeting(words)).port).errors == {finding}


def test_an_answer_that_is_no_answer(fake):
    assert who(fake(answer(b"Hello, who is there?\r\n")).port).errors == {"server.unknown"}


def test_a_redis_server_in_the_clear(redis):
    assert who(redis().port, wait=4).errors == {"server.redis"}


def test_a_redis_server_in_tls(redis, certs):
    server = redis(tls=certs, auth_clients="no")
    assert who(server.tls_port, wait=4).errors == {"server.redis-tls"}


def test_redis_in_the_clear_where_tls_was_meant(redis):
    found = who(redis().port, scheme="rediss", wait=4, user="", database="0")
    assert found.errors == {"server.redis", "negotiate.no-tls"}


def test_redis_in_tls_where_none_was_meant(redis, certs):
    server = redis(tls=certs, auth_clients="no")
    assert "server.redis-tls" in who(server.tls_port, scheme="redis", user="",
                                     database="0").errors


def test_postgresql_where_redis_was_meant(postgres):
    for scheme in ("redis", "rediss"):
        assert "server.postgresql" in who(postgres.port, scheme=scheme, user="",
                                          database="0").errors


def test_tls_from_the_first_byte_of_somebody(fake, certs):
    context = certs.server()

    def script(stream, _tell):
        stream.start_tls(context, server_side=True)
        stream.rest()

    assert who(fake(script).port, wait=4).errors == {"server.tls"}


def test_silence(fake):
    assert who(fake(lambda stream, tell: stream.rest()).port, wait=1).errors == {"server.silent"}


def test_somebody_who_hangs_up(fake):
    assert who(fake(lambda stream, tell: None).port).errors == {"server.closes"}


@pytest.fixture
def redis(folder):
    running = []

    def one(**more):
        running.append(Redis(folder, len(running), **more))
        return running[-1]

    yield one
    for server in running:
        server.stop()
