# SPDX-License-Identifier: PostgreSQL
"""Records that the kernel protects (kTLS), with a kernel that is played: see tests/faults.

What it counts proves that it was asked: without it all of this would pass, with records of
pgtls itself.
"""
import hashlib
import os
import signal
import ssl
import subprocess
import threading
import time

import pytest

from hostile.forger import ALERT, DATA, HANDSHAKE, Forger
from hostile.kernel import Kernel
from peers import wire
from peers.libpq import client_cert, connect as libpq_connect, psql
from peers.proxy import route, run
from peers.stream import Truncated, connect, connect_tls

SUITES = {"AES128": "TLS_AES_128_GCM_SHA256", "AES256": "TLS_AES_256_GCM_SHA384",
          "CHACHA": "TLS_CHACHA20_POLY1305_SHA256"}
MIB = 1024 * 1024


@pytest.fixture(params=["epoll", "io_uring"])
def loop(request):
    return request.param


@pytest.fixture
def with_kernel(start, folder, listener, postgres, verified, loop):
    """with_kernel(words): a kernel of that kind, and a proxy that gives it both legs."""
    def one(words="", backend=None, limits=None, **more):
        kernel = Kernel(folder, words)
        backend = {"record_layer": "kernel", **(backend or verified(postgres.address))}
        proxy = start(route(backend, listener("require", record_layer="kernel", **more), limits),
                      env=kernel.env, event_loop=loop)
        kernel.begin()
        return proxy, kernel
    return one


def legs_of(one, count=2):
    """{leg: whether the kernel receives, too}"""
    return {line["leg"]: line["receives"] for line in one.wait_count("tls.kernel", count)}


def forged(one, certs):
    """A client that is logged in and seals its own records from here on."""
    stream = Forger(connect(one.port).sock)
    assert stream.ask_for_tls() == b"S"
    stream.start_tls(certs.client(), server_hostname="localhost").forge()
    assert stream.login()[-1].type == "Z"
    return stream


def answer_to(stream, text="select 42"):
    return [message.type for message in stream.query(text)]


