# SPDX-License-Identifier: PostgreSQL
"""The log: one line an event, one connection.end a connection, and never a secret."""
import json
import os
import re
import subprocess
import time

import pytest

from peers import wire
from peers.backend import accept_login
from peers.libpq import client_cert, connect as libpq_connect, psql
from peers.proxy import program, route, run, toml
from peers.stream import connect, connect_tls, free_port

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def test_connection_end_carries_what_the_manual_lists(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("verify-full")))
    with libpq_connect(one.port, **client_cert(certs, "alice")) as session:
        for _ in range(3):
            session.execute("select 1")
        time.sleep(0.2)
    end = one.end()
    assert end["level"] == "info"
    assert end["route"] == "orders"
    assert end["conn"]
    assert end["client"].startswith("127.0.0.1:")
    assert end["sni"] == "localhost"
    assert end["negotiation"] == "sslrequest"
    assert end["tls_version"] == "TLSv1.3"
    assert end["tls_cipher"].startswith("TLS_")
    assert end["tls_group"]
    assert end["tls_resumed"] is False
    assert "alice" in end["cert_subject"]
    assert end["cert_serial"] and end["cert_fingerprint"]
    assert end["backend"] == postgres.address
    assert end["backend_tls_version"] == "TLSv1.3"
    assert end["backend_tls_cipher"].startswith("TLS_")
    assert end["backend_verified"] is True
    assert end["user"] == "alice" and end["database"] == "postgres"
    assert end["queries"] >= 3
    assert end["bytes_in"] > 30 and end["bytes_out"] > 100
    assert 0 <= float(end["login_ms"]) <= float(end["duration_ms"])
    assert float(end["duration_ms"]) >= 150
    assert end["reason"]
    assert "alpn" not in end or end["alpn"] in ("", "postgresql")


