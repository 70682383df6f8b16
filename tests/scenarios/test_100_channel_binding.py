# SPDX-License-Identifier: PostgreSQL
"""SCRAM with channel binding through a proxy: every row of what was measured with libpq."""
import pytest

from peers.libpq import client_cert, psql
from peers.proxy import route


def scram(port, **more):
    return psql(port, "select current_user", user="scram", password="open sesame", **more)


@pytest.mark.parametrize("binding, good", [("disable", True), ("prefer", True),
                                           ("require", False)])
def test_a_plaintext_client_of_a_tls_server_logs_in(start, postgres, verified, binding, good):
    """PLUS is taken out of the list, or libpq would stop."""
    one = start(route(verified(postgres.address)))
    done = scram(one.port, sslmode="disable", channel_binding=binding)
    assert (done.returncode == 0) == good, done.stderr
    if not good:
        assert "channel binding required" in done.stderr


@pytest.mark.parametrize("binding, good", [("disable", True), ("prefer", False),
                                           ("require", False)])
def test_two_certificates_break_the_binding_and_the_client_is_told(start, listener, postgres,
                                                                   certs, verified, binding, good):
    one = start(route(verified(postgres.address), listener("require")))
    done = scram(one.port, channel_binding=binding, **client_cert(certs, None))
    assert (done.returncode == 0) == good, done.stderr
    if good:
        return
    assert "SCRAM channel binding check failed" in done.stderr
    assert "HINT:" in done.stderr and "channel_binding=disable" in done.stderr
    assert postgres.address not in done.stderr.split("HINT:")[1]
    end = str(one.end()) + str(one.find("channel_binding")) + str(one.find("channel.binding"))
    assert "binding" in end, one.text()


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_the_same_certificate_on_both_legs_binds_end_to_end(start, postgres, certs, verified,
                                                            binding):
    one = start(route(verified(postgres.address),
                      {"sslmode": "require", "server_cert": certs.cert("backend"),
                       "server_key": certs.key("backend")}))
    done = scram(one.port, channel_binding=binding, sslmode="verify-full",
                 sslrootcert=certs.cert("backends-ca"))
    assert (done.returncode, done.stdout) == (0, "scram\n"), done.stderr


@pytest.mark.parametrize("binding, good", [("disable", True), ("prefer", True),
                                           ("require", False)])
def test_a_tls_client_of_a_plaintext_server_logs_in(start, listener, postgres_clear, certs,
                                                    binding, good):
    one = start(route({"address": postgres_clear.address}, listener("require")))
    done = scram(one.port, channel_binding=binding, **client_cert(certs, None))
    assert (done.returncode == 0) == good, done.stderr


def test_plaintext_all_the_way_logs_in(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    assert scram(one.port, sslmode="disable").returncode == 0


def test_a_wrong_password_gets_no_hint_about_binding(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")))
    done = psql(one.port, user="scram", password="wrong", channel_binding="disable",
                **client_cert(certs, None))
    assert done.returncode == 2
    assert "password authentication failed" in done.stderr
    assert "HINT" not in done.stderr
