# SPDX-License-Identifier: PostgreSQL
"""A TLS peer that keeps the rules until its handshake is done, and then seals whatever it likes.

The ssl module makes the handshake and tells its secrets (keylog_filename, as for
Wireshark); from there records are sealed here, of any type, content and size.
"""
import hmac
import os
import ssl
import struct
import tempfile

from hostile.aead import seal
from peers.stream import Stream

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def record(kind, body=b"", version=0x0303, length=None):
    """A record in the clear; `length` is what its header says."""
    return struct.pack("!BHH", kind, version, len(body) if length is None else length) + body


def handshake(kind, body=b"", length=None):
    size = len(body) if length is None else length
    return bytes([kind]) + size.to_bytes(3, "big") + body


KEY_UPDATE, KEY_UPDATE_PLEASE = handshake(24, b"\0"), handshake(24, b"\1")
HELLO_REQUEST = handshake(0)


def flip(data, at, bit=1):
    if not data:
        raise EOFError("there is nothing to spoil: the proxy was faster")
    at %= len(data)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


# RFC 8446 7.1 and RFC 5246 5

def expand_label(digest, secret, label, count):
    label = b"tls13 " + label
    info = struct.pack("!HB", count, len(label)) + label + b"\0"
    return hmac.digest(secret, info + b"\1", digest)[:count]


def expand_1_2(digest, secret, label, seed, count):
    out, link = b"", label + seed
    while len(out) < count:
        link = hmac.digest(secret, link, digest)
        out += hmac.digest(secret, link + label + seed, digest)
    return out[:count]


class Sealer:
    """Seals records of one direction; `at` is the number of the next one."""

    def __init__(self, version, digest, key, iv, at):
        self.version, self.digest, self.key, self.iv, self.at = version, digest, key, iv, at
        self.secret = None

    @classmethod
    def of_secret(cls, digest, secret, key_bytes):
        one = cls(TLS_1_3, digest, expand_label(digest, secret, b"key", key_bytes),
                  expand_label(digest, secret, b"iv", 12), 0)
        one.secret = secret
        return one

    def updated(self):
        """The keys behind a KeyUpdate of ours."""
        secret = expand_label(self.digest, self.secret, b"traffic upd", len(self.secret))
        return Sealer.of_secret(self.digest, secret, len(self.key))

    def record(self, kind, body, version=0x0303):
        number, self.at = struct.pack("!Q", self.at), self.at + 1
        if self.version == TLS_1_2:
            head = struct.pack("!BHH", kind, version, len(body))
            return record(kind, number + seal(self.key, self.iv + number, number + head, body),
                          version)
        nonce = bytes(a ^ b for a, b in zip(self.iv, b"\0" * 4 + number))
        inner = body + bytes([kind])
        head = struct.pack("!BHH", DATA, version, len(inner) + 16)
        return head + seal(self.key, nonce, head, inner)


class Forger(Stream):
    """A Stream that seals its own records once forge() was called behind the handshake."""

    def __init__(self, sock):
        super().__init__(sock)
        self.sealer = None
        self.sent = self.came = b""

    def begin_tls(self, context, server_side=False, server_hostname=None, session=None):
        handle, self.secrets = tempfile.mkstemp(prefix="pgtls-secrets-")
        os.close(handle)
        context.keylog_filename = self.secrets
        if server_side:
            context.num_tickets = 0         # they would be the first records
        self.is_server = server_side
        super().begin_tls(context, server_side, server_hostname, session)

    def handshake(self):
        try:
            return super().handshake()
        finally:
            self.rows = self._rows()

    def _rows(self):
        """What the key log has, by label; each handshake has a file of its own."""
        with open(self.secrets, encoding="ascii") as log:
            rows = [row.split() for row in log if not row.startswith("#")]
        os.unlink(self.secrets)
        return {row[0]: (bytes.fromhex(row[1]), bytes.fromhex(row[2])) for row in rows}

    def _flush(self):
        data = self._out.read()
        if data:
            self.sent += data
            self.sock.sendall(data)

    def _count_records(self, data):
        self.came += data
        super()._count_records(data)

    def forge(self):
        name = self.tls.cipher()[0]
        digest = "sha384" if name.endswith("384") else "sha256"
        key_bytes = 16 if "128" in name else 32
        if self.tls.version() == "TLSv1.3":
            row = "SERVER_TRAFFIC_SECRET_0" if self.is_server else "CLIENT_TRAFFIC_SECRET_0"
            self.sealer = Sealer.of_secret(digest, self.rows[row][1], key_bytes)
        else:
            self.sealer = self._forge_1_2(digest, key_bytes)
        return self

    def _forge_1_2(self, digest, key_bytes):
        client_random, master = self.rows["CLIENT_RANDOM"]
        hello = self.sent if self.is_server else self.came
        server_random = hello[11:43]    # behind two headers and the version
        keys = expand_1_2(digest, master, b"key expansion", server_random + client_random,
                          2 * key_bytes + 8)
        side = 1 if self.is_server else 0
        key = keys[side * key_bytes:][:key_bytes]
        iv = keys[2 * key_bytes + 4 * side:][:4]
        return Sealer(TLS_1_2, digest, key, iv, 1)      # number 0 was our Finished

    def send(self, data):
        if self.sealer is None:
            super().send(data)
        else:
            for at in range(0, len(data), 16384):
                self.sock.sendall(self.sealer.record(DATA, data[at:at + 16384]))

    def send_record(self, kind, body):
        self.sock.sendall(self.sealer.record(kind, body))

    def update_keys(self, please=False):
        self.send_record(HANDSHAKE, KEY_UPDATE_PLEASE if please else KEY_UPDATE)
        self.sealer = self.sealer.updated()
