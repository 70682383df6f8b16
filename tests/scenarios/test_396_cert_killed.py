# SPDX-License-Identifier: PostgreSQL
"""Runs of pgtls cert that are killed at every step of writing: no half file, and the next run mends."""
import os
import shutil
import subprocess

import pytest

from peers import cert
from peers.proxy import program

# Where each step of file_set.c enters the system: writing, keeping the old file, giving the name.
NAMES = ["renameat", "renameat2"]       # the latter where nothing may be replaced
STEPS = ["fsync", "?link,?linkat", *NAMES]
STRACE = [shutil.which("strace"), "-f", "-qq", "-o", "/dev/null"]
MOST = 60       # more often than any of them is called by one run


def killed(step, when, words):
    """True where the run got to the `when`-th call of this kind, and died of it."""
    strace = [*STRACE, "-e", f"trace={step}", "-e", f"inject={step}:signal=KILL:when={when}"]
    done = subprocess.run([*strace, program(), "cert", *words], capture_output=True, text=True,
                          timeout=60, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    if "ptrace" in done.stderr.lower():
        pytest.skip("strace is not allowed here")
    assert done.returncode in (0, -9), done
    return done.returncode == -9


def hidden(place):
    """What stands beside the files of all folders: the next file of that name takes it along."""
    return [name for folder in os.listdir(place) for name in os.listdir(f"{place}/{folder}")
            if name.startswith(".")]


def visible(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def is_whole(folder):
    """Every file that has its name is a file that can be read, and no key is open to others."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".key"):
            cert.openssl("pkey", "-in", path, "-noout")
        elif name.endswith(".crt") and not name.startswith("."):
            cert.openssl("x509", "-in", path, "-noout")
        if ".key" in name:
            assert cert.mode(path) == 0o600


def each_step(folder, words, again, look, steps=STEPS):
    """
    Kills `words` at each call in a copy of `folder`, looks at it, runs `again` there and looks
    once more; returns how often it was killed.
    """
    count = 0
    for step in steps:
        for when in range(1, MOST + 1):
            place = os.path.join(os.path.dirname(folder), f"{step.strip('?')}-{when}")
            shutil.copytree(folder, place)
            if not killed(step, when, [word.format(place) for word in words]):
                break
            look(place)
            cert.good(*[word.format(place) for word in again])
            look(place)
            assert {os.path.splitext(name)[1] for name in hidden(place)} <= {".old"}
            count += 1
        else:
            raise AssertionError(f"{step} is called more than {MOST} times")
    return count


def test_a_renewal_that_is_killed_leaves_whole_files_and_the_next_one_mends(folder):
    base = os.path.join(folder, "base")
    os.mkdir(base)
    words = ["server", "--ca", "{}/ca", "--out", "{}/db", "--renew-before", "30d", "--name"]
    cert.good("ca", "--subject", "CN=R", "--out", f"{base}/ca")
    cert.good(*[word.format(base) for word in words], "old.example")

    def look(place):
        for one in ("ca", "db"):
            is_whole(f"{place}/{one}")
        assert visible(f"{place}/db") == ["root.crt", "server.crt", "server.key"]
        with open(f"{place}/ca/index.txt", encoding="ascii") as index:
            assert cert.serial_of(f"{place}/db/server.crt") in index.read()

    assert each_step(base, [*words, "new.example"], [*words, "new.example"], look) >= 9
    for place in os.listdir(folder):
        place = f"{folder}/{place}"
        cert.verify(f"{place}/ca/ca.crt", f"{place}/db/server.crt")
        cert.good("verify", "--cert", f"{place}/db/server.crt", "--key", f"{place}/db/server.key")
        assert ("new.example" in cert.text_of(f"{place}/db/server.crt")) != place.endswith("/base")
        cert.good(*[word.format(place) for word in words], "another.example")
        assert hidden(place) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_renewal_whose_names_cannot_be_given_leaves_the_old_files(folder, links):
    """The second of two names, for instance; also where a file cannot have two."""
    base = os.path.join(folder, "base")
    os.mkdir(base)
    words = ["server", "--ca", f"{base}/ca", "--out", f"{base}/db", "--force", "--name"]
    cert.good("ca", "--subject", "CN=R", "--out", f"{base}/ca")
    cert.good(*words, "old.example")
    before = {one: cert.contents(f"{base}/{one}") for one in ("ca", "db")}
    faults = [] if links else ["-e", "inject=?link,?linkat:error=EPERM"]
    for when in range(1, MOST):
        done = subprocess.run(
            [*STRACE, "-e", f"trace={','.join(['?link', '?linkat', *NAMES])}", *faults,
             "-e", f"inject={','.join(NAMES)}:error=EIO:when={when}", program(), "cert", *words,
             "new.example"], capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        if done.returncode == 0:
            break
        assert "could not rename" in done.stderr, done
        for one, contents in before.items():
            assert cert.contents(f"{base}/{one}") == contents
    assert when == 4                    # books, key, certificate
    assert "new.example" in cert.text_of(f"{base}/db/server.crt")
    assert hidden(base) == []


def test_authorities_that_are_killed_while_they_are_made_can_be_made_again(folder):
    base = os.path.join(folder, "base")
    os.mkdir(base)
    words = ["server", "--new-root", "{}/root", "--ca", "{}/int", "--name", "a.b", "--out",
             "{}/db"]

    def look(place):
        for one in os.listdir(place):
            is_whole(f"{place}/{one}")

    assert each_step(base, words, [*words, "--force"], look, NAMES) >= 15
    places = [f"{folder}/{place}" for place in os.listdir(folder) if place != "base"]
    for place in places:
        assert visible(f"{place}/db") == ["root.crt", "server.crt", "server.key"]
        cert.verify(f"{place}/root/ca.crt", f"{place}/db/server.crt")
        cert.good("verify", "--cert", f"{place}/db/server.crt", "--key", f"{place}/db/server.key",
                  "--ca", f"{place}/root/ca.crt")


def test_books_without_an_entry_are_no_obstacle_and_others_are(folder):
    ca = os.path.join(folder, "ca")
    make = ["ca", "--subject", "CN=R", "--out", ca]
    cert.good(*make)
    for name in ("ca.crt", "ca.key"):
        os.unlink(os.path.join(ca, name))
    cert.good(*make)
    cert.good("client", "--ca", ca, "--user", "alice", "--out", os.path.join(folder, "alice"))
    for name in ("ca.crt", "ca.key"):
        os.unlink(os.path.join(ca, name))
    before = cert.contents(ca)
    cert.refused("index.txt is there already; --force", *make)
    assert cert.contents(ca) == before
    cert.good("ca", "--subject", "CN=Other", "--out", os.path.join(folder, "other"))
    cert.good("crl", "--ca", os.path.join(folder, "other"))
    for name in ("ca.crt", "ca.key"):
        os.unlink(os.path.join(folder, "other", name))
    cert.refused("crlnumber is there already; --force", "ca", "--subject", "CN=Other", "--out",
                 os.path.join(folder, "other"))


def test_a_list_that_is_killed_never_gives_a_number_twice(folder):
    base = os.path.join(folder, "base")
    os.mkdir(base)
    cert.good("ca", "--subject", "CN=R", "--out", f"{base}/ca")
    words = ["crl", "--ca", "{}/ca"]
    cert.good(*[word.format(base) for word in words])
    numbers = []

    def look(place):
        text = cert.openssl("crl", "-in", f"{place}/ca/ca.crl", "-noout", "-crlnumber")
        numbers.append(int(text.strip().partition("=")[2], 16))

    assert each_step(base, words, words, look) >= 6
    assert all(first < second for first, second in zip(numbers[::2], numbers[1::2]))
