# SPDX-License-Identifier: PostgreSQL
"""What a listener says of TLS, seen on the wire: certificates, keys, versions, ciphers, groups."""
import os
import pty
import signal
import ssl
import subprocess
import time

import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, psql
from peers.proxy import program, route, run, toml
from peers.s_client import s_client
from peers.stream import connect, connect_tls

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def serve(stream, tell):
    accept_login(stream)
    while stream.message() is not None:
        stream.send(wire.READY)


@pytest.fixture
def serving(start, fake, listener):
    """serving(**more): a proxy whose listener has these settings, in front of a server."""
    def one(env=None, log=None, **more):
        return start(route({"address": fake(serve).address}, listener(**more)), env=env,
                     **(log or {}))
    return one


@pytest.fixture
def refused(folder, listener):
    """refused(**more): what --check says of a listener with these settings, which is an error."""
    def one(env=None, **more):
        config = os.path.join(folder, "refused.toml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(toml({}, [route({"address": "127.0.0.1:5432"}, listener(**more))]))
        done = run("proxy", "-c", config, "--check", env={**os.environ, **(env or {})})
        assert done.returncode == 1, (done.stdout, done.stderr)
        return done.stderr
    return one


def logs_in(port, context):
    with connect_tls(port, context) as client:
        assert client.login()[-1].type == "Z"
        return client.tls.version(), client.tls.cipher()[0]


def refuses(port, context):
    with connect(port) as client, pytest.raises(ssl.SSLError):
        assert client.ask_for_tls() == b"S"
        client.start_tls(context, server_hostname="localhost")
        client.login()


def only(context, version=None, ciphers=None):
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


# Certificates and keys

def served_kind(port, certs, ciphers):
    context = only(certs.careless_client(), V12, ciphers)
    with connect_tls(port, context) as client:
        der = client.tls.getpeercert(binary_form=True)
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der,
                          capture_output=True, check=True)
    return "ec" if b"id-ecPublicKey" in done.stdout else "rsa"


def test_two_kinds_of_keys_are_served_at_once(serving, certs):
    one = serving(server_cert=[certs.cert("server"), certs.cert("server-rsa")],
                  server_key=[certs.key("server"), certs.key("server-rsa")])
    assert served_kind(one.port, certs, "ECDHE-ECDSA-AES128-GCM-SHA256") == "ec"
    assert served_kind(one.port, certs, "ECDHE-RSA-AES128-GCM-SHA256") == "rsa"
    for ciphers in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        logs_in(one.port, only(certs.client(), V12, ciphers))       # each with its whole chain


