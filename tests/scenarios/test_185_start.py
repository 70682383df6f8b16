# SPDX-License-Identifier: PostgreSQL
"""The start as another user, defaults, --set, and logs that rotate under load."""
import json
import os
import pwd
import resource
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from peers import wire
from peers.proxy import program, program_of_others, route, run, toml
from peers.stream import connect, free_port

ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
USER = "nobody"


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, encoding="utf-8") as text:
        return text.read()


def query_works(address):
    with connect(address) as client:
        assert client.login()[-1].type == "Z"
        assert client.query("SELECT 1")[-1].type == "Z"
        client.send(wire.TERMINATE)


def plain(postgres, name="orders", **listener):
    return route({"address": postgres.address}, {"sslmode": "disable", **listener}, name=name)


def check(config, *words, **more):
    return run("proxy", "-c", config, "--check", *words, **more)


# The user

@pytest.fixture
def own(folder):
    """A folder of the user, in one that it may search."""
    path = os.path.join(folder, "own")
    os.mkdir(path)
    user = pwd.getpwnam(USER)
    os.chown(path, user.pw_uid, user.pw_gid)
    return path


@ROOT
@pytest.mark.parametrize("words", [("--check",), ()])
@pytest.mark.parametrize("closed", ["file", "folder", "included"])
def test_what_the_user_cannot_read_fails_the_start(folder, postgres_clear, closed, words):
    """Root reads all of it; the first reload, as the user, would not."""
    inner = os.path.join(folder, "inner")
    os.mkdir(inner)
    write(f"{inner}/a.toml", toml({}, [plain(postgres_clear)]))
    config = write(f"{folder}/pgtls.toml", toml({"user": USER, "include": ["inner/*.toml"]}, []))
    if closed == "file":
        os.chmod(config, 0o600)
        words_told = [config, "belongs to root with mode 0600", f"runs as {USER}"]
    elif closed == "included":
        os.chmod(f"{inner}/a.toml", 0o640)
        words_told = [f"{inner}/a.toml", "belongs to root with mode 0640", f"runs as {USER}"]
    else:
        os.chmod(inner, 0o700)
        words_told = ["include", "inner/*.toml", "cannot be read"]
    done = run("proxy", "-c", config, *words)
    assert done.returncode == 1, done.stderr
    for word in words_told:
        assert word in done.stderr, (word, done.stderr)


@ROOT
def test_a_key_of_root_that_the_user_cannot_read(folder, listener, certs, postgres_clear):
    shutil.copy(certs.key("server"), f"{folder}/root.key")
    os.chmod(f"{folder}/root.key", 0o600)
    words = listener("require", server_key=f"{folder}/root.key")
    config = write(f"{folder}/pgtls.toml",
                   toml({"user": USER}, [route({"address": postgres_clear.address}, words)]))
    done = check(config)
    assert done.returncode == 1
    for word in ("server_key", f"{folder}/root.key", "root", "0600", USER):
        assert word in done.stderr, done.stderr


@ROOT
def test_a_log_file_that_the_user_cannot_write(folder, postgres_clear):
    write(f"{folder}/log", "", 0o600)
    config = write(f"{folder}/pgtls.toml",
                   toml({"user": USER, "log_file": f"{folder}/log"}, [plain(postgres_clear)]))
    done = run("proxy", "-c", config)
    assert done.returncode == 1
    assert f"pgtls.toml:2: log_file: cannot open {folder}/log: Permission denied" in done.stderr


@pytest.mark.parametrize("user, word", [("no-such-user", "there is no user"), (5, "not text")])
def test_a_user_that_is_none(folder, postgres_clear, user, word):
    config = write(f"{folder}/pgtls.toml", toml({"user": user}, [plain(postgres_clear)]))
    for done in (check(config), run("proxy", "-c", config)):
        assert done.returncode == 1
        assert "pgtls.toml:1: user: " in done.stderr and word in done.stderr


@ROOT
def test_only_root_can_become_the_user(folder, postgres_clear):
    """--check without root still checks everything else."""
    config = write(f"{folder}/pgtls.toml", toml({"user": "daemon"}, [plain(postgres_clear)]))
    words = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": [],
             "executable": program_of_others(folder)}
    done = check(config, **words)
    assert done.returncode == 0
    assert 'warning: user: only root can become user "daemon"' in done.stderr
    done = run("proxy", "-c", config, **words)
    assert done.returncode == 1
    assert 'user: only root can become user "daemon"; start as root' in done.stderr


