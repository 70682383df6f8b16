# SPDX-License-Identifier: PostgreSQL
"""SCRAM step by step on the wire, so that each step can lie."""
import base64
import hmac
import os
import struct

from peers import verifiers, wire

SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"


def b64(data):
    return base64.b64encode(data).decode()


def initial(mechanism, first):
    body = mechanism.encode() + b"\0"
    if first is None:
        return wire.message("p", body + struct.pack("!i", -1))
    return wire.message("p", body + struct.pack("!I", len(first)) + first.encode())


def response(text):
    return wire.message("p", text.encode())


def mechanisms(message):
    assert (message.type, message.body[:4]) == ("R", struct.pack("!I", 10)), message
    return [name.decode() for name in message.body[4:].split(b"\0") if name]


def body_of(message, code):
    assert (message.type, message.body[:4]) == ("R", struct.pack("!I", code)), message
    return message.body[4:].decode()


class Login:
    """A client's login over `stream`, which has no startup packet sent yet."""

    def __init__(self, stream, user="scram", password="open sesame", header="n,,", hashed=b"",
                 **startup):
        self.stream, self.password, self.header, self.hashed = stream, password, header, hashed
        self.nonce = b64(os.urandom(18))
        stream.send(wire.startup(user, **startup))

    def message(self):
        """The next one of the authentication."""
        while True:
            message = self.stream.message()
            if message is None or message.type in "RE":
                return message

    def offered(self):
        return mechanisms(self.message())

    def first(self, mechanism=None, text=None):
        """Sends client-first-message; the answer."""
        self.bare = f"n=,r={self.nonce}"
        chosen = mechanism or (PLUS if self.header.startswith("p=") else SCRAM)
        self.stream.send(initial(chosen, text if text is not None else self.header + self.bare))
        return self.message()

    def final(self, server_first, nonce=None):
        """Sends client-final-message; the answer."""
        words = dict(part.split("=", 1) for part in server_first.split(","))
        client, stored, server = verifiers.keys(self.password, base64.b64decode(words["s"]),
                                                int(words["i"]))
        binding = b64(self.header.encode() + self.hashed)
        without = f"c={binding},r={nonce or words['r']}"
        said = f"{self.bare},{server_first},{without}".encode()
        proof = bytes(a ^ b for a, b in zip(client, hmac.digest(stored, said, "sha256")))
        self.expected = "v=" + b64(hmac.digest(server, said, "sha256"))
        self.client_key = client
        self.stream.send(response(f"{without},p={b64(proof)}"))
        return self.message()

    def whole(self):
        """The messages behind a login that works, until ReadyForQuery."""
        self.offered()
        answer = self.final(body_of(self.first(), 11))
        assert body_of(answer, 12) == self.expected
        return self.stream.messages_until("ZE")