def test_one_kind_of_key_is_refused_to_clients_of_the_other(serving, certs):
    one = serving(cert="server-rsa")
    refuses(one.port, only(certs.client(), V12, "ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert one.wait_event("tls.handshake.failed")["alert_sent"] == "handshake_failure"


def test_two_keys_of_one_kind_are_an_error(refused, certs):
    text = refused(server_cert=[certs.cert("server"), certs.cert("stranger")],
                   server_key=[certs.key("server"), certs.key("stranger")])
    assert "listener.server_cert: two certificates have keys of the same kind" in text


@pytest.mark.parametrize("cert, key", [("server", "server-sec1"), ("server-rsa", "server-pkcs1")])
def test_old_forms_of_keys_are_read(serving, certs, cert, key):
    with open(certs.key(key), encoding="ascii") as text:
        assert text.readline().split()[1] in ("EC", "RSA")
    one = serving(server_cert=certs.cert(cert), server_key=certs.key(key))
    logs_in(one.port, certs.client())


def test_pkcs12_is_refused_with_the_command_that_converts_it(refused, certs):
    text = refused(server_cert=certs.file("server.p12"), server_key=certs.file("server.p12"))
    assert "is PKCS#12, not PEM; convert it: openssl pkcs12 -in" in text


def test_a_store_that_nobody_provides_is_an_error_that_names_openssl_cnf(refused):
    text = refused(server_key="pkcs11:token=none;object=none")
    assert "listener.server_key:" in text and "openssl.cnf" in text, text


# Passphrases

def test_a_passphrase_command_is_run_at_each_load_with_the_key_file(serving, certs, folder):
    ran = os.path.join(folder, "ran")
    one = serving(server_key=certs.key("server-encrypted"),
                  key_passphrase_command=f"echo %p >> {ran}; echo secret")
    logs_in(one.port, certs.client())
    one.signal(signal.SIGHUP)
    one.wait_event("reload.ok")
    logs_in(one.port, certs.client())
    with open(ran, encoding="ascii") as text:
        assert text.read().split() == [certs.key("server-encrypted")] * 2
    assert "secret" not in one.text()


@pytest.mark.parametrize("command, complaint", [
    ("echo wrong", "cannot be decrypted: wrong passphrase"),
    ("echo secret; exit 3", "key_passphrase_command ended with status 3"),
    ("true", "key_passphrase_command printed nothing"),
    ("kill -9 $$", "key_passphrase_command was ended by signal 9"),
])
def test_a_passphrase_command_that_fails_is_an_error(refused, certs, command, complaint):
    text = refused(server_key=certs.key("server-encrypted"), key_passphrase_command=command)
    assert complaint in text and "listener.server_key" in text, text
    assert "echo" not in text           # it may be a secret itself


def test_nobody_but_the_reload_waits_for_a_passphrase_command(serving, certs, folder):
    """A session, a new client, and a stop: all while the command runs, which takes too long."""
    slow, runs = os.path.join(folder, "slow"), os.path.join(folder, "runs")
    one = serving(server_key=certs.key("server-encrypted"), key_passphrase_command=f"if [ -e {slow} ]; "
                  f"then touch {runs}; sleep 60; fi; echo secret")
    with connect_tls(one.port, certs.client()) as session:
        session.login()
        open(slow, "w", encoding="ascii").close()
        one.signal(signal.SIGHUP)
        while not os.path.exists(runs):
            time.sleep(0.01)
        session.query("select 1")
        logs_in(one.port, certs.client())
        assert not one.find("reload.failed")
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 0
    reason = one.wait_event("reload.failed")["reason"]
    assert "key_passphrase_command was given up: a signal asks to stop" in reason, reason


@pytest.mark.long
def test_a_passphrase_command_that_hangs_is_ended(refused, certs):
    begun = time.monotonic()
    text = refused(server_key=certs.key("server-encrypted"), key_passphrase_command="sleep 100")
    assert "did not end within 10000 ms" in text
    assert time.monotonic() - begun < 60


def test_a_failing_command_keeps_what_runs(serving, certs, folder):
    word = os.path.join(folder, "word")
    with open(word, "w", encoding="ascii") as out:
        out.write("secret\n")
    one = serving(server_key=certs.key("server-encrypted"), key_passphrase_command=f"cat {word}")
    os.unlink(word)
    one.signal(signal.SIGHUP)
    assert "key_passphrase_command" in one.wait_event("reload.failed")["reason"]
    logs_in(one.port, certs.client())


def test_an_encrypted_key_never_asks_the_terminal(folder, listener, certs):
    """With a terminal of its own: an error at once, and nothing written to it."""
    config = os.path.join(folder, "t.toml")
    words = listener(server_key=certs.key("server-encrypted"))
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route({"address": "127.0.0.1:5432"}, words)]))
    pid, terminal = pty.fork()
    if pid == 0:
        with open(os.path.join(folder, "err"), "wb") as err:
            os.dup2(err.fileno(), 2)
        os.execv(program(), [program(), "proxy", "-c", config, "--check"])
    said = b""
    try:
        while more := os.read(terminal, 1000):
            said += more
    except OSError:
        pass                            # the other end is closed
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(terminal)
    assert said == b""
    with open(os.path.join(folder, "err"), encoding="utf-8") as err:
        text = err.read()
    assert "needs a passphrase; set a command that prints it" in text


# Protocol versions

@pytest.mark.parametrize("words, spoken, unspoken", [
    ({"min_protocol_version": "TLSv1.3"}, V13, V12),
    ({"max_protocol_version": "TLSv1.2"}, V12, V13),
])
def test_the_range_of_versions_is_kept(serving, certs, words, spoken, unspoken):
    one = serving(**words)
    assert logs_in(one.port, only(certs.client(), spoken))[0] == spoken.name.replace("_", ".")
    refuses(one.port, only(certs.client(), unspoken))
    failed = one.wait_event("tls.handshake.failed")
    assert failed["alert_sent"] == "protocol_version", failed


