# SPDX-License-Identifier: PostgreSQL
"""Configuration files: what is refused says file, line, route, setting and what to do."""
import os
import socket
import subprocess
import tempfile

import pytest

from peers import proxy as programs
from peers.proxy import route, toml
from peers.stream import free_port

GOOD = """
[[proxy]]
name = "orders"
[proxy.listener]
bind_address = "127.0.0.1:{port}"
server_cert = "{certs}/server.crt"
server_key = "{certs}/server.key"
{listener}
[proxy.backend]
address = "127.0.0.1:5432"
{backend}
[proxy.limits]
{limits}
"""


@pytest.fixture
def check(folder, certs):
    """check(text): a finished `pgtls proxy -c FILE --check`."""
    def one(text):
        config = os.path.join(folder, "pgtls.toml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(text)
        return programs.run("proxy", "-c", config, "--check")
    return one


@pytest.fixture
def good(certs):
    def one(listener="", backend="", limits="", top="", text=GOOD):
        return top + text.format(certs=certs.folder, port=free_port(), listener=listener,
                                 backend=backend, limits=limits)
    return one


def line_of(text, word):
    return next(n for n, line in enumerate(text.split("\n"), 1) if line.startswith(word))


def assert_refused(done, *words):
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("pgtls: "), done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def serve(text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as out:
        out.write(text)
        out.flush()
        return programs.run("proxy", "-c", out.name)


def test_check_tells_what_it_would_serve(check, good, certs):
    text = good('sslmode = "verify-full"\nclient_ca = "%s"' % certs.cert("clients-ca"),
                'sslmode = "verify-full"\nroot_ca = "%s"' % certs.cert("backends-ca"))
    done = check(text)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for word in ("orders", "127.0.0.1:", "verify-full", "127.0.0.1:5432"):
        assert word in done.stdout, done.stdout


def test_check_does_not_serve(check, good):
    text = good()
    port = int(text.partition("127.0.0.1:")[2].partition('"')[0])
    assert check(text).returncode == 0
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_warnings_alone_are_exit_0(check, good, certs):
    text = good('sslmode = "require"\nclient_ca = "%s"' % certs.cert("clients-ca"))
    done = check(text)
    assert done.returncode == 0
    assert "client_ca" in done.stderr and "orders" in done.stderr


def test_require_without_root_ca_warns(check, good):
    done = check(good(backend='sslmode = "require"'))
    assert done.returncode == 0
    assert "root_ca" in done.stderr


def test_every_problem_names_file_line_route_and_setting(check, good):
    text = good(limits='max_conections = 5')
    done = check(text)
    line = line_of(text, "max_conections")
    assert_refused(done, f"pgtls.toml:{line}:", "orders", "max_conections", "max_connections")


def test_all_problems_of_a_file_are_told_at_once_in_order(check, good):
    text = good('ssl_mode = "require"', 'adress = "x"', 'idle_timeout = "soon"')
    done = check(text)
    assert_refused(done, "ssl_mode", "adress", "idle_timeout")
    numbers = [int(row.split(":")[2]) for row in done.stderr.splitlines()
               if row.startswith("pgtls: ") and "pgtls.toml:" in row]
    assert len(numbers) >= 3 and numbers == sorted(numbers), done.stderr


@pytest.mark.parametrize("part, row, words", [
    ("top", "log_levle = \"info\"", ["log_levle", "log_level"]),
    ("top", "log_level = \"loud\"", ["log_level", "debug"]),
    ("top", "log_level = 5", ["log_level"]),
    ("top", "workers = -1", ["workers"]),
    ("listener", "sslmode = \"verify_full\"", ["sslmode", "verify-full"]),
    ("listener", "sslmode = \"verify-ca\"", ["client_ca"]),
    ("listener", "sslmode = \"verify-full\"", ["client_ca"]),
    ("listener", "sslmode = \"disable\"", ["server_cert"]),
    ("listener", "mtls = true", ["client_ca"]),
    ("listener", "mtls = \"yes\"", ["mtls"]),
    ("listener", "sslmode = \"require\"\nmtls = true", ["mtls", "sslmode"]),
    ("listener", "client_ca = \"/nowhere/ca.crt\"", ["/nowhere/ca.crt"]),
    ("listener", "max_record_size = \"1GiB\"", ["max_record_size"]),
    ("listener", "cancel = \"never\"", ["cancel", "tls-only"]),
    ("backend", "sslmode = \"verify-ca\"", ["root_ca"]),
    ("backend", "sslmode = \"verify-full\"", ["root_ca"]),
    ("backend", "tls_enabled = true", ["root_ca"]),
    ("backend", "tls_enabled = false\nsslmode = \"require\"", ["tls_enabled", "sslmode"]),
    ("backend", "root_ca = \"/nowhere/ca.crt\"", ["/nowhere/ca.crt"]),
    ("backend", "sslmode = \"require\"\nclient_cert = \"x.crt\"", ["client_key"]),
    ("backend", "sslmode = \"require\"\nclient_key = \"x.key\"", ["client_cert"]),
    ("backend", "sslmode = \"disable\"\nverify_name = \"db\"", ["verify_name"]),
    ("limits", "max_connections = 0", ["max_connections"]),
    ("limits", "max_connections = \"many\"", ["max_connections"]),
    ("limits", "login_timeout = 10", ["login_timeout", "10s"]),
    ("limits", "login_timeout = \"10 parsecs\"", ["login_timeout"]),
    ("limits", "login_timeout = \"-1s\"", ["login_timeout"]),
])
def test_what_cannot_take_effect_is_an_error(check, good, part, row, words):
    text = good(**{part: row + "\n"})
    assert_refused(check(text), "pgtls.toml:", *words)


def test_a_syntax_error_names_its_line(check, good):
    text = good(limits="max_connections = = 5")
    line = line_of(text, "max_connections")
    assert_refused(check(text), f"pgtls.toml:{line}")


def test_a_missing_file(folder):
    done = programs.run("proxy", "-c", folder + "/nowhere.toml")
    assert_refused(done, "nowhere.toml", "No such file")


def test_a_file_without_routes(check):
    assert_refused(check("workers = 1\n"), "proxy")


@pytest.mark.parametrize("missing", ["bind_address", "address", "server_key"])
def test_a_missing_setting(check, good, missing):
    rows = [row for row in good().split("\n") if not row.startswith(missing + " ")]
    assert_refused(check("\n".join(rows)), "orders", missing)


@pytest.mark.parametrize("setting, file, words", [
    ("server_cert", "nowhere.crt", ["No such file"]),
    ("server_cert", "garbage.crt", ["garbage.crt"]),
    ("server_cert", "empty.crt", ["empty.crt"]),
    ("server_cert", "alice.crt", ["alice.crt", "server.key"]),
    ("server_cert", "server-wrong-order.crt", ["server-wrong-order.crt"]),
    ("server_key", "nowhere.key", ["No such file"]),
    ("server_key", "garbage.key", ["garbage.key"]),
    ("server_key", "alice.key", ["alice.key", "server.crt"]),
    ("server_key", "server-open.key", ["server-open.key", "0600"]),
    ("server_key", "server-encrypted.key", ["server-encrypted.key", "passphrase"]),
    ("server_key", "", ["server_key"]),
    ("client_ca", "garbage.crt", ["garbage.crt"]),
    ("client_ca", "empty.crt", ["empty.crt"]),
])
def test_files_are_loaded_and_proved(check, good, certs, setting, file, words):
    text = good()
    if setting == "client_ca":
        text = text.replace("[proxy.backend]", f'client_ca = "{certs.file(file)}"\n[proxy.backend]')
    else:
        old = next(row for row in text.split("\n") if row.startswith(setting + " "))
        text = text.replace(old, f'{setting} = "{certs.file(file)}"')
    # What is wrong with the two together is told at the certificate.
    told_at = "server_cert" if file == "alice.key" else setting
    assert_refused(check(text), f"pgtls.toml:{line_of(text, told_at)}:", "orders", told_at, *words)


def test_backend_files_are_loaded_and_proved(check, good, certs):
    text = good(backend='sslmode = "verify-full"\nroot_ca = "%s"\nclient_cert = "%s"\n'
                        'client_key = "%s"' % (certs.cert("backends-ca"), certs.cert("proxy"),
                                               certs.key("alice")))
    assert_refused(check(text), "orders", "proxy.crt", "alice.key")


def test_a_key_of_root_may_be_read_by_the_group(check, good, certs):
    text = good().replace("server.key", "server-group.key")
    done = check(text)
    if os.getuid() == 0:
        assert done.returncode == 0, done.stderr
    else:
        assert_refused(done, "server-group.key")


def test_a_key_of_somebody_else_is_refused(check, good, certs, folder):
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    key = os.path.join(folder, "theirs.key")
    with open(certs.key("server"), "rb") as source, open(key, "wb") as copy:
        copy.write(source.read())
    os.chmod(key, 0o600)
    os.chown(key, 12345, 12345)
    text = good().replace(certs.key("server"), key)
    assert_refused(check(text), "theirs.key", "own")


def test_a_directory_or_a_pipe_is_no_key(check, good, certs, folder):
    os.mkfifo(folder + "/pipe.key", 0o600)
    os.mkdir(folder + "/dir.key", 0o700)
    for name in ("pipe.key", "dir.key"):
        text = good().replace(certs.key("server"), os.path.join(folder, name))
        assert_refused(check(text), name, "regular file")


def test_relative_paths_are_relative_to_the_file(check, good, certs, folder):
    for name in ("server.crt", "server.key"):
        with open(certs.file(name), "rb") as source:
            with open(os.path.join(folder, name), "wb") as copy:
                copy.write(source.read())
        os.chmod(os.path.join(folder, name), 0o600)
    done = check(good().replace(certs.folder + "/", ""))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_configuration_through_a_pipe_is_checked(good, certs, name):
    """As in `envsubst < template | pgtls proxy --check -c -`; paths start where it was run."""
    done = programs.run("proxy", "-c", name, "--check", cwd=certs.folder,
                        input=good().replace(certs.folder + "/", ""))
    assert done.returncode == 0, done.stderr
    assert 'route "orders"' in done.stdout and certs.file("server.crt") in done.stdout
    assert_refused(programs.run("proxy", "-c", name, "--check", input=good("sslmod = 'x'")),
                   "pgtls: standard input:8: ", "listener.sslmod", "sslmode")


def test_a_pipe_of_the_shell_is_checked(good, folder):
    config = os.path.join(folder, "pgtls.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(good())
    done = subprocess.run(["bash", "-c", 'exec "$0" proxy --check -c <(cat "$1")',
                           programs.program(), config],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert 'route "orders"' in done.stdout


def test_neither_a_terminal_nor_a_device_is_waited_for():
    ours, theirs = os.openpty()
    for stdin in (theirs, subprocess.DEVNULL):
        done = programs.run("proxy", "-c", "-", "--check", stdin=stdin)
        assert_refused(done, "standard input: cannot be read: a terminal, a device or a folder")
    os.close(ours)
    os.close(theirs)
    assert_refused(programs.run("proxy", "-c", "/dev/zero", "--check"), "not a regular file")


def test_an_expired_server_certificate(check, good, certs):
    """It loads: a clock may be wrong, and a proxy that is down is worse.  But it is said."""
    text = good().replace("server.crt", "server-expired.crt").replace("server.key",
                                                                      "server-expired.key")
    done = check(text)
    assert "expired" in done.stderr, (done.returncode, done.stderr)


def test_plaintext_on_a_remote_address_must_be_written_out(check, good):
    rows = [row for row in good().split("\n") if not row.startswith("server_")]
    text = "\n".join(rows)
    assert check(text).returncode == 0
    remote = text.replace('bind_address = "127.0.0.1', 'bind_address = "0.0.0.0')
    assert_refused(check(remote), "sslmode")
    written = remote.replace("[proxy.backend]", 'sslmode = "disable"\n[proxy.backend]')
    assert check(written).returncode == 0


def test_plaintext_to_a_remote_server_must_be_written_out(check, good):
    text = good().replace('address = "127.0.0.1:5432"', 'address = "10.0.0.5:5432"')
    assert_refused(check(text), "sslmode")
    written = text.replace("[proxy.limits]", 'sslmode = "disable"\n[proxy.limits]')
    assert check(written).returncode == 0


@pytest.mark.parametrize("part", ["listener", "backend"])
def test_tls_on_a_unix_socket_is_an_error(check, good, part, folder, certs):
    text = good()
    if part == "listener":
        text = text.replace(text.partition('bind_address = "')[2].partition('"')[0],
                            f"unix:{folder}/.s.PGSQL.5432")
    else:
        text = good(backend='sslmode = "require"').replace(
            'address = "127.0.0.1:5432"', f'address = "unix:{folder}/.s.PGSQL.5432"')
    assert_refused(check(text), "unix:", "takes no TLS")


@pytest.mark.parametrize("name", ["twice", None])
def test_two_routes_of_one_name_or_address(check, folder, name):
    first = route({"address": "127.0.0.1:5432"}, name="twice")
    second = route({"address": "127.0.0.1:5432"}, name=name or "other")
    if name is None:
        second["listener"]["bind_address"] = first["listener"]["bind_address"]
    assert_refused(check(toml({}, [first, second])), name or
                   first["listener"]["bind_address"])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", ":x", "",
                                     "[::1:5432", "127.0.0.1:54 32"])
def test_addresses_that_are_none(check, good, address):
    text = good()
    for setting in ("bind_address", "address"):
        old = next(row for row in text.split("\n") if row.startswith(setting + " "))
        done = check(text.replace(old, f'{setting} = "{address}"'))
        assert_refused(done, "orders", setting)


def test_a_folder_is_no_socket_of_a_server(check, good, folder):
    done = check(good().replace('address = "127.0.0.1:5432"', f'address = "unix:{folder}"'))
    assert done.returncode == 0
    assert f'"unix:{folder}/.s.PGSQL.5432"' in done.stderr, done.stderr


def test_a_group_that_is_not_there(check, folder):
    listener = {"bind_address": f"unix:{folder}/s", "unix_socket_group": "no-such-group"}
    done = check(toml({}, [route({"address": "127.0.0.1:5432"}, listener)]))
    assert_refused(done, "pgtls.toml:", "orders", "unix_socket_group",
                   'there is no group "no-such-group"')


@pytest.mark.parametrize("name, reason", [("", "Is a directory"), ("no/log", "No such file")])
def test_a_log_file_that_cannot_be_written(check, good, folder, name, reason):
    done = check(f'log_file = "{folder}/{name}"\n' + good())
    assert_refused(done, "pgtls.toml:1: log_file", reason)
    assert not os.path.exists(f"{folder}/no")


def test_a_check_makes_no_log_file(check, good, folder):
    assert check(f'log_file = "{folder}/log"\n' + good()).returncode == 0
    assert not os.path.exists(f"{folder}/log")


def test_an_address_in_use(good):
    text = good()
    port = int(text.partition("127.0.0.1:")[2].partition('"')[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = serve(text)
    assert_refused(done, f"127.0.0.1:{port}", "in use")


def test_an_address_that_this_machine_does_not_have(good):
    text = good().replace('bind_address = "127.0.0.1', 'bind_address = "192.0.2.1')
    assert_refused(serve(text), "192.0.2.1")


def test_nothing_is_served_when_one_route_cannot_be(good, start, postgres_clear):
    """All or nothing: a second instance on the same port does not take the first one's clients."""
    words = route({"address": postgres_clear.address})
    one = start(words)
    done = serve(toml({}, [words]))
    assert_refused(done, "in use")
    assert one.is_running()


@pytest.mark.parametrize("words, code", [
    (["version"], 0), (["-V"], 0), (["help"], 0), (["help", "proxy"], 0), (["help", "settings"], 0),
    (["help", "sample"], 0), (["proxy", "--help"], 0), (["--help"], 0), ([], 2), (["nonsense"], 2),
    (["proxy"], 2), (["proxy", "--nonsense"], 2), (["proxy", "-c"], 2), (["help", "nonsense"], 2),
])
def test_commands_and_their_exit_codes(words, code):
    done = programs.run(*words)
    assert done.returncode == code, (done.stdout, done.stderr)
    if code == 0:
        assert done.stdout and not done.stderr
    else:
        assert done.stderr.startswith("pgtls: ") or "usage" in done.stderr.lower()


@pytest.mark.parametrize("words, told", [
    (["pgtls.toml"], "-c pgtls.toml"), (["--chek"], "did you mean --check?"),
    (["-c", ""], "-c needs a file"), (["-t"], "see pgtls proxy --help"),
    (["--\n"], "unknown option --\\x0a"),
])
def test_wrong_words_of_a_start_say_the_right_ones(words, told):
    assert told in programs.run("proxy", *words).stderr


def test_version_names_the_tls_library():
    done = programs.run("version")
    assert "OpenSSL" in done.stdout


def test_help_settings_knows_every_setting():
    text = programs.run("help", "settings").stdout
    for name in ("log_level", "log_format", "workers", "name", "bind_address", "sslmode", "mtls",
                 "server_cert", "server_key", "client_ca", "cancel", "max_record_size", "address",
                 "tls_enabled", "root_ca", "client_cert", "client_key", "verify_name", "sni",
                 "max_connections", "first_byte_timeout", "handshake_timeout", "connect_timeout",
                 "login_timeout", "idle_timeout", "drain_timeout", "tcp_keepalive",
                 "tcp_user_timeout", "unix_socket_mode"):
        assert name in text, name


def test_the_sample_file_loads(check, folder, certs):
    """As printed, with the certificates it names put beside it."""
    text = programs.run("help", "sample").stdout
    assert "[[proxy]]" in text
    for name, source in (("server.crt", "server.crt"), ("server.key", "server.key"),
                         ("clients-ca.crt", "clients-ca.crt"),
                         ("backend-ca.crt", "backends-ca.crt"), ("proxy.crt", "proxy.crt"),
                         ("proxy.key", "proxy.key")):
        with open(certs.file(source), "rb") as one, open(f"{folder}/{name}", "wb") as copy:
            copy.write(one.read())
        os.chmod(f"{folder}/{name}", 0o600)
    done = check(text)
    assert done.returncode == 0, done.stderr


def test_standard_output_that_is_closed_does_not_crash():
    done = subprocess.run(f"{programs.program()} help settings | head -1", shell=True,
                          capture_output=True, text=True, check=False)
    assert done.stdout
