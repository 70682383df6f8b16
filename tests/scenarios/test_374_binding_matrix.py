# SPDX-License-Identifier: PostgreSQL
"""Every pair of legs, every way of scram, every channel_binding: binding.txt is the contract."""
import collections
import os
import re
import subprocess
import time
from typing import NamedTuple

import psycopg
import pytest

from peers import verifiers
from peers.libpq import client_cert, conninfo
from peers.postgres import TREE_TOOL
from peers.proxy import route

HERE = os.path.dirname(os.path.abspath(__file__))
BINDINGS = ("disable", "prefer", "require")
TREE = os.environ.get("PGTLS_TRIXIE", "/var/tmp/pgtls-trixie")
CLIENTS = ["psql"]
if os.path.exists(os.path.join(TREE, "complete")) and os.getuid() == 0:
    CLIENTS.append(pytest.param("psql-17", marks=pytest.mark.long))
SAYINGS = (
    ("check", "SCRAM channel binding check failed"),
    ("negotiation", "SCRAM channel binding negotiation error"),
    ("clear-plus", "offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection"),
    ("needs-tls", r"channel binding required, but SSL not in use"),
    ("not-offered", "did not offer an authentication method that supports channel binding"),
)


class Row(NamedTuple):
    client: str
    way: str
    server: str
    certificate: str
    verdicts: tuple

    @property
    def name(self):
        return "-".join(self[:4])


def rows():
    found = []
    with open(os.path.join(HERE, "binding.txt"), encoding="ascii") as text:
        for line in text:
            words = line.partition("#")[0].split()
            if words:
                found.append(Row(*words[:4], tuple(words[4:])))
    return found


ROWS = rows()
WITH_FILE = ("auto+file", "bridge")


def verdict(client, port, **words):
    info = psycopg.conninfo.make_conninfo("", **conninfo(port, user="scram",
                                                         password="open sesame", **words))
    psql = ["psql"] if client == "psql" else [os.path.abspath(TREE_TOOL), "run", "psql"]
    done = subprocess.run([*psql, "-XAtqd", info, "-c", "select current_user"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False)
    if done.returncode == 0:
        return "ok"
    said = [word for word, text in SAYINGS if re.search(text, done.stderr)]
    return said[0] if said else done.stderr


@pytest.fixture(scope="session")
def same_key(certs, session_folder):
    """Another certificate for the key of the server."""
    path = os.path.join(session_folder, "same-key.crt")
    subprocess.run(["openssl", "req", "-x509", "-key", certs.key("backend"), "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-out", path], check=True, capture_output=True)
    return path


class Stage:
    """Routes for the rows, and what their clients need."""

    def __init__(self, certs, same_key, tls, clear, folder):
        self.certs, self.servers = certs, {"tls": tls, "plain": clear}
        self.identities = {
            "other": (certs.cert("server"), certs.key("server"), certs.cert("servers-ca")),
            "same": (certs.cert("backend"), certs.key("backend"), certs.cert("backends-ca")),
            "same-key": (same_key, certs.key("backend"), same_key),
        }
        self.files = {kind: verifiers.userlist(folder, verifiers.copied(server, "scram"), kind)
                      for kind, server in self.servers.items()}
        self.map = os.path.join(folder, "ident.conf")
        with open(self.map, "w", encoding="ascii") as out:
            out.write("m alice scram\n")

    def route(self, row, listener=None, backend=None):
        """With the modes given, or the plainest that make the legs what they are."""
        words = {"address": self.servers[row.server].address, "scram": row.way.partition("+")[0]}
        if row.way in WITH_FILE:
            words["auth_file"] = self.files[row.server]
        if row.server == "tls":
            mode = backend or "verify-full"
            words["sslmode"] = mode
            if mode != "prefer":
                words["root_ca"] = self.certs.cert("backends-ca")
        mode = listener or ("require" if row.client == "tls" else None)
        if row.way in ("strip", "passthrough") or (row.client == "plain" and row.way == "auto+file"):
            mode = "prefer"             # with less it would be refused at load
        if mode is None:
            return route(words, name=row.name)
        identity = self.identities["other" if row.certificate == "-" else row.certificate]
        settings = {"sslmode": mode, "server_cert": identity[0], "server_key": identity[1]}
        if mode.startswith("verify"):
            settings["client_ca"] = self.certs.cert("clients-ca")
        if mode == "verify-full":
            settings |= {"ident_file": self.map, "ident_map": "m"}
        return route(words, settings, name=row.name)

    def words(self, row, mode="verify-full"):
        if row.client == "plain":
            return {"sslmode": "disable"}
        ca = self.identities["same" if row.certificate == "direct" else row.certificate][2]
        return {**client_cert(self.certs, "alice", mode), "sslrootcert": ca}


@pytest.fixture
def stage(certs, same_key, postgres, postgres_clear, folder):
    return Stage(certs, same_key, postgres, postgres_clear, folder)


def direct(row):
    return row.certificate == "direct"


@pytest.mark.parametrize("client", CLIENTS)
def test_each_row_is_what_the_table_says(start, stage, postgres, client):
    routes = [stage.route(row) for row in ROWS if not direct(row)]
    one = start(*routes)
    ports = {words["name"]: int(words["listener"]["bind_address"].rpartition(":")[2])
             for words in routes}
    found = []
    for row in ROWS:
        port = postgres.port if direct(row) else ports[row.name]
        words = {**stage.words(row), "sslcert": None, "sslkey": None}
        found.append(row._replace(verdicts=tuple(
            verdict(client, port, channel_binding=binding, **words) for binding in BINDINGS)))
    assert found == ROWS
    one.stop()                          # the log is whole
    told = collections.Counter(line["route"] for line in one.find("channel_binding"))
    assert told == {row.name: 1 for row in ROWS if {"check", "negotiation"} & set(row.verdicts)}
    assert {line["route"] for line in one.find("auth.ok") if line.get("scram") == "bridged"} == {
        row.name for row in ROWS if row.way == "bridge" or row.way == "auto+file"
        and row.client == row.server == "tls" and row.certificate != "same"}


MODES = {"client": ("require", "verify-ca", "verify-full", "prefer", "allow"),
         "listener": ("prefer", "require", "verify-ca", "verify-full"),
         "backend": ("prefer", "require", "verify-ca", "verify-full")}


@pytest.mark.long
@pytest.mark.parametrize("listener", MODES["listener"])
def test_the_rows_hold_for_every_sslmode_of_both_legs(start, stage, listener):
    tls = [row for row in ROWS if row.client == row.server == "tls" and not direct(row)
           and row.certificate != "same-key" and row.way not in ("passthrough", "strip")]
    wrong, until = [], time.monotonic() + 500
    for backend in MODES["backend"]:
        routes = [stage.route(row, listener, backend) for row in tls]
        one = start(*routes)
        for row, words in zip(tls, routes):
            port = int(words["listener"]["bind_address"].rpartition(":")[2])
            for mode in MODES["client"]:
                # in the clear first, where the listener takes that
                if mode == "allow" and listener == "prefer":
                    continue
                for binding, expected in zip(BINDINGS, row.verdicts):
                    # libpq tries again in the clear, and the last word is of that attempt
                    if mode == "prefer" and listener == "prefer" and expected != "ok":
                        continue
                    got = verdict("psql", port, channel_binding=binding, **stage.words(row, mode))
                    if got != expected:
                        wrong.append((row.name, listener, backend, mode, binding, got))
                    assert time.monotonic() < until
        one.stop()
    assert not wrong
