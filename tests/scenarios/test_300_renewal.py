# SPDX-License-Identifier: PostgreSQL
"""Files that change are served on their own: one set, whole or not at all, sessions live on.

What counts is the serial that a client is shown, before and after.
"""
import contextlib
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import time

import pytest

from peers import cert, wire
from peers.installed import Files, served, wait_served
from peers.proxy import program, route, run, toml
from peers.stream import connect, connect_tls

INTERVAL = "1s"


@pytest.fixture
def files(certs, folder):
    one = Files(certs, os.path.join(folder, "tls"))
    one.put_both("server")
    return one


@pytest.fixture
def proxy(start, files, postgres_clear):
    """Serves `files`; only what the system tells makes it look at them."""
    return start(route({"address": postgres_clear.address}, files.listener()))


def session(port, certs):
    client = connect_tls(port, certs.careless_client())
    assert client.login()[-1].type == "Z"
    return client


def works(client):
    assert client.query("SELECT 1")[-1].type == "Z"


def wait_failed(proxy, count=1):
    return proxy.wait_count("reload.failed", count, cause="files")[-1]


@pytest.mark.thread
def test_a_renewed_certificate_is_served_and_sessions_live_on(proxy, files, certs):
    assert served(proxy.port) == files.serial("server")
    held = session(proxy.port, certs)
    files.put_both("server-rsa")
    done = proxy.wait_event("reload.ok", cause="files")
    assert done["generation"] == 2
    assert served(proxy.port) == files.serial("server-rsa")
    works(held)
    held.close()
    assert not proxy.find("reload.failed")


@contextlib.contextmanager
def half_a_set(proxy):
    """What is half changed is not told as long as the program is patient, which is 3 s."""
    begun = time.monotonic()
    yield
    assert not proxy.find("reload.failed") or time.monotonic() - begun > 2.5


def test_files_written_in_place_are_served(proxy, files):
    with half_a_set(proxy):
        for path, source in ((files.cert, files.certs.cert("server-rsa")),
                             (files.key, files.certs.key("server-rsa"))):
            with open(path, "wb") as out, open(source, "rb") as data:
                text = data.read()
                out.write(text[:100])
                out.flush()
                time.sleep(0.3)                 # half a file is there to be looked at
                out.write(text[100:])
    wait_served(proxy.port, files.serial("server-rsa"))


def test_a_key_that_comes_later_is_waited_for_and_nothing_is_logged(proxy, files):
    with half_a_set(proxy):
        files.put_cert("server-rsa")
        time.sleep(1.2)                         # it was looked at more than once
        assert served(proxy.port) == files.serial("server")
        files.put_key("server-rsa")
    wait_served(proxy.port, files.serial("server-rsa"))


def test_a_key_that_does_not_come_is_told_once_and_the_old_certificate_served(
        start, files, postgres_clear, certs):
    proxy = start(route({"address": postgres_clear.address}, files.listener(INTERVAL)))
    held = session(proxy.port, certs)
    files.put_cert("server-rsa")
    failed = wait_failed(proxy)
    assert "is not the key of" in failed["reason"] and files.cert in failed["reason"]
    assert failed["failures"] == 1
    time.sleep(2.5)                             # some intervals more
    assert len(proxy.find("reload.failed")) == 1
    assert served(proxy.port) == files.serial("server")
    works(held)
    files.put_key("server-rsa")
    wait_served(proxy.port, files.serial("server-rsa"))
    works(held)
    held.close()


def test_a_file_that_vanishes_and_returns(proxy, files):
    os.rename(files.key, files.key + ".away")
    assert files.key in wait_failed(proxy)["reason"]
    assert served(proxy.port) == files.serial("server")
    os.rename(files.key + ".away", files.key)
    proxy.wait_event("reload.ok", cause="files")
    files.put_both("server-rsa")
    wait_served(proxy.port, files.serial("server-rsa"))
    assert len(proxy.find("reload.failed")) == 1


def test_the_same_contents_again_are_no_reload(proxy, files):
    files.put_both("server")
    os.utime(files.cert)
    time.sleep(1)
    assert not proxy.find("reload.ok") and not proxy.find("reload.failed")


def kubernetes(files, name, version):
    """A version of the files as a volume of a Secret has it, and the swap that makes it count."""
    inner = os.path.join(files.folder, f"..{version}")
    os.mkdir(inner)
    for end, source in (("crt", files.certs.cert(name)), ("key", files.certs.key(name))):
        shutil.copyfile(source, os.path.join(inner, f"s.{end}"))
        os.chmod(os.path.join(inner, f"s.{end}"), 0o600)
    os.symlink(f"..{version}", os.path.join(files.folder, "..data_tmp"))
    os.rename(os.path.join(files.folder, "..data_tmp"), os.path.join(files.folder, "..data"))


