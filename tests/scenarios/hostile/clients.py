# SPDX-License-Identifier: PostgreSQL
"""Clients that lie.  Each case gets a Dialer and does its worst; the end is the proxy's to make.

EVIL stands in everything that no server may ever see.
"""
import os
import socket
import ssl
import struct

from hostile.forger import (ALERT, CCS, DATA, HANDSHAKE, HELLO_REQUEST, TLS_1_2, TLS_1_3, Forger,
                            flip, handshake, record)
from peers import wire

EVIL = b"EVIL-EVIL-EVIL"
EVIL_STARTUP = wire.startup(EVIL.decode())
EVIL_QUERY = wire.query(EVIL.decode())
WARNING_CANCELED, CLOSE_NOTIFY, FATAL = b"\1\x5a", b"\1\0", b"\2\x28"


class Dialer:
    """Makes the connections of one case, and closes them behind it."""

    def __init__(self, port, certs, timeout=20):
        self.port, self.certs, self.timeout = port, certs, timeout
        self.streams = []

    def plain(self, greeting=b""):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.streams.append(Forger(sock))
        if greeting:
            self.streams[-1].send(greeting)
        return self.streams[-1]

    def asked(self):
        """Behind the S that answers SSLRequest; EOFError where a limit was faster than we."""
        stream = self.plain(wire.SSL_REQUEST)
        answer = stream.read(1)
        if not answer:
            raise EOFError("closed instead of S")
        assert answer == b"S"
        return stream

    def hello(self, version=None):
        """The same, with the ClientHello that a good client would send."""
        stream = self.asked()
        stream.begin_tls(self.certs.careless_client(version=version), server_hostname="localhost")
        return stream, stream.first_flight()

    def secure(self, version=TLS_1_3):
        stream = self.asked()
        stream.start_tls(self.certs.careless_client(version=version), server_hostname="localhost")
        return stream.forge()

    def logged_in(self, version=TLS_1_3):
        stream = self.secure(version)
        assert stream.login()[-1].type == "Z"
        return stream

    def until_end(self):
        """Reads what comes on the newest connection until the proxy ends it."""
        sock = self.streams[-1].sock
        try:
            while sock.recv(65536):
                pass
        except TimeoutError:
            raise AssertionError("the proxy never ended the connection") from None
        except OSError:
            pass

    def close(self):
        for stream in self.streams:
            stream.close()


CASES, OF_SESSIONS, SERVED = {}, {}, {}


def case(name, *arguments, into=None):
    table = CASES if into is None else into

    def add(function):
        assert name not in table, name
        table[name] = lambda dialer: function(dialer, *arguments)
        return function
    return add


def plain(name, data):
    case(f"clear: {name}")(lambda dialer: dialer.plain(data))


