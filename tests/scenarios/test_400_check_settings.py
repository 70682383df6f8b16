# SPDX-License-Identifier: PostgreSQL
"""What is wrong before anything is sent: files, modes, parameters."""
import os
import re
import shutil

import pytest

from peers import backend, doctor
from peers.odd_certs import when
from peers.stream import free_port


@pytest.fixture
def files(folder, certs):
    """A copy of alice's certificate and key, to be spoilt."""
    class Files:
        cert = shutil.copy(certs.cert("alice"), os.path.join(folder, "alice.crt"))
        key = shutil.copy(certs.key("alice"), os.path.join(folder, "alice.key"))
    os.chmod(Files.key, 0o600)
    return Files


@pytest.fixture
def settings(certs):
    """settings(**query): the findings of a server that is not there."""
    def one(env=None, **query):
        query = {"sslrootcert": certs.cert("backends-ca"), **query}
        return doctor.check(doctor.uri("localhost", free_port(), **query), env=env)
    return one


def test_a_root_file_that_is_not_there(settings):
    found = settings(sslrootcert="/nonexistent/root.crt")
    assert "files.root-missing" in found.errors
    assert "/nonexistent/root.crt" in found.finding("files.root-missing")["detail"]
    assert found.status == 1


def test_a_root_file_that_is_no_certificate(settings, certs):
    assert "files.root-unreadable" in settings(sslrootcert=certs.cert("garbage")).errors


def test_a_root_file_that_the_mode_does_not_need_is_a_warning(settings):
    found = settings(sslrootcert="/nonexistent/root.crt", sslmode="prefer")
    assert found.finding("files.root-missing")["severity"] == "warning"


def test_a_certificate_that_is_not_there(settings, files):
    os.unlink(files.cert)
    assert "files.certificate-missing" in settings(sslcert=files.cert, sslkey=files.key).errors


def test_a_certificate_that_is_none(settings, files, certs):
    found = settings(sslcert=certs.cert("garbage"), sslkey=files.key)
    assert "files.certificate-unreadable" in found.errors


def test_a_key_that_is_not_there(settings, files):
    os.unlink(files.key)
    assert "files.key-missing" in settings(sslcert=files.cert, sslkey=files.key).errors


def test_a_key_that_others_may_read(settings, files):
    os.chmod(files.key, 0o644)
    found = settings(sslcert=files.cert, sslkey=files.key)
    assert "files.key-mode" in found.errors
    assert "0644" in found.finding("files.key-mode")["detail"]


def test_a_key_that_is_none(settings, files, certs):
    found = settings(sslcert=files.cert, sslkey=certs.file("garbage.key"))
    assert "files.key-unreadable" in found.errors


def test_a_key_with_a_passphrase_needs_sslpassword(settings, certs):
    pair = {"sslcert": certs.cert("server"), "sslkey": certs.file("server-encrypted.key")}
    assert "files.key-unreadable" in settings(**pair).errors
    assert "files.key-unreadable" in settings(**pair, sslpassword="wrong").errors
    good = settings(**pair, sslpassword="secret")
    assert not {one for one in good.ids if one.startswith("files.")}
    assert "CN=localhost" in good.facts("settings")["client-certificate"]


def test_a_key_of_another_certificate(settings, files, certs):
    found = settings(sslcert=files.cert, sslkey=certs.key("bob"))
    assert "files.key-mismatch" in found.errors


def test_a_client_certificate_that_has_expired(settings, odd):
    odd.issue("own-expired", subject="/CN=alice", names=None, usage="clientAuth",
              start=when(days=-9), end=when(days=-2))
    found = settings(sslcert=odd.chain("own-expired"), sslkey=odd.file("own-expired.key"))
    assert "files.certificate-expired" in found.errors


def test_a_revocation_list_that_is_none(settings, certs):
    found = settings(sslcrl=certs.cert("garbage"))
    assert "files.crl-unreadable" in found.errors


