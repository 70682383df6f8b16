# SPDX-License-Identifier: PostgreSQL
"""What the fixtures do for scenarios, for programs of their own: tests/matrix, tests/zoo."""
import contextlib
import os
import shutil
import subprocess
import tempfile

TREE_TOOL = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools",
                                         "trixie_tree.sh"))


def tree():
    """The folder of Debian 13, made if it is missing."""
    return subprocess.run([TREE_TOOL], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


class Stage:
    """A folder below /tmp, and what runs in it: ended at the end, the last one first."""

    def __init__(self, home):
        self.home, self.running, self.problems = home, [], []

    def add(self, one):
        self.running.append(one)
        return one

    def start_proxy(self, routes, name="proxy", **top):
        from peers.proxy import Proxy
        folder = os.path.join(self.home, name)
        os.mkdir(folder)
        return self.add(Proxy(folder, routes, **top)).wait_ready()

    def stop(self):
        while self.running:
            try:
                self.running.pop().stop()
            except AssertionError as error:
                self.problems.append(str(error))


@contextlib.contextmanager
def stage(prefix):
    """Readable by the user that PostgreSQL runs as; nothing of ~/.postgresql of this machine."""
    home = tempfile.mkdtemp(prefix=prefix, dir="/tmp")
    os.chmod(home, 0o755)
    os.environ["HOME"] = home
    one = Stage(home)
    try:
        yield one
    finally:
        one.stop()
        shutil.rmtree(home, ignore_errors=True)
