# SPDX-License-Identifier: PostgreSQL
"""One SCRAM login made of two, each bound to the certificate of its own leg."""
import pytest

from peers import verifiers
from peers.libpq import client_cert, connect, psql
from peers.proxy import route


@pytest.fixture
def users(folder, postgres):
    return verifiers.userlist(folder, verifiers.copied(postgres, "scram"))


@pytest.fixture
def bridged(start, listener, verified, postgres, users):
    """bridged(**backend): a proxy with TLS on both legs and certificates of its own."""
    def one(sslmode="require", server=postgres, **backend):
        words = {"auth_file": users, "scram": "bridge", **backend}
        return start(route(verified(server.address, **words), listener(sslmode)))
    return one


def scram(port, password="open sesame", user="scram", **more):
    return psql(port, "select current_user", user=user, password=password, **more)


@pytest.mark.parametrize("way", ["bridge", "auto"])
@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_a_login_passes_two_certificates_with_every_binding(bridged, certs, way, binding):
    one = bridged(scram=way)
    done = scram(one.port, channel_binding=binding, **client_cert(certs, None))
    assert (done.returncode, done.stdout) == (0, "scram\n"), done.stderr
    assert one.wait_event("auth.ok")["scram"] == "bridged"


def test_the_session_behind_the_bridge_is_an_ordinary_one(bridged, certs):
    one = bridged()
    with connect(one.port, user="scram", password="open sesame", channel_binding="require",
                 **client_cert(certs, None)) as session:
        assert session.execute("select count(*) from generate_series(1, 100000)").fetchone() == (
            100000,)
        assert session.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()"
                               ).fetchone() == (True,)


def test_a_wrong_password_is_refused_by_the_proxy(bridged, certs):
    one = bridged()
    done = scram(one.port, password="wrong", **client_cert(certs, None))
    assert done.returncode == 2
    assert 'password authentication failed for user "scram"' in done.stderr
    assert "HINT" not in done.stderr
    assert one.end()["reason"] == "auth_failed"
    assert "password is wrong" in one.wait_event("auth.failed")["reason"]
