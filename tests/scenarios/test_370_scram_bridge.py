# SPDX-License-Identifier: PostgreSQL
"""One SCRAM login made of two, each bound to the certificate of its own leg."""
import hashlib
import os
import ssl
import statistics
import subprocess
import time

import pytest

from peers import sasl, stream, verifiers, wire
from peers.libpq import client_cert, connect, psql
from peers.proxy import route, run, toml

PASSWORD = "open sesame"


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


def scram(port, password=PASSWORD, user="scram", **more):
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
    with connect(one.port, user="scram", password=PASSWORD, channel_binding="require",
                 **client_cert(certs, None)) as session:
        assert session.execute("select count(*) from generate_series(1, 100000)").fetchone() == (
            100000,)
        assert session.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()"
                               ).fetchone() == (True,)


def test_a_client_in_plaintext_is_bridged_too(start, verified, postgres, users):
    one = start(route(verified(postgres.address, scram="bridge", auth_file=users)))
    for binding, good in (("disable", True), ("prefer", True), ("require", False)):
        done = scram(one.port, sslmode="disable", channel_binding=binding)
        assert (done.returncode == 0) == good, done.stderr


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_a_server_in_plaintext_is_bridged_to(start, listener, postgres_clear, folder, certs, binding):
    """The client binds to the proxy, which no way but the bridge can do here."""
    users = verifiers.userlist(folder, verifiers.copied(postgres_clear, "scram"))
    one = start(route({"address": postgres_clear.address, "scram": "bridge", "auth_file": users},
                      listener()))
    done = scram(one.port, channel_binding=binding, **client_cert(certs, None))
    assert (done.returncode, done.stdout) == (0, "scram\n"), done.stderr


# Who is refused, and how.

def secured(one, certs):
    return stream.connect_tls(one.port, certs.client())


def refused(message, code):
    assert message.type == "E", message
    assert message.code == code, message.fields
    return message.fields


def test_a_wrong_password_is_refused_by_the_proxy(bridged, certs):
    one = bridged()
    done = scram(one.port, password="wrong", **client_cert(certs, None))
    assert done.returncode == 2
    assert 'password authentication failed for user "scram"' in done.stderr
    assert "HINT" not in done.stderr
    assert one.end()["reason"] == "auth_failed"
    assert "password is wrong" in one.wait_event("auth.failed")["reason"]


def test_strangers_are_told_what_a_wrong_password_is_told(bridged, certs, postgres, folder):
    """Users of neither, of the server alone, of the file alone; and the salt stays."""
    listed = verifiers.copied(postgres, "scram") | {"gone": verifiers.made(PASSWORD)}
    users = verifiers.userlist(folder, listed, "more.txt")
    with postgres.connect(dbname="postgres") as session:
        session.execute("drop role if exists unlisted")
        session.execute("set password_encryption = 'scram-sha-256'")
        session.execute("create role unlisted login password 'open sesame'")
    for user in ("scram", "unlisted", "gone", "nobody at all"):
        salts = set()
        for _ in range(2):                      # over a restart
            one = bridged(auth_file=users)
            with secured(one, certs) as client:
                login = sasl.Login(client, user, "wrong", database="scramdb")
                assert login.offered() == [sasl.PLUS, sasl.SCRAM]
                first = sasl.body_of(login.first(), 11)
                salts.add(first.split(",", 1)[1])
                fields = refused(login.final(first), "28P01")
                assert fields["M"] == f'password authentication failed for user "{user}"'
                assert set(fields) == set("SVCM")
        assert len(salts) == 1, salts
        assert next(iter(salts)).endswith(",i=4096")


def seconds_of_refusal(one, tls, user):
    """From the startup packet to the error, for a proof that is nobody's."""
    with stream.connect_tls(one.port, tls) as client:
        begun = time.monotonic()
        login = sasl.Login(client, user, database="scramdb")
        login.offered()
        nonce = sasl.body_of(login.first(), 11).partition(",")[0]
        client.send(sasl.response(f"c=biws,{nonce},p={sasl.b64(bytes(32))}"))
        refused(login.message(), "28P01")
        return time.monotonic() - begun


@pytest.mark.long
def test_strangers_take_as_long_as_a_wrong_password(start, listener, verified, postgres, certs,
                                                    users):
    """By turns, so that whatever else the machine does is the same for all of them."""
    one = start(route(verified(postgres.address, scram="bridge", auth_file=users), listener()),
                log_level="error,listener=info")
    tls, ratios = certs.client(), []
    while len(ratios) < 5 and not (ratios and 0.9 < ratios[-1] < 1.1):
        taken = {"scram": [], "nobody": []}
        for _ in range(1000):
            for user, seconds in taken.items():
                seconds.append(seconds_of_refusal(one, tls, user))
        ratios.append(statistics.median(taken["nobody"]) / statistics.median(taken["scram"]))
    assert 0.9 < ratios[-1] < 1.1, ratios


