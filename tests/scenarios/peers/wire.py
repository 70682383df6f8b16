# SPDX-License-Identifier: PostgreSQL
"""The PostgreSQL protocol byte by byte: messages to send and messages that came.

Nothing here goes through libpq: a scenario that must cut a packet at a byte, or
send what no library would, builds it from these functions.
"""
import struct
from typing import NamedTuple

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)
CANCEL_CODE = 80877102
PROTOCOL_3_0 = 196608


class Message(NamedTuple):
    type: str
    body: bytes

    @property
    def fields(self):
        """The fields of an ErrorResponse or NoticeResponse by their letters."""
        parts = self.body.rstrip(b"\0").split(b"\0")
        return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}

    @property
    def code(self):
        return self.fields.get("C")


def packet(body):
    return struct.pack("!I", len(body) + 4) + body


def message(kind, body=b""):
    return kind.encode() + packet(body)


def startup(user="alice", database="postgres", version=PROTOCOL_3_0, **more):
    pairs = {"user": user, "database": database, **more}
    text = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs.items())
    return packet(struct.pack("!I", version) + text + b"\0")


def startup_of_length(total, user="alice"):
    """A good startup packet of exactly `total` bytes."""
    start = startup(user, application_name="")
    return startup(user, application_name="x" * (total - len(start)))


def cancel(pid, key):
    return packet(struct.pack("!II", CANCEL_CODE, pid) + key)


def query(text):
    return message("Q", text.encode() + b"\0")


TERMINATE = message("X")


def error_response(code, text, severity="FATAL"):
    fields = {"S": severity, "V": severity, "C": code, "M": text}
    body = b"".join(k.encode() + v.encode() + b"\0" for k, v in fields.items())
    return message("E", body + b"\0")


def authentication(kind, more=b""):
    return message("R", struct.pack("!I", kind) + more)


AUTHENTICATION_OK = authentication(0)
READY = message("Z", b"I")


def backend_key(pid=4711, key=b"\1\2\3\4"):
    return message("K", struct.pack("!I", pid) + key)


def pid_of(key):
    """The process id in the body of a BackendKeyData."""
    return struct.unpack("!I", key[:4])[0]


def parameter(name, value):
    return message("S", name.encode() + b"\0" + value.encode() + b"\0")


LOGGED_IN = AUTHENTICATION_OK + parameter("server_version", "15.0") + backend_key() + READY


def data_row(*values):
    body = struct.pack("!H", len(values))
    return message("D", body + b"".join(struct.pack("!I", len(v)) + v for v in values))


def command_complete(tag="SELECT 1"):
    return message("C", tag.encode() + b"\0")


def read_message(read):
    """The next message; `read(n)` returns exactly n bytes, or fewer at the end."""
    head = read(5)
    if len(head) < 5:
        return None
    length = struct.unpack("!I", head[1:])[0]
    return Message(chr(head[0]), read(length - 4))


def read_packet(read):
    """A packet without a type byte: startup, cancel or a request.  None at the end."""
    head = read(4)
    if len(head) < 4:
        return None
    return head + read(struct.unpack("!I", head)[0] - 4)


def messages_of(data):
    """All whole messages in `data`, and what is left behind them."""
    found, at = [], 0
    while at + 5 <= len(data):
        end = at + 1 + struct.unpack("!I", data[at + 1:at + 5])[0]
        if end > len(data):
            break
        found.append(Message(chr(data[at]), data[at + 5:end]))
        at = end
    return found, data[at:]
