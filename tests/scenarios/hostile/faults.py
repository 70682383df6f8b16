# SPDX-License-Identifier: PostgreSQL
"""The faults that tests/faults/shim.c injects, seen from the test that steers them."""
import mmap
import os
import re
import struct
import subprocess

from peers.proxy import program

CALLS = ["accept4", "socket", "connect", "getsockopt", "setsockopt", "recv", "send", "shutdown",
         "close", "epoll_ctl", "epoll_wait", "io_uring_enter", "operation of io_uring"]

# What no proxy does that waits in this loop.
NEVER = {"epoll": {"io_uring_enter", "operation of io_uring"}, "io_uring": {"recv"}}

# What it does now and then: beside a ring only a paused listener changes what epoll watches, only
# a connection that cannot be made is asked why, and only what goes in bulk and alone is sent at once.
SELDOM = {"epoll": set(), "io_uring": {"epoll_ctl", "getsockopt", "send"}}


def preloaded(name):
    """A library of tests/faults, beside the program, in the same build."""
    place = os.path.dirname(os.path.abspath(program()))
    while place != "/":
        path = os.path.join(place, "tests", "faults", name)
        if os.path.exists(path):
            return path
        place = os.path.dirname(place)
    raise AssertionError(f"tests/faults/{name} is not built beside the program")


def sanitizer():
    """Its library must be the first one that is loaded."""
    found = subprocess.run(["ldd", program()], capture_output=True, text=True, check=True).stdout
    return re.findall(r"=> (\S*/lib[at]san\.so\S*)", found)


class Faults:
    def __init__(self, folder, seed):
        self.path = os.path.join(folder, f"faults-{seed}")
        with open(self.path, "wb") as out:
            out.write(struct.pack("II", seed, 0) + bytes(4 * len(CALLS)))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": ":".join([*sanitizer(), preloaded("libfaults.so")]),
                    "PGTLS_FAULT_FILE": self.path}

    def set_rate(self, of_a_million):
        self.map[4:8] = struct.pack("I", of_a_million)

    @property
    def injected(self):
        return dict(zip(CALLS, struct.unpack(f"{len(CALLS)}I", self.map[8:])))