def test_a_verifier_that_is_not_the_servers_is_refused_and_explained(bridged, certs, folder):
    for number, kept in enumerate((verifiers.made(PASSWORD),
                                   verifiers.made(PASSWORD, iterations=5000))):
        one = bridged(auth_file=verifiers.userlist(folder, {"scram": kept}, f"{number}.txt"))
        done = scram(one.port, **client_cert(certs, None))
        assert 'password authentication failed for user "scram"' in done.stderr
        failed = one.wait_event("auth.failed")
        assert "salt or iteration count" in failed["reason"]
        assert "pg_authid" in failed["hint"]


FIRSTS = [
    ("y with PLUS offered", sasl.SCRAM, "y,,n=,r=abc", "28000"),
    ("an authorization identity", sasl.SCRAM, "n,a=bob,n=,r=abc", "0A000"),
    ("an extension that is demanded", sasl.SCRAM, "n,,m=x,n=,r=abc", "0A000"),
    ("no nonce", sasl.SCRAM, "n,,n=,r=", "08P01"),
    ("a nonce of 257", sasl.SCRAM, "n,,n=,r=" + "x" * 257, "08P01"),
    ("a nonce that is not printable", sasl.SCRAM, "n,,n=,r=a\x07b", "08P01"),
    ("a message of 5000", sasl.SCRAM, "n,,n=,r=abc,x=" + "x" * 5000, "08P01"),
    ("a message that is too long to be read", sasl.SCRAM, "n,,n=,r=abc,x=" + "x" * 9000, "08P01"),
    ("p without PLUS", sasl.SCRAM, "p=tls-server-end-point,,n=,r=abc", "08P01"),
    ("PLUS without p", sasl.PLUS, "n,,n=,r=abc", "08P01"),
    ("another binding", sasl.PLUS, "p=tls-unique,,n=,r=abc", "08P01"),
    ("another mechanism", "SCRAM-SHA-1", "n,,n=,r=abc", "08P01"),
]
# PostgreSQL has no bounds of its own for these.
LAXER = ("no nonce", "a nonce of 257", "a message of 5000", "a message that is too long to be read")


def test_first_messages_out_of_the_protocol_get_the_code_of_postgresql(bridged, certs, postgres):
    """And the very same as PostgreSQL, asked directly, where it has a bound too."""
    one = bridged()
    for what, mechanism, text, code in FIRSTS:
        with secured(one, certs) as client:
            login = sasl.Login(client)
            login.offered()
            refused(login.first(mechanism, text), code)
        if what in LAXER:
            continue
        with stream.connect_tls(postgres.port, certs.careless_client()) as client:
            login = sasl.Login(client)
            login.offered()
            refused(login.first(mechanism, text), code)


def test_another_nonce_or_another_certificate_in_the_proof_is_refused(bridged, certs):
    one = bridged()
    with secured(one, certs) as client:
        login = sasl.Login(client)
        login.offered()
        first = sasl.body_of(login.first(), 11)
        refused(login.final(first, nonce="another"), "08P01")
    with secured(one, certs) as client:
        login = sasl.Login(client)
        login.offered()
        first = sasl.body_of(login.first(), 11)
        ours, last = first.partition(",")[0][2:-1], first.partition(",")[0][-1]
        refused(login.final(first, nonce=ours + ("a" if last != "a" else "b")), "08P01")
    with secured(one, certs) as client:
        login = sasl.Login(client, header="p=tls-server-end-point,,", hashed=bytes(32))
        login.offered()
        refused(login.final(sasl.body_of(login.first(), 11)), "28000")


def test_the_binding_is_to_the_certificate_that_the_proxy_shows(bridged, certs):
    one = bridged()
    with open(certs.cert("server"), encoding="ascii") as pem:
        leaf = ssl.PEM_cert_to_DER_cert(pem.read().partition("-----END CERTIFICATE-----")[0]
                                        + "-----END CERTIFICATE-----\n")
    with secured(one, certs) as client:
        login = sasl.Login(client, header="p=tls-server-end-point,,",
                           hashed=hashlib.sha256(leaf).digest())
        assert login.whole()[-1].type == "Z"