@ROOT
def test_nothing_regains_root(start, postgres_clear):
    one = start(plain(postgres_clear), user=USER)
    with open(f"/proc/{one.process.pid}/status", encoding="ascii") as text:
        status = dict(re.findall(r"^(\w+):\s+(.*)$", text.read(), re.MULTILINE))
    user = pwd.getpwnam(USER)
    assert status["Uid"].split() == [str(user.pw_uid)] * 4
    assert status["Gid"].split() == [str(user.pw_gid)] * 4
    assert sorted(map(int, status["Groups"].split())) == \
        sorted(os.getgrouplist(USER, user.pw_gid))
    assert status["NoNewPrivs"] == "1"
    for name in ("CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    for task in os.listdir(f"/proc/{one.process.pid}/task"):
        with open(f"/proc/{one.process.pid}/task/{task}/status", encoding="ascii") as text:
            words = text.read()
        assert f"\nUid:\t{user.pw_uid}\t" in words and "\nNoNewPrivs:\t1" in words


@ROOT
def test_a_reload_as_the_user(start, postgres_clear, own):
    first, second = plain(postgres_clear, "first"), plain(postgres_clear, "second")
    one = start(first, user=USER)
    one.rewrite(first, second)
    assert one.reload()["routes"] == 2
    query_works(int(second["listener"]["bind_address"].rpartition(":")[2]))
    one.rewrite(first, second, user="daemon")
    assert re.search(r"pgtls.toml:\d+: user: cannot change.*restart",
                     one.reload("reload.failed")["reason"])
    os.chmod(one.config, 0o600)
    assert "belongs to root" in one.reload("reload.failed")["reason"]
    query_works(one.port)


@ROOT
def test_a_port_of_root_is_bound_at_the_start_and_not_at_a_reload(start, postgres_clear):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as text:
        least = int(text.read())
    ports = [n for n in range(1000, 1023) if socket.socket().connect_ex(("127.0.0.1", n)) != 0][:2]
    if least <= ports[1]:
        pytest.skip("every port is free for everybody here")
    first, second = (plain(postgres_clear, f"port-{n}", bind_address=f"127.0.0.1:{n}")
                     for n in ports)
    one = start(first, user=USER)
    query_works(ports[0])
    one.rewrite(first, second)
    assert "CAP_NET_BIND_SERVICE" in one.reload("reload.failed")["reason"]
    query_works(ports[0])


@ROOT
def test_unix_sockets_belong_to_the_user_and_go_at_the_end(start, postgres_clear, own):
    path = f"{own}/.s.PGSQL.6432"
    one = start(plain(postgres_clear, bind_address=f"unix:{path}", unix_socket_group="daemon"),
                user=USER)
    info = os.stat(path)
    assert info.st_uid == pwd.getpwnam(USER).pw_uid and info.st_gid == pwd.getpwnam("daemon").pw_gid
    assert stat.S_IMODE(info.st_mode) == 0o660
    query_works(path)
    one.stop()
    assert not os.path.exists(path)


@ROOT
def test_a_unix_socket_that_stays_behind_is_warned_of(start, postgres_clear, folder):
    path = f"{folder}/.s.PGSQL.6432"
    one = start(plain(postgres_clear, bind_address=f"unix:{path}"), user=USER)
    assert re.search(r"warning: route \"orders\": listener.bind_address: unix:\S+ stays behind",
                     one.text())
    one.stop()
    assert os.path.exists(path)
    query_works_again = start(plain(postgres_clear, bind_address=f"unix:{path}"))
    query_works(path)
    assert "stays behind" not in query_works_again.text()


def test_a_group_that_is_none(folder, postgres_clear):
    config = write(f"{folder}/pgtls.toml", toml({}, [
        plain(postgres_clear, bind_address=f"unix:{folder}/s", unix_socket_group="no-such-group")]))
    done = run("proxy", "-c", config)
    assert done.returncode == 1 and 'there is no group "no-such-group"' in done.stderr
    assert not os.path.exists(f"{folder}/s")


def test_the_file_of_an_open_unix_socket_cannot_change(start, postgres_clear, folder):
    words = plain(postgres_clear, bind_address=f"unix:{folder}/s")
    one = start(words)
    words["listener"]["unix_socket_mode"] = "0666"
    one.rewrite(words)
    assert "unix_socket_mode" in one.reload("reload.failed")["reason"]
    query_works(f"{folder}/s")


# Reload

@pytest.mark.parametrize("setting, value", [("workers", 7), ("event_loop", "epoll")])
def test_what_is_fixed_is_told_with_its_line(start, postgres_clear, setting, value):
    words = plain(postgres_clear)
    one = start(words, event_loop="auto")
    one.rewrite(words, **{setting: value})
    assert re.search(rf"pgtls.toml:\d+: {setting}: cannot change while the proxy runs; restart it",
                     one.reload("reload.failed")["reason"])


def test_a_valid_certificate_is_not_replaced_by_an_expired_one(start, listener, certs, folder,
                                                              postgres_clear):
    def install(name):
        for kind in (".crt", ".key"):
            shutil.copy(certs.file(name + kind), f"{folder}/s{kind}")
            os.chmod(f"{folder}/s{kind}", 0o600)

    install("server")
    one = start(route({"address": postgres_clear.address},
                      listener("require", server_cert=f"{folder}/s.crt",
                               server_key=f"{folder}/s.key")))
    install("server-expired")
    failed = one.reload("reload.failed")
    assert "listener.server_cert: the certificate has expired" in failed["reason"]
    install("server")
    one.reload()


def test_an_expired_certificate_may_be_replaced_by_another(start, listener, postgres_clear):
    one = start(route({"address": postgres_clear.address}, listener("require", "server-expired")))
    one.reload()


# Defaults and --set

def test_defaults_are_where_routes_start(start, postgres_clear, folder, certs):
    """Of three routes one is in the clear, one has its own limit, and one says nothing."""
    ports = [free_port() for _ in range(3)]
    config = write(f"{folder}/pgtls.toml", f"""
log_format = "json"
[defaults.listener]
server_cert = "{certs.cert("server")}"
server_key = "{certs.key("server")}"
client_ca = "{certs.cert("clients-ca")}"
sslmode = "verify-ca"
[defaults.backend]
address = "{postgres_clear.address}"
[defaults.limits]
max_connections = 1
[[proxy]]
name = "a"
listener.bind_address = "127.0.0.1:{ports[0]}"
listener.sslmode = "disable"
[[proxy]]
name = "b"
listener.bind_address = "127.0.0.1:{ports[1]}"
listener.sslmode = "disable"
limits.max_connections = 2
[[proxy]]
name = "c"
listener.bind_address = "127.0.0.1:{ports[2]}"
""")
    done = check(config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "verify-ca" in done.stdout
    process = subprocess.Popen([program(), "-c", config], stderr=subprocess.PIPE, text=True)
    try:
        ready = []
        while len(ready) < 3:
            line = json.loads(process.stderr.readline())
            ready += [line] if line["event"] == "listener.ready" else []
        assert [one["sslmode"] for one in ready] == ["disable", "disable", "verify-ca"]
        for port, most in ((ports[0], 1), (ports[1], 2)):
            held = [connect(port) for _ in range(most)]
            for client in held:
                assert client.login()[-1].type == "Z"
            with connect(port) as client:
                client.send(wire.startup())
                assert [m.code for m in wire.messages_of(client.rest())[0]] == ["53300"]
            for client in held:
                client.close()
        with connect(ports[2]) as client:
            client.send(wire.startup())
            assert [m.code for m in wire.messages_of(client.rest())[0]] == ["28000"]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_broken_default_names_its_own_line_once(folder, postgres_clear):
    text = 'defaults.listener.allow = ["10.0.0.0/99"]\n'
    text += toml({}, [plain(postgres_clear, f"r{n}") for n in range(20)])
    done = check(write(f"{folder}/pgtls.toml", text))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "pgtls.toml:1:" in done.stderr and "defaults.listener.allow" in done.stderr


@pytest.mark.parametrize("words, told", [
    ("proxy.orders.listener.sslmode=require",
     '--set proxy.orders.listener.sslmode: "require" needs server_cert'),
    ("proxy.orders.limits.max_connections=many",
     "--set proxy.orders.limits.max_connections: "),
    ("proxy.orders.limits.max_connections=0",
     "--set proxy.orders.limits.max_connections: 0 is out of range"),
    ("proxy.orders.limits.max_conections=5",
     '--set proxy.orders.limits.max_conections: unknown setting; did you mean "max_connections"?'),
    ("proxy.ordrs.limits.max_connections=5",
     '--set proxy.ordrs.limits.max_connections: there is no route "ordrs"; did you mean "orders"?'),
    ("defaults.limits.login_timeout=10", "--set defaults.limits.login_timeout: \"10\" is not a"),
    ("proxy.orders.name=x", "--set proxy.orders.name: "),
    ("log_level=inf", "--set log_level: "),
    ("workers=2\nlog_format=5", "--set workers: "),
    ("log_level", "--set log_level: is not PATH=VALUE"),
])
def test_set_says_what_is_wrong_with_it(folder, postgres_clear, words, told):
    config = write(f"{folder}/pgtls.toml", toml({}, [plain(postgres_clear)]))
    done = check(config, "--set", words)
    assert done.returncode == 1
    assert done.stderr.startswith("pgtls: " + told), done.stderr
    assert len(done.stderr.splitlines()) == (2 if "server_cert" in told else 1), done.stderr


def test_set_wins_at_every_reload(postgres_clear, folder):
    words = plain(postgres_clear)
    config = write(f"{folder}/pgtls.toml", toml({}, [words]))
    process = subprocess.Popen([program(), "proxy", "-c", config, "--set", "log_format=json",
                                "--set", "proxy.orders.limits.max_connections=1"],
                               stderr=subprocess.PIPE, text=True)
    try:
        while json.loads(process.stderr.readline())["event"] != "listener.ready":
            pass
        process.send_signal(signal.SIGHUP)
        while json.loads(process.stderr.readline())["event"] != "reload.ok":
            pass
        with connect(int(words["listener"]["bind_address"].rpartition(":")[2])) as held:
            assert held.login()[-1].type == "Z"
            with connect(held.sock.getpeername()[1]) as client:
                client.send(wire.startup())
                assert [m.code for m in wire.messages_of(client.rest())[0]] == ["53300"]
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize("text, told", [("loud", '"loud" is not a level'),
                                        ("info,colour=debug", '"colour" is not a part')])
def test_pgtls_log_is_checked(folder, postgres_clear, text, told):
    config = write(f"{folder}/pgtls.toml", toml({}, [plain(postgres_clear)]))
    done = check(config, env={**os.environ, "PGTLS_LOG": text})
    assert done.returncode == 1
    assert done.stderr.startswith(f"pgtls: PGTLS_LOG: {told}"), done.stderr


# The log

def events_of(*files):
    text = "".join(open(file, encoding="utf-8").read() for file in files)
    return [json.loads(line) for line in text.splitlines()]


def test_no_line_is_lost_when_the_log_rotates_under_load(start, postgres_clear, folder):
    log = f"{folder}/pgtls.log"
    one = start(plain(postgres_clear), ready=False, log_file=log, workers=2)
    until = time.monotonic() + 20
    while not os.path.exists(log) or "listener.ready" not in open(log, encoding="utf-8").read():
        assert time.monotonic() < until and one.is_running(), one.text()
        time.sleep(0.05)
    assert stat.S_IMODE(os.stat(log).st_mode) == 0o640
    counts = [0, 0]

    def load(n):
        while not stop.is_set():
            query_works(one.port)
            counts[n] += 1

    stop, end = threading.Event(), time.monotonic() + 2.5
    threads = [threading.Thread(target=load, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    rotated = []
    while time.monotonic() < end or len(rotated) <= 5 or sum(counts) <= 50:
        assert time.monotonic() < end + 60 and one.is_running(), (rotated, counts)
        rotated.append(f"{log}.{len(rotated)}")
        os.rename(log, rotated[-1])
        one.signal(signal.SIGHUP)
        while not os.path.exists(log):
            time.sleep(0.01)
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    one.stop()
    ends = [e for e in events_of(*rotated, log) if e["event"] == "connection.end"]
    assert len(ends) == sum(counts)
    assert any(e["event"] == "proxy.stop" for e in events_of(log))


def test_a_log_that_cannot_be_opened_again_goes_on(start, postgres_clear, folder):
    inner = f"{folder}/logs"
    os.mkdir(inner)
    one = start(plain(postgres_clear), ready=False, log_file=f"{inner}/pgtls.log")
    until = time.monotonic() + 20
    while not os.path.exists(f"{inner}/pgtls.log") or not events_of(f"{inner}/pgtls.log"):
        assert time.monotonic() < until and one.is_running(), one.text()
        time.sleep(0.05)
    os.rename(inner, f"{folder}/away")
    one.signal(signal.SIGHUP)
    query_works(one.port)
    one.stop()
    names = [e["event"] for e in events_of(f"{folder}/away/pgtls.log")]
    assert "log.failed" in names and "reload.ok" in names and "proxy.stop" in names


def test_a_log_that_nobody_reads_holds_neither_sessions_nor_the_end(start, postgres_clear, folder):
    """A collector that hangs: its pipe is full, and the thread that writes waits for ever."""
    pipe = f"{folder}/pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    one = start(plain(postgres_clear), ready=False, log_file=pipe)
    with open(reader, "rb", buffering=0) as lines:
        told = b""
        until = time.monotonic() + 20
        while b"listener.ready" not in told:
            assert time.monotonic() < until and one.is_running(), one.text()
            told += lines.read(4096) or b""
            time.sleep(0.05)
        for _ in range(100):            # some 150 KiB of lines, where a pipe holds 64
            query_works(one.port)
        one.signal(signal.SIGTERM)
        assert one.wait_exit(20) == 0


def test_a_log_that_may_not_grow_ends_nobody(start, postgres_clear, folder):
    """As on a full disk; what was lost is counted and told once there is room."""
    log = f"{folder}/pgtls.log"
    one = start(plain(postgres_clear), ready=False, log_file=log)
    until = time.monotonic() + 20
    while not os.path.exists(log) or "listener.ready" not in open(log, encoding="utf-8").read():
        assert time.monotonic() < until and one.is_running(), one.text()
        time.sleep(0.05)
    whole = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (os.stat(log).st_size, whole[1]))
    for _ in range(3):
        query_works(one.port)
    time.sleep(1)                       # lines wait for the thread that writes them
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, whole)
    query_works(one.port)
    one.stop()
    text = open(log, encoding="utf-8").read()
    dropped = [json.loads(row) for row in text.splitlines() if '"log.dropped"' in row]
    assert sum(row["lines"] for row in dropped) >= 3, text
    assert '"proxy.stop"' in text


def test_level_format_and_file_change_on_reload(start, postgres_clear, folder):
    words = plain(postgres_clear)
    one = start(words, log_level="info")
    query_works(one.port)
    assert not one.find("client.accept")
    one.rewrite(words, log_level="info,client=debug")
    one.reload()
    query_works(one.port)
    one.wait_event("client.accept")
    one.rewrite(words, log_format="text", log_file=f"{folder}/new.log")
    one.signal(signal.SIGHUP)
    until = time.monotonic() + 20
    while not os.path.exists(f"{folder}/new.log") or \
            "reload.ok" not in open(f"{folder}/new.log", encoding="utf-8").read():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert " info reload.ok " in open(f"{folder}/new.log", encoding="utf-8").read()


def test_a_new_log_file_that_cannot_be_opened_refuses_the_reload(start, postgres_clear, folder):
    words = plain(postgres_clear)
    one = start(words)
    one.rewrite(words, log_file=f"{folder}/nowhere/x.log", log_level="error")
    failed = one.reload("reload.failed")
    assert "log_file: cannot open" in failed["reason"]
    query_works(one.port)
    one.wait_event("client.accept")


# Without standard files

@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_at_the_start_is_no_socket_later(postgres_clear, folder, closed):
    """A log line, or a word of the C library, would go to a client."""
    one, log = plain(postgres_clear), os.path.join(folder, "log")
    config = write(os.path.join(folder, "c.toml"), toml({"workers": 1, "log_file": log}, [one]))
    command = f'exec "$0" proxy -c "$1" {closed}'
    process = subprocess.Popen(["/bin/sh", "-c", command, program(), config],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while not (os.path.exists(log) and "listener.ready" in read(log)):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        query_works(int(one["listener"]["bind_address"].rpartition(":")[2]))
        for number in range(3):
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
    finally:
        process.terminate()
        assert process.wait(30) == 0
