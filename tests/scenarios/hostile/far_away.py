# SPDX-License-Identifier: PostgreSQL
"""A machine of its own, as far as TCP can tell: a network namespace whose cable can be pulled."""
import ctypes
import os
import socket
import subprocess
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class FarAway:
    """Here is `here`, there is `there`; raises OSError or CalledProcessError where it cannot be."""

    def __init__(self):
        tag = os.getpid()
        self.name, self.cable, self.plug = f"pgtls{tag}", f"pg{tag}a", f"pg{tag}b"
        net = f"10.{200 + tag % 50}.{tag // 50 % 250}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.cable, "type", "veth", "peer", "name", self.plug, "netns",
               self.name)
            ip("addr", "add", f"{self.here}/24", "dev", self.cable)
            ip("link", "set", self.cable, "up")
            ip("-n", self.name, "addr", "add", f"{self.there}/24", "dev", self.plug)
            ip("-n", self.name, "link", "set", self.plug, "up")
        except BaseException:
            self.remove()
            raise

    def socket(self):
        """A socket over there; a thread goes there and makes it."""
        found = []

        def work():
            with open(f"/run/netns/{self.name}", encoding="ascii") as place:
                if LIBC.setns(place.fileno(), CLONE_NEWNET) == 0:
                    found.append(socket.socket())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if not found:
            raise OSError("setns failed")
        found[0].settimeout(20)
        return found[0]

    def pull(self):
        """From here on nothing goes through, and nobody is told."""
        ip("-n", self.name, "link", "set", self.plug, "down")

    def remove(self):
        subprocess.run(["ip", "link", "del", self.cable], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
