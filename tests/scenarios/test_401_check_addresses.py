# SPDX-License-Identifier: PostgreSQL
"""From a name, or the environment, to a connection."""
import os
import socket
import ssl

import pytest

from peers import cert, doctor
from peers.postgres import PASSWORD
from peers.stream import has_ipv6


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


@pytest.fixture
def six(fake, folder):
    """six(name): a server on ::1 whose certificate, its own root, has this name."""
    if not has_ipv6():
        pytest.skip("no IPv6 here")

    def one(name):
        cert.good("self-signed", "--name", name, "--out", f"{folder}/{name}")
        pair = f"{folder}/{name}/server.crt", f"{folder}/{name}/server.key"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        return fake(doctor.server(context), host="::1"), pair[0]
    return one


def test_ipv6_with_its_address_in_the_certificate(six):
    server, root = six("::1")
    for target, env in ((doctor.uri("[::1]", server.port, sslrootcert=root), {}),
                        (f"host=0:0:0:0:0:0:0:1 port={server.port} user=alice", {
                            "PGSSLROOTCERT": root}),
                        ("", {"PGHOST": "::1", "PGPORT": str(server.port), "PGUSER": "alice",
                              "PGSSLROOTCERT": root})):
        found = doctor.check(target, env=env)
        assert found.errors == set() and found.state("login") == "ok", found.text
        assert found.facts("resolve")["address"].endswith(f"[::1]:{server.port}")
        assert found.facts("certificate")["names"] == "IP:::1"
    shown = cert.good("show", f"[::1]:{server.port}").out
    assert "IP:::1" in shown and "self-signed" in shown


def test_ipv6_without_its_address_in_the_certificate(six):
    server, root = six("127.0.0.1")
    found = doctor.check(doctor.uri("[::1]", server.port, sslrootcert=root))
    assert found.errors == {"name.ip-without-san"}


@pytest.mark.parametrize("tls", [True, False])
def test_the_environment_alone_is_a_connection(postgres, certs, tls):
    """As psql with no word at all: over TCP with a password, and through the socket."""
    env = {"PGHOST": postgres.folder, "PGUSER": "alice"}
    if tls:
        env = {"PGHOST": "localhost", "PGUSER": "scram", "PGPASSWORD": PASSWORD,
               "PGSSLROOTCERT": certs.cert("backends-ca"), "PGSSLMODE": "verify-ca",
               "PGOPTIONS": "-c search_path=pg_catalog"}
    found = doctor.check("", env={**env, "PGPORT": str(postgres.port), "PGDATABASE": "postgres"})
    assert found.errors == set() and "ready" in found.facts("login"), found.text
    if tls:
        assert found.facts("settings")["sslmode"] == "verify-ca (environment)"
        assert found.facts("settings")["password"] == "given (environment)"


def test_a_service_file_is_a_connection_and_the_string_wins(postgres, certs, folder):
    with open(os.path.join(folder, "services"), "w", encoding="ascii") as out:
        out.write(f"[orders]\nhost=localhost\nport={postgres.port}\nuser=scram\n"
                  f"dbname=postgres\nsslrootcert={certs.cert('backends-ca')}\n"
                  f"password={PASSWORD}\n")
    env = {"PGSERVICEFILE": os.path.join(folder, "services"), "PGPORT": "1"}
    found = doctor.check("service=orders", env=env)
    assert found.errors == set() and found.facts("login")["authenticated"] == "yes", found.text
    assert f":{postgres.port}/" in found.json["target"]
    found = doctor.check("service=orders password=wrong", env=env)
    assert found.errors == {"login.password-wrong"}


def test_name_servers_are_addresses():
    done = doctor.run("postgresql://db.example/x", "--json", "--name-server", "no address")
    assert done.returncode == 1 and "name server" in done.stdout
    assert socket.gethostname() not in done.stdout