def test_connection_end_of_a_plaintext_session(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    with connect(one.port) as client:
        client.login("bob", "postgres")
        client.query("select 1")
        client.send(wire.TERMINATE)
        client.rest()
    end = one.end()
    assert end["negotiation"] == "plaintext"
    assert end["user"] == "bob" and end["queries"] == 1
    for key in ("tls_version", "cert_subject", "sni", "backend_tls_version"):
        assert not end.get(key)


def test_alpn_is_told(start, listener, postgres_clear, certs):
    one = start(route({"address": postgres_clear.address}, listener("require")))
    with connect_tls(one.port, certs.client(alpn=["postgresql"])) as client:
        client.login()
    assert one.end()["alpn"] == "postgresql"


def test_bytes_and_queries_are_counted(start, fake):
    rows = wire.data_row(b"x" * 1000) * 10 + wire.command_complete()

    def script(stream, _tell):
        accept_login(stream)
        while stream.message().type == "Q":
            stream.send(rows + wire.READY)

    one = start(route({"address": fake(script).address}))
    question = wire.query("select 1")
    with connect(one.port) as client:
        client.login()
        for _ in range(5):
            client.send(question)
            assert client.messages_until("Z")
        client.send(wire.TERMINATE)
        client.rest()
    end = one.end()
    assert end["queries"] == 5
    assert end["bytes_in"] >= 5 * len(question) + len(wire.startup())
    assert end["bytes_out"] >= 5 * (len(rows) + len(wire.READY))
    assert end["bytes_out"] < 6 * (len(rows) + len(wire.READY))


def test_one_connection_one_line_at_info(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")), log_level="info")
    for _ in range(3):
        assert psql(one.port, **client_cert(certs, None)).returncode == 0
    one.wait_count("connection.end", 3)
    names = [e["event"] for e in one.events]
    assert names.count("connection.end") == 3
    assert set(names) <= {"proxy.start", "listener.ready", "connection.end"}


@pytest.mark.parametrize("level, seen", [("debug", True), ("info", True), ("warn", False),
                                         ("error", False)])
def test_the_level_is_obeyed(start, postgres_clear, level, seen):
    words = route({"address": postgres_clear.address})
    one = start(words, log_level=level, ready=level in ("debug", "info"))
    for _ in range(100):
        try:
            with connect(one.port) as client:
                client.login()
                client.send(wire.TERMINATE)
                client.rest()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    one.stop()                          # and so every line is there
    assert bool(one.find("connection.end")) == seen
    assert bool(one.find("client.accept")) == (level == "debug")


def test_events_of_a_good_session_at_debug(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("require")))
    assert psql(one.port, **client_cert(certs, None)).returncode == 0
    one.end()
    names = [e["event"] for e in one.events]
    for name in ("proxy.start", "listener.ready", "client.accept", "tls.handshake.ok",
                 "backend.connect.ok", "auth.ok", "connection.end"):
        assert name in names
    legs = {e.get("leg") for e in one.find("tls.handshake.ok")}
    assert legs == {"client", "backend"}
    end = one.end()
    assert all(e["conn"] == end["conn"] for e in one.find("auth.ok"))


def test_a_session_of_the_server_is_found_in_the_log(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    with libpq_connect(one.port, user="alice", sslmode="disable") as session:
        port, = session.execute("select client_port from pg_stat_activity"
                                " where pid = pg_backend_pid()").fetchone()
        connected = one.wait_event("backend.connect.ok")
        assert connected["source"] == f"127.0.0.1:{port}"
    assert one.end()["conn"] == connected["conn"]


def test_the_events_that_operators_read_of_exist():
    table = run("help", "events").stdout.partition("\n\n")[0]
    events = {row.split()[0] for row in table.splitlines()}
    parts = {name.partition(".")[0] for name in events}
    for page, least in (("service.md", 10), ("operations.md", 3)):
        with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as text:
            names = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?: [^`]*)?`", text.read())
        told = [name for name in names if name.partition(".")[0] in parts]
        assert len(told) >= least and set(told) <= events, (page, told)


def run_text_format(folder, postgres_clear):
    config = f"{folder}/pgtls.toml"
    words = route({"address": postgres_clear.address})
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({"log_level": "info", "workers": 1}, [words]))
    process = subprocess.Popen([program(), "-c", config], stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if "listener.ready" in line:
            break
    port = int(words["listener"]["bind_address"].rpartition(":")[2])
    with connect(port) as client:
        client.login("bob", "no such\ndatabase \"x\" y=z")
    process.terminate()
    lines += [line.rstrip("\n") for line in process.stderr]
    process.stderr.close()
    assert process.wait(20) == 0
    return lines


def test_text_is_logfmt_one_line_an_event(folder, postgres_clear):
    lines = run_text_format(folder, postgres_clear)
    pair = r'[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
    shape = re.compile(rf"\S+ (debug|info|warn|error) [a-z.]+(?: {pair})*$")
    for line in lines:
        assert shape.match(line), line
    end = next(line for line in lines if " connection.end " in line)
    assert "user=bob" in end


def test_what_peers_say_is_escaped(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}))
    ugly = 'x\n{"event":"forged"}\x1b[31m\u00e9"\\'
    with connect(one.port) as client:
        client.send(wire.startup(user=ugly, database=ugly))
        client.rest()
    end = one.end()
    assert one.find("forged") == []
    assert "x" in end["user"]
    for line in one.text().split("\n"):
        assert "\x1b" not in line
        if line:
            json.loads(line)


def test_a_server_s_words_are_escaped(start, fake):
    def script(stream, _tell):
        stream.packet()
        stream.send(wire.error_response("28000", 'no\n{"event":"forged"}\x1b[2J'))

    one = start(route({"address": fake(script).address}))
    with connect(one.port) as client:
        client.send(wire.startup())
        client.rest()
    one.end()
    assert one.find("forged") == [] and "\x1b" not in one.text()


def test_secrets_are_never_in_the_log(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address, client_cert=certs.cert("proxy"),
                               client_key=certs.key("proxy")), listener("verify-ca")))
    words = client_cert(certs, "alice")
    text = "select 'very private text'"
    for user in ("scram", "md5", "clear"):
        done = psql(one.port, text, user=user, password="open sesame", channel_binding="disable",
                    **words)
        assert done.returncode == 0, done.stderr
    assert psql(one.port, user="clear", password="wrong horse", **words).returncode == 2
    one.wait_count("connection.end", 4)
    log = one.text()
    for secret in ("open sesame", "wrong horse", "very private", "PRIVATE KEY", "SCRAM-SHA-256$"):
        assert secret not in log
    for key in (certs.key("server"), certs.key("proxy")):
        with open(key, encoding="ascii") as pem:
            for line in pem.read().split("\n")[1:3]:
                assert line not in log


def test_failures_name_leg_reason_and_hint(start, listener, postgres, certs, verified):
    one = start(route(verified(postgres.address), listener("verify-full")))
    psql(one.port, **client_cert(certs, "alice-expired"))
    failed = one.wait_event("tls.handshake.failed")
    assert failed["level"] == "warn"
    assert failed["leg"] == "client" and failed["route"] == "orders"
    assert "expired" in failed["reason"]
    assert failed["hint"]


def test_a_log_that_nobody_reads_does_not_stop_the_sessions(folder, postgres_clear):
    """The pipe is full: lines are dropped and counted, workers go on."""
    config = f"{folder}/pgtls.toml"
    port = free_port()
    words = route({"address": postgres_clear.address},
                  {"bind_address": f"127.0.0.1:{port}", "sslmode": "disable"})
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({"log_level": "debug", "workers": 1}, [words]))
    process = subprocess.Popen([program(), "-c", config], stderr=subprocess.PIPE)
    try:
        for _ in range(200):
            try:
                connect(port).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        for _ in range(400):                # about 2000 lines: a pipe holds 64 KiB
            with connect(port) as client:
                client.login()
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