plain("nothing at all", b"")
plain("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
plain("zeros", b"\0" * 4096)
plain("ones", b"\xff" * 4096)
plain("noise", os.urandom(20000))
plain("ssh", b"SSH-2.0-OpenSSH_9.2\r\n")
plain("a startup without TLS", EVIL_STARTUP)
plain("ssl request, then a startup at once", wire.SSL_REQUEST + EVIL_STARTUP)
plain("ssl request a thousand times", wire.SSL_REQUEST * 1000)
plain("gss request a thousand times", wire.GSS_REQUEST * 1000)
plain("gss, ssl, startup at once", wire.GSS_REQUEST + wire.SSL_REQUEST + EVIL_STARTUP)
plain("direct hello of one byte", b"\x16")
plain("direct alert", record(ALERT, FATAL))
plain("a query first", EVIL_QUERY * 100)
plain("a proxy header", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + wire.SSL_REQUEST)
for size in (0, 1, 3, 4, 5, 7, 9, 10001, 10005, 65536, 0x7fffffff, 0x80000000, 0xffffffff):
    plain(f"a packet that says {size} bytes", struct.pack("!I", size) + b"\0\3\0\0" + EVIL)
for size in (8, 12, 15, 269, 5000):
    plain(f"a cancel of {size} bytes",
          struct.pack("!II", size, wire.CANCEL_CODE) + b"\1" * max(0, size - 8))
for count in range(1, 8):
    plain(f"{count} bytes of an ssl request", wire.SSL_REQUEST[:count])
for version in (0, 0x10000, 0x20000, 0x40000, 0x03000003, 0xffffffff):
    plain(f"protocol {version:#x}", wire.startup(EVIL.decode(), version=version))


@case("clear: gss, then its answer, then gss again")
def _(dialer):
    stream = dialer.plain(wire.GSS_REQUEST)
    stream.read(1)
    stream.send(wire.GSS_REQUEST)


@case("clear: reset behind the request")
def _(dialer):
    dialer.plain(wire.SSL_REQUEST).reset()
    dialer.plain(wire.SSL_REQUEST).close()
    dialer.plain()


@case("clear: half closed behind the request")
def _(dialer):
    dialer.asked().sock.shutdown(socket.SHUT_WR)


# Behind S, instead of a ClientHello

def asked(name, data):
    case(f"asked: {name}")(lambda dialer: dialer.asked().send(data))


asked("nothing", b"")
asked("a startup", EVIL_STARTUP)
asked("http", b"GET / HTTP/1.1\r\n\r\n")
asked("ssl request again", wire.SSL_REQUEST)
asked("noise", os.urandom(20000))
for kind in (0, 1, CCS, ALERT, DATA, 24, 25, 128, 255):
    asked(f"a record of type {kind}", record(kind, EVIL))
for words in (0, 0x0002, 0x0200, 0x0305, 0x0400, 0x7f1c, 0xffff):
    asked(f"a record of version {words:#x}", record(HANDSHAKE, handshake(1, EVIL), words))
for size in (0, 1, 3, 16385, 16640, 16641, 18432, 18433, 65535):
    asked(f"a record of {size} bytes", record(HANDSHAKE, handshake(1, EVIL * 5000)[:size]))
    asked(f"a record of {size} bytes, cut", record(HANDSHAKE, handshake(1), length=size))
asked("a hello of 16 MiB", record(HANDSHAKE, handshake(1, b"\3\3" + EVIL * 1000, 0xffffff)) * 20)
asked("empty records for ever", record(HANDSHAKE) * 5000)
asked("ccs for ever", record(CCS, b"\1") * 5000)
asked("ccs of two", record(CCS, b"\2"))
asked("warnings for ever", record(ALERT, WARNING_CANCELED) * 5000)
asked("close notify", record(ALERT, CLOSE_NOTIFY))
asked("half an alert", record(ALERT, b"\2"))
asked("three bytes of alert", record(ALERT, b"\2\x28\0"))
asked("finished first", record(HANDSHAKE, handshake(20, b"\0" * 32)))
asked("server hello", record(HANDSHAKE, handshake(2, b"\3\3" + b"\0" * 38)))
asked("hello requests", record(HANDSHAKE, HELLO_REQUEST) * 1000)
asked("an sslv2 hello", b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + b"\1\0\x80" * 7 + b"\0" * 16)


# A ClientHello, and then something else

@case("hello: twice")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello * 2)


@case("hello: and a startup in the clear")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello + EVIL_STARTUP)


@case("hello: and silence")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello)


@case("hello: and data in a record")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello + record(CCS, b"\1") + record(DATA, EVIL * 10))


@case("hello: an alert instead of finished")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello)
    stream.sock.recv(100)
    stream.sock.sendall(record(ALERT, FATAL))


@case("hello: ccs for ever behind it")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello + record(CCS, b"\1") * 5000)


@case("hello: reset behind it")
def _(dialer):
    stream, hello = dialer.hello()
    stream.sock.sendall(hello)
    stream.reset()
    dialer.plain()


