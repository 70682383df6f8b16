# SPDX-License-Identifier: PostgreSQL
"""A live TLS session goes from one process to another, and psql notices nothing."""
import os
import subprocess

import pytest

from peers.libpq import client_cert, psql
from peers.proxy import program


@pytest.fixture
def mover(certs, postgres_clear):
    """A proxy of two processes that give the session to each other every 50,000 bytes."""
    path = os.path.join(os.path.dirname(program()), "..", "tests", "interop", "mover")
    if not os.path.exists(path):
        pytest.skip("the tests of the build are not here")
    process = subprocess.Popen([path, str(postgres_clear.port), certs.cert("server"),
                                certs.key("server"), "50000"], stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def port_of(process):
    word, number = process.stdout.readline().split()
    assert word == b"port"
    return int(number)


def moves_of(process):
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    word, number = said.split()
    assert word == b"moves"
    return int(number)


def test_a_session_moves_in_the_middle_of_a_copy_out(mover, certs, postgres_clear):
    sql = "copy (select i, repeat(md5(i::text), 3) from generate_series(1, 30000) i) to stdout"
    done = psql(port_of(mover), sql, **client_cert(certs, None))
    assert done.returncode == 0, done.stderr
    assert done.stdout == psql(postgres_clear.port, sql, sslmode="disable").stdout
    assert len(done.stdout) > 3000000
    assert moves_of(mover) > 50


def test_a_session_moves_in_the_middle_of_a_copy_in(mover, certs, postgres_clear, folder):
    rows = os.path.join(folder, "rows")
    with open(rows, "w", encoding="ascii") as out:
        for i in range(30000):
            out.write(f"{i}\t{'%032d' % (i * 7919)}{'x' * 60}\n")
    psql(postgres_clear.port, "create table moved(i int, words text)", sslmode="disable")
    done = psql(port_of(mover), f"\\copy moved from '{rows}'", **client_cert(certs, None))
    assert done.returncode == 0, done.stderr
    assert moves_of(mover) > 40
    seen = psql(postgres_clear.port, "select count(*), sum(i), sum(length(words)) from moved",
                sslmode="disable")
    assert seen.stdout == "30000|449985000|2760000\n"
