# SPDX-License-Identifier: PostgreSQL
"""Unix sockets on both legs; libpq never asks for TLS there."""
import os
import stat

import pytest

from peers import wire
from peers.libpq import psql
from peers.proxy import route
from peers.stream import connect


@pytest.fixture
def socket_path(folder):
    return os.path.join(folder, ".s.PGSQL.6432")


def test_a_listener_on_a_unix_socket(start, postgres, verified, folder, socket_path):
    one = start(route(verified(postgres.address), {"bind_address": f"unix:{socket_path}"}))
    done = psql(6432, "select ssl from pg_stat_ssl where pid = pg_backend_pid()", host=folder,
                hostaddr=None, sslmode="require")
    assert done.stdout == "t\n", done.stderr          # of the proxy's own leg
    end = one.end()
    assert end["negotiation"] == "plaintext"
    assert "6432" in end["client"] or "unix" in end["client"] or end["client"] == "local"


def test_ssl_request_on_a_unix_socket_gets_n(start, postgres_clear, socket_path):
    start(route({"address": postgres_clear.address}, {"bind_address": f"unix:{socket_path}"}))
    with connect(socket_path) as client:
        assert client.ask_for_tls() == b"N"
        assert client.login()[-1].type == "Z"


def test_a_server_on_a_unix_socket(start, listener, postgres, certs):
    one = start(route({"address": f"unix:{postgres.socket}"}, listener("require")))
    done = psql(one.port, "select current_user", sslmode="verify-full",
                sslrootcert=certs.cert("servers-ca"))
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr


def test_unix_sockets_on_both_legs(start, postgres, folder, socket_path):
    start(route({"address": f"unix:{postgres.socket}"}, {"bind_address": f"unix:{socket_path}"}),
          workers=2, ready=False).wait_event("listener.ready")
    for _ in range(10):
        done = psql(6432, "select 42", host=folder, hostaddr=None)
        assert done.stdout == "42\n", done.stderr


@pytest.mark.parametrize("mode, bits", [(None, 0o660), ("0600", 0o600), ("0666", 0o666)])
def test_the_mode_of_the_socket_file(start, postgres_clear, socket_path, mode, bits):
    start(route({"address": postgres_clear.address},
                {"bind_address": f"unix:{socket_path}", "unix_socket_mode": mode}))
    assert stat.S_IMODE(os.stat(socket_path).st_mode) == bits


def test_a_stale_socket_file_is_removed_and_ours_is_at_the_end(start, postgres_clear, socket_path):
    words = route({"address": postgres_clear.address}, {"bind_address": f"unix:{socket_path}"})
    first = start(words)
    first.process.kill()
    first.process.wait()
    assert os.path.exists(socket_path)
    first.stop = lambda: None               # it was killed: no clean end to ask for
    second = start(words)
    with connect(socket_path) as client:
        assert client.login()[-1].type == "Z"
        client.send(wire.TERMINATE)
    second.stop()
    assert not os.path.exists(socket_path)


def test_a_socket_that_somebody_serves_is_not_taken(start, postgres_clear, socket_path):
    words = route({"address": postgres_clear.address}, {"bind_address": f"unix:{socket_path}"})
    start(words)
    second = start(words, ready=False)
    assert second.wait_exit(20) == 1
    assert "in use" in second.text()
    second.stop = lambda: None
    with connect(socket_path) as client:
        assert client.login()[-1].type == "Z"


def test_a_file_that_is_no_socket_is_not_removed(start, postgres_clear, socket_path):
    with open(socket_path, "w", encoding="ascii") as out:
        out.write("precious")
    one = start(route({"address": postgres_clear.address},
                      {"bind_address": f"unix:{socket_path}"}), ready=False)
    assert one.wait_exit(20) == 1
    one.stop = lambda: None
    with open(socket_path, encoding="ascii") as text:
        assert text.read() == "precious"
