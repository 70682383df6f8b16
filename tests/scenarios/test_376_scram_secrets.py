# SPDX-License-Identifier: PostgreSQL
"""What the bridge knows of a password is gone when the login is over."""
import re
import time

import pytest

from peers import sasl, stream, verifiers
from peers.proxy import route, sanitized


def memory_of(pid):
    """All that the process can write to, piece by piece."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is None:
                continue
            start, end = (int(word, 16) for word in found.groups())
            memory.seek(start)
            try:
                yield memory.read(end - start)
            except OSError:
                continue        # a guard page, or a device


def holds(pid, secret):
    return any(secret in piece for piece in memory_of(pid))


@pytest.fixture
def bridged(start, listener, verified, postgres, folder):
    users = verifiers.userlist(folder, verifiers.copied(postgres, "scram"))
    return start(route(verified(postgres.address, scram="bridge", auth_file=users), listener()))


@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps what was freed")
def test_client_key_is_nowhere_behind_the_login(bridged, certs, postgres):
    pid = bridged.process.pid
    salt, iterations = verifiers.parts(verifiers.copied(postgres, "scram")["scram"])
    client_key, stored_key, _ = verifiers.keys("open sesame", salt, iterations)
    sessions = []
    for _ in range(3):
        client = stream.connect_tls(bridged.port, certs.client())
        sessions.append(client)
        assert sasl.Login(client).whole()[-1].type == "Z"
    assert holds(pid, stored_key)           # the search finds what is there
    assert not holds(pid, client_key)       # while the sessions live on
    for client in sessions:
        client.close()
    bridged.wait_count("connection.end", 3)
    assert not holds(pid, client_key)


@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps what was freed")
def test_the_password_of_auth_query_leaves_only_itself(start, listener, verified, postgres, folder,
                                                       certs):
    """The file's password is kept, and the keys made of it; the salted password is not."""
    import hashlib
    import os
    with postgres.connect(dbname="postgres") as session:
        session.execute("set password_encryption = 'scram-sha-256'")
        session.execute("drop role if exists scram_asker")
        session.execute("create role scram_asker login superuser password 'ask me softly'")
        if not session.execute("select 1 from pg_database where datname = 'scramdb'").fetchall():
            session.execute("create database scramdb")
    path = os.path.join(folder, "password")
    with open(path, "w", encoding="ascii") as out:
        out.write("ask me softly\n")
    os.chmod(path, 0o600)
    one = start(route(verified(
        postgres.address, scram="bridge", auth_query_user="scram_asker",
        auth_query="select rolpassword from pg_authid where rolname = $1",
        auth_query_database="scramdb", auth_query_password_file=path), listener()))
    with stream.connect_tls(one.port, certs.client()) as client:
        assert sasl.Login(client).whole()[-1].type == "Z"
    one.end()
    salt, iterations = verifiers.parts(verifiers.copied(postgres, "scram_asker")["scram_asker"])
    salted = hashlib.pbkdf2_hmac("sha256", b"ask me softly", salt, iterations)
    until = time.monotonic() + 10       # the question has an end of its own
    while holds(one.process.pid, salted):
        assert time.monotonic() < until
        time.sleep(0.1)
