# SPDX-License-Identifier: PostgreSQL
"""Included files, --set, log files, the user, and SIGHUP: all of a configuration or nothing."""
import json
import os
import pwd
import signal
import socket
import ssl
import subprocess
import time

import pytest

from peers import wire
from peers.proxy import program, route, run, toml
from peers.stream import connect, free_port


def session(port):
    client = connect(port)
    assert client.login()[-1].type == "Z"
    return client


def works(client):
    assert client.query("SELECT 1")[-1].type == "Z"


def query_works(port):
    with session(port) as client:
        works(client)


def wait_refused(port):
    """Until nobody listens there; workers close what they listened on when they hear of it."""
    until = time.monotonic() + 20
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < until:
            connect(port).close()


def served_serial(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(wire.SSL_REQUEST)
    assert sock.recv(1) == b"S"
    context = ssl._create_unverified_context()
    with context.wrap_socket(sock) as tls:
        der = tls.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-serial"], input=der,
                          capture_output=True, check=True).stdout
    return text.strip()


def named(name, postgres, **limits):
    return {**route({"address": postgres.address}), "name": name, "limits": {"drain_timeout": "2s",
                                                                             **limits}}


def test_routes_appear_change_and_disappear_and_sessions_live_on(start, postgres_clear):
    stays, changes, goes = (named(n, postgres_clear) for n in ("stays", "changes", "goes"))
    proxy = start(stays, changes, goes)
    ports = [int(one["listener"]["bind_address"].rpartition(":")[2])
             for one in (stays, changes, goes)]
    held = [session(port) for port in ports]
    fresh = named("fresh", postgres_clear)
    changed = {**changes, "limits": {"max_connections": 1, "drain_timeout": "2s"}}
    proxy.rewrite(stays, changed, fresh)
    assert proxy.reload()["generation"] == 2
    works(held[0])
    works(held[1])
    assert "57P01" in [one.code for one in wire.messages_of(held[2].rest())[0]]
    query_works(int(fresh["listener"]["bind_address"].rpartition(":")[2]))
    with connect(ports[1]) as client:           # one is held, and one is the most now
        client.send(wire.startup())
        assert [m.code for m in wire.messages_of(client.rest())[0]] == ["53300"]
    wait_refused(ports[2])
    for client in held[:2]:
        client.close()


@pytest.mark.parametrize("broken", [
    "this is not toml",
    "log_level = 5",
    "workers = 7",
    'user = "nobody"',
])
def test_a_reload_with_an_error_keeps_what_runs(start, postgres_clear, broken):
    one = named("one", postgres_clear)
    proxy = start(one)
    held = session(proxy.port)
    with open(proxy.config, "r", encoding="utf-8") as old:
        lines = [l for l in old.read().splitlines() if not l.startswith(broken.split(" ")[0])]
    with open(proxy.config, "w", encoding="utf-8") as out:
        out.write("\n".join([broken, *lines]))
    failed = proxy.reload("reload.failed")
    assert broken.split(" ")[0] in failed["reason"] or "TOML" in failed["reason"]
    works(held)
    query_works(proxy.port)
    held.close()


def test_a_configuration_through_a_pipe_serves_and_a_reload_keeps_what_runs(start, postgres_clear):
    user = "nobody" if os.getuid() == 0 else None       # root reads it, and so does the user
    proxy = start(named("orders", postgres_clear), piped=True, user=user)
    with session(proxy.port) as client:
        reason = proxy.reload("reload.failed")["reason"]
        assert reason.startswith("standard input: came through a pipe when the proxy started"), reason
        works(client)
        query_works(proxy.port)


def test_a_reload_to_an_address_in_use_keeps_what_runs(start, postgres_clear):
    one = named("one", postgres_clear)
    proxy = start(one)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = named("two", postgres_clear)
        other["listener"]["bind_address"] = f"127.0.0.1:{taken.getsockname()[1]}"
        proxy.rewrite(one, other)
        assert "in use" in proxy.reload("reload.failed")["reason"]
    query_works(int(one["listener"]["bind_address"].rpartition(":")[2]))


def test_a_new_certificate_is_served_and_a_broken_one_is_not(start, certs, postgres_clear, folder):
    cert, key = os.path.join(folder, "s.crt"), os.path.join(folder, "s.key")

    def install(name):
        for source, target in ((certs.cert(name), cert), (certs.key(name), key)):
            with open(source, "rb") as data, open(target + ".new", "wb") as out:
                out.write(data.read())
            os.chmod(target + ".new", 0o600)
            os.rename(target + ".new", target)

    install("server")
    tls = {**route({"address": postgres_clear.address},
                   {"sslmode": "require", "server_cert": cert, "server_key": key,
                    "cert_refresh_interval": "0s"}), "name": "one"}
    proxy = start(tls)
    first = served_serial(proxy.port)
    install("alice")
    assert served_serial(proxy.port) == first
    proxy.reload()
    second = served_serial(proxy.port)
    assert second != first
    with open(cert, "w", encoding="utf-8") as out:
        out.write("-----BEGIN CERTIFICATE-----\nhalf")
    assert cert in proxy.reload("reload.failed")["reason"]
    assert served_serial(proxy.port) == second


def test_reloads_under_load_leak_nothing(start, postgres_clear):
    proxy = start(named("one", postgres_clear))
    held = session(proxy.port)

    for _ in range(5):
        proxy.reload()
    before = proxy.descriptors_at_rest()
    for _ in range(100):
        query_works(proxy.port)
        proxy.reload()
    works(held)
    assert proxy.comes_down_to(before + 2), (proxy.descriptors(), before)
    held.close()