def test_a_revocation_list_that_is_not_there_is_no_matter(settings):
    assert not {one for one in settings(sslcrl="/nonexistent").ids if "crl" in one}


def test_a_password_file_that_others_may_read(settings, folder):
    path = os.path.join(folder, "pgpass")
    with open(path, "w", encoding="ascii") as out:
        out.write("*:*:*:*:secret\n")
    os.chmod(path, 0o644)
    found = settings(env={"PGPASSFILE": path})
    assert "files.password-file-unread" in found.ids
    assert found.facts("settings")["password"] == "none"
    os.chmod(path, 0o600)
    found = settings(env={"PGPASSFILE": path})
    assert "files.password-file-unread" not in found.ids
    assert found.facts("settings")["password"] == f"from {path}"
    assert "secret" not in found.text


def test_parameters_without_effect_are_named(settings):
    found = settings(keepalives="1", target_session_attrs="any")
    assert found.finding("settings.idle")["detail"] == "keepalives, target_session_attrs"


def test_a_mode_that_verifies_nothing_is_a_warning(settings):
    assert "settings.weak-mode" in settings(sslmode="require").ids
    assert "settings.weak-mode" not in settings(sslmode="verify-ca").ids


def test_nothing_said_is_verify_full_with_the_systems_store():
    found = doctor.check(f"host=localhost port={free_port()} user=alice")
    assert found.facts("settings")["sslmode"] == "verify-full (default)"
    assert "operating system" in found.facts("settings")["trust"]


def test_the_environment_and_services_count(folder):
    with open(os.path.join(folder, "services"), "w", encoding="ascii") as out:
        out.write("[orders]\nhost=127.0.0.1\nport=1\nsslmode=verify-ca\n")
    found = doctor.check("", env={"PGSERVICE": "orders", "PGUSER": "carol", "PGSERVICEFILE":
                                  os.path.join(folder, "services")})
    assert found.json["target"] == "postgresql://carol@127.0.0.1:1/carol"
    assert found.facts("settings")["sslmode"] == "verify-ca (service file)"


@pytest.mark.parametrize("words", [
    [], ["--nonsense", "postgresql://h"], ["postgresql://h", "postgresql://h"],
    ["postgresql://h?sslmod=require"], ["postgresql://h?sslmode=requir"], ["mysql://h"],
    ["service=nobody"], ["postgresql://h:0"], ["host=h connect_timeout=soon"],
    ["host=h sslmode=prefer sslnegotiation=direct"], ["host=h connect_timeout=99999"],
    ["user=" + 3000 * "u" + " dbname=" + 3000 * "d" + " application_name=" + 4050 * "a"], ["postgresql://h", "--name-server"]])
def test_wrong_usage_is_status_2(words):
    done = doctor.run(*words)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("pgtls: check: ")
    assert done.stdout == ""


@pytest.mark.parametrize("text", [
    "postgres//u:sesame@127.0.0.1/0", "postgres:/u:sesame@h/d", "postgresql:u:sesame@h/d",
    "u:sesame@h/d", "rediss:/:sesame@h", "password=open sesame", "password=open sesame=x",
    "postgres:/u:sesame@h/d?sslmode=require", "postgresql://u:open?sesame=x@h"])
def test_a_string_that_cannot_be_parsed_is_not_repeated(text):
    done = doctor.run(text)
    assert done.returncode == 2 and done.stdout == ""
    assert re.match(r"pgtls: check: byte \d+ of the connection string: ", done.stderr)
    assert "sesame" not in done.stderr
    if "://" not in text and "did you mean" not in done.stderr:
        assert "postgresql://USER" in done.stderr and "host=HOST" in done.stderr


def test_an_address_that_refuses():
    host, port = backend.refusing_address().split(":")
    found = doctor.check(doctor.uri(host, port))
    assert "connect.refused" in found.errors
    assert found.state("connect") == "failed" and found.state("login") == "skipped"