def copy_both_ways(session, mib):
    """Some MiB up and down again, with sums made at both ends."""
    line = hashlib.sha256(b"line").hexdigest().encode() * 15 + b"\n"
    block = line * (64 * 1024 // len(line))
    blocks = mib * MIB // len(block)
    session.execute("create temp table upload (t text)")
    with session.cursor().copy("copy upload from stdin") as copy:
        for _ in range(blocks):
            copy.write(block)
    down = hashlib.md5()
    with session.cursor().copy("copy upload to stdout") as copy:
        for data in copy:
            down.update(data)
    up = hashlib.md5()
    for _ in range(blocks):
        up.update(block)
    assert down.hexdigest() == up.hexdigest()


# ---- it works ----

def test_both_legs_are_the_kernels(with_kernel, certs):
    one, kernel = with_kernel()
    done = psql(one.port, "select length(repeat('x', 300000))", **client_cert(certs, None))
    assert (done.stdout, done.stderr) == ("300000\n", "")
    assert legs_of(one) == {"client": True, "backend": True}
    # a close_notify at each end, as an alert among records that are data
    assert one.end()["reason"] == "client_closed"
    assert kernel["control_sent"] >= 1 and kernel["control_received"] >= 1
    assert kernel["received"] > 2 and kernel["sent"] > 2
    assert not one.find("record_layer.refused") and "warning" not in one.text()


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_every_cipher_and_bulk_both_ways(with_kernel, certs, suite):
    one, kernel = with_kernel(ciphersuites=suite)
    with libpq_connect(one.port, **client_cert(certs, None)) as session:
        copy_both_ways(session, 6)
    assert legs_of(one) == {"client": True, "backend": True}
    assert kernel["sent"] > 2 * 6 * MIB // 16384 and kernel["received"] > 2 * 6 * MIB // 16384
    assert one.find("tls.handshake.ok", leg="client")[0]["tls_cipher"] == suite


@pytest.mark.parametrize("words", ["short", "again", "short again no_receive"])
def test_what_is_taken_in_parts_and_late_arrives_whole(with_kernel, certs, words):
    one, kernel = with_kernel(words)
    with libpq_connect(one.port, **client_cert(certs, None)) as session:
        copy_both_ways(session, 2)
        assert session.execute("select 1").fetchone() == (1,)
    assert kernel["sent"] > 2 * 2 * MIB // 16384


def test_records_to_clients_stay_short(with_kernel, certs):
    one, kernel = with_kernel()
    stream = connect_tls(one.port, certs.client())
    stream.login()
    legs_of(one)
    stream.records.clear()
    stream.query("select repeat('x', 3000000)")
    lengths = [length for kind, length in stream.records if kind == DATA]
    assert sum(lengths) > 3000000 and max(lengths) == 8192 + 17
    assert kernel["sent"] >= len(lengths)
    stream.close()


class SClient:
    """openssl s_client behind its handshake; a line "k" or "K" is a KeyUpdate."""

    def __init__(self, port):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "postgres",
             "-msg"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for data in iter(lambda: self.process.stdout.read1(65536), b""):
            self.text += data

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def wait(self, what, count=1):
        until = time.monotonic() + 20
        while self.text.count(what) < count:
            assert time.monotonic() < until and self.reader.is_alive(), self.text
            time.sleep(0.01)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.reader.join(20)


def test_openssl_changes_its_keys_and_hears_close_notify(with_kernel):
    one, kernel = with_kernel()
    peer = SClient(one.port)
    peer.wait(b"Verify return code")
    peer.say(wire.startup("alice", "postgres"))
    legs_of(one)
    for number, letter in enumerate([b"K", b"k", b"K"], 1):
        time.sleep(0.05)        # a letter is one where it stands alone
        peer.say(letter + b"\n")
        peer.wait(b">>> TLS 1.3, Handshake [length 0005], KeyUpdate", number)
        flush = b"H\0\0\0\4"    # a Q in front would be a letter, too
        peer.say(flush + wire.query(f"select 'answer {number}'"))
        peer.wait(b"answer %d" % number)
    peer.say(b"X\0\0\0\4")
    peer.wait(b"close_notify")
    peer.stop()
    assert kernel["next_receive_keys"] == 3 and kernel["next_send_keys"] == 2


# ---- new keys ----

def test_a_client_changes_its_key_as_often_as_it_likes(with_kernel, certs):
    one, kernel = with_kernel()
    with forged(one, certs) as stream:
        legs_of(one)
        for turn in range(5):
            stream.update_keys(please=turn % 2 == 1)
            assert answer_to(stream, f"select repeat('x', {turn * 20000})") == list("TDCZ")
        stream.update_keys(please=True)     # and two in a row, without data
        stream.update_keys()
        assert answer_to(stream) == list("TDCZ")
    assert kernel["next_receive_keys"] == 7 and kernel["next_send_keys"] == 3


def test_a_client_that_does_not_read_asks_for_new_keys(with_kernel, certs):
    """Its requests are answered amid what waits for it, where the kernel waits for keys, too."""
    one, kernel = with_kernel()
    with forged(one, certs) as stream:
        legs_of(one)
        stream.send(wire.query("select repeat('x', 20000000)"))
        for count in range(1, 4):
            stream.update_keys(please=True)
            kernel.wait("next_receive_keys", count)
        assert [m.type for m in stream.messages_until("Z")] == list("TDCZ")
        assert answer_to(stream) == list("TDCZ")
    assert kernel["next_receive_keys"] == 3 and kernel["next_send_keys"] in (1, 2, 3)


def serve(context, tell, stream, before):
    """A server that seals its own records and does `before(stream)` in front of each answer."""
    stream = Forger(stream.sock)
    assert stream.packet() == wire.SSL_REQUEST
    stream.send(b"S")
    stream.start_tls(context, server_side=True)
    assert stream.packet() is not None
    stream.forge()
    stream.send(wire.LOGGED_IN)
    while (message := stream.message()) is not None and message.type == "Q":
        before(stream)
        stream.send(wire.command_complete() + wire.READY)
    tell(message)


@pytest.fixture
def forging_server(fake, certs):
    """forging_server(before): a backend whose server is a forger."""
    def one(before):
        server = fake(lambda stream, tell: serve(certs.server(), tell, stream, before))
        return server, {"address": server.address, "sslmode": "verify-ca",
                        "root_ca": certs.cert("backends-ca")}
    return one


def test_a_server_changes_its_key_as_often_as_it_likes(with_kernel, certs, forging_server):
    server, backend = forging_server(lambda stream: stream.update_keys(please=True))
    one, kernel = with_kernel(backend=backend)
    with connect_tls(one.port, certs.client()) as stream:
        stream.login()
        legs_of(one)
        for _ in range(4):
            assert answer_to(stream) == list("CZ")
        stream.send(b"X\0\0\0\4")
        assert server.wait()[0].type == "X"
    assert kernel["next_receive_keys"] == 4 and kernel["next_send_keys"] == 4


def test_sending_alone_leaves_the_peers_keys_to_pgtls(with_kernel, certs):
    one, kernel = with_kernel("no_receive")
    with forged(one, certs) as stream:
        assert legs_of(one) == {"client": False, "backend": False}
        for turn in range(4):
            stream.update_keys(please=turn % 2 == 1)
            assert answer_to(stream) == list("TDCZ")
    assert kernel["next_receive_keys"] == 0 and kernel["next_send_keys"] == 2
    assert kernel["received"] == 0 and kernel["sent"] > 8
    # once a route and leg, however many connections
    psql(one.port, **client_cert(certs, None))
    refused = one.wait_count("record_layer.refused", 2)
    assert sorted(line["leg"] for line in refused) == ["backend", "client"]
    assert all("receives no TLS_AES_256_GCM_SHA384" in line["reason"] for line in refused)
    assert all(line["record_layer"] == "kernel, for sending" for line in refused)


# ---- kernels that cannot ----

def refused_by_alert(stream, name):
    """The peer is told by an alert, and nothing more comes."""
    with pytest.raises(ssl.SSLError, match=name):
        stream.rest()


def test_a_kernel_without_new_keys_ends_who_changes_them(with_kernel, certs):
    one, kernel = with_kernel("no_rekey")
    assert "the kernel cannot change keys" in one.text() and "Linux 6.14" in one.text()
    with forged(one, certs) as stream:
        legs_of(one)
        assert answer_to(stream) == list("TDCZ")
        stream.update_keys()
        refused_by_alert(stream, "INTERNAL_ERROR")
    told = one.wait_event("tls.failed")
    assert told["leg"] == "client" and told["alert_sent"] == "internal_error"
    assert "the peer has changed its key" in told["reason"]
    assert 'record_layer "record"' in told["hint"]
    assert one.end()["reason"] == "client_lost"
    assert kernel["next_receive_keys"] == 0


def test_and_who_asks_for_new_keys_where_it_only_sends(with_kernel, certs):
    one, kernel = with_kernel("no_rekey no_receive")
    with forged(one, certs) as stream:
        legs_of(one)
        stream.update_keys()
        assert answer_to(stream) == list("TDCZ")
        stream.update_keys(please=True)
        refused_by_alert(stream, "INTERNAL_ERROR")
    told = one.wait_event("tls.failed")
    assert "the peer asks for a new key" in told["reason"]
    assert kernel["next_send_keys"] == 0


def test_a_server_that_changes_its_key_on_such_a_kernel(with_kernel, certs, forging_server):
    ends = []

    def change(stream):
        stream.update_keys()
        with pytest.raises(ssl.SSLError) as found:
            stream.rest()
        ends.append(found.value.reason)
        raise EOFError

    server, backend = forging_server(change)
    one, _ = with_kernel("no_rekey", backend=backend)
    with connect_tls(one.port, certs.client()) as stream:
        stream.login()
        legs_of(one)
        stream.send(wire.query("select 1"))
        found = stream.message()
        assert found.type == "E" and b"08006" in found.body
        server.wait()
    assert "INTERNAL_ERROR" in ends[0]
    assert one.wait_event("tls.failed")["leg"] == "backend"
    assert one.end()["reason"] == "server_lost"


def test_a_key_that_is_not_taken_ends_the_connection(with_kernel, certs):
    """The kernel could change keys when it was tried: a network card cannot."""
    one, _ = with_kernel("late_key")
    with forged(one, certs) as stream:
        legs_of(one)
        stream.update_keys()
        refused_by_alert(stream, "INTERNAL_ERROR")
    assert "takes no next key for receiving" in one.wait_event("record_layer.refused")["reason"]
    assert "does not take the peer's new key" in one.wait_event("tls.failed")["reason"]
    # and of sending, where no alert can be sealed any more
    one, _ = with_kernel("late_key no_receive")
    with forged(one, certs) as stream:
        legs_of(one)
        stream.update_keys(please=True)
        assert not stream.sock.recv(100000) or stream.sock.recv(100) == b""
    one.end()


def test_a_cipher_that_the_kernel_has_not_stays_with_pgtls(with_kernel, certs):
    one, kernel = with_kernel("no_chacha", ciphersuites=SUITES["CHACHA"])
    assert "the kernel has no TLS_CHACHA20_POLY1305_SHA256" in one.text()
    assert psql(one.port, **client_cert(certs, None)).stdout == "1\n"
    assert legs_of(one, 1) == {"backend": True}
    told = one.wait_event("record_layer.refused")
    assert told["leg"] == "client" and told["record_layer"] == "record"
    assert kernel["sent"] > 0


def test_tls_1_2_stays_with_openssl(with_kernel, certs):
    one, _ = with_kernel()
    done = psql(one.port, ssl_max_protocol_version="TLSv1.2", **client_cert(certs, None))
    assert done.stdout == "1\n"
    told = one.wait_event("record_layer.refused")
    assert told["record_layer"] == "library" and "TLSv1.2" in told["reason"]


def test_keys_that_are_refused_at_once_leave_all_as_it_was(with_kernel, certs):
    one, kernel = with_kernel("quiet")
    with libpq_connect(one.port, **client_cert(certs, None)) as session:
        copy_both_ways(session, 1)
    assert kernel["sent"] == 0 and kernel["attached"] >= 2
    told = one.wait_count("record_layer.refused", 2)
    assert all("takes no key for sending" in line["reason"] for line in told)


WITHOUT = "the kernel has no TLS: its module tls is not loaded, and pgtls protects records itself; load it"


def test_without_kernel_tls_pgtls_protects_records_and_says_why(with_kernel, certs):
    one, kernel = with_kernel("absent")
    assert one.text().count(WITHOUT) == 2
    with libpq_connect(one.port, **client_cert(certs, None)) as session:
        copy_both_ways(session, 1)
    told = one.wait_count("record_layer.refused", 2)
    assert {(line["leg"], line["record_layer"]) for line in told} == \
        {("client", "record"), ("backend", "record")}
    assert all("module tls" in line["reason"] and "modprobe tls" in line["hint"] for line in told)
    assert sum(kernel.counts.values()) == 0
    checked = run("proxy", "--check", "-c", one.config, env={**os.environ, **kernel.env})
    assert checked.returncode == 0 and checked.stderr.count(WITHOUT) == 2


def test_on_this_machine_as_it_is(start, listener, postgres, verified, certs, loop):
    """No kernel is played: whatever the real one can, the sessions work and the log tells."""
    one = start(route(verified(postgres.address, record_layer="kernel"),
                      listener("require", record_layer="kernel")), event_loop=loop)
    with libpq_connect(one.port, **client_cert(certs, None)) as session:
        copy_both_ways(session, 4)
    if WITHOUT in one.text():
        assert len(one.wait_count("record_layer.refused", 2)) == 2
        assert not one.find("tls.kernel")
    else:
        legs_of(one)


# ---- ends ----

def test_a_record_that_cannot_be_opened_is_told_by_an_alert(with_kernel, certs):
    one, _ = with_kernel("bad_record")
    with connect_tls(one.port, certs.client()) as stream:
        stream.login()
        legs_of(one)
        with pytest.raises((ssl.SSLError, EOFError)) as found:
            for _ in range(20):
                stream.query("select 1")
    told = one.wait_event("tls.failed")
    if told["leg"] == "client":
        assert "BAD_RECORD_MAC" in str(found.value)
    assert told["alert_sent"] == "bad_record_mac"


@pytest.mark.parametrize("kind", [ALERT, HANDSHAKE])
def test_an_empty_record_is_no_end(with_kernel, certs, kind):
    """The kernel tells it as 0 bytes with a type, where the end of file is 0 bytes."""
    one, _ = with_kernel()
    with forged(one, certs) as stream:
        legs_of(one)
        stream.send_record(DATA, b"")           # it may be empty: RFC 8446 5.1
        assert answer_to(stream) == list("TDCZ")
        stream.send_record(kind, b"")
        refused_by_alert(stream, "UNEXPECTED_MESSAGE")
    told = one.wait_event("tls.failed")
    assert "an empty record" in told["reason"] and told["alert_sent"] == "unexpected_message"
    assert one.end()["reason"] == "client_lost"


def test_a_send_that_fails_ends_the_connection(with_kernel, certs):
    one, _ = with_kernel("broken_send")
    with connect_tls(one.port, certs.client()) as stream:
        with pytest.raises((ssl.SSLError, OSError, EOFError, Truncated)):
            for _ in range(20):
                stream.login()
                stream.query("select 1")
    assert one.end()["reason"] in ("client_lost", "server_lost", "server_closed")


def test_who_hangs_up_in_the_middle_leaves_nothing_behind(with_kernel, certs):
    one, _ = with_kernel()
    before = None
    for _ in range(6):
        stream = connect_tls(one.port, certs.client())
        stream.login()
        stream.send(wire.query("select repeat('x', 10000000)"))
        stream.read(100000)
        stream.reset()
        if before is None:
            one.end()
            before = one.descriptors_at_rest()
    ends = one.wait_count("connection.end", 6)
    assert {line["reason"] for line in ends} == {"client_lost"}
    assert one.comes_down_to(before), (one.descriptors(), before)


def test_a_drain_says_goodbye_in_a_record(with_kernel, certs):
    one, _ = with_kernel()
    with connect_tls(one.port, certs.client()) as stream:
        stream.login()
        legs_of(one)
        one.signal(signal.SIGTERM)
        found = stream.message()
        assert found.type == "E" and b"57P01" in found.body
        assert stream.rest() == b""         # a close_notify, else Truncated
