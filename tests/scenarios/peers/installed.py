# SPDX-License-Identifier: PostgreSQL
"""Certificates on disk that a running proxy serves, replaced, and what it serves then."""
import os
import shutil
import socket
import ssl
import subprocess
import time

from peers import wire


def served(port, name=None):
    """The serial of the certificate that a client gets, as openssl writes it."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(wire.SSL_REQUEST)
    assert sock.recv(1) == b"S"
    with ssl._create_unverified_context().wrap_socket(sock, server_hostname=name) as tls:
        return serial_of(ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True)))


def serial_of(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem.encode(),
                          capture_output=True, check=True)
    return done.stdout.strip().partition(b"=")[2].decode().lower()


def wait_served(port, serial, timeout=20):
    until = time.monotonic() + timeout
    while served(port) != serial:
        assert time.monotonic() < until, "the new certificate is not served"
        time.sleep(0.05)


class Files:
    """A certificate and a key in a folder, replaced in various ways by those of others."""

    def __init__(self, certs, folder):
        self.certs = certs
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.cert, self.key = os.path.join(folder, "s.crt"), os.path.join(folder, "s.key")

    def serial(self, name):
        with open(self.certs.cert(name), encoding="ascii") as text:
            return serial_of(text.read())

    def put(self, path, source, owner=None):
        """By an atomic rename."""
        shutil.copyfile(source, path + ".new")
        os.chmod(path + ".new", 0o600 if path.endswith(".key") else 0o644)
        if owner is not None:
            os.chown(path + ".new", owner.pw_uid, owner.pw_gid)
        os.rename(path + ".new", path)

    def put_cert(self, name):
        self.put(self.cert, self.certs.cert(name))

    def put_key(self, name):
        self.put(self.key, self.certs.key(name))

    def put_both(self, name, owner=None):
        self.put(self.cert, self.certs.cert(name), owner)
        self.put(self.key, self.certs.key(name), owner)

    def listener(self, interval="24h", **more):
        return {"sslmode": "require", "server_cert": self.cert, "server_key": self.key,
                "cert_refresh_interval": interval, **more}
