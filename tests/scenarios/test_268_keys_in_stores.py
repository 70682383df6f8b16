# SPDX-License-Identifier: PostgreSQL
"""Keys that never leave their token: softhsm behind OpenSSL's pkcs11 provider, on both legs."""
import glob
import os
import subprocess

import pytest

from peers.backend import accept_login
from peers.proxy import route, run, toml
from peers.stream import Truncated, connect_tls

MODULE = "".join(glob.glob("/usr/lib/*/ossl-modules/pkcs11.so")[:1])
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"

pytestmark = pytest.mark.skipif(not MODULE or not os.path.exists(SOFTHSM),
                                reason="no pkcs11 provider or no softhsm2 here: Debian 13 has both")


@pytest.fixture
def token(folder, certs):
    """The environment of a program that has a token `t` with the keys `server` and `proxy`."""
    tokens = os.path.join(folder, "tokens")
    os.mkdir(tokens)
    words = {"OPENSSL_CONF": os.path.join(folder, "openssl.cnf"),
             "SOFTHSM2_CONF": os.path.join(folder, "softhsm2.conf")}
    with open(words["SOFTHSM2_CONF"], "w", encoding="ascii") as out:
        out.write(f"directories.tokendir = {tokens}\n")
    with open(words["OPENSSL_CONF"], "w", encoding="ascii") as out:
        out.write("openssl_conf = init\n[init]\nproviders = providers\n[providers]\n"
                  "default = usual\npkcs11 = token\n[usual]\nactivate = 1\n[token]\n"
                  f"module = {MODULE}\npkcs11-module-path = {SOFTHSM}\n"
                  "pkcs11-module-quirks = no-deinit\nactivate = 1\n")

    def softhsm(*more):
        subprocess.run(["softhsm2-util", *more], check=True, capture_output=True,
                       env={**os.environ, "SOFTHSM2_CONF": words["SOFTHSM2_CONF"]})

    softhsm("--init-token", "--free", "--label", "t", "--pin", "4321", "--so-pin", "1234")
    for number, name in enumerate(("server", "proxy"), 1):
        softhsm("--import", certs.key(name), "--token", "t", "--label", name, "--id",
                f"0{number}", "--pin", "4321")
    return words


def uri(name):
    return f"pkcs11:token=t;object={name};type=private"


def test_both_legs_sign_with_keys_in_a_token(start, fake, listener, verified, certs, token):
    def serve(stream, tell):
        accept_login(stream, certs.server(client_ca="proxies-ca"))
        tell(dict(pair[0] for pair in stream.tls.getpeercert()["subject"])["commonName"])
        try:
            stream.rest()
        except Truncated:
            pass                    # the clients hang up

    server = fake(serve)
    one = start(route(verified(server.address, client_cert=certs.cert("proxy"),
                               client_key=uri("proxy"), key_passphrase_command="echo 4321"),
                      listener(server_key=uri("server"), key_passphrase_command="echo 4321")),
                env=token)
    for _ in range(3):
        with connect_tls(one.port, certs.client()) as client:
            assert client.login()[-1].type == "Z"
    with server.changed:
        assert server.changed.wait_for(lambda: server.seen.count("proxy") == 3, 10), server.seen


@pytest.mark.parametrize("name, command, complaint", [
    ("server", "echo 1111", "is the PIN right"),
    ("server", None, "no private key at pkcs11:token=t;object=server"),
    ("nothing", "echo 4321", "no private key at pkcs11:token=t;object=nothing"),
    ("proxy", "echo 4321", "is not the key of"),
])
def test_a_key_that_the_token_does_not_give(folder, listener, token, name, command, complaint):
    config = os.path.join(folder, "t.toml")
    words = listener(server_key=uri(name), key_passphrase_command=command)
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route({"address": "127.0.0.1:5432"}, words)]))
    done = run("proxy", "-c", config, "--check", env={**os.environ, **token})
    assert done.returncode == 1
    assert "listener.server_" in done.stderr and complaint in done.stderr, done.stderr
