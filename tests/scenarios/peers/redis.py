# SPDX-License-Identifier: PostgreSQL
"""A real Redis server on loopback: the binary may have another name (redis-tools)."""
import os
import shutil
import signal
import socket
import subprocess
import time

from peers.stream import free_port


def binary():
    """The program, and the name that makes it a server."""
    for name in ("redis-server", "redis-check-rdb", "redis-check-aof"):
        path = shutil.which(name)
        if path is not None:
            return path
    raise AssertionError("no Redis server is installed: make deps-test")


class Redis:
    def __init__(self, folder, number, tls=None, auth_clients="yes", config=()):
        self.folder = os.path.join(folder, f"redis-{number}")
        os.mkdir(self.folder)
        self.port, self.tls_port = free_port(), None
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir",
                 self.folder, *config]
        if tls is not None:
            self.tls_port = free_port()
            words += ["--tls-port", str(self.tls_port), "--tls-auth-clients", auth_clients,
                      "--tls-cert-file", tls.cert("backend"), "--tls-key-file",
                      tls.key("backend"), "--tls-ca-cert-file", tls.cert("proxies-ca")]
        with open(os.path.join(self.folder, "log"), "w", encoding="utf-8") as log:
            # Redis looks at the name that it was called by
            self.process = subprocess.Popen(["redis-server", *words], executable=binary(),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def _wait(self):
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port or self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, self.log()
                time.sleep(0.02)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as text:
            return text.read()

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