def test_a_volume_of_kubernetes_is_followed(start, certs, folder, postgres_clear):
    files = Files(certs, os.path.join(folder, "volume"))
    kubernetes(files, "server", "2026_01")
    for end in ("crt", "key"):
        os.symlink(f"..data/s.{end}", os.path.join(files.folder, f"s.{end}"))
    proxy = start(route({"address": postgres_clear.address}, files.listener()))
    for number, name in ((2, "server-rsa"), (3, "server-ed25519")):
        kubernetes(files, name, f"2026_0{number}")
        shutil.rmtree(os.path.join(files.folder, f"..2026_0{number - 1}"))
        wait_served(proxy.port, files.serial(name))
    assert len(proxy.wait_count("reload.ok", 2)) == 2 and not proxy.find("reload.failed")


def test_a_replaced_folder_and_a_link_to_a_folder_are_followed(start, certs, folder,
                                                               postgres_clear):
    live = os.path.join(folder, "live")
    for name in ("server", "server-rsa", "server-ed25519"):
        Files(certs, os.path.join(folder, name)).put_both(name)
    os.symlink("server", live)
    files = Files(certs, live)
    proxy = start(route({"address": postgres_clear.address}, files.listener()))
    time.sleep(0.5)                             # behind the first look at the files
    os.symlink("server-rsa", live + ".new")
    os.rename(live + ".new", live)
    wait_served(proxy.port, files.serial("server-rsa"))
    os.rename(os.path.join(folder, "server-rsa"), os.path.join(folder, "gone"))
    os.rename(os.path.join(folder, "server-ed25519"), os.path.join(folder, "server-rsa"))
    wait_served(proxy.port, files.serial("server-ed25519"))
    assert not proxy.find("reload.failed")


def comes_in(proxy, certs, name, user="alice"):
    try:
        with connect_tls(proxy.port, certs.careless_client(name)) as client:
            return client.login(user=user)[-1].type == "Z"
    except (OSError, EOFError, ssl.SSLError):
        return False


def test_a_new_authority_is_asked_of_clients(start, certs, files, postgres_clear):
    authority = os.path.join(files.folder, "ca.crt")
    files.put(authority, certs.cert("clients-ca"))
    proxy = start(route({"address": postgres_clear.address},
                        files.listener(sslmode="verify-ca", client_ca=authority)))
    assert comes_in(proxy, certs, "alice") and not comes_in(proxy, certs, "alice-of-strangers")
    files.put(authority, certs.cert("strangers-ca"))
    proxy.wait_event("reload.ok", cause="files")
    assert comes_in(proxy, certs, "alice-of-strangers") and not comes_in(proxy, certs, "alice")


CRL_SETTING = {"file": "client_crl_file", "folder": "client_crl_dir"}


def revoking(start, certs, files, server, kind, first):
    """The path of a revocation list, `first` for now, and a proxy that knows it or its folder."""
    lists = os.path.join(files.folder, "lists")
    os.mkdir(lists)
    one = os.path.join(lists, "all.crl")
    files.put(one, certs.file(first))
    setting = {CRL_SETTING[kind]: one if kind == "file" else lists}
    return one, start(route({"address": server.address},
                            files.listener(sslmode="verify-ca",
                                           client_ca=certs.cert("clients-ca"), **setting)))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_who_is_revoked_is_kept_out_as_soon_as_the_list_says_so(start, certs, files,
                                                                postgres_clear, kind):
    one, proxy = revoking(start, certs, files, postgres_clear, kind, "clients-both-list-before.crl")
    assert comes_in(proxy, certs, "alice-revoked")
    files.put(one, certs.file("clients-both-list.crl"))
    proxy.wait_event("reload.ok", cause="files")
    assert not comes_in(proxy, certs, "alice-revoked") and comes_in(proxy, certs, "alice")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_expired_list_does_not_take_the_place_of_a_good_one(start, certs, files,
                                                               postgres_clear, kind):
    """Nobody would be let in any more.  Beside a good one of its authority it does no harm."""
    one, proxy = revoking(start, certs, files, postgres_clear, kind, "clients-both-list.crl")
    files.put(one, certs.file("clients-both-list-expired.crl"))
    proxy.signal(signal.SIGHUP)
    failed = proxy.wait_event("reload.failed", cause="signal")
    assert "a revocation list has expired" in failed["reason"]
    assert f"listener.{CRL_SETTING[kind]}" in failed["reason"]
    assert comes_in(proxy, certs, "alice") and not comes_in(proxy, certs, "alice-revoked")
    both = os.path.join(files.folder, "both")
    with open(both, "wb") as out:
        for name in ("clients-both-list-expired.crl", "clients-list.crl"):
            with open(certs.file(name), "rb") as part:
                out.write(part.read())
    os.rename(both, one)
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reload.ok")
    assert comes_in(proxy, certs, "alice") and not comes_in(proxy, certs, "alice-revoked")
    done = run("proxy", "-c", proxy.config, "--check")
    assert done.returncode == 0 and "revocation list" not in done.stderr, done.stderr


