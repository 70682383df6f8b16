# SPDX-License-Identifier: PostgreSQL
"""Hosts of one port and the bridge: who has the verifiers, and whose certificate logins bind to."""
import os

import pytest

from peers import verifiers
from peers.libpq import client_cert, psql
from peers.proxy import PORT, route, run, toml

A, B = "a.example.com", "b.example.com"
PASSWORD = "open sesame"


@pytest.fixture
def users(folder, postgres):
    return verifiers.userlist(folder, verifiers.copied(postgres, "scram"))


@pytest.fixture
def host(certs):
    """host(name, backend): its settings, with its own certificate; `backend` None: the port's."""
    def one(name, backend=None):
        cert = "host-" + name[0]
        words = {"names": name, "server_cert": certs.cert(cert), "server_key": certs.key(cert)}
        return {**words, "backend": backend} if backend else words
    return one


@pytest.fixture
def login(certs):
    """login(proxy, host, binding): psql, finished."""
    def one(proxy, name, binding):
        return psql(proxy.port, "select current_user", host=name, user="scram", password=PASSWORD,
                    channel_binding=binding, **client_cert(certs, None))
    return one


def is_in(done):
    return (done.returncode, done.stdout) == (0, "scram\n")


@pytest.mark.parametrize("way", ["bridge", "auto"])
def test_hosts_with_the_backend_of_the_port_have_its_verifiers(start, verified, postgres,
                                                               users, host, login, way):
    """`require` logs in only bound to the certificate of the host that was named."""
    one = start(route(verified(postgres.address, scram=way, auth_file=users), PORT,
                      hosts=[host(A), host(B)]))
    tries = [(name, binding) for name in (A, B) for binding in ("disable", "prefer", "require")]
    for name, binding in tries:
        done = login(one, name, binding)
        assert is_in(done), (name, binding, done.stderr)
    oks = one.wait_count("auth.ok", len(tries))
    assert {ok["scram"] for ok in oks} == {"bridged"}


def test_a_host_with_its_own_backend_has_none_of_the_port(start, verified, postgres,
                                                          users, host, login):
    """`auto` lets its logins pass untouched: the server refuses the binding, with a hint."""
    one = start(route(verified(postgres.address, auth_file=users), PORT,
                      hosts=[host(A), host(B, verified(postgres.address))]))
    for binding in ("disable", "prefer", "require"):
        assert is_in(login(one, A, binding)), binding
    assert is_in(login(one, B, "disable"))
    for binding in ("prefer", "require"):
        refused = login(one, B, binding)
        assert refused.returncode == 2
        assert "channel binding check failed" in refused.stderr and "auth_file" in refused.stderr


def test_each_host_has_the_users_of_its_own_file(start, verified, postgres, users, folder,
                                                 host, login):
    others = verifiers.userlist(folder, {"somebody": verifiers.made(PASSWORD)}, "others.txt")
    hosts = [host(name, verified(postgres.address, scram="bridge", auth_file=file))
             for name, file in ((A, users), (B, others))]
    one = start(route(None, PORT, hosts=hosts))
    assert is_in(login(one, A, "require"))
    refused = login(one, B, "require")
    assert refused.returncode == 2
    assert 'password authentication failed for user "scram"' in refused.stderr


def test_a_bridge_of_a_host_without_verifiers_is_refused_at_load(folder, verified, users,
                                                                 host):
    """The file of the port is not the host's."""
    words = route(verified("127.0.0.1:1", scram="bridge", auth_file=users), PORT,
                  hosts=[host(A), host(B, verified("127.0.0.1:1", scram="bridge"))])
    config = os.path.join(folder, "checked.toml")
    for good in (False, True):
        if good:
            words["hosts"][1]["backend"]["auth_file"] = users
        with open(config, "w", encoding="utf-8") as out:
            out.write(toml({}, [words]))
        done = run("proxy", "-c", config, "--check")
        assert (done.returncode == 0) == good, done.stderr
        assert ('"bridge" needs verifiers' in done.stderr) != good, done.stderr
