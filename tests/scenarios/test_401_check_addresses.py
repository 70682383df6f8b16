# SPDX-License-Identifier: PostgreSQL
"""From a name to a connection."""
import socket

import pytest

from peers import doctor


@pytest.fixture
def name_server():
    running = []

    def one(*addresses, **more):
        running.append(doctor.NameServer(list(addresses), **more))
        return running[-1].address

    yield one
    for server in running:
        server.stop()


def test_a_name_that_nobody_knows(name_server):
    found = doctor.check("postgresql://db.example/x", "--name-server", name_server())
    assert found.errors == {"resolve.not-found"}
    assert "db.example" in found.finding("resolve.not-found")["detail"]


def test_a_name_server_that_does_not_answer(name_server):
    found = doctor.check("postgresql://db.example/x?connect_timeout=1", "--name-server",
                         name_server(silent=True))
    assert found.errors == {"resolve.failed"}


def test_a_name_server_that_is_slow(name_server, postgres, certs):
    found = doctor.check(doctor.uri("db.example", postgres.port, sslmode="verify-ca",
                                    sslrootcert=certs.cert("backends-ca")),
                         "--name-server", name_server("127.0.0.1", delay=1.05))
    assert found.finding("resolve.slow")["severity"] == "warning"
    assert found.status == 0


def test_one_of_two_addresses_is_dead(name_server, postgres, certs):
    found = doctor.check(doctor.uri("db.example", postgres.port, sslmode="verify-ca",
                                    sslrootcert=certs.cert("backends-ca")),
                         "--name-server", name_server("127.0.0.9", "127.0.0.1"))
    assert found.finding("connect.some-dead")["severity"] == "warning"
    assert "127.0.0.9" in found.finding("connect.some-dead")["detail"]
    assert found.status == 0


def test_one_of_two_hosts_is_dead(postgres, certs):
    found = doctor.check(f"host=127.0.0.9,localhost port={postgres.port} user=alice "
                         f"dbname=postgres sslrootcert={certs.cert('backends-ca')}")
    assert "connect.some-dead" in found.ids and found.status == 0


def test_nobody_listens():
    found = doctor.check(doctor.uri("127.0.0.1", 1))
    assert found.errors == {"connect.refused"}


def test_nobody_answers(blackhole):
    found = doctor.check(doctor.uri("127.0.0.1", blackhole.port, connect_timeout=1))
    assert found.errors == {"connect.timeout"}


def test_a_socket_that_is_not_there(folder):
    found = doctor.check(f"host={folder} user=alice dbname=x")
    assert found.errors == {"connect.failed"}
    assert f"{folder}/.s.PGSQL.5432" in found.finding("connect.failed")["detail"]


def test_hostaddr_needs_no_look_up(name_server, postgres, certs):
    found = doctor.check(f"host=localhost hostaddr=127.0.0.1 port={postgres.port} user=alice "
                         f"dbname=postgres sslrootcert={certs.cert('backends-ca')}",
                         "--name-server", name_server(silent=True))
    assert found.status == 0, found.text


def test_verify_full_without_a_name(postgres, certs):
    found = doctor.check(f"hostaddr=127.0.0.1 port={postgres.port} user=alice dbname=postgres "
                         f"sslrootcert={certs.cert('backends-ca')}")
    assert found.errors == {"name.no-host"}


def test_a_unix_socket_of_postgresql(postgres):
    found = doctor.check(f"host={postgres.folder} port={postgres.port} user=alice "
                         f"dbname=postgres")
    assert found.status == 0, found.text
    assert found.state("negotiate") == "skipped"
    assert "ready" in found.facts("login")


def test_name_servers_are_addresses():
    done = doctor.run("postgresql://db.example/x", "--json", "--name-server", "no address")
    assert done.returncode == 1 and "name server" in done.stdout
    assert socket.gethostname() not in done.stdout