def test_a_map_that_changes_counts(start, certs, files, postgres_clear):
    ident = os.path.join(files.folder, "ident")
    with open(ident, "w", encoding="ascii") as out:
        out.write("m alice alice\nm alice bob\n")
    proxy = start(route({"address": postgres_clear.address},
                        files.listener(sslmode="verify-full", client_ca=certs.cert("clients-ca"),
                                       ident_file=ident, ident_map="m")))
    assert comes_in(proxy, certs, "alice", "bob")
    with open(ident, "w", encoding="ascii") as out:
        out.write("m alice alice\n")
    proxy.wait_event("reload.ok", cause="files")
    assert not comes_in(proxy, certs, "alice", "bob") and comes_in(proxy, certs, "alice")


def put_fifo(path):
    os.mkfifo(path + ".new", 0o644)
    os.rename(path + ".new", path)


def test_a_fifo_is_refused_and_nothing_waits_for_its_writer(start, certs, files, postgres_clear):
    ident = os.path.join(files.folder, "ident")
    with open(ident, "w", encoding="ascii") as out:
        out.write("m alice alice\n")
    proxy = start(route({"address": postgres_clear.address},
                        files.listener(sslmode="verify-full", client_ca=certs.cert("clients-ca"),
                                       ident_file=ident, ident_map="m")))
    put_fifo(ident)
    reason = wait_failed(proxy)["reason"]
    assert "listener.ident_file" in reason and f"{ident}: not a regular file" in reason
    assert comes_in(proxy, certs, "alice")
    done = run("proxy", "-c", proxy.config, "--check")
    assert done.returncode == 1, (done.stdout, done.stderr)
    for word in ("listener.ident_file", f"{ident}: not a regular file"):
        assert word in done.stderr, (word, done.stderr)

    put_fifo(proxy.config)
    proxy.signal(signal.SIGHUP)
    reason = proxy.wait_event("reload.failed", cause="signal")["reason"]
    assert f"{proxy.config}: cannot be read: not a regular file" in reason
    assert comes_in(proxy, certs, "alice")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit() == 0


def test_a_new_authority_is_asked_of_the_server(start, certs, files, fake, postgres):
    authority = os.path.join(files.folder, "root.crt")
    files.put(authority, certs.cert("strangers-ca"))
    proxy = start(route({"address": postgres.address, "sslmode": "verify-full",
                         "root_ca": authority}, {"cert_refresh_interval": "24h"}))
    with connect(proxy.port) as client:
        client.send(wire.startup())
        client.rest()
    proxy.wait_event("tls.handshake.failed", leg="backend")
    files.put(authority, certs.cert("backends-ca"))
    proxy.wait_event("reload.ok", cause="files")
    with connect(proxy.port) as client:
        assert client.login()[-1].type == "Z"


def test_a_valid_certificate_is_not_replaced_by_an_expired_one(proxy, files):
    files.put_both("server-expired")
    failed = wait_failed(proxy)
    assert "expired" in failed["reason"] and "listener.server_cert" in failed["reason"]
    assert served(proxy.port) == files.serial("server")