def test_both_versions_are_spoken_by_default(serving, certs):
    one = serving()
    assert logs_in(one.port, only(certs.client(), V12))[0] == "TLSv1.2"
    assert logs_in(one.port, only(certs.client(), V13))[0] == "TLSv1.3"


def test_an_empty_range_is_an_error(refused):
    text = refused(min_protocol_version="TLSv1.3", max_protocol_version="TLSv1.2")
    assert "listener.min_protocol_version: is above max_protocol_version: nothing is left" in text


@pytest.mark.parametrize("setting", ["min_protocol_version", "max_protocol_version"])
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1", "SSLv3", "1.2"])
def test_broken_and_unknown_versions_are_errors(refused, setting, version):
    text = refused(**{setting: version})
    assert f"listener.{setting}: \"{version}\"" in text and "TLSv1.2" in text, text


# Ciphers

def test_ciphers_are_those_of_tls_1_2(serving, certs):
    one = serving(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    words = only(certs.client(), V12, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert logs_in(one.port, words)[1] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    refuses(one.port, only(certs.client(), V12, "ECDHE-ECDSA-AES128-GCM-SHA256"))


def test_no_cbc_suite_is_let_in_by_default(serving, certs):
    one = serving()
    refuses(one.port, only(certs.client(), V12, "ECDHE-ECDSA-AES256-SHA384"))
    refuses(one.port, only(certs.client(), V12, "ECDHE-ECDSA-AES128-SHA"))


@pytest.mark.parametrize("words, complaint", [
    ({"ciphers": "ALL:eNULL"}, "ciphers: "),
    ({"ciphers": "aNULL"}, "authenticates nobody; add :!aNULL:!eNULL"),
    ({"ciphers": "ECDHE+AESGCM:NO-SUCH-CIPHER"}, "ciphers: \"NO-SUCH-CIPHER\" is unknown"),
    ({"ciphers": "TLS_AES_128_GCM_SHA256"}, "suites of TLS 1.3 are set by ciphersuites"),
    ({"ciphers": "ECDHE", "min_protocol_version": "TLSv1.3"}, "which min_protocol_version excludes"),
    ({"ciphersuites": "TLS_AES_128"}, "ciphersuites: \"TLS_AES_128\" is unknown"),
    ({"ciphersuites": "TLS_AES_128_GCM_SHA256", "max_protocol_version": "TLSv1.2"},
     "which max_protocol_version excludes"),
    ({"groups": "X25519:P-257"}, "groups: \"P-257\" is unknown"),
])
def test_lists_that_cannot_take_effect_are_errors(refused, words, complaint):
    assert complaint in refused(**words)


def test_ciphersuites_are_those_of_tls_1_3(serving, certs):
    one = serving(ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
    assert logs_in(one.port, only(certs.client(), V13))[1] == "TLS_CHACHA20_POLY1305_SHA256"
    assert one.end()["tls_cipher"] == "TLS_CHACHA20_POLY1305_SHA256"
    assert not s_client(one.port, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256").works


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_groups_are_those_of_the_list(serving, version):
    one = serving(cert="server-rsa", groups="P-384:X25519")
    assert "384" in s_client(one.port, version, "-groups", "P-256:P-384").group
    assert s_client(one.port, version, "-groups", "X25519").group == "X25519, 253 bits"
    assert not s_client(one.port, version, "-groups", "P-256:P-521").works
    failed = one.wait_event("tls.handshake.failed")
    assert failed["alert_sent"] == "handshake_failure"


@pytest.mark.parametrize("prefers, chosen", [(True, "ECDHE-ECDSA-AES256-GCM-SHA384"),
                                             (False, "ECDHE-ECDSA-AES128-GCM-SHA256"),
                                             (None, "ECDHE-ECDSA-AES128-GCM-SHA256")])
def test_whose_order_of_ciphers_counts(serving, certs, prefers, chosen):
    one = serving(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
                  prefer_server_ciphers=prefers)
    words = only(certs.client(), V12, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert logs_in(one.port, words)[1] == chosen


def test_prefer_server_ciphers_is_true_or_false(refused):
    assert "prefer_server_ciphers: is text, not true or false" in refused(
        prefer_server_ciphers="yes")


def test_dh_parameters_are_those_of_the_file(serving, certs):
    one = serving(cert="server-rsa", ciphers="DHE+AESGCM",
                  dh_params_file=certs.file("ffdhe3072.pem"))
    answer = s_client(one.port, "-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256")
    assert answer.group == "DH, 3072 bits", answer.text


@pytest.mark.parametrize("words, complaint", [
    ({}, "dh_params_file: no cipher uses it; leave it out, or add ciphers such as DHE+AESGCM"),
    ({"ciphers": "DHE+AESGCM", "dh_params_file": "garbage.crt"}, "no DH parameters in"),
    ({"ciphers": "DHE+AESGCM", "dh_params_file": "missing.pem"}, "could not open"),
])
def test_dh_parameters_that_are_none(refused, certs, words, complaint):
    file = certs.file(words.pop("dh_params_file", "ffdhe3072.pem"))
    text = refused(cert="server-rsa", dh_params_file=file, **words)
    assert "listener.dh_params_file: " in text and complaint.partition(": ")[2] in text, text


# openssl.cnf

CNF = """openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
"""


@pytest.fixture
def conf(folder):
    """conf(lines): the environment of a program with such an openssl.cnf."""
    def one(lines):
        file = os.path.join(folder, "openssl.cnf")
        with open(file, "w", encoding="ascii") as out:
            out.write(CNF + lines + "\n")
        return {"OPENSSL_CONF": file}
    return one


def test_openssl_cnf_says_what_the_settings_do_not(serving, certs, conf):
    one = serving(env=conf("MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\n"
                           "Groups = P-521"))
    assert logs_in(one.port, certs.client()) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert "521" in s_client(one.port).group
    refuses(one.port, only(certs.client(), V12))
    assert not s_client(one.port, "-groups", "X25519").works


def test_the_settings_win_over_openssl_cnf(serving, certs, conf):
    one = serving(env=conf("MinProtocol = TLSv1.3\nGroups = P-521"), groups="X25519",
                  min_protocol_version="TLSv1.2")
    logs_in(one.port, only(certs.client(), V12))
    assert s_client(one.port).group == "X25519, 253 bits"


def test_openssl_cnf_may_prefer_the_server_s_order(serving, certs, conf):
    one = serving(env=conf("Options = ServerPreference"),
                  ciphers="ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")
    words = only(certs.client(), V12, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert logs_in(one.port, words)[1] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_the_security_level_of_openssl_cnf_holds(refused, conf):
    text = refused(env=conf("CipherString = DEFAULT@SECLEVEL=4"), cert="server-rsa",
                   ciphers="ECDHE+AESGCM")
    assert "listener.server_cert: the certificate cannot be used for TLS" in text


# All of it with the client that people have

def test_psql_gets_through_a_listener_with_every_setting(start, listener, postgres, certs,
                                                         verified):
    words = listener(
        "verify-full", server_cert=[certs.cert("server"), certs.cert("server-rsa")],
        server_key=[certs.key("server-encrypted"), certs.key("server-rsa")],
        key_passphrase_command="echo secret", client_crl_file=certs.file("clients-both-list.crl"),
        min_protocol_version="TLSv1.2", max_protocol_version="TLSv1.3",
        ciphers="ECDHE+AESGCM:DHE+AESGCM", ciphersuites="TLS_AES_256_GCM_SHA384",
        groups="X25519:P-256", prefer_server_ciphers=True,
        dh_params_file=certs.file("ffdhe3072.pem"), session_tickets=True)
    one = start(route(verified(postgres.address), words))
    done = psql(one.port, **client_cert(certs, "alice"))
    assert done.stdout.strip() == "1", done.stderr
    assert one.end()["tls_cipher"] == "TLS_AES_256_GCM_SHA384"


def test_plaintext_stays_out(serving):
    one = serving(groups="X25519")
    with connect(one.port) as client:
        client.send(wire.startup())
        assert wire.messages_of(client.rest())[0][0].code == "28000"
