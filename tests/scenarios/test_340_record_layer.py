# SPDX-License-Identifier: PostgreSQL
"""Who protects records after the handshake: OpenSSL, or the program itself."""
import os
import ssl

import pytest

from hostile.faults import preloaded, sanitizer
from peers.libpq import client_cert, psql
from peers.proxy import route, run, toml
from peers.stream import connect_tls

LAYERS = ["auto", "library", "record"]


def layers_of(one):
    """What the handshakes of both legs say, client first."""
    found = {line["leg"]: line["record_layer"] for line in one.wait_count("tls.handshake.ok", 2)}
    return found["client"], found["backend"]


@pytest.mark.parametrize("client_layer", LAYERS)
@pytest.mark.parametrize("server_layer", LAYERS)
def test_each_leg_has_the_layer_that_it_asks_for(start, listener, postgres, certs, verified,
                                                 client_layer, server_layer):
    one = start(route(verified(postgres.address, record_layer=server_layer),
                      listener("require", record_layer=client_layer)))
    sql = "select length(repeat('x', 300000))"
    assert psql(one.port, sql, **client_cert(certs, None)).stdout == "300000\n"
    assert layers_of(one) == tuple("library" if layer == "library" else "record"
                                   for layer in (client_layer, server_layer))


def test_the_program_derives_the_secrets_itself(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")))
    begun = one.wait_event("proxy.start")
    assert begun["key_schedule"] == "pgtls" and "key_schedule_reason" not in begun
    assert psql(one.port, **client_cert(certs, None)).stdout == "1\n"
    assert layers_of(one) == ("record", "record")


def test_and_leaves_them_to_openssl_where_its_hashes_are_wrong(start, listener, postgres, certs,
                                                              verified):
    env = {"LD_PRELOAD": ":".join([*sanitizer(), preloaded("libwrong_hash.so")])}
    one = start(route(verified(postgres.address), listener("require")), env=env)
    begun = one.wait_event("proxy.start")
    assert begun["key_schedule"] == "openssl"
    assert "a self-test against RFC 8448 failed" in begun["key_schedule_reason"]
    assert psql(one.port, **client_cert(certs, None)).stdout == "1\n"
    handshakes = one.wait_count("tls.handshake.ok", 2)
    assert {line["tls_cipher"] for line in handshakes} == {"TLS_AES_256_GCM_SHA384"}


def test_tls_1_2_stays_with_openssl(start, listener, postgres, certs):
    one = start(route({"address": postgres.address}, listener("require")))
    done = psql(one.port, "select 1", ssl_max_protocol_version="TLSv1.2",
                **client_cert(certs, None))
    assert done.stdout == "1\n"
    assert one.wait_event("tls.handshake.ok")["record_layer"] == "library"


def test_record_alone_speaks_no_tls_1_2(start, listener, postgres, certs):
    one = start(route({"address": postgres.address}, listener("require", record_layer="record")))
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        connect_tls(one.port, certs.client(version=ssl.TLSVersion.TLSv1_2))
    assert one.wait_event("tls.handshake.failed")["alert_sent"] == "protocol_version"


@pytest.mark.parametrize("leg", ["listener", "backend"])
def test_record_alone_with_a_suite_of_openssls_is_refused_at_load(folder, certs, listener, leg):
    words = route({"address": "127.0.0.1:5432", "sslmode": "verify-full",
                   "root_ca": certs.cert("backends-ca")}, listener("require"))
    words[leg] |= {"record_layer": "record", "ciphersuites": "TLS_AES_128_CCM_SHA256"}
    config = os.path.join(folder, "ccm.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [words]))
    done = run("proxy", "-c", config, "--check")
    assert done.returncode == 1
    for word in (f"{leg}.ciphersuites: ", "TLS_AES_128_CCM_SHA256", 'record_layer be "auto"'):
        assert word in done.stderr, done.stderr
