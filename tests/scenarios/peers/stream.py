# SPDX-License-Identifier: PostgreSQL
"""Sockets of a scenario, in the clear and inside TLS, with one face.

TLS runs over memory (ssl.MemoryBIO), so that a scenario sees what the ssl module
hides: the records, whether close_notify came, and the time of each byte.
"""
import itertools
import os
import random
import socket
import ssl
import struct

from peers import wire


class Truncated(EOFError):
    """The end of the transport without a close_notify."""


class Stream:
    """A connected socket, with exact reads.  `ended` tells how the peer ended."""

    def __init__(self, sock):
        self.sock = sock
        self.tls = None
        self.records = []           # (type, length) of each record that came
        self._raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # bytes

    def send(self, data):
        if self.tls is None:
            self.sock.sendall(data)
            return
        self.tls.write(data)
        self._flush()

    def recv(self, most=65536):
        """Some bytes; b"" at the end of the stream.  Raises Truncated inside TLS."""
        if self.tls is None:
            return self.sock.recv(most)
        while True:
            try:
                data = self.tls.read(most)
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
                continue
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                if error.reason == "UNEXPECTED_EOF_WHILE_READING":
                    raise Truncated from error
                raise
            return data

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.recv(count - len(data))
            if not more:
                break
            data += more
        return bytes(data)

    def rest(self):
        """Everything until the end."""
        data = bytearray()
        while True:
            more = self.recv()
            if not more:
                return bytes(data)
            data += more

    def is_open(self, seconds):
        """Nothing comes, and no end either, for so long."""
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.recv(1)
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(before)

    def half_close(self):
        if self.tls is not None:
            self.close_notify()
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    # TLS

    def start_tls(self, context, server_side=False, server_hostname=None, session=None):
        self.begin_tls(context, server_side, server_hostname, session)
        return self.handshake()

    def begin_tls(self, context, server_side=False, server_hostname=None, session=None):
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=server_side,
                                    server_hostname=server_hostname, session=session)

    def first_flight(self):
        """The ClientHello, not sent yet."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                return self
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._flush()
                raise

    def close_notify(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass                    # it waits for the peer's: not here
        self._flush()

    def _flush(self):
        data = self._out.read()
        if data:
            self.sock.sendall(data)

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            self._in.write_eof()
            return
        self._count_records(data)
        self._in.write(data)

    def _count_records(self, data):
        raw, at = self._raw + data, 0
        while at + 5 <= len(raw):
            kind, _, length = struct.unpack("!BHH", raw[at:at + 5])
            if at + 5 + length > len(raw):
                break
            self.records.append((kind, length))
            at += 5 + length
        self._raw = raw[at:]

    # PostgreSQL

    def message(self):
        return wire.read_message(self.read)

    def packet(self):
        return wire.read_packet(self.read)

    def messages_until(self, kinds):
        """Messages up to the first of one of `kinds` ("ZE"), that one included."""
        found = []
        while True:
            one = self.message()
            if one is None:
                raise EOFError(f"the stream ended behind {found!r}")
            found.append(one)
            if one.type in kinds:
                return found

    def login(self, user="alice", database="postgres", **more):
        """A startup without a password; the messages until ReadyForQuery or an error."""
        self.send(wire.startup(user, database, **more))
        return self.messages_until("ZE")

    def query(self, text):
        self.send(wire.query(text))
        return self.messages_until("Z")

    def ask_for_tls(self):
        self.send(wire.SSL_REQUEST)
        return self.read(1)


def connect(port, timeout=10, host="127.0.0.1"):
    if isinstance(port, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(port)
        return Stream(sock)
    sock = socket.create_connection((host, port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Stream(sock)


def connect_tls(port, context, timeout=10, session=None, name="localhost"):
    """Connected, with SSLRequest answered S and the handshake done; `name` is announced."""
    stream = connect(port, timeout)
    answer = stream.ask_for_tls()
    assert answer == b"S", answer
    return stream.start_tls(context, server_hostname=name, session=session)


def first_of_clients():
    """The first port that the kernel gives to clients by itself."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        return int(limits.read().split()[0])


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# Several processes of pytest-xdist look for ports at the same time: each in a range of its own.
# None is given twice before all were: who asked may bind it late.
RANGES = 5
LOWEST = 12000 if first_of_clients() >= 20000 else 1100
PORTS = min((first_of_clients() - LOWEST) // RANGES, 4000)
if PORTS < 500:                         # clients have nearly all of them: as well as one can
    LOWEST, PORTS = 12000, 4000
FIRST_PORT = LOWEST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % RANGES * PORTS
TURN = itertools.count(random.randrange(PORTS))


def free_ports(count):
    """Below those that the kernel gives to clients, so that none is taken meanwhile."""
    held = []
    while len(held) < count:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", FIRST_PORT + next(TURN) % PORTS))
        except OSError:
            sock.close()
            continue
        held.append(sock)
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def free_port():
    return free_ports(1)[0]
