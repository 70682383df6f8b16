# SPDX-License-Identifier: PostgreSQL
"""Records of our own with peers of other TLS libraries: GnuTLS, NSS, Java, Go.

tests/interop/tls_end.c is our end.  It makes new keys every few records, and asks for the
peer's.  libpq and OpenSSL are in every other scenario, pgjdbc in the matrix.
"""
import os
import shutil
import subprocess

import pytest

from peers.proxy import program
from peers.stream import free_port, has_ipv6

HERE = os.path.dirname(os.path.abspath(__file__))
INTEROP = os.path.join(HERE, "..", "interop")
RECORDS = "5"                           # that one key protects
FOR_GNUTLS = "20"                       # it takes 8 new keys a second, and no more
PATIENCE_S = 90

GNUTLS = {"TLS_AES_128_GCM_SHA256": "AES-128-GCM", "TLS_AES_256_GCM_SHA384": "AES-256-GCM",
          "TLS_CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305"}
each_suite = pytest.mark.parametrize("suite", GNUTLS)


def needs(command):
    return pytest.mark.skipif(shutil.which(command) is None, reason=f"{command} is not here")


def tls_end():
    path = os.path.join(os.path.dirname(program()), "..", "tests", "interop", "tls_end")
    if not os.path.exists(path):
        pytest.skip("the tests of the build are not here")
    return path


@pytest.fixture
def started():
    """started(WORD...): a process with pipes for everything, killed behind the scenario."""
    running = []

    def one(*words, **more):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(words, **{**pipes, **more}))
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.communicate()


def end_input(process):
    process.stdin.close()
    process.stdin = None                # communicate() would flush it


def port_of(process):
    """What a server says first: "port N"."""
    line = process.stdout.readline().decode()
    assert line.startswith("port "), line + process.stderr.read().decode()
    return int(line.split()[1])


def wait_said(process, word):
    """Until a server says that it listens."""
    said = b""
    for line in process.stderr:
        said += line
        if word in line:
            return
    if b"PR_Bind" in said and not has_ipv6():
        pytest.skip("selfserv listens on IPv6, which is not here")
    raise AssertionError(said)


def verdict(ours, suite):
    """Our end must have ended well, by records of its own and with many a new key."""
    _, told = ours.communicate(timeout=PATIENCE_S)
    told = told.decode()
    assert ours.returncode == 0, told
    layer, cipher, updates = told.split("\n")[-2].split()
    assert (layer, cipher) == ("record", suite), told
    return int(updates)


def say_and_hear(process, lines):
    """Writes each line and waits until it comes back."""
    for line in lines:
        process.stdin.write(line + b"\n")
        process.stdin.flush()
        for heard in process.stdout:
            if heard.rstrip(b"\r\n") == line:
                break
        else:
            raise AssertionError(f"{line} did not come back: {process.stderr.read()}")


# GnuTLS

@needs("gnutls-cli")
@each_suite
def test_a_client_of_gnutls(started, certs, suite):
    ours = started(tls_end(), "serve", certs.cert("server"), certs.key("server"), FOR_GNUTLS,
                   suite)
    words = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{GNUTLS[suite]}"
    theirs = started("gnutls-cli", "--insecure", "--inline-commands", "--priority", words,
                     "-p", str(port_of(ours)), "127.0.0.1")
    for turn in range(20):
        say_and_hear(theirs, [b"line %d" % turn, b"x" * (100 * turn + 1)])
        if turn % 8 == 4:
            theirs.stdin.write([b"^rekey^\n", b"^rekey1^\n"][turn % 2])
    end_input(theirs)
    assert theirs.wait(PATIENCE_S) == 0
    assert verdict(ours, suite) >= 4


@needs("gnutls-serv")
@each_suite
def test_a_server_of_gnutls(started, certs, suite):
    words = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{GNUTLS[suite]}"
    port = free_port()
    theirs = started("gnutls-serv", "--echo", "-a", "--priority", words, "-p", str(port),
                     "--x509certfile", certs.cert("server"), "--x509keyfile", certs.key("server"),
                     stdout=subprocess.DEVNULL)
    wait_said(theirs, b"listening")
    ours = started(tls_end(), "connect", str(port), FOR_GNUTLS, suite)
    say_and_hear(ours, [b"line %d " % turn + b"x" * (15 * turn) for turn in range(60)])
    assert verdict(ours, suite) >= 4


# NSS