def test_an_empty_first_answer_gets_an_empty_challenge(bridged, certs):
    one = bridged()
    with secured(one, certs) as client:
        login = sasl.Login(client)
        login.offered()
        client.send(sasl.initial(sasl.SCRAM, None))
        assert sasl.body_of(login.message(), 11) == ""
        login.bare = f"n=,r={login.nonce}"
        client.send(sasl.response("n,," + login.bare))
        first = sasl.body_of(login.message(), 11)
        assert sasl.body_of(login.final(first), 12) == login.expected
        assert client.messages_until("ZE")[-1].type == "Z"


# What the server asks for, and what passes with the login.

@pytest.mark.parametrize("user, more", [("alice", {}), ("alice", {"dbname": "certdb"}), ("md5", {}),
                                        ("clear", {})], ids=["trust", "cert", "md5", "password"])
def test_what_is_weaker_passes_in_auto_and_is_refused_by_a_bridge(bridged, certs, postgres, folder,
                                                                  user, more):
    """And a client that requires binding refuses the rest by itself."""
    users = verifiers.userlist(folder, {user: verifiers.made(PASSWORD)}, "weak.txt")
    own = {"client_cert": certs.cert("proxy"), "client_key": certs.key("proxy")} if more else {}
    more = {**more, **client_cert(certs, None)}
    auto = bridged(scram="auto", auth_file=users, **own)
    done = scram(auto.port, user=user, **more)
    assert (done.returncode, done.stdout) == (0, f"{user}\n"), done.stderr
    done = scram(auto.port, user=user, channel_binding="require", **more)
    assert "channel binding" in done.stderr and done.returncode == 2
    forced = bridged(auth_file=users, **own)
    done = scram(forced.port, user=user, **more)
    assert "did not ask for SCRAM-SHA-256" in done.stderr and done.returncode == 2


def test_what_a_client_says_early_reaches_a_server_that_asks_for_nothing(bridged, certs, folder):
    """A query behind the startup packet waits in the bridge, and goes on when that is over."""
    users = verifiers.userlist(folder, {"alice": verifiers.made(PASSWORD)}, "weak.txt")
    one = bridged(scram="auto", auth_file=users)
    with secured(one, certs) as client:
        client.send(wire.startup("alice", "postgres") + wire.query("select 'early'"))
        assert client.messages_until("ZE")[-1].type == "Z"
        assert any(b"early" in message.body for message in client.messages_until("ZE"))


def test_a_user_without_a_verifier_passes_through_in_auto(bridged, certs, folder):
    users = verifiers.userlist(folder, {"somebody": verifiers.made(PASSWORD)}, "other.txt")
    one = bridged(scram="auto", auth_file=users)
    assert scram(one.port, channel_binding="disable", **client_cert(certs, None)).returncode == 0
    assert "scram" not in one.wait_event("auth.ok")
    done = scram(one.port, **client_cert(certs, None))
    assert "channel binding check failed" in done.stderr and "auth_file" in done.stderr
    one.wait_event("channel_binding")


def test_protocol_3_2_and_grease_pass(bridged, certs):
    one, grease = bridged(), {"_pq_.test_protocol_negotiation": ""}
    for minor, options in ((2, {}), (9999, {}), (9999, grease), (0, grease)):
        with secured(one, certs) as client:
            login = sasl.Login(client, version=3 << 16 | minor, **options)
            negotiated = client.message()
            assert negotiated.type == "v"
            assert (b"_pq_.test_protocol_negotiation\0" in negotiated.body) == bool(options)
            assert login.whole()[-1].type == "Z"


def test_a_reset_of_the_server_at_the_end_of_the_login_is_told(bridged, postgres, certs):
    """A role that may not log in is refused by the server, behind a proof that was right."""
    one = bridged()
    with postgres.connect(dbname="postgres") as session:
        session.execute("alter role scram nologin")
        try:
            done = scram(one.port, **client_cert(certs, None))
        finally:
            session.execute("alter role scram login")
    assert 'role "scram" is not permitted to log in' in done.stderr
    assert one.end()["reason"] == "auth_failed"


# Servers that lie.