def test_nor_is_that_of_a_host_or_that_for_servers(start, certs, files, folder):
    """All that has expired is told at once, each with its setting."""
    at_host, at_server = (Files(certs, os.path.join(folder, name)) for name in ("host", "server"))
    at_host.put_both("host-a")
    at_server.put_both("proxy")
    proxy = start(route({"address": "127.0.0.1:1", "sslmode": "require",
                         "client_cert": at_server.cert, "client_key": at_server.key},
                        files.listener(cert_refresh_interval="0s"),
                        hosts=[{"names": "a.example.com", "server_cert": at_host.cert,
                                "server_key": at_host.key}, {"names": "*"}]))
    at_host.put_both("server-expired")
    at_server.put_both("alice-expired")
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reload.failed")
    until = time.monotonic() + 10
    while not {"host.server_cert", "backend.client_cert"} <= {
            row["reason"].partition('route "orders": ')[2].partition(":")[0]
            for row in proxy.find("reload.failed")}:
        assert time.monotonic() < until, proxy.text()
        time.sleep(0.05)
    assert served(proxy.port, "a.example.com") == at_host.serial("host-a")


@pytest.mark.parametrize("where", ["host", "backend"])
def test_nor_is_a_good_list_of_a_host_or_of_the_server_s_authority(start, certs, files, where):
    one = os.path.join(files.folder, "all.crl")
    files.put(one, certs.file("clients-both-list.crl"))
    lists = {"client_ca": certs.cert("clients-ca"), "client_crl_file": one}
    backend = {"address": "127.0.0.1:1"}
    if where == "backend":
        backend |= {"root_ca": lists["client_ca"], "crl_file": one}
    proxy = start(route(backend, files.listener(cert_refresh_interval="0s"),
                        hosts=[{"names": "*", **(lists if where == "host" else {})}]))
    files.put(one, certs.file("clients-both-list-expired.crl"))
    proxy.signal(signal.SIGHUP)
    failed = proxy.wait_event("reload.failed")
    setting = {"host": "host.client_crl_file", "backend": "backend.crl_file"}[where]
    assert f"{setting}: a revocation list has expired, and all" in failed["reason"], failed


def test_one_broken_file_keeps_the_whole_set(start, certs, folder, postgres_clear):
    """One set: a broken file of one route keeps the others from what is new, too."""
    both = [Files(certs, os.path.join(folder, name)) for name in ("a", "b")]
    for one in both:
        one.put_both("server")
    proxy = start(*[route({"address": postgres_clear.address}, one.listener(), name=f"route-{n}")
                    for n, one in enumerate(both)])
    ports = [int(one["listener"]["bind_address"].rpartition(":")[2]) for one in proxy.routes]
    both[0].put(both[0].cert, certs.file("garbage.crt"))
    both[1].put_both("server-rsa")
    assert "route-0" in wait_failed(proxy)["reason"]
    assert [served(port) for port in ports] == [both[0].serial("server")] * 2
    both[0].put_both("server-ed25519")
    wait_served(ports[0], both[0].serial("server-ed25519"))
    assert served(ports[1]) == both[1].serial("server-rsa")


def test_a_host_s_certificate_is_renewed_beside_those_of_others(start, certs, files, folder,
                                                                 postgres_clear):
    other = Files(certs, os.path.join(folder, "other"))
    other.put_both("server-rsa")
    hosts = [{"names": ["a.example.com"], "server_cert": other.cert, "server_key": other.key},
             {"names": ["*"]}]
    proxy = start(route({"address": postgres_clear.address}, files.listener(), hosts=hosts))
    assert served(proxy.port, "a.example.com") == other.serial("server-rsa")
    other.put_both("server-ed25519")
    proxy.wait_event("reload.ok", cause="files", serial=other.serial("server-ed25519").zfill(4))
    assert served(proxy.port, "a.example.com") == other.serial("server-ed25519")
    assert served(proxy.port, "localhost") == files.serial("server")


def test_a_renewal_by_pgtls_cert_is_served(start, folder, postgres_clear):
    """As a timer would do it: no signal, no hook."""
    authority = cert.Authorities(folder)
    db = authority.server()
    proxy = start(route({"address": postgres_clear.address},
                        {"sslmode": "require", "server_cert": f"{db}/server.crt",
                         "server_key": f"{db}/server.key", "cert_refresh_interval": "24h"}))
    for days in ("200", "300"):                 # more than are left of the one before
        before = served(proxy.port)
        done = cert.good("server", "--ca", authority.path("int"), "--name", "localhost", "--name",
                         "127.0.0.1", "--out", db, "--days", days, "--renew-before",
                         f"{int(days) - 1}d")
        assert done.out == "renewed\n"
        now = cert.serial_of(f"{db}/server.crt").lower()
        assert now != before
        wait_served(proxy.port, now)
    assert not proxy.find("reload.failed")