for tenth in range(1, 10):
    @case(f"hello: {tenth} tenths, silence", tenth)
    def _(dialer, part):
        stream, hello = dialer.hello()
        stream.sock.sendall(hello[:len(hello) * part // 10])

    @case(f"hello: {tenth} tenths, the end", tenth)
    def _(dialer, part):
        stream, hello = dialer.hello()
        stream.sock.sendall(hello[:len(hello) * part // 10])
        stream.sock.shutdown(socket.SHUT_WR)

for at in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 43, 44, 76, 77, 78, 80, 90, 120, 150, 180):
    for bit in (1, 128):
        @case(f"hello: byte {at} changed by {bit}", at, bit)
        def _(dialer, place, change):
            stream, hello = dialer.hello()
            stream.sock.sendall(flip(hello, place, change))


@case("finished: spoilt")
def _(dialer):
    stream, hello = dialer.hello(TLS_1_3)
    stream.sock.sendall(hello)
    while True:
        stream._fill()
        try:
            stream.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            continue
    stream.sock.sendall(flip(stream._out.read(), -1))


# Behind the handshake

def sealed(name, *records, version=TLS_1_3, also=b""):
    def attack(dialer):
        stream = dialer.secure(version)
        for kind, body in records:
            stream.send_record(kind, body)
        stream.sock.sendall(also)
    case(f"{'1.2' if version == TLS_1_2 else '1.3'}: {name}")(attack)


for edition in (TLS_1_3, TLS_1_2):
    sealed("silence", version=edition)
    sealed("http", (DATA, b"GET / HTTP/1.1\r\n\r\n"), version=edition)
    sealed("ssl request inside", (DATA, wire.SSL_REQUEST), version=edition)
    sealed("gss request inside, twice", (DATA, wire.GSS_REQUEST * 2), version=edition)
    sealed("a hello", (HANDSHAKE, handshake(1, b"\3\3" + b"\0" * 40)), version=edition)
    sealed("half a hello", (HANDSHAKE, handshake(1, b"\3\3", 400)), version=edition)
    sealed("hello requests", *[(HANDSHAKE, HELLO_REQUEST)] * 200, version=edition)
    sealed("finished again", (HANDSHAKE, handshake(20, b"\0" * 12)), version=edition)
    sealed("a certificate", (HANDSHAKE, handshake(11, b"\0\0\0\0")), version=edition)
    sealed("a ticket", (HANDSHAKE, handshake(4, b"\0" * 20)), version=edition)
    sealed("empty records for ever", *[(DATA, b"")] * 3000, version=edition)
    sealed("empty handshake records", *[(HANDSHAKE, b"")] * 50, version=edition)
    sealed("a fatal alert", (ALERT, FATAL), version=edition)
    sealed("warnings for ever", *[(ALERT, WARNING_CANCELED)] * 3000, version=edition)
    sealed("half an alert", (ALERT, b"\1"), version=edition)
    sealed("type 24", (24, EVIL), version=edition)
    sealed("type 255", (255, EVIL), version=edition)
    sealed("16385 bytes", (DATA, EVIL_STARTUP + b"\0" * 17000), version=edition)
    sealed("ccs behind it", version=edition, also=record(CCS, b"\1") * 5000)
    sealed("an alert in the clear", version=edition, also=record(ALERT, FATAL))
    sealed("a startup in the clear", version=edition, also=EVIL_STARTUP)
    sealed("a record without a key", version=edition, also=record(DATA, EVIL_STARTUP))
    sealed("a startup that is too long", (DATA, struct.pack("!I", 99999) + EVIL * 900),
           version=edition)
    sealed("half a startup", (DATA, EVIL_STARTUP[:9]), version=edition)

    @case(f"{edition.name}: spoilt, then a startup", edition)
    def _(dialer, version):
        stream = dialer.secure(version)
        stream.sock.sendall(flip(stream.sealer.record(DATA, EVIL_STARTUP), -1))
        stream.send(EVIL_STARTUP)

    @case(f"{edition.name}: a record in two halves, one missing", edition)
    def _(dialer, version):
        stream = dialer.secure(version)
        stream.sock.sendall(stream.sealer.record(DATA, EVIL_STARTUP)[:-1])

    @case(f"{edition.name}: cut record, then the end", edition)
    def _(dialer, version):
        stream = dialer.secure(version)
        stream.sock.sendall(stream.sealer.record(DATA, EVIL_STARTUP)[:-1])
        stream.sock.shutdown(socket.SHUT_WR)

sealed("type 0, all padding", (0, b"\0" * 100))
sealed("a key update of 2", (HANDSHAKE, handshake(24, b"\2")))
sealed("a key update of two bytes", (HANDSHAKE, handshake(24, b"\0\0")))
sealed("a key update and more in one record", (HANDSHAKE, handshake(24, b"\0") * 2))


@case("1.3: key updates for ever")
def _(dialer):
    stream = dialer.secure()
    for _ in range(2000):
        stream.update_keys(please=True)


# Behind the login: what is spoilt ends the session and reaches nobody

def of_session(name):
    return case(name, into=OF_SESSIONS)


for edition in (TLS_1_3, TLS_1_2):
    @case(f"{edition.name}: a spoilt query", edition, into=OF_SESSIONS)
    def _(dialer, version):
        stream = dialer.logged_in(version)
        stream.sock.sendall(flip(stream.sealer.record(DATA, EVIL_QUERY), 12))

    @case(f"{edition.name}: a record twice", edition, into=OF_SESSIONS)
    def _(dialer, version):
        stream = dialer.logged_in(version)
        good = stream.sealer.record(DATA, wire.query("once"))
        stream.sock.sendall(good * 2)

    @case(f"{edition.name}: the end in a record", edition, into=OF_SESSIONS)
    def _(dialer, version):
        stream = dialer.logged_in(version)
        stream.sock.sendall(stream.sealer.record(DATA, EVIL_QUERY)[:-3])
        stream.sock.shutdown(socket.SHUT_WR)

    @case(f"{edition.name}: a query in the clear", edition, into=OF_SESSIONS)
    def _(dialer, version):
        dialer.logged_in(version).sock.sendall(EVIL_QUERY)

    @case(f"{edition.name}: a new handshake", edition, into=OF_SESSIONS)
    def _(dialer, version):
        stream = dialer.logged_in(version)
        stream.send_record(HANDSHAKE, handshake(1, b"\3\3" + b"\0" * 40))
        if version == TLS_1_2:          # the refusal is a warning: we may stay, and leave
            stream.sock.shutdown(socket.SHUT_WR)
        else:
            stream.send(EVIL_QUERY)

    @case(f"{edition.name}: reset", edition, into=OF_SESSIONS)
    def _(dialer, version):
        dialer.logged_in(version).reset()
        dialer.plain()
        dialer.streams[-1].sock.shutdown(socket.SHUT_WR)

    @case(f"{edition.name}: an alert", edition, into=OF_SESSIONS)
    def _(dialer, version):
        dialer.logged_in(version).send_record(ALERT, FATAL)


@of_session("1.3: key updates for ever")
def _(dialer):
    stream = dialer.logged_in()
    for _ in range(3000):
        stream.update_keys(please=True)
    stream.sock.shutdown(socket.SHUT_WR)


@of_session("1.3: key updates for ever, and a byte between them")
def _(dialer):
    stream = dialer.logged_in()
    for _ in range(3000):
        stream.update_keys()
        stream.send(b"Q")


@of_session("1.3: key updates, whose answers nobody reads")
def _(dialer):
    stream = dialer.logged_in()
    stream.sock.settimeout(1)
    try:
        for _ in range(40000):
            stream.update_keys(please=True)
    except TimeoutError:
        pass
    stream.sock.settimeout(dialer.timeout)
    stream.sock.shutdown(socket.SHUT_WR)


# Odd, but good: these are served

def served(name):
    return case(name, into=SERVED)


@served("a hello byte by byte")
def _(dialer):
    stream, hello = dialer.hello()
    for at in range(len(hello)):
        stream.sock.sendall(hello[at:at + 1])
    stream.handshake()
    assert stream.login()[-1].type == "Z"


@served("a hello in records of one byte")
def _(dialer):
    stream, hello = dialer.hello()
    body = hello[5:]
    stream.sock.sendall(b"".join(record(HANDSHAKE, body[at:at + 1]) for at in range(len(body))))
    stream.handshake()
    assert stream.login()[-1].type == "Z"


@served("a startup in records of one byte")
def _(dialer):
    stream = dialer.secure()
    for byte in wire.startup():
        stream.send(bytes([byte]))
    assert stream.messages_until("ZE")[-1].type == "Z"


@served("key updates between the bytes")
def _(dialer):
    stream = dialer.secure()
    for byte in wire.startup():
        stream.update_keys(please=True)
        stream.send(bytes([byte]))
    assert stream.messages_until("ZE")[-1].type == "Z"