def test_included_routes_serve_and_their_errors_name_their_file(start, postgres_clear, folder):
    inner = os.path.join(folder, "routes")
    os.mkdir(inner)
    port = free_port()
    file = os.path.join(inner, "a.toml")
    with open(file, "w", encoding="utf-8") as out:
        out.write(f'[[proxy]]\nname = "inner"\nlistener.bind_address = "127.0.0.1:{port}"\n'
                  f'backend.address = "{postgres_clear.address}"\n')
    proxy = start(named("outer", postgres_clear), ready=False, include=[inner + "/*.toml"])
    proxy.wait_count("listener.ready", 2)
    query_works(port)
    with open(file, "a", encoding="utf-8") as out:
        out.write("limits.max_connections = 0\n")
    failed = proxy.reload("reload.failed")
    assert failed["reason"].startswith(f"{file}:5: route \"inner\": limits.max_connections")
    query_works(port)


def test_set_overrides_the_file(postgres_clear, folder):
    config = os.path.join(folder, "set.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [named("a.b", postgres_clear)]))
    done = run("proxy", "-c", config, "--check", "--set", 'proxy."a.b".backend.address=[::1]:77')
    assert done.returncode == 0 and "backend [::1]:77" in done.stdout
    done = run("proxy", "-c", config, "--check", "--set", 'proxy."a.b".listener.sslmode=require')
    assert done.returncode == 1 and "server_cert" in done.stderr
    for wrong in ("proxy.nobody.listener.sslmode=require", "colour=red", "proxy.listener=1", "x"):
        done = run("proxy", "-c", config, "--check", "--set", wrong)
        assert done.returncode == 1, wrong
        assert f"--set {wrong.partition('=')[0]}: " in done.stderr, done.stderr
    assert run("proxy", "-c", config, "--set").returncode == 2


def test_levels_by_part_and_the_environment(postgres_clear, folder, monkeypatch):
    def events(level, override=None):
        one = named("one", postgres_clear)
        config = os.path.join(folder, "log.toml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(toml({"log_level": level, "log_format": "json"}, [one]))
        env = {**os.environ, **({"PGTLS_LOG": override} if override else {})}
        process = subprocess.Popen([program(), "proxy", "-c", config], env=env,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        port = int(one["listener"]["bind_address"].rpartition(":")[2])
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                query_works(port)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        text = process.communicate(timeout=20)[1]
        return {json.loads(line)["event"] for line in text.splitlines() if line.startswith("{")}

    assert "client.accept" not in events("info") and "connection.end" in events("info")
    by_part = events("warn,client=debug")
    assert "client.accept" in by_part and "connection.end" not in by_part
    assert "auth.ok" in events("warn", "debug")


def test_a_rotated_log_goes_on_in_the_new_file(start, postgres_clear, folder):
    log = os.path.join(folder, "pgtls.log")
    one = named("one", postgres_clear)
    proxy = start(one, ready=False, log_file=log)
    until = time.monotonic() + 30
    while not os.path.exists(log) or "listener.ready" not in open(log, encoding="utf-8").read():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert os.stat(log).st_mode & 0o777 == 0o640
    query_works(proxy.port)
    os.rename(log, log + ".1")
    proxy.signal(signal.SIGHUP)
    while not os.path.exists(log):
        assert time.monotonic() < until
        time.sleep(0.05)
    query_works(proxy.port)
    proxy.stop()
    lines = open(log + ".1", encoding="utf-8").read() + open(log, encoding="utf-8").read()
    ends = [one for one in map(json.loads, lines.splitlines()) if one["event"] == "connection.end"]
    assert len(ends) == 2
    assert "connection.end" in open(log, encoding="utf-8").read()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_it_becomes_the_user_and_reads_everything_as_that_user(start, certs, postgres_clear,
                                                               folder):
    nobody = pwd.getpwnam("nobody")
    cert, key = os.path.join(folder, "s.crt"), os.path.join(folder, "s.key")
    for source, target in ((certs.cert("server"), cert), (certs.key("server"), key)):
        with open(source, "rb") as data, open(target, "wb") as out:
            out.write(data.read())
    os.chmod(key, 0o600)
    os.chmod(folder, 0o755)
    tls = {**route({"address": postgres_clear.address},
                   {"sslmode": "require", "server_cert": cert, "server_key": key}), "name": "one"}
    config = os.path.join(folder, "user.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({"user": "nobody"}, [tls]))
    done = run("proxy", "-c", config)
    assert done.returncode == 1
    assert key in done.stderr and "Permission denied" in done.stderr
    os.chown(key, nobody.pw_uid, nobody.pw_gid)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    proxy = start(tls, user="nobody")
    status = open(f"/proc/{proxy.process.pid}/status", encoding="utf-8").read()
    ids = {line.split(":")[0]: line.split()[1:] for line in status.splitlines() if ":" in line}
    assert set(ids["Uid"]) == {str(nobody.pw_uid)} and set(ids["Gid"]) == {str(nobody.pw_gid)}
    assert "0" not in ids["Groups"]
    assert ids["NoNewPrivs"] == ["1"]
    served_serial(proxy.port)
    os.chmod(os.path.dirname(proxy.config), 0o755)
    os.chmod(proxy.config, 0o644)
    proxy.reload()
    served_serial(proxy.port)