def lying(fake, certs, answer):
    """A server that asks for SCRAM and then says what `answer(first)` gives."""
    def script(client, tell):
        accept_startup(client, certs)
        client.send(wire.authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
        first = client.message()
        client.send(answer(first.body.decode("latin-1")))
        try:
            tell(client.rest())
        except stream.Truncated:
            tell(b"")
    return fake(script)


def accept_startup(client, certs):
    assert client.packet() == wire.SSL_REQUEST
    client.send(b"S")
    client.start_tls(certs.server("backend"), server_side=True)
    return client.packet()


def first_of_server(first, nonce="ours", salt="AAAA", iterations="4096"):
    theirs = first.partition("r=")[2]
    return wire.authentication(11, f"r={theirs}{nonce},s={salt},i={iterations}".encode())


LIES = [
    ("no proof at all", lambda first: wire.AUTHENTICATION_OK),
    ("a nonce of its own alone", lambda first: wire.authentication(11, b"r=own,s=AAAA,i=1")),
    ("no nonce of its own", lambda first: first_of_server(first, "")),
    ("an overlong nonce", lambda first: first_of_server(first, "x" * 4000)),
    ("a count for hours", lambda first: first_of_server(first, iterations="2147483647")),
    ("no count", lambda first: first_of_server(first, iterations="0")),
    ("a salt without end", lambda first: first_of_server(first, salt="AAAA" * 100)),
    ("an overlong message", lambda first: wire.message("R", bytes(70000))),
    ("a proof too early", lambda first: wire.authentication(12, b"v=AAAA")),
    ("ready at once", lambda first: wire.READY),
]


def test_nobody_is_let_in_behind_an_error_of_the_server(start, fake, certs, listener, verified,
                                                        users):
    lie = wire.error_response("28000", "no") + wire.AUTHENTICATION_OK + wire.READY
    server = lying(fake, certs, lambda first: lie)
    one = start(route(verified(f"127.0.0.1:{server.port}", scram="bridge", auth_file=users,
                               verify_name="localhost"), listener()))
    with secured(one, certs) as client:
        login = sasl.Login(client)
        login.offered()
        refused(login.first(), "28000")
        assert "R" not in [later.type for later in wire.messages_of(client.rest())[0]]
    assert one.end()["reason"] != "client_closed" and not one.find("auth.ok")


@pytest.mark.parametrize("answer", [row[1] for row in LIES], ids=[row[0] for row in LIES])
def test_a_server_that_lies_gets_no_proof_and_the_client_an_error(start, fake, certs, listener,
                                                                  verified, users, answer):
    server = lying(fake, certs, answer)
    one = start(route(verified(f"127.0.0.1:{server.port}", scram="bridge", auth_file=users,
                               verify_name="localhost"), listener()))
    with secured(one, certs) as client:
        login = sasl.Login(client)
        login.offered()
        refused(login.first(), "08P01")
    # an end; a reset where the proxy left some of the lie unread
    assert [end for end in server.wait() if end != b"" and not isinstance(end, ConnectionResetError)] == []
    assert one.wait_event("backend.connect.failed")["phase"] == "login"


# Who could stand between the proxy and the server.

def test_no_binding_is_claimed_where_the_way_to_the_server_may_be_in_the_clear(
        start, listener, postgres_clear, folder, certs):
    users = verifiers.userlist(folder, verifiers.copied(postgres_clear, "scram"))
    one = start(route({"address": postgres_clear.address, "sslmode": "prefer", "scram": "bridge",
                       "auth_file": users}, listener()))
    for binding, good in (("disable", True), ("prefer", True), ("require", False)):
        done = scram(one.port, channel_binding=binding, **client_cert(certs, None))
        assert (done.returncode == 0) == good, done.stderr
    assert "did not offer an authentication method that supports channel binding" in done.stderr
    one.stop()
    told = one.find("channel_binding")
    assert len(told) == 1 and "not bound" in told[0]["reason"] and "root_ca" in told[0]["hint"]


@pytest.mark.parametrize("verified_too", [True, False])
def test_plus_is_offered_where_the_server_offers_none_only_if_it_is_verified(
        start, fake, certs, listener, verified, users, verified_too):
    """Somebody in the middle could pass on a login that nothing binds to its certificate."""
    def script(client, tell):
        accept_startup(client, certs)
        client.send(wire.authentication(10, b"SCRAM-SHA-256\0\0"))
        tell(client.message().body)
        client.rest()

    address = f"127.0.0.1:{fake(script).port}"
    words = {"scram": "bridge", "auth_file": users}
    one = start(route(verified(address, verify_name="localhost", **words) if verified_too
                      else {"address": address, "sslmode": "require", **words}, listener()))
    with secured(one, certs) as client:
        assert sasl.Login(client).offered() == (
            [sasl.PLUS, sasl.SCRAM] if verified_too else [sasl.SCRAM])
    one.stop()
    assert len(one.find("channel_binding")) == (0 if verified_too else 1)


# Settings.

REFUSED = [
    ("strip", "require", "verify-full", None, "cannot work with TLS on both legs"),
    ("strip", "require", "disable", None, "offers no channel binding"),
    ("passthrough", "disable", "verify-full", None, "libpq stops"),
    ("bridge", "require", "verify-full", None, "needs verifiers"),
    ("passthrough", "require", "verify-full", "u.txt", "has no effect with this scram"),
    ("auto", "disable", "verify-full", "u.txt", "bridges only where both legs have TLS"),
    ("auto", "require", "disable", "u.txt", "bridges only where both legs have TLS"),
    ("both", "require", "verify-full", None, "is not one of auto, passthrough, strip, bridge"),
]


def checked(folder, backend, listener):
    config = os.path.join(folder, "checked.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route(backend, listener)]))
    return run("proxy", "-c", config, "--check")


@pytest.mark.parametrize("way, client, server, file, complaint", REFUSED)
def test_ways_that_cannot_work_are_refused_at_load(folder, listener, verified, way, client, server,
                                                   file, complaint):
    backend = {"address": "127.0.0.1:1", "scram": way, "auth_file": file}
    if server != "disable":
        backend = verified("127.0.0.1:1", **{k: v for k, v in backend.items() if k != "address"})
    done = checked(folder, backend, listener(client))
    assert done.returncode == 1
    assert complaint in done.stderr, done.stderr


@pytest.mark.parametrize("way, good", [("passthrough", ["disable"]), ("auto", ["disable"]),
                                       ("strip", ["disable", "prefer"])])
def test_each_way_does_what_it_says(start, listener, verified, certs, postgres, way, good):
    """With TLS on both legs, but for strip, whose client has none."""
    client = "prefer" if way == "strip" else "require"
    one = start(route(verified(postgres.address, scram=way), listener(client)))
    words = {"sslmode": "disable"} if way == "strip" else client_cert(certs, None)
    for binding in ("disable", "prefer", "require"):
        done = scram(one.port, channel_binding=binding, **words)
        assert (done.returncode == 0) == (binding in good), (binding, done.stderr)


BAD_FILES = [
    ('"scram" "open sesame"\n', 0o600, "users.txt:1: not a SCRAM-SHA-256 verifier"),
    ("\nscram\n", 0o600, "users.txt:2: a user and a verifier are expected"),
    ("", 0o600, "is empty"),
    ("; nobody\n", 0o644, "has group or world access"),
    (None, 0, "could not open"),
]


@pytest.mark.parametrize("text, mode, complaint", BAD_FILES)
def test_a_bad_auth_file_is_told_with_its_line(folder, listener, verified, text, mode, complaint):
    path = os.path.join(folder, "users.txt")
    if text is not None:
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        os.chmod(path, mode)
    done = checked(folder, verified("127.0.0.1:1", auth_file=path), listener())
    assert done.returncode == 1
    assert "backend.auth_file" in done.stderr and complaint in done.stderr, done.stderr
    assert "open sesame" not in done.stderr


def test_the_file_is_read_again_on_reload(bridged, certs, folder, postgres, users):
    one = bridged()
    os.rename(verifiers.userlist(folder, {"x": verifiers.made("x")}, "new.txt"), users)
    one.signal(1)
    one.wait_event("reload.ok")
    assert scram(one.port, **client_cert(certs, None)).returncode == 2
    os.rename(verifiers.userlist(folder, verifiers.copied(postgres, "scram"), "new.txt"), users)
    one.signal(1)
    one.wait_count("reload.ok", 2)
    assert scram(one.port, **client_cert(certs, None)).returncode == 0


# Certificates without a hash.

@pytest.fixture
def ed25519(folder):
    """A certificate that is signed with Ed25519, and its key: paths."""
    cert, key = os.path.join(folder, "ed.crt"), os.path.join(folder, "ed.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


def test_ed25519_towards_clients_is_said_and_not_offered(start, verified, postgres, users, ed25519):
    one = start(route(verified(postgres.address, scram="bridge", auth_file=users),
                      {"sslmode": "require", "server_cert": ed25519[0], "server_key": ed25519[1]}))
    for binding, good in (("disable", True), ("prefer", True), ("require", False)):
        done = scram(one.port, channel_binding=binding, sslmode="verify-full",
                     sslrootcert=ed25519[0])
        assert (done.returncode == 0) == good, done.stderr
    assert "did not offer an authentication method that supports channel binding" in done.stderr
    assert "ED25519" in one.text() and "SCRAM-SHA-256-PLUS is not offered" in one.text()
