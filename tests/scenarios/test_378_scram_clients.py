# SPDX-License-Identifier: PostgreSQL
"""Clients that are not libpq log in through the bridge and without it."""
import os
import shutil
import subprocess

import pytest

from peers import verifiers
from peers.libpq import client_cert, connect
from peers.proxy import route

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.path.join(HERE, "..", "matrix", "node", "node_modules")
JDBC = "/usr/share/java/postgresql.jar"
TREE = os.environ.get("PGTLS_TRIXIE", "/var/tmp/pgtls-trixie")
JDBC_13 = TREE + JDBC                   # Debian 13's, run by the java of this machine

needs_node = pytest.mark.skipif(not os.path.isdir(MODULES) or shutil.which("node") is None,
                                reason="node-postgres is not installed")
needs_java = pytest.mark.skipif(not os.path.isfile(JDBC) or shutil.which("java") is None,
                                reason="pgjdbc is not installed")
needs_java_13 = pytest.mark.skipif(not os.path.isfile(JDBC_13) or shutil.which("java") is None,
                                   reason="pgjdbc of Debian 13 is not in the tree")


@pytest.fixture
def ports(start, listener, verified, postgres, folder):
    """{way: port}, with TLS on both legs and different certificates."""
    users = verifiers.userlist(folder, verifiers.copied(postgres, "scram"))
    routes = [route(verified(postgres.address, scram="bridge", auth_file=users), listener(),
                    name="bridge"),
              route(verified(postgres.address, scram="auto", auth_file=users), listener(),
                    name="auto"),
              route(verified(postgres.address), listener(), name="passes"),
              route(verified(postgres.address, scram="strip"), listener("prefer"), name="strips"),
              route(verified(postgres.address), name="clear")]
    start(*routes)
    return {words["name"]: int(words["listener"]["bind_address"].rpartition(":")[2])
            for words in routes}


def said(words, **env):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False, env={**os.environ, **env}).stdout.strip()


@needs_node
@pytest.mark.parametrize("binding", ["off", "on"])
def test_node_postgres(ports, certs, binding):
    def login(port, ca=certs.cert("servers-ca")):
        return said(["node", os.path.join(HERE, "peers", "scram_login.js"), str(port), ca, binding],
                    NODE_PATH=MODULES)
    assert login(ports["bridge"]) == "scram"
    assert login(ports["auto"]) == "scram"
    passed, clear = login(ports["passes"]), login(ports["clear"], "")
    if binding == "off":
        assert (passed, clear) == ("scram", "scram")
    else:
        assert "channel binding check failed" in passed
        # without TLS it says y, that it could bind, where libpq says n; the server has TLS
        assert "channel binding negotiation error" in clear


@needs_java
@pytest.mark.long
def test_pgjdbc(ports, certs):
    """Debian's knows no channel binding: it says n, which every way lets pass."""
    for way in ("bridge", "auto", "passes", "clear"):
        ca = "" if way == "clear" else certs.cert("servers-ca")
        assert said(["java", "-cp", JDBC, os.path.join(HERE, "peers", "ScramLogin.java"),
                     str(ports[way]), ca]) == "scram", way


@needs_java_13
@pytest.mark.long
@pytest.mark.parametrize("way, binding, verdict", [
    ("bridge", "disable", "scram"),
    ("bridge", "prefer", "scram"),
    ("bridge", "require", "scram"),
    ("auto", "require", "scram"),
    ("passes", "disable", "scram"),
    ("passes", "require", "channel binding check failed"),
    ("strips", "disable", "scram"),
    ("strips", "require", "did not offer an authentication method that supports channel binding"),
])
def test_pgjdbc_with_channel_binding(ports, certs, way, binding, verdict):
    """Debian 13's binds to the certificate that it sees: through the bridge the proxy's."""
    answer = said(["java", "-cp", JDBC_13, os.path.join(HERE, "peers", "ScramLogin.java"),
                   str(ports[way]), certs.cert("servers-ca"), binding])
    assert answer == verdict if verdict == "scram" else verdict in answer, answer


def test_psycopg(ports, certs):
    for binding in ("disable", "prefer", "require"):
        with connect(ports["bridge"], user="scram", password="open sesame",
                     channel_binding=binding, **client_cert(certs, None)) as session:
            assert session.execute("select current_user").fetchone() == ("scram",)
