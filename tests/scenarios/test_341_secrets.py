# SPDX-License-Identifier: PostgreSQL
"""What is secret about a connection is in memory while it lives, and nowhere afterwards."""
import hashlib
import hmac
import os
import pwd
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from hostile.kernel import Kernel
from peers import wire
from peers.backend import accept_login
from peers.proxy import Proxy, program, route, sanitized
from peers.stream import connect_tls

HASHES = {32: "sha256", 48: "sha384"}


def expand_label(secret, label, length):
    """HKDF-Expand-Label of RFC 8446 7.1, one block."""
    info = struct.pack(">HB", length, 6 + len(label)) + b"tls13 " + label + b"\0\1"
    return hmac.digest(secret, info, HASHES[len(secret)])[:length]


def secrets_in(key_log):
    """{name: bytes} of all that a key log tells, and the keys that follow from it."""
    found = {}
    with open(key_log, encoding="ascii") as log:
        for line in log:
            if not line.startswith("#"):
                label, _, secret = line.split()
                found[label] = bytes.fromhex(secret)
    for label in ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"):
        size = 32 if len(found[label]) == 48 else 16
        found[f"key of {label}"] = expand_label(found[label], b"key", size)
        found[f"next {label}"] = expand_label(found[label], b"traffic upd", len(found[label]))
    return found


def memory_of(pid):
    """The readable pieces of a process's memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights = line.split()[:2]
            low, high = (int(end, 16) for end in span.split("-"))
            if not rights.startswith("rw"):
                continue
            try:
                mem.seek(low)
                yield mem.read(high - low)
            except OSError:
                pass                    # [vvar] and the like


def found_in(pid, secrets):
    pieces = list(memory_of(pid))
    assert sum(map(len, pieces)) > 1 << 20
    return {name for name, secret in secrets.items()
            if any(secret in piece for piece in pieces)}


def wait_until_gone(pid, secrets, timeout=10):
    until = time.monotonic() + timeout
    while (left := found_in(pid, secrets)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


@pytest.fixture
def key_logs(folder):
    return os.path.join(folder, "client.keys"), os.path.join(folder, "server.keys")


@pytest.mark.skipif(os.geteuid() != 0, reason="reads another process's memory")
@pytest.mark.skipif(sanitized(), reason="memory is as the sanitizer wants it")
@pytest.mark.parametrize("layer", ["record", "library", "kernel"])
def test_no_secret_of_a_connection_that_ended_is_in_memory(start, listener, fake, folder, certs,
                                                           key_logs, layer):
    server_tls, client_tls = certs.server("backend"), certs.client()
    client_tls.keylog_filename, server_tls.keylog_filename = key_logs

    def script(stream, _tell):
        accept_login(stream, server_tls)
        while stream.message().type == "Q":
            stream.send(wire.READY)

    env = Kernel(folder).env if layer == "kernel" else None     # one that is played
    one = start(route({"address": fake(script).address, "sslmode": "require",
                       "record_layer": layer}, listener("require", record_layer=layer)), env=env)
    with connect_tls(one.port, client_tls) as client:
        client.login()
        for _ in range(3):
            client.send(wire.query("select 1"))
            assert client.message().type == "Z"
        kernels = 2 if layer == "kernel" else 0
        assert len(one.wait_count("tls.kernel", kernels)) == kernels
        sides = [secrets_in(log) for log in key_logs]
        for secrets in sides:           # they can be found where they are
            alive = found_in(one.process.pid, secrets)
            assert alive
            if layer != "library":
                assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= alive
                assert not {name for name in alive if "HANDSHAKE" in name or "EXPORTER" in name}
    one.end()                           # which is told before the memory goes
    for secrets in sides:
        wait_until_gone(one.process.pid, secrets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_process_of_a_user_cannot_be_dumped(start, postgres_clear):
    """Its files in /proc would be the user's if it could be: proc(5)."""
    nobody = pwd.getpwnam("nobody")
    one = start(route({"address": postgres_clear.address}), user="nobody")
    with open(f"/proc/{one.process.pid}/status", encoding="ascii") as status:
        assert f"Uid:\t{nobody.pw_uid}\t" in status.read()
    assert os.stat(f"/proc/{one.process.pid}/environ").st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_that_never_was_root_cannot_be_dumped_either(start, postgres_clear, folder,
                                                               monkeypatch):
    """The kernel forbids it where the user changes; here only the program can."""
    mine, wrapper = os.path.join(folder, "pgtls"), os.path.join(folder, "as-nobody")
    as_nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    shutil.copy(program(), mine)        # a checkout may be where nobody may look
    with open(wrapper, "w", encoding="utf-8") as out:
        out.write(f"#!/bin/sh\nexec {as_nobody} {mine} \"$@\"\n")
    os.chmod(wrapper, 0o755)
    monkeypatch.setenv("PGTLS_PROGRAM", wrapper)
    other = subprocess.Popen([*as_nobody.split(), "cat"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    with other:
        other.stdin.write(b"x")
        other.stdin.flush()
        assert other.stdout.read(1) == b"x"
        assert os.stat(f"/proc/{other.pid}/environ").st_uid == pwd.getpwnam("nobody").pw_uid
        other.stdin.close()
    one = start(route({"address": postgres_clear.address}))
    assert os.stat(f"/proc/{one.process.pid}/environ").st_uid == 0


def leaves_core(process):
    """The process is aborted, and may leave a core of any size."""
    resource.prlimit(process.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


@pytest.fixture
def cores(folder, monkeypatch):
    """Left out where no process leaves any."""
    monkeypatch.chdir(folder)
    if not leaves_core(subprocess.Popen(["sleep", "60"])):
        pytest.skip("no process leaves a core here")


@pytest.mark.skipif(sanitized(), reason="a sanitizer has its own way with signals")
def test_the_proxy_leaves_no_core(cores, folder):
    one = Proxy(folder, [route({"address": "127.0.0.1:1"})]).wait_ready()
    assert not leaves_core(one.process)


@pytest.mark.skipif(sanitized(), reason="a sanitizer has its own way with signals")
def test_a_command_with_a_password_leaves_no_core(cores):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"host=127.0.0.1 port={silent.getsockname()[1]} sslmode=require connect_timeout=20"
        check = subprocess.Popen([program(), "check", where + " user=me password=sesame"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with silent.accept()[0]:        # it is under way
            assert not leaves_core(check)
