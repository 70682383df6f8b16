# SPDX-License-Identifier: PostgreSQL
"""Servers that lie.  A case is the script of a FakeBackend; what becomes of it is the proxy's.

EVIL stands in everything that no client may ever see.
"""
import os
import socket
import struct
import time

from hostile.forger import (ALERT, CCS, DATA, HANDSHAKE, HELLO_REQUEST, TLS_1_2, TLS_1_3, Forger,
                            flip, handshake, record)
from peers import wire

EVIL = b"EVIL-EVIL-EVIL"
EVIL_ROW = wire.data_row(EVIL)
EVIL_ERROR = wire.error_response("28000", EVIL.decode())
WARNING_CANCELED, CLOSE_NOTIFY, FATAL = b"\1\x5a", b"\1\0", b"\2\x28"

# by what the proxy waits for: the answer to SSLRequest, the handshake, the login, messages
ASKED, SHAKING, LOGIN, SESSION = {}, {}, {}, {}


def case(table, name, *arguments):
    def add(function):
        assert name not in table, name
        table[name] = lambda stream, certs: function(stream, certs, *arguments)
        return function
    return add


def forger(stream):
    """The same connection, with a peer that can forge."""
    return Forger(stream.sock)


def linger(stream):
    """Reads until the proxy has enough of it."""
    try:
        while stream.sock.recv(65536):
            pass
    except OSError:
        pass


def accept_tls(stream, certs, version=TLS_1_3, cert="backend"):
    assert stream.packet() == wire.SSL_REQUEST
    stream.send(b"S")
    one = forger(stream)
    one.start_tls(certs.server(cert, version=version), server_side=True)
    return one.forge()


# Instead of S

def answers(name, data, ends=None):
    @case(ASKED, name)
    def _(stream, _certs):
        stream.packet()
        stream.sock.sendall(data)
        if ends is not None:
            ends(stream)
        linger(stream)


answers("nothing", b"")
answers("the end", b"", lambda s: s.sock.shutdown(socket.SHUT_WR))
answers("a reset", b"", lambda s: s.reset())
answers("N", b"N")
answers("N and a login", b"N" + wire.LOGGED_IN + EVIL_ROW)
answers("an error", EVIL_ERROR)
answers("half an error", EVIL_ERROR[:7])
answers("an error that never ends", b"E\x7f\xff\xff\xff" + EVIL * 3000)
answers("a login", wire.LOGGED_IN + EVIL_ROW)
answers("a handshake record", record(HANDSHAKE, EVIL))
answers("http", b"HTTP/1.1 400 Bad Request\r\n\r\n" + EVIL)
answers("noise", bytes([0]) + os.urandom(100000))
answers("S and the end", b"S", lambda s: s.sock.shutdown(socket.SHUT_WR))
answers("S and a reset", b"S", lambda s: s.reset())
answers("S and silence", b"S")
answers("S a thousand times", b"S" * 1000)
answers("S and N", b"SN")
answers("S and an error", b"S" + EVIL_ERROR)
answers("S and a login", b"S" + wire.LOGGED_IN + EVIL_ROW)
answers("S and noise", b"S" + bytes([0]) + os.urandom(100000))


@case(ASKED, "closes before it is asked")
def _(stream, _certs):
    pass


@case(ASKED, "resets before it is asked")
def _(stream, _certs):
    stream.reset()


# Instead of a handshake: the ClientHello was read

def shakes(name, data, ends=None):
    @case(SHAKING, name)
    def _(stream, _certs):
        stream.packet()
        stream.send(b"S")
        stream.sock.recv(4096)
        stream.sock.sendall(data)
        if ends is not None:
            ends(stream)
        linger(stream)


shakes("the end", b"", lambda s: s.sock.shutdown(socket.SHUT_WR))
shakes("a reset", b"", lambda s: s.reset())
for kind in (0, 1, CCS, ALERT, DATA, 24, 128, 255):
    shakes(f"a record of type {kind}", record(kind, EVIL))
for words in (0, 0x0002, 0x0200, 0x0400, 0x7f1c, 0xffff):
    shakes(f"a record of version {words:#x}", record(HANDSHAKE, handshake(2, EVIL * 4), words))
for size in (0, 1, 16385, 16641, 18433, 65535):
    shakes(f"a record of {size} bytes", record(HANDSHAKE, handshake(2, EVIL * 5000)[:size]))
    shakes(f"a record of {size} bytes, cut", record(HANDSHAKE, handshake(2), length=size))
