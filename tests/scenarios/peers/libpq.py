# SPDX-License-Identifier: PostgreSQL
"""libpq as users have it: psql, and psycopg for what psql cannot do."""
import os
import subprocess

import psycopg

from peers.postgres import bin_dir


def conninfo(port, **more):
    words = {"host": "localhost", "hostaddr": "127.0.0.1", "port": port, "user": "alice",
             "dbname": "postgres", "connect_timeout": 20, **more}
    return {key: value for key, value in words.items() if value is not None}


def client_cert(certs, name="alice", mode="verify-full"):
    """Parameters for a client that verifies the proxy and shows a certificate."""
    words = {"sslmode": mode, "sslrootcert": certs.cert("servers-ca")}
    if name is not None:
        words |= {"sslcert": certs.cert(name), "sslkey": certs.key(name)}
    return words


def psql(port, sql="select 1", timeout=60, **more):
    """A finished psql: returncode, stdout, stderr."""
    words = psycopg.conninfo.make_conninfo("", **conninfo(port, **more))
    return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", words, "-c", sql],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)


def connect(port, **more):
    return psycopg.connect(autocommit=True, **conninfo(port, **more))


def pgbench(port, *words, timeout=120, **more):
    info = psycopg.conninfo.make_conninfo("", **conninfo(port, dbname="bench", **more))
    return subprocess.run([os.path.join(bin_dir(), "pgbench"), *words, info],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)