def test_the_configuration_itself_waits_for_the_signal(proxy, files):
    with open(proxy.config, "a", encoding="utf-8") as out:
        out.write("[proxy.oops]\n")
    files.put_both("server-rsa")
    wait_served(proxy.port, files.serial("server-rsa"))
    proxy.signal(signal.SIGHUP)
    assert "oops" in proxy.wait_event("reload.failed", cause="signal")["reason"]
    files.put_both("server-ed25519")            # a reload that failed leaves the watch as it was
    wait_served(proxy.port, files.serial("server-ed25519"))


def test_files_that_a_reload_brings_are_watched_and_others_no_longer(start, proxy, files, certs,
                                                                     folder):
    other = Files(certs, os.path.join(folder, "other"))
    other.put_both("server-rsa")
    proxy.routes[0]["listener"] |= {"server_cert": other.cert, "server_key": other.key}
    with open(proxy.config, "w", encoding="utf-8") as out:
        out.write(toml(proxy.top, proxy.routes))
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reload.ok", cause="signal")
    assert served(proxy.port) == other.serial("server-rsa")
    os.unlink(files.key)
    other.put_both("server-ed25519")
    wait_served(proxy.port, other.serial("server-ed25519"))
    assert not proxy.find("reload.failed")


def test_no_file_is_looked_at_where_the_interval_is_0(start, files, postgres_clear):
    proxy = start(route({"address": postgres_clear.address}, files.listener("0s")))
    files.put_both("server-rsa")
    time.sleep(1)
    assert served(proxy.port) == files.serial("server")
    assert not proxy.find("reload.ok")
    assert "anon_inode:inotify" not in proxy.open_files()
    proxy.signal(signal.SIGHUP)
    wait_served(proxy.port, files.serial("server-rsa"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_the_user_watches_too(start, files, postgres_clear):
    nobody = pwd.getpwnam("nobody")
    os.chown(files.key, nobody.pw_uid, nobody.pw_gid)
    proxy = start(route({"address": postgres_clear.address}, files.listener()), user="nobody")
    files.put_both("server-rsa", nobody)
    wait_served(proxy.port, files.serial("server-rsa"))
    files.put_both("server-ed25519")            # root's key, 0600: not for nobody
    failed = wait_failed(proxy)
    assert files.key in failed["reason"] and "Permission denied" in failed["reason"]
    assert served(proxy.port) == files.serial("server-rsa")
    os.chown(files.key, nobody.pw_uid, nobody.pw_gid)      # another owner is a change
    wait_served(proxy.port, files.serial("server-ed25519"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_folder_that_the_user_may_not_read_is_said_and_looked_at(start, files, postgres_clear):
    nobody = pwd.getpwnam("nobody")
    os.chown(files.key, nobody.pw_uid, nobody.pw_gid)
    os.chmod(files.folder, 0o711)
    proxy = start(route({"address": postgres_clear.address}, files.listener(INTERVAL)),
                  user="nobody")
    blind = proxy.wait_event("reload.blind")
    assert files.folder in blind["reason"] and "read the folder" in blind["hint"]
    files.put_both("server-rsa", nobody)
    wait_served(proxy.port, files.serial("server-rsa"))
    assert len(proxy.find("reload.blind")) == 1


LIMITED = """#!/bin/sh
exec unshare -Ur sh -c 'echo 0 > /proc/sys/user/{limit}; exec "$0" "$@"' {program} "$@"
"""


def namespaces_work():
    done = subprocess.run(["unshare", "-Ur", "sh", "-c",
                           "echo 0 > /proc/sys/user/max_inotify_watches"], check=False,
                          capture_output=True)
    return done.returncode == 0


@pytest.mark.skipif(not namespaces_work(), reason="no user namespaces: the kernel's limit stays")
@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_where_the_kernel_has_no_watches_left_the_interval_looks(start, files, postgres_clear,
                                                                 folder, monkeypatch, limit):
    script = os.path.join(folder, "limited")
    with open(script, "w", encoding="ascii") as out:
        out.write(LIMITED.format(limit=limit, program=os.path.abspath(program())))
    os.chmod(script, 0o755)
    monkeypatch.setenv("PGTLS_PROGRAM", script)
    proxy = start(route({"address": postgres_clear.address}, files.listener(INTERVAL)))
    assert f"raise fs.inotify.{limit.replace('inotify_', 'user_')}" in \
        proxy.wait_event("reload.blind")["hint"]
    for name in ("server-rsa", "server-ed25519"):
        files.put_both(name)
        wait_served(proxy.port, files.serial(name))
    assert len(proxy.find("reload.blind")) == 1
