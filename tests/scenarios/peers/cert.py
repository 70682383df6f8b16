# SPDX-License-Identifier: PostgreSQL
"""pgtls cert, and openssl to look at what it made."""
import os
import re
import subprocess

from peers.proxy import program


class Done:
    """A run that has ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"


def run(*words, cwd=None, timeout=60, **more):
    done = subprocess.run([program(), "cert", *map(str, words)], cwd=cwd, capture_output=True,
                          text=True, timeout=timeout, check=False,
                          **{"stdin": subprocess.DEVNULL, **more})
    assert "Sanitizer" not in done.stderr, done.stderr
    return Done(done)


def good(*words, **more):
    done = run(*words, **more)
    assert done.code == 0, done
    return done


def refused(text, *words, code=1, **more):
    """Ends with that exit code, prints nothing, and says the text."""
    done = run(*words, **more)
    assert done.code == code and text in done.err and done.out == "", done
    assert done.err.startswith("pgtls: cert"), done
    return done


def openssl(*words, fails=False, text=None):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True,
                          timeout=60, check=False,
                          **({"stdin": subprocess.DEVNULL} if text is None else {"input": text}))
    assert (done.returncode != 0) == fails, done
    return done.stdout + done.stderr


def verify(ca, chain, *words, fails=False):
    """openssl verify, as strict as it can be."""
    return openssl("verify", "-x509_strict", "-CAfile", ca, "-untrusted", chain, *words, chain,
                   fails=fails)


def text_of(cert):
    return openssl("x509", "-in", cert, "-noout", "-text")


def serial_of(cert):
    return openssl("x509", "-in", cert, "-noout", "-serial").strip().partition("=")[2]


def count(path):
    """How many certificates a file has."""
    with open(path, encoding="ascii") as text:
        return len(re.findall("BEGIN CERTIFICATE", text.read()))


def mode(path):
    return os.stat(path).st_mode & 0o7777


def contents(folder):
    """{name: bytes} of a folder; nothing else may be in it, hidden files neither."""
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


class Authorities:
    """A root in root/ and an issuing authority in int/."""

    def __init__(self, folder):
        self.folder = folder
        good("ca", "--subject", "CN=Example Root,O=Example", "--out", self.path("root"))
        good("intermediate", "--ca", self.path("root"), "--subject", "CN=Example Issuing",
             "--out", self.path("int"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def server(self, *words, names=("localhost", "127.0.0.1"), out="db", ca="int"):
        words = [word for name in names for word in ("--name", name)] + list(words)
        good("server", "--ca", self.path(ca), "--out", self.path(out), *words)
        return self.path(out)

    def client(self, user, *words, ca="int"):
        good("client", "--ca", self.path(ca), "--user", user, "--out", self.path(user), *words)
        return self.path(user)

    def lists(self):
        """A file with the revocation lists of both."""
        good("crl", "--ca", self.path("root"))
        good("crl", "--ca", self.path("int"), "--append", self.path("root", "ca.crl"), "--out",
             self.path("all.crl"))
        return self.path("all.crl")
