# SPDX-License-Identifier: PostgreSQL
"""TLS records towards clients: at most 8192 bytes, since libpq's readers hang on more."""
import asyncio
import ssl

import psycopg
import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, conninfo, connect as libpq_connect
from peers.proxy import route
from peers.stream import connect_tls

SIZES = [base + more for base in (8192, 16384, 24576, 32768, 65536, 131072)
         for more in (-64, -18, -1, 0, 1, 17, 64)]


def largest_plaintext(stream):
    overhead = 17 if stream.tls.version() == "TLSv1.3" else 24
    return max(length - overhead for kind, length in stream.records if kind == 23)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("limit, setting", [(8192, None), (1024, "1KiB"), (16384, "16KiB")])
def test_no_record_is_larger_than_the_setting(start, listener, certs, fake, version, limit,
                                              setting):
    rows = wire.data_row(b"x" * 60000) * 20

    def script(stream, _tell):
        accept_login(stream)
        stream.message()
        stream.send(rows + wire.READY)
        stream.rest()

    one = start(route({"address": fake(script).address},
                      listener("require", max_record_size=setting)))
    with connect_tls(one.port, certs.client(version=version)) as client:
        client.login()
        client.send(wire.query("select"))
        assert client.read(len(rows)) == rows
        largest = largest_plaintext(client)
    assert largest <= limit
    assert largest > limit // 2, "bulk is cut into records that are needlessly small"


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def words(request, start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")))
    return conninfo(one.port, ssl_max_protocol_version=request.param, **client_cert(certs, None))


def test_psycopg_reads_results_of_every_awkward_size(words):
    with psycopg.connect(**words) as session:
        for size in SIZES:
            assert len(session.execute("select repeat('x', %s)", [size]).fetchone()[0]) == size


def test_async_psycopg_reads_results_of_every_awkward_size(words):
    async def run():
        async with await psycopg.AsyncConnection.connect(**words) as session:
            for size in SIZES:
                cursor = await session.execute("select repeat('x', %s)", [size])
                assert len((await cursor.fetchone())[0]) == size

    asyncio.run(asyncio.wait_for(run(), 60))


def test_async_psycopg_reads_many_rows(words):
    async def run():
        async with await psycopg.AsyncConnection.connect(**words) as session:
            for rows, width in ((1000, 8), (100, 8150), (20, 16370), (5000, 100)):
                cursor = await session.execute(
                    "select repeat('y', %s) from generate_series(1, %s)", [width, rows])
                assert len(await cursor.fetchall()) == rows

    asyncio.run(asyncio.wait_for(run(), 60))


def test_psycopg2_reads_results_of_every_awkward_size(words):
    import select

    import psycopg2
    import psycopg2.extensions as extensions

    def wait(session):
        while True:
            state = session.poll()
            if state == extensions.POLL_OK:
                return
            ready = ([session], [], []) if state == extensions.POLL_READ else ([], [session], [])
            assert any(select.select(*ready, 20)), "psycopg2 waits for bytes that came already"

    session = psycopg2.connect(psycopg.conninfo.make_conninfo("", **words), async_=True)
    wait(session)
    cursor = session.cursor()
    for size in SIZES:
        cursor.execute("select repeat('x', %s)", [size])
        wait(session)
        assert len(cursor.fetchone()[0]) == size
    session.close()


def test_large_parameters_go_up(words):
    with psycopg.connect(**words) as session:
        for size in SIZES:
            row = session.execute("select length(%s::text)", ["z" * size]).fetchone()
            assert row == (size,)


def test_pipelined_queries_keep_their_order(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")))
    with libpq_connect(one.port, **client_cert(certs, None)) as session, session.pipeline():
        cursors = [session.execute("select %s::int, repeat('x', %s)", [i, i * 37])
                   for i in range(300)]
        for i, cursor in enumerate(cursors):
            number, text = cursor.fetchone()
            assert (number, len(text)) == (i, i * 37)
