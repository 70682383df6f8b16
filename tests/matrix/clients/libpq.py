#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Clients that are libpq: psql, psycopg and psycopg2, both of them blocking and not.

Reads a case a line, tells its outcome a line; run.py says what the words are.  It runs on this
machine and in the tree of another Debian alike, and needs nothing but the packages.
"""
import asyncio
import gc
import glob
import select
import subprocess
import sys

SQL = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


def conninfo(case):
    words = {"host": "localhost", "hostaddr": "127.0.0.1", "port": case["port"], "user": "alice",
             "dbname": case["dbname"], "sslmode": case["sslmode"], "connect_timeout": "20",
             "sslrootcert": case["rootcert"], "sslcert": case["cert"], "sslkey": case["key"]}
    return " ".join(f"{key}='{value}'" for key, value in words.items() if value)


def newest_psql():
    found = glob.glob("/usr/lib/postgresql/*/bin/psql")
    return max(found, key=lambda path: int(path.split("/")[4]))


def psql(case):
    done = subprocess.run([newest_psql(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo(case),
                           "-c", SQL, "-c", "\\conninfo"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return "SSL connection (" in done.stdout, done.stdout.startswith("t\n")


def psycopg_blocking(case):
    import psycopg
    with psycopg.connect(conninfo(case), autocommit=True) as session:
        return bool(session.pgconn.ssl_in_use), session.execute(SQL).fetchone()[0]


def psycopg_asyncio(case):
    import psycopg

    async def one():
        session = await psycopg.AsyncConnection.connect(conninfo(case), autocommit=True)
        async with session:
            row = await (await session.execute(SQL)).fetchone()
            return bool(session.pgconn.ssl_in_use), row[0]

    return asyncio.run(one())


def psycopg2_blocking(case):
    import psycopg2
    session = psycopg2.connect(conninfo(case))
    try:
        return psycopg2_outcome(session, lambda: None)
    finally:
        session.close()


def psycopg2_polling(case):
    import psycopg2
    session = psycopg2.connect(conninfo(case), async_=1)
    try:
        psycopg2_wait(session)
        return psycopg2_outcome(session, lambda: psycopg2_wait(session))
    finally:
        session.close()


def psycopg2_outcome(session, wait):
    cursor = session.cursor()
    cursor.execute(SQL)
    wait()
    return bool(session.info.ssl_in_use), cursor.fetchone()[0]


def psycopg2_wait(session):
    from psycopg2 import extensions
    while True:
        state = session.poll()
        if state == extensions.POLL_OK:
            return
        reading = [session.fileno()] if state == extensions.POLL_READ else []
        writing = [session.fileno()] if state == extensions.POLL_WRITE else []
        if select.select(reading, writing, [], 20) == ([], [], []):
            raise RuntimeError("nothing happened for 20 s")


CLIENTS = {"psql": psql, "psycopg": psycopg_blocking, "psycopg-async": psycopg_asyncio,
           "psycopg2": psycopg2_blocking, "psycopg2-async": psycopg2_polling}
FIELDS = ("port", "dbname", "sslmode", "rootcert", "cert", "key")


def outcome(client, case):
    try:
        tls, backend_tls = client(case)
    except Exception as error:              # whatever a client says is the outcome
        text = (str(error) or repr(error)).replace("\n", " | ").replace("\t", " ")
        return "error\t" + text
    finally:
        gc.collect()        # psycopg leaves sockets that failed to the collector
    return f"session\t{'tls' if tls else 'clear'}/{'tls' if backend_tls else 'clear'}"


def main(words):
    client = CLIENTS[words[1]]
    for line in sys.stdin:
        case = dict(zip(FIELDS, line.rstrip("\n").split("\t")))
        print(outcome(client, case), flush=True)


if __name__ == "__main__":
    main(sys.argv)
