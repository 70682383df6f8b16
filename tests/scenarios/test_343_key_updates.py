# SPDX-License-Identifier: PostgreSQL
"""Peers that change their keys for ever, or ask for a new handshake, are told to stop, whoever protects
records; others may."""
import ssl

import pytest

from hostile import servers
from hostile.clients import Dialer
from hostile.forger import HANDSHAKE, HELLO_REQUEST, TLS_1_2, handshake
from peers import wire
from peers.backend import accept_login
from peers.proxy import route
from peers.stream import connect

MOST = 64                                   # that no data pays for: src/tls/unpaid.h
REASON = "sent too many messages without data"


@pytest.fixture(params=["record", "library"])
def layer(request):
    return request.param


def polite(stream, _tell):
    """Logs in and answers every query."""
    if accept_login(stream) is not None:
        while (one := stream.message()) is not None and one.type == "Q":
            stream.send(wire.command_complete() + wire.READY)


@pytest.fixture
def dialer(start, listener, fake, certs, layer):
    one = start(route({"address": fake(polite).address},
                      listener("require", record_layer=layer)))
    dialer = Dialer(one.port, certs)
    dialer.proxy = one
    yield dialer
    dialer.close()


def told(one, leg, event="tls.failed"):
    """What the log says of the end."""
    line = one.wait_event(event)
    assert (line["leg"], line["alert_sent"]) == (leg, "unexpected_message"), line
    assert REASON in line["reason"], line


def hears_the_alert(stream):
    with pytest.raises(ssl.SSLError, match="(?i)unexpected.message"):
        stream.rest()


@pytest.mark.parametrize("please", [False, True])
@pytest.mark.parametrize("moment", ["secure", "logged_in"])
def test_a_client_that_changes_its_key_for_ever_is_told_to_stop(dialer, moment, please):
    stream = getattr(dialer, moment)()
    for _ in range(MOST + 1):
        stream.update_keys(please)
    hears_the_alert(stream)
    told(dialer.proxy, "client")


def test_a_byte_behind_each_does_not_pay_for_it(dialer):
    stream = dialer.logged_in()
    query = wire.query("x" * 200)
    for at in range(MOST + 6):
        stream.update_keys()
        stream.send(query[at:at + 1])
    hears_the_alert(stream)
    told(dialer.proxy, "client")


def test_thousands_at_once_end_at_the_first_too_many(dialer):
    stream, flood = dialer.logged_in(), []
    stream.send_record = lambda kind, body: flood.append(stream.sealer.record(kind, body))
    for _ in range(5000):
        stream.update_keys(please=True)
    try:
        stream.sock.sendall(b"".join(flood))
    except OSError:
        pass                                # it ended before the last
    told(dialer.proxy, "client")
    dialer.until_end()


def test_who_changes_keys_now_and_then_is_served(dialer):
    stream = dialer.logged_in()
    for turn in range(3 * MOST):
        stream.update_keys(please=turn % 2 == 1)
        for _ in range(8):                  # and as many answers
            assert [one.type for one in stream.query("select")] == ["C", "Z"]
    assert not dialer.proxy.find("tls.failed")


def changing(certs, moment, please):
    """A server that changes its key for ever, and then tells how the proxy took it."""
    def script(stream, tell):
        one = servers.accept_tls(stream, certs)
        assert one.packet() is not None
        if moment == "logged_in":
            one.send(wire.LOGGED_IN)
            one.message()
        for _ in range(MOST + 1):
            one.update_keys(please)
        try:
            tell(one.rest())
        except ssl.SSLError as error:
            tell(error.reason)
    return script


@pytest.mark.parametrize("please", [False, True])   # then answers may be on their way
@pytest.mark.parametrize("moment", ["secure", "logged_in"])
def test_so_is_a_server(start, fake, certs, verified, layer, moment, please):
    server = fake(changing(certs, moment, please))
    one = start(route(verified(server.address, record_layer=layer)))
    with connect(one.port) as client:
        client.send(wire.startup())
        if moment == "logged_in":
            client.messages_until("Z")
            client.send(wire.query("select"))
        assert [message.type for message in client.messages_until("E")] == ["E"]
        assert "UNEXPECTED_MESSAGE" in server.wait()[0]
    # during the login a server may still refuse our certificate, so that is where it is told
    told(one, "backend", "tls.failed" if moment == "logged_in" else "tls.handshake.failed")


# TLS 1.2: each is answered with a warning, and the session goes on

CLIENT_HELLO = handshake(1, bytes([3, 3]) + bytes(32) + b"\0" + b"\0\x02\xc0\x2b" + b"\x01\0" +
                         bytes.fromhex("0005 ff01 0001 00"))


def declined(one, leg):
    line = one.wait_event("tls.failed")
    assert (line["leg"], line["alert_sent"]) == (leg, "no_renegotiation"), line
    assert REASON in line["reason"], line


@pytest.fixture
def old(start, listener, fake, certs):
    """Dials a proxy that lets TLS 1.2 in; its server tells which messages came."""
    def script(stream, tell):
        if accept_login(stream) is not None and (message := stream.message()) is not None:
            tell(message.type)

    server = fake(script)
    one = start(route({"address": server.address}, listener("require")))
    dialer = Dialer(one.port, certs)
    dialer.proxy, dialer.server = one, server
    yield dialer
    dialer.close()


@pytest.mark.parametrize("moment", ["secure", "logged_in"])
def test_a_client_that_asks_for_new_handshakes_for_ever_is_closed(old, moment):
    stream = getattr(old, moment)(TLS_1_2)
    for _ in range(MOST + 1):
        stream.send_record(HANDSHAKE, CLIENT_HELLO)
    old.until_end()
    declined(old.proxy, "client")


def test_one_that_asks_for_few_is_served(old):
    stream = old.logged_in(TLS_1_2)
    for _ in range(MOST):
        stream.send_record(HANDSHAKE, CLIENT_HELLO)
    stream.send(wire.query("select"))
    assert old.server.wait() == ["Q"]
    assert not old.proxy.find("tls.failed")


def test_a_server_that_asks_for_new_handshakes_for_ever_is_left(start, fake, certs, verified):
    def script(stream, _tell):
        one = servers.accept_tls(stream, certs, TLS_1_2)
        assert one.packet() is not None
        one.send(wire.LOGGED_IN)
        one.message()
        for _ in range(MOST + 1):
            one.send_record(HANDSHAKE, HELLO_REQUEST)
        servers.linger(one)

    one = start(route(verified(fake(script).address)))
    with connect(one.port) as client:
        client.login()
        client.send(wire.query("select"))
        assert [message.type for message in client.messages_until("E")] == ["E"]
    declined(one, "backend")