shakes("empty records for ever", record(HANDSHAKE) * 5000)
shakes("ccs for ever", record(CCS, b"\1") * 5000)
shakes("warnings for ever", record(ALERT, WARNING_CANCELED) * 5000)
shakes("a fatal alert", record(ALERT, FATAL))
shakes("close notify", record(ALERT, CLOSE_NOTIFY))
shakes("half an alert", record(ALERT, b"\2"))
shakes("hello requests", record(HANDSHAKE, HELLO_REQUEST) * 5000)
shakes("a server hello of 16 MiB", record(HANDSHAKE, handshake(2, EVIL * 1000, 0xffffff)) * 20)
shakes("a certificate first", record(HANDSHAKE, handshake(11, EVIL)))
shakes("a hello of TLS 1.1", record(HANDSHAKE, handshake(
    2, b"\3\2" + b"\0" * 32 + b"\0" + b"\xc0\x13\0")))
shakes("a hello with NULL", record(HANDSHAKE, handshake(
    2, b"\3\3" + b"\0" * 32 + b"\0" + b"\0\x3b\0")))


@case(SHAKING, "its own hello back")
def _(stream, _certs):
    stream.packet()
    stream.send(b"S")
    stream.sock.sendall(stream.sock.recv(4096))
    linger(stream)


def begun(stream, certs, version):
    """Behind the ClientHello: the flight that a good server would send."""
    stream.packet()
    stream.send(b"S")
    stream.begin_tls(certs.server(version=version), server_side=True)
    stream._in.write(stream.sock.recv(8192))
    return stream.first_flight()


