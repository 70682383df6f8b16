# SPDX-License-Identifier: PostgreSQL
"""io_uring where it can be had, epoll where not, and the log says why.

The other scenarios run on what PGTLS_EVENT_LOOP says, by default on io_uring.
"""
import contextlib
import glob
import os
import subprocess

import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import psql
from peers.proxy import program, route, run, sanitized
from peers.stream import connect

RINGS = "anon_inode:[io_uring]"


@pytest.fixture
def io_uring():
    """Left out where this machine has none: then `pgtls version` says why."""
    if "io_uring," not in run("version").stdout:
        pytest.skip(run("version").stdout)


@pytest.fixture
def without_locked_memory(folder, monkeypatch):
    """The program may lock no memory, which a ring counts as."""
    if os.geteuid() == 0:
        words = "prlimit --memlock=0:0 setpriv --bounding-set=-ipc_lock"
    else:
        words = "prlimit --memlock=0:0"
    wrapper = os.path.join(folder, "limited")
    with open(wrapper, "w", encoding="utf-8") as out:
        out.write(f"#!/bin/sh\nexec {words} {program()} \"$@\"\n")
    os.chmod(wrapper, 0o755)
    monkeypatch.setenv("PGTLS_PROGRAM", wrapper)


FILTERED = """#!/usr/bin/python3
import ctypes, os, struct, sys
IO_URING_SETUP, SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER, EPERM = 425, 38, 22, 2, 1
load, compare, answer = 0x20, 0x15, 0x06
steps = [(load, 0, 0, 0), (compare, 0, 1, IO_URING_SETUP), (answer, 0, 0, 0x50000 | EPERM),
         (answer, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
rules = struct.pack("HP", len(steps), ctypes.addressof(code))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and prctl(SET_SECCOMP, FILTER, rules) == 0
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


@pytest.fixture
def without_set_up(folder, monkeypatch):
    """A filter of system calls as container runtimes have it."""
    wrapper = os.path.join(folder, "filtered")
    with open(wrapper, "w", encoding="utf-8") as out:
        out.write(FILTERED.format(program=os.path.abspath(program())))
    os.chmod(wrapper, 0o755)
    monkeypatch.setenv("PGTLS_PROGRAM", wrapper)


@pytest.mark.parametrize("kind", ["auto", "io_uring"])
def test_every_worker_has_a_ring_where_the_kernel_gives_it(io_uring, start, postgres_clear, kind):
    one = start(route({"address": postgres_clear.address}), event_loop=kind, workers=2)
    begun = one.wait_event("proxy.start")
    assert begun["event_loop"] == "io_uring" and "event_loop_reason" not in begun
    assert one.open_files().count(RINGS) == 2
    assert psql(one.port).stdout.strip() == "1"
    assert not one.find("event_loop.refused")


def calls_of(process, folder, work):
    """The system calls of all threads that move bytes, while work() goes on."""
    told = os.path.join(folder, "calls")
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", told, "-p", str(process.pid), "-e",
                               "trace=sendto,sendmsg,recvfrom,recvmsg,io_uring_enter"],
                              stderr=subprocess.PIPE)
    while not traced(process.pid):
        if tracer.poll() is not None:
            said = tracer.stderr.read()
            if b"not permitted" in said:
                pytest.skip("strace is not allowed here")
            raise AssertionError(said)
    try:
        work()
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)
    with open(told, encoding="utf-8") as lines:
        return [line.split(maxsplit=1)[1] for line in lines if "(" in line]


def traced(pid):
    """Each thread of it."""
    for status in glob.glob(f"/proc/{pid}/task/*/status"):
        with contextlib.suppress(FileNotFoundError), open(status, encoding="ascii") as lines:
            if "TracerPid:\t0\n" in lines.read():
                return False
    return True


@pytest.mark.skipif(os.geteuid() != 0, reason="traces another process")
@pytest.mark.skipif(sanitized(), reason="a sanitizer does not like to be traced")
def test_bytes_go_through_the_ring_in_the_call_that_waits(io_uring, start, fake, folder):
    """A send of its own would hand the processor to the peer that it wakes."""
    def script(stream, _tell):
        accept_login(stream)
        while stream.message().type == "Q":
            stream.send(wire.READY)

    one = start(route({"address": fake(script).address}), event_loop="io_uring")
    with connect(one.port) as client:
        client.login()

        def work():
            for _ in range(50):
                client.send(wire.query("select 1"))
                assert client.message().type == "Z"

        calls = calls_of(one.process, folder, work)
        client.send(wire.TERMINATE)
    enters = [call for call in calls if call.startswith("io_uring_enter(")]
    assert len(enters) >= 50
    assert all("IORING_ENTER_GETEVENTS" in call for call in enters), enters
    assert not [call for call in calls if call.startswith(("send", "recv"))], calls


def test_epoll_serves_where_it_is_asked_for(io_uring, start, postgres_clear):
    one = start(route({"address": postgres_clear.address}), event_loop="epoll", workers=2)
    begun = one.wait_event("proxy.start")
    assert (begun["event_loop"], begun["event_loop_reason"]) == ("epoll", "the setting event_loop")
    assert RINGS not in one.open_files()
    assert psql(one.port).stdout.strip() == "1"
    assert not one.find("event_loop.refused")


def test_epoll_serves_where_no_memory_may_be_locked(io_uring, without_locked_memory, start,
                                                    postgres_clear):
    one = start(route({"address": postgres_clear.address}), event_loop="auto", workers=2)
    begun = one.wait_event("proxy.start")
    assert begun["event_loop"] == "epoll" and "RLIMIT_MEMLOCK" in begun["event_loop_reason"]
    assert RINGS not in one.open_files()
    assert psql(one.port).stdout.strip() == "1"
    assert not one.find("event_loop.refused")       # it was not asked for by name


def test_epoll_serves_where_a_filter_forbids_rings(io_uring, without_set_up, start, postgres_clear):
    one = start(route({"address": postgres_clear.address}), event_loop="auto", workers=2)
    begun = one.wait_event("proxy.start")
    assert begun["event_loop"] == "epoll"
    assert "a filter of system calls, forbids it" in begun["event_loop_reason"]
    assert psql(one.port).stdout.strip() == "1"


def test_a_ring_asked_for_by_name_that_cannot_be_had_is_a_warning(io_uring, without_locked_memory,
                                                                  start, postgres_clear):
    one = start(route({"address": postgres_clear.address}), event_loop="io_uring", workers=2)
    refused = one.wait_count("event_loop.refused", 2)
    assert sorted(line["worker"] for line in refused) == [0, 1]
    assert all(line["level"] == "warn" and line["event_loop"] == "epoll"
               and "RLIMIT_MEMLOCK" in line["reason"] for line in refused)
    assert psql(one.port).stdout.strip() == "1"


def test_the_version_tells_the_event_loops(io_uring, without_locked_memory):
    assert "event loops  epoll (io_uring: RLIMIT_MEMLOCK is too low" in run("version").stdout
