# SPDX-License-Identifier: PostgreSQL
"""Much data and many clients: nothing is lost, nothing is changed."""
import hashlib
import threading

import psycopg
import pytest

from peers.libpq import client_cert, connect, pgbench
from peers.proxy import route

MIB = 1024 * 1024


@pytest.fixture
def tls(start, listener, postgres, verified):
    return start(route(verified(postgres.address), listener("require"),
                       limits={"max_connections": 200}), workers=2)


def numbered_block(number):
    """64 KiB of text that is different for each number."""
    seed = hashlib.sha256(str(number).encode()).hexdigest()
    return ((seed * 16)[:1023] + "\n").encode() * 64


def copy_down(session, mib):
    """Reads mib MiB made by the server; the sum must be the one that the server tells."""
    rows = mib * 1024
    source = (f"select md5(i::text) || repeat('x', 991) as t from generate_series(1, {rows}) i")
    seen = hashlib.md5()
    total = 0
    with session.cursor().copy(f"copy ({source}) to stdout") as copy:
        for data in copy:
            seen.update(data)
            total += len(data)
    assert total == mib * MIB
    return seen.hexdigest()


def expected_down(mib):
    seen = hashlib.md5()
    for i in range(1, mib * 1024 + 1):
        seen.update(hashlib.md5(str(i).encode()).hexdigest().encode() + b"x" * 991 + b"\n")
    return seen.hexdigest()


def copy_up(session, mib):
    """Sends mib MiB; the server's own sum over what came must be ours."""
    ours = hashlib.md5()
    session.execute("create temp table upload (n bigint generated always as identity, t text)")
    with session.cursor().copy("copy upload (t) from stdin") as copy:
        for number in range(mib * 16):
            block = numbered_block(number)
            copy.write(block)
            for line in block.split(b"\n")[:-1]:
                ours.update(hashlib.md5(line).hexdigest().encode())
    theirs = hashlib.md5()
    with session.cursor().copy("copy (select md5(t) from upload order by n) to stdout") as copy:
        for data in copy:
            theirs.update(bytes(data).replace(b"\n", b""))
    assert session.execute("select count(*) from upload").fetchone() == (mib * 1024,)
    assert ours.hexdigest() == theirs.hexdigest()


@pytest.mark.parametrize("leg", ["clear", "tls"])
def test_copy_of_100_mb_down_is_what_the_server_sent(start, tls, postgres, certs, leg):
    one = tls if leg == "tls" else start(route({"address": postgres.address}))
    words = client_cert(certs, None) if leg == "tls" else {"sslmode": "disable"}
    with connect(one.port, **words) as session:
        assert copy_down(session, 100) == expected_down(100)
    assert one.end()["bytes_out"] > 100 * MIB


@pytest.mark.parametrize("leg", ["clear", "tls"])
def test_copy_of_100_mb_up_is_what_the_client_sent(start, tls, postgres, certs, leg):
    one = tls if leg == "tls" else start(route({"address": postgres.address}))
    words = client_cert(certs, None) if leg == "tls" else {"sslmode": "disable"}
    with connect(one.port, user="postgres", **{**words}) as session:
        copy_up(session, 100)
    assert one.end()["bytes_in"] > 100 * MIB


@pytest.mark.long
def test_copy_of_1_gb_down(tls, certs):
    with connect(tls.port, **client_cert(certs, None)) as session:
        assert copy_down(session, 1024) == expected_down(1024)


@pytest.mark.long
def test_copy_of_1_gb_up(tls, certs):
    with connect(tls.port, user="postgres", **client_cert(certs, None)) as session:
        copy_up(session, 1024)


def test_both_directions_at_once(tls, certs):
    """A pipeline that fills both directions must not lock up."""
    with connect(tls.port, **client_cert(certs, None)) as session, session.pipeline():
        text = "x" * 200000
        cursors = [session.execute("select %s::text", [text]) for _ in range(100)]
        for cursor in cursors:
            assert cursor.fetchone() == (text,)


@pytest.fixture
def bench(postgres):
    with postgres.connect(dbname="bench") as session:
        if session.execute("select to_regclass('pgbench_accounts')").fetchone() == (None,):
            made = pgbench_init(postgres)
            assert made.returncode == 0, made.stderr
    return postgres


def pgbench_init(postgres):
    return pgbench(postgres.port, "-i", "-s", "4", "-q", user="postgres", sslmode="disable")


def run_pgbench(port, certs, seconds, *words):
    done = pgbench(port, "-n", "-c", "64", "-j", "2", "-T", str(seconds), *words, user="postgres",
                   timeout=seconds + 60, **client_cert(certs, None))
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower() and "abort" not in done.stderr.lower(), done.stderr
    assert "number of failed transactions: 0 " in done.stdout, done.stdout


@pytest.mark.thread
def test_pgbench_with_64_clients_sees_no_error(tls, certs, bench):
    run_pgbench(tls.port, certs, 5)
    assert len(tls.wait_count("connection.end", 64)) >= 64


@pytest.mark.thread
def test_pgbench_with_a_connection_for_each_query(tls, certs, bench):
    done = pgbench(tls.port, "-n", "-S", "-C", "-c", "8", "-j", "2", "-T", "3", user="postgres",
                   **client_cert(certs, None))
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("how", [("-S",), ("-M", "extended"), ("-M", "prepared")])
def test_pgbench_for_half_a_minute_with_64_clients(tls, certs, bench, how):
    run_pgbench(tls.port, certs, 30, *how)


def test_a_small_query_is_answered_beside_bulk(tls, certs):
    """One bulk transfer does not starve the others of the same worker."""
    import time

    stop = threading.Event()

    def bulk():
        with connect(tls.port, **client_cert(certs, None)) as session:
            while not stop.is_set():
                copy_down(session, 20)

    threads = [threading.Thread(target=bulk) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        slowest = 0
        with connect(tls.port, **client_cert(certs, None)) as session:
            for _ in range(50):
                started = time.monotonic()
                session.execute("select 1")
                slowest = max(slowest, time.monotonic() - started)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert slowest < 10


def test_many_sessions_come_and_go(tls, certs):
    def run(errors):
        try:
            for _ in range(15):
                with connect(tls.port, **client_cert(certs, None)) as session:
                    session.execute("select repeat('x', 10000)").fetchone()
        except psycopg.Error as error:
            errors.append(error)

    errors = []
    threads = [threading.Thread(target=run, args=(errors,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(tls.wait_count("connection.end", 120)) == 120