for edition in (TLS_1_3, TLS_1_2):
    for part in range(1, 10):
        @case(SHAKING, f"{edition.name}: {part} tenths", edition, part)
        def _(stream, certs, version, tenths):
            flight = begun(stream, certs, version)
            stream.sock.sendall(flight[:len(flight) * tenths // 10])
            linger(stream)

        @case(SHAKING, f"{edition.name}: {part} tenths, the end", edition, part)
        def _(stream, certs, version, tenths):
            flight = begun(stream, certs, version)
            stream.sock.sendall(flight[:len(flight) * tenths // 10])

        @case(SHAKING, f"{edition.name}: changed at {part} tenths", edition, part)
        def _(stream, certs, version, tenths):
            flight = begun(stream, certs, version)
            stream.sock.sendall(flip(flight, len(flight) * tenths // 10))
            linger(stream)

    for at in (0, 1, 3, 4, 5, 6, 9, 10, 43, 76, 77):
        @case(SHAKING, f"{edition.name}: byte {at} changed", edition, at)
        def _(stream, certs, version, place):
            stream.sock.sendall(flip(begun(stream, certs, version), place))
            linger(stream)

    @case(SHAKING, f"{edition.name}: a login in the clear behind the flight", edition)
    def _(stream, certs, version):
        stream.sock.sendall(begun(stream, certs, version) + wire.LOGGED_IN + EVIL_ROW)
        linger(stream)

    for name in ("stranger", "backend-expired", "backend-other-name", "backend-wildcard",
                 "backend-for-clients"):
        @case(SHAKING, f"{edition.name}: {name}", edition, name)
        def _(stream, certs, version, cert):
            one = accept_tls(stream, certs, version, cert)
            one.send(wire.LOGGED_IN + EVIL_ROW)
            linger(one)


@case(SHAKING, "a chain of a thousand certificates")
def _(stream, certs):
    with open(certs.cert("backend"), encoding="ascii") as text:
        leaf = text.read()
    path = certs.file(f"endless-{time.monotonic_ns()}.crt")
    with open(path, "w", encoding="ascii") as out:
        out.write(leaf)
        for _ in range(1000):
            out.write(leaf[leaf.index("-----END") + 26:])
    context = certs.server()
    context.load_cert_chain(path, certs.key("backend"))
    os.unlink(path)
    stream.packet()
    stream.send(b"S")
    stream.start_tls(context, server_side=True)
    stream.send(wire.LOGGED_IN + EVIL_ROW)
    linger(stream)


# Instead of a login; in the clear, and some of it in TLS

def logs_in(name, data, ends=None):
    @case(LOGIN, name)
    def _(stream, _certs):
        assert stream.packet() is not None
        stream.sock.sendall(data)
        if ends is not None:
            ends(stream)
        linger(stream)


def typed(kind, length, body=b""):
    return kind + struct.pack("!I", length & 0xffffffff) + body


logs_in("silence", b"")
logs_in("the end", b"", lambda s: s.sock.shutdown(socket.SHUT_WR))
logs_in("a reset", b"", lambda s: s.reset())
logs_in("http", b"HTTP/1.1 400 Bad Request\r\n\r\n" + EVIL)
logs_in("zeros", b"\0" * 100000)
logs_in("ones", b"\xff" * 100000)
logs_in("noise", b"R\0\0\0\0" + os.urandom(100000))
logs_in("N", b"N")
logs_in("S", b"S")
for letter in b"REKZSNvDA\0\xff":
    for size in (0, 3, -1, -2**31):
        logs_in(f"{letter:#x} of length {size}", typed(bytes([letter]), size, EVIL_ROW))
for letter in b"REKZ":
    logs_in(f"{letter:#x} of 2 GiB", typed(bytes([letter]), 0x7fffffff, b"x" * 100000))
for size in (4, 6, 9, 100):
    logs_in(f"ready of length {size}", wire.AUTHENTICATION_OK + typed(b"Z", size, b"I" * 96))
logs_in("an authentication without a code", typed(b"R", 4))
logs_in("an unknown authentication", wire.authentication(99, b"x" * 100))
logs_in("mechanisms without an end", wire.authentication(10, b"SCRAM-SHA-256"))
logs_in("key of no bytes", wire.AUTHENTICATION_OK + typed(b"K", 4))
logs_in("an error without fields", wire.message("E", b""))
logs_in("an error without an end", wire.message("E", b"SFATAL"))
for part in range(1, len(wire.LOGGED_IN), 7):
    logs_in(f"cut at {part}", wire.LOGGED_IN[:part])
    logs_in(f"cut at {part}, the end", wire.LOGGED_IN[:part],
            lambda s: s.sock.shutdown(socket.SHUT_WR))
    logs_in(f"cut at {part}, a reset", wire.LOGGED_IN[:part], lambda s: s.reset())


@case(LOGIN, "notices for ever")
def _(stream, _certs):
    stream.packet()
    try:
        while True:
            stream.sock.sendall(wire.parameter("a", "b" * 1000) * 30)
            time.sleep(0.01)
    except OSError:
        pass


@case(LOGIN, "a parameter that never ends")
def _(stream, _certs):
    stream.packet()
    stream.sock.sendall(typed(b"S", 0x3fffffff))
    try:
        while True:
            stream.sock.sendall(b"x")
            time.sleep(0.01)
    except OSError:
        pass


# Behind a good login through TLS: what is spoilt reaches no client

def session(name, attack, version=TLS_1_3):
    @case(SESSION, f"{version.name}: {name}")
    def _(stream, certs):
        one = accept_tls(stream, certs, version)
        assert one.packet() is not None
        one.send(wire.LOGGED_IN)
        one.message()
        try:
            attack(one)
        except OSError:
            pass
        linger(one)


def key_updates(one):
    for _ in range(3000):
        one.update_keys(please=True)
    one.sock.shutdown(socket.SHUT_WR)


def tickets(one):
    ticket = handshake(4, struct.pack("!IIB", 7200, 1, 1) + b"\1" + b"\0\x20" + os.urandom(32)
                       + b"\0\0")
    for _ in range(5000):
        one.send_record(HANDSHAKE, ticket)
    one.sock.shutdown(socket.SHUT_WR)


for edition in (TLS_1_3, TLS_1_2):
    session("a spoilt row", lambda s: s.sock.sendall(
        flip(s.sealer.record(DATA, EVIL_ROW), 12)), edition)
    session("a spoilt row, and a good one", lambda s: s.sock.sendall(
        flip(s.sealer.record(DATA, EVIL_ROW), -1) + s.sealer.record(DATA, EVIL_ROW)), edition)
    session("a row in the clear", lambda s: s.sock.sendall(EVIL_ROW), edition)
    session("half a record", lambda s: (s.sock.sendall(s.sealer.record(DATA, EVIL_ROW)[:-1]),
                                        s.sock.shutdown(socket.SHUT_WR)), edition)
    session("a reset in a record", lambda s: (s.sock.sendall(
        s.sealer.record(DATA, EVIL_ROW)[:-1]), s.reset()), edition)
    session("16385 bytes", lambda s: s.send_record(DATA, EVIL_ROW * 800), edition)
    session("a server hello", lambda s: s.send_record(HANDSHAKE, handshake(2, b"\0" * 40)), edition)
    session("a fatal alert", lambda s: s.send_record(ALERT, FATAL), edition)
    session("type 24", lambda s: s.send_record(24, EVIL), edition)
    session("half a handshake message", lambda s: (
        s.send_record(HANDSHAKE, handshake(4, b"", 4000)), s.send(EVIL_ROW)), edition)
session("key updates for ever", key_updates)
session("tickets for ever", tickets)
session("hello requests", lambda s: (
    [s.send_record(HANDSHAKE, HELLO_REQUEST) for _ in range(300)],
    s.sock.shutdown(socket.SHUT_WR)), TLS_1_2)
session("a certificate request", lambda s: s.send_record(
    HANDSHAKE, handshake(13, b"\0\0\x0a\0\x0d\0\6\0\4\4\3\4\1")))
