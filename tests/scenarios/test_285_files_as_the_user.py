# SPDX-License-Identifier: PostgreSQL
"""What a reload will read is opened once as `user` before serving: each file of TLS."""
import os
import pwd
import shutil

import pytest

from peers.proxy import route, run, toml

USER = "nobody"
ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def check(folder):
    """check(listener, backend): --check as the user, where all files but one can be read."""
    def one(listener, backend=None):
        config = os.path.join(folder, "t.toml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(toml({"user": USER},
                           [route(backend or {"address": "127.0.0.1:5432"}, listener)]))
        return run("proxy", "-c", config, "--check")
    return one


@pytest.fixture
def readable(folder, certs):
    """readable(name): a copy of a certificate or key that is the user's."""
    def one(name):
        place = shutil.copy(certs.file(name), os.path.join(folder, name))
        os.chown(place, pwd.getpwnam(USER).pw_uid, -1)
        os.chmod(place, 0o600)
        return place
    return one


@pytest.fixture
def closed(folder):
    """closed(text or file): the same as root's own, mode 0600."""
    def one(name, text=None, source=None):
        place = os.path.join(folder, name)
        if source:
            shutil.copy(source, place)
        else:
            with open(place, "w", encoding="ascii") as out:
                out.write(text)
        os.chmod(place, 0o600)
        return place
    return one


def refused(done, setting, file):
    assert done.returncode == 1, (done.stdout, done.stderr)
    for word in (f"{setting}: ", file, "belongs to root with mode 0600", f"runs as {USER}"):
        assert word in done.stderr, (word, done.stderr)


@ROOT
@pytest.mark.parametrize("setting, text, more", [
    ("client_crl_file", None, {}),
    ("ident_file", "m alice alice\n", {"ident_map": "m"}),
    ("ticket_key_file", "ab" * 80 + "\n", {"session_tickets": True}),
    ("dh_params_file", None, {"ciphers": "ECDHE+AESGCM:DHE+AESGCM"}),
    ("client_ca", None, {}),
])
def test_a_file_of_the_listener_that_the_user_cannot_read(check, readable, closed, certs, setting,
                                                          text, more):
    sources = {"client_crl_file": "clients-both-list.crl", "dh_params_file": "ffdhe3072.pem",
               "client_ca": "clients-ca.crt"}
    words = {"sslmode": "verify-full", "server_cert": readable("server-rsa.crt"),
             "server_key": readable("server-rsa.key"), "client_ca": readable("clients-ca.crt"),
             **more}
    words[setting] = closed("closed", text, certs.file(sources.get(setting, "")))  \
        if text is None else closed("closed", text)
    refused(check(words), f"listener.{setting}", words[setting])
    os.chown(words[setting], pwd.getpwnam(USER).pw_uid, -1)
    done = check(words)
    assert done.returncode == 0, done.stderr


@ROOT
def test_a_list_of_the_backend_that_the_user_cannot_read(check, readable, closed, certs):
    words = {"sslmode": "verify-full", "address": "db.example.com:5432",
             "root_ca": readable("backends-ca.crt"),
             "crl_file": closed("closed.crl", source=certs.file("backends-both.crl"))}
    refused(check({}, words), "backend.crl_file", words["crl_file"])


@ROOT
def test_a_passphrase_command_is_run_as_the_user(check, readable, folder):
    who = os.path.join(folder, "who")
    words = {"sslmode": "require", "server_cert": readable("server.crt"),
             "server_key": readable("server-encrypted.key"),
             "key_passphrase_command": f"id -un >&2; id -un > {who}; echo secret"}
    os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    done = check(words)
    assert done.returncode == 0, done.stderr
    with open(who, encoding="ascii") as text:
        assert text.read().strip() == USER


@ROOT
def test_no_passphrase_command_is_run_as_root_for_a_file_with_errors(check, readable, folder):
    ran = os.path.join(folder, "ran")
    words = {"sslmode": "require", "server_cert": readable("server.crt"),
             "server_key": readable("server-encrypted.key"), "colour": "red",
             "key_passphrase_command": f"touch {ran}; echo secret"}
    done = check(words)
    assert done.returncode == 1 and "colour" in done.stderr
    assert not os.path.exists(ran)
