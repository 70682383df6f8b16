# SPDX-License-Identifier: PostgreSQL
"""The kernel with kTLS that tests/faults/kernel_tls.c plays, seen from the test."""
import itertools
import mmap
import os
import struct
import time

from hostile.faults import preloaded, sanitizer

COUNTS = ["attached", "send_keys", "receive_keys", "sent", "received", "longest_sent",
          "next_send_keys", "next_receive_keys", "control_sent", "control_received"]
NUMBERS = itertools.count()


class Kernel:
    """`env` is what the program is started with; `words` say what kind of a kernel it is."""

    def __init__(self, folder, words=""):
        path = os.path.join(folder, f"kernel-{next(NUMBERS)}")
        with open(path, "wb") as out:
            out.write(bytes(4 * len(COUNTS)))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": ":".join([*sanitizer(), preloaded("libkernel_tls.so")]),
                    "PGTLS_KTLS": words, "PGTLS_KTLS_FILE": path}

        self.tried = dict.fromkeys(COUNTS, 0)

    def begin(self):
        """The program has tried the kernel: what counts comes now."""
        self.tried = self.counts

    @property
    def counts(self):
        return dict(zip(COUNTS, struct.unpack(f"{len(COUNTS)}I", self.map[:])))

    def __getitem__(self, name):
        return self.counts[name] - self.tried[name]

    def wait(self, name, count, timeout=20):
        until = time.monotonic() + timeout
        while self[name] < count:
            assert time.monotonic() < until, (name, self.counts)
            time.sleep(0.01)
