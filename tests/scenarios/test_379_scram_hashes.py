# SPDX-License-Identifier: PostgreSQL
"""What a login binds to, for each signature that a certificate may have."""
import os
import shutil
import subprocess

import pytest

from peers import verifiers
from peers.installed import serial_of, wait_served
from peers.libpq import psql
from peers.postgres import Postgres
from peers.proxy import route

PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]
KINDS = {
    "sha1": ["-newkey", "rsa:2048", "-sha1"],
    "sha256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha256"],
    "sha384": ["-newkey", "rsa:2048", "-sha384"],
    "sha512": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha512"],
    "pss-sha256": ["-newkey", "rsa:2048", "-sha256", *PSS],
    "pss-sha512": ["-newkey", "rsa:2048", "-sha512", *PSS],
    "ed25519": ["-newkey", "ed25519"],
}


def make(folder, kind):
    cert, key = os.path.join(folder, f"{kind}.crt"), os.path.join(folder, f"{kind}.key")
    subprocess.run(["openssl", "req", "-x509", *KINDS[kind], "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


@pytest.fixture(scope="module")
def own(session_folder, template, certs):
    """A server whose certificate changes from test to test."""
    server = Postgres(session_folder, template, certs, "pg-hashes", ssl=True)
    yield server
    server.stop()


def install(server, cert, key):
    for source, name in ((cert, "server.crt"), (key, "server.key")):
        path = os.path.join(server.data, name)
        shutil.copy(source, path)
        os.chmod(path, 0o600)
        server.installation.give_away(path)
    with server.connect(dbname="postgres") as session:
        session.execute("select pg_reload_conf()")
    with open(cert, encoding="ascii") as pem:
        wait_served(server.port, serial_of(pem.read()))     # it hears of that a moment later


@pytest.mark.parametrize("kind", KINDS)
def test_both_legs_bind_to_every_signature_that_has_a_hash(start, own, folder, kind):
    """PostgreSQL and libpq compute the hash too: where ours was another, they would refuse."""
    cert, key = make(folder, kind)
    install(own, cert, key)
    users = verifiers.userlist(folder, verifiers.copied(own, "scram"))
    one = start(route({"address": own.address, "sslmode": "verify-full", "root_ca": cert,
                       "verify_name": "localhost", "scram": "bridge", "auth_file": users},
                      {"sslmode": "require", "server_cert": cert, "server_key": key}))
    has_hash = kind != "ed25519"
    for _ in range(2):
        done = psql(one.port, "select current_user", user="scram", password="open sesame",
                    sslmode="verify-full", sslrootcert=cert,
                    channel_binding="require" if has_hash else "prefer")
        assert (done.returncode, done.stdout) == (0, "scram\n"), done.stderr
    one.stop()
    assert len(one.find("channel_binding")) == (0 if has_hash else 1)
    if not has_hash:
        assert "signed with ED25519" in one.find("channel_binding")[0]["reason"]