@pytest.fixture
def nss_store(folder, certs):
    """A database with the server's certificate, named "server"."""
    bundle = os.path.join(folder, "server.p12")
    subprocess.run(["openssl", "pkcs12", "-export", "-name", "server", "-passout", "pass:secret",
                    "-in", certs.cert("server"), "-inkey", certs.key("server"), "-out", bundle],
                   check=True)
    subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{folder}"], check=True)
    subprocess.run(["pk12util", "-i", bundle, "-W", "secret", "-d", f"sql:{folder}"], check=True,
                   stdout=subprocess.DEVNULL)
    return f"sql:{folder}"


@needs("tstclnt")
@each_suite
def test_a_client_of_nss(started, certs, nss_store, suite):
    ours = started(tls_end(), "serve", certs.cert("server"), certs.key("server"), RECORDS, suite)
    theirs = started("tstclnt", "-h", "127.0.0.1", "-p", str(port_of(ours)), "-d", nss_store,
                     "-o", "-V", "tls1.3:tls1.3")
    say_and_hear(theirs, [b"line %d " % turn + b"x" * (30 * turn) for turn in range(40)])
    theirs.kill()                       # it does not end with its input
    assert verdict(ours, suite) >= 10


@needs("selfserv")
@each_suite
def test_a_server_of_nss(started, nss_store, suite):
    port = free_port()
    theirs = started("selfserv", "-n", "server", "-p", str(port), "-d", nss_store,
                     "-V", "tls1.3:tls1.3", "-v")
    wait_said(theirs, b"About to call accept")
    ours = started(tls_end(), "connect", str(port), "1", suite)
    ours.stdin.write(b"GET / HTTP/1.0\r\n")
    ours.stdin.flush()
    ours.stdin.write(b"\r\n")
    heard, told = ours.communicate(timeout=PATIENCE_S)
    assert b"HTTP/1.0 200 OK" in heard, (heard, told)
    assert told.split()[-3:-1] == [b"record", suite.encode()] and int(told.split()[-1]) >= 1, told


# Java: a second or two each, so that of the suites one is tried with each role

JAVA = [pytest.param(suite, marks=[] if suite == "TLS_AES_256_GCM_SHA384" else [pytest.mark.long])
        for suite in GNUTLS]


@needs("java")
@pytest.mark.parametrize("suite", JAVA)
def test_a_client_of_java(started, certs, suite):
    ours = started(tls_end(), "serve", certs.cert("server"), certs.key("server"), RECORDS, suite)
    theirs = started("java", os.path.join(INTEROP, "Peer.java"), "client", str(port_of(ours)))
    said, told = theirs.communicate(timeout=PATIENCE_S)
    assert said.startswith(b"TLSv1.3"), told
    assert verdict(ours, suite) >= 20


@needs("java")
@pytest.mark.parametrize("suite", JAVA)
def test_a_server_of_java(started, folder, nss_store, suite):
    theirs = started("java", os.path.join(INTEROP, "Peer.java"), "server",
                     os.path.join(folder, "server.p12"))
    ours = started(tls_end(), "connect", str(port_of(theirs)), RECORDS, suite)
    say_and_hear(ours, [b"line %d " % turn + b"x" * (90 * turn) for turn in range(60)])
    assert verdict(ours, suite) >= 10


# Go

@pytest.fixture(scope="module")
def go_peer(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("go"))
    path = os.path.join(folder, "peer")
    subprocess.run(["go", "build", "-o", path, os.path.join(INTEROP, "peer.go")], check=True,
                   env={**os.environ, "GOCACHE": os.path.join(folder, "cache"), "GO111MODULE": "off"})
    return path


@needs("go")
@pytest.mark.long
@each_suite
def test_a_client_of_go(started, certs, go_peer, suite):
    ours = started(tls_end(), "serve", certs.cert("server"), certs.key("server"), RECORDS, suite)
    theirs = started(go_peer, "client", str(port_of(ours)))
    said, told = theirs.communicate(timeout=PATIENCE_S)
    assert said == b"heard 100\n", told
    assert verdict(ours, suite) >= 20


@needs("go")
@pytest.mark.long
@each_suite
def test_a_server_of_go(started, certs, go_peer, suite):
    theirs = started(go_peer, "server", certs.cert("server"), certs.key("server"))
    ours = started(tls_end(), "connect", str(port_of(theirs)), RECORDS, suite)
    say_and_hear(ours, [b"line %d " % turn + b"x" * (90 * turn) for turn in range(60)])
    assert verdict(ours, suite) >= 10
