# SPDX-License-Identifier: PostgreSQL
"""Runs `pgtls check` and reads what it found."""
import json
import os
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

from peers import wire
from peers.backend import answer_ssl
from peers.proxy import program

LIMIT_S = 60


class Diagnosis:
    """One run with --json."""

    def __init__(self, done):
        self.status, self.stderr = done.returncode, done.stderr
        assert done.returncode in (0, 1), (done.returncode, done.stderr, done.stdout)
        assert done.stderr == ""                    # nor has a sanitizer anything to say
        self.json = json.loads(done.stdout)
        self.text = done.stdout

    @property
    def errors(self):
        return {one["id"] for one in self.json["findings"] if one["severity"] == "error"}

    @property
    def ids(self):
        return {one["id"] for one in self.json["findings"]}

    def finding(self, name):
        return next(one for one in self.json["findings"] if one["id"] == name)

    def facts(self, step):
        return next(one for one in self.json["steps"] if one["name"] == step)["facts"]

    def state(self, step):
        return next(one for one in self.json["steps"] if one["name"] == step)["state"]


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, **more}


def run(*words, env=None, **more):
    return subprocess.run([program(), "check", *words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S,
                          env=environment(**(env or {})), check=False, **more)


def check(uri, *words, env=None):
    return Diagnosis(run(uri, "--json", *words, env=env))


def uri(host, port, user="alice", database="postgres", password=None, scheme="postgresql", **query):
    """A URI with its parts encoded; parameters that are None are left out."""
    secret = "" if password is None else ":" + urllib.parse.quote(password, safe="")
    words = {key: value for key, value in query.items() if value is not None}
    return (f"{scheme}://{user}{secret}@{host}:{port}/{database}"
            + ("?" + urllib.parse.urlencode(words) if words else ""))


# ---- servers that look like PostgreSQL ----

PLAINTEXT_REFUSED = wire.error_response(
    "28000", 'no pg_hba.conf entry for host "127.0.0.1", user "alice", no encryption')


def server(context, login=wire.LOGGED_IN, gss=b"N", plaintext=PLAINTEXT_REFUSED, session=None):
    """
    A script for `fake`: answers GSSENCRequest, SSLRequest and a startup packet, in the clear
    (`plaintext`) or inside TLS (`login`); closes what begins as direct TLS.  `session` goes on
    after a login.
    """
    def script(stream, tell):
        if stream.sock.recv(1, socket.MSG_PEEK) == b"\x16":
            return
        first = stream.packet()
        if first == wire.GSS_REQUEST:
            stream.send(gss)
            first = stream.packet()
        first = answer_ssl(stream, first, context)
        if first is None:
            return
        inside = stream.tls is not None
        tell((inside, first))
        stream.send(login if inside or not context else plaintext)
        if inside and session is not None:
            session(stream)
    return script


def answer(word):
    """A script that sends the same bytes to whoever connects, after their first packet."""
    def script(stream, _tell):
        stream.sock.recv(65536)
        stream.send(word)
    return script


# ---- a name server ----

class NameServer:
    """Answers every question for an address with `addresses`, after `delay` seconds."""

    def __init__(self, addresses, delay=0.0, silent=False):
        self.addresses, self.delay, self.silent = addresses, delay, silent
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(512)
            except OSError:
                return
            if packet == b"stop":
                return
            if not self.silent:
                time.sleep(self.delay)
                self.socket.sendto(self._answer(packet), peer)

    def _answer(self, packet):
        end = packet.index(b"\0", 12) + 5
        is_v4 = packet[end - 4:end - 2] == b"\0\1"
        found = self.addresses if is_v4 else []
        rows = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(one)
                        for one in found)
        # without an address at all: no such name
        code = b"\x81\x80" if self.addresses else b"\x81\x83"
        return (packet[:2] + code + b"\0\1" + struct.pack("!H", len(found)) + b"\0\0\0\0"
                + packet[12:end] + rows)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            host, port = self.address.split(":")
            waker.sendto(b"stop", (host, int(port)))
        self.thread.join(10)
        self.socket.close()
