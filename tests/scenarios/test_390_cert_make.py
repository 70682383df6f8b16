# SPDX-License-Identifier: PostgreSQL
"""pgtls cert makes keys and certificates: what is in them, and what is refused."""
import calendar
import os
import re
import shutil
import subprocess
import time

import make
import pytest

from peers import cert
from peers.proxy import program

KINDS = ["ec:P-256", "ec:P-384", "ed25519", pytest.param("rsa:3072", marks=pytest.mark.long),
         pytest.param("rsa:4096", marks=pytest.mark.long)]


@pytest.fixture
def ca(folder):
    return cert.Authorities(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_passes_strict_verification(folder, kind):
    root, leaf = os.path.join(folder, "root"), os.path.join(folder, "leaf")
    cert.good("ca", "--subject", "CN=Root", "--out", root, "--key", kind)
    cert.good("server", "--ca", root, "--name", "db.example.com", "--out", leaf, "--key", kind)
    cert.verify(f"{root}/ca.crt", f"{leaf}/server.crt", "-purpose", "sslserver",
                "-verify_hostname", "db.example.com")
    shown = cert.run("show", f"{leaf}/server.crt").out
    assert {"ec": "EC P-", "rs": "RSA ", "ed": "ED25519"}[kind[:2]] in shown


def test_self_signed_stands_for_itself(folder):
    cert.good("self-signed", "--name", "localhost", "--name", "127.0.0.1", "--name", "::1",
              "--out", f"{folder}/certs/")
    made = f"{folder}/certs/server.crt"
    assert sorted(os.listdir(f"{folder}/certs")) == ["server.crt", "server.key"]
    cert.verify(made, made, "-purpose", "sslserver", "-verify_ip", "::1")
    text = cert.text_of(made)
    assert "CA:FALSE" in text and "DNS:localhost, IP Address:127.0.0.1" in text


def test_the_three_levels_say_what_they_may(ca):
    db, alice = ca.server(), ca.client("alice")
    root, issuing, leaf = (cert.text_of(path) for path in (
        ca.path("root", "ca.crt"), ca.path("int", "ca.crt"), f"{db}/server.crt"))
    assert "CA:TRUE, pathlen:1" in root and "CA:TRUE, pathlen:0" in issuing
    assert "CA:FALSE" in leaf
    for text in (root, issuing):
        assert "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n" in text
        assert "Extended Key Usage" not in text
    assert "X509v3 Key Usage: critical\n                Digital Signature\n" in leaf
    assert "Extended Key Usage: \n                TLS Web Server Authentication\n" in leaf
    assert "TLS Web Client Authentication\n" in cert.text_of(f"{alice}/client.crt")
    for text in (root, issuing, leaf):
        assert "Subject Key Identifier" in text
    for text in (issuing, leaf):
        assert "Authority Key Identifier" in text
    assert [cert.count(path) for path in (
        ca.path("root", "ca.crt"), ca.path("int", "ca.crt"), ca.path("int", "root.crt"),
        f"{db}/server.crt", f"{db}/root.crt", f"{alice}/client.crt")] == [1, 1, 1, 2, 1, 2]
    with open(ca.path("root", "ca.crt"), "rb") as one, open(f"{db}/root.crt", "rb") as other:
        assert one.read() == other.read()
    cert.verify(f"{db}/root.crt", f"{db}/server.crt", "-purpose", "sslserver",
                "-verify_ip", "127.0.0.1")
    cert.verify(f"{db}/root.crt", f"{alice}/client.crt", "-purpose", "sslclient")
    cert.verify(f"{db}/root.crt", f"{alice}/client.crt", "-purpose", "sslserver", fails=True)


def test_modes_are_right_whatever_the_umask(folder):
    script = f"umask 0; exec {program()} cert ca --subject CN=R --out {folder}/ca"
    subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)
    script = f"umask 777; exec {program()} cert self-signed --name a.b --out {folder}"
    subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert cert.mode(f"{folder}/ca/ca.key") == cert.mode(f"{folder}/server.key") == 0o600
    assert cert.mode(f"{folder}/ca/ca.crt") == cert.mode(f"{folder}/server.crt") == 0o644
    assert cert.mode(f"{folder}/ca") == 0o700


def test_serials_are_128_random_bits(ca):
    serials = [cert.serial_of(f"{ca.server(out=f'db{n}')}/server.crt") for n in range(8)]
    assert len(set(serials)) == 8
    assert all(len(serial) <= 32 for serial in serials)
    # eight numbers without their first byte set: once in 2^64
    assert max(len(serial) for serial in serials) == 32
    assert len({serial[:4] for serial in serials}) > 4


def dates(path):
    text = cert.openssl("x509", "-in", path, "-noout", "-dates", "-dateopt", "iso_8601")
    return [calendar.timegm(time.strptime(one, "%Y-%m-%d %H:%M:%SZ"))
            for one in re.findall(r"=(.*)", text)]


def test_ninety_days_and_an_hour_back(ca):
    start, end = dates(f"{ca.server()}/server.crt")
    now = time.time()
    assert -120 < now - start - 3600 < 120 or start == dates(ca.path("int", "ca.crt"))[0]
    assert abs(end - now - 90 * 86400) < 120


def test_no_certificate_outlives_its_authority(ca):
    short = ca.path("short")
    cert.good("intermediate", "--ca", ca.path("root"), "--subject", "CN=Short", "--days", "10",
              "--out", short)
    done = cert.good("server", "--ca", short, "--name", "a.b", "--out", ca.path("db"))
    assert "ends with its authority" in done.err and "90 days" in done.err, done
    assert dates(ca.path("db", "server.crt"))[1] == dates(f"{short}/ca.crt")[1]


def test_a_long_name_is_no_common_name_and_an_empty_subject_makes_names_critical(ca):
    name = ".".join(["a" * 40] * 3) + ".example.com"
    made = ca.server(names=[name]) + "/server.crt"
    text = cert.text_of(made)
    assert "Subject Alternative Name: critical" in text and name in text
    cert.verify(ca.path("root", "ca.crt"), made, "-verify_hostname", name)


def test_subjects_are_written_as_show_prints_them(ca):
    subject = "CN=a\\, b,OU=ä,O=Example\\\\Ltd,C=DE"
    done = cert.good("client", "--ca", ca.path("int"), "--subject", subject, "--out",
                     ca.path("c"))
    assert "client.crt" in done.out
    shown = cert.openssl("x509", "-in", ca.path("c", "client.crt"), "-noout", "-subject",
                         "-nameopt", "RFC2253,-esc_msb,utf8")
    assert shown.strip() == "subject=" + subject


def test_names_of_all_kinds(ca):
    names = ["*.example.com", "db_1.local", "10.0.0.5", "2001:db8::1", "email:a@b.c",
             "URI:spiffe://example/db"]
    text = cert.text_of(ca.server(names=names) + "/server.crt")
    for part in ("DNS:*.example.com", "DNS:db_1.local", "IP Address:10.0.0.5",
                 "IP Address:2001:DB8:0:0:0:0:0:1", "email:a@b.c", "URI:spiffe://example/db"):
        assert part in text, text


BAD_NAMES = ["", "a..b", "-a.b", "a.*.b", "**.b", "*b.c", "10.0.0", "127.1", "1.2.3.4.5", "a b",
             "bücher.de", "a" * 64 + ".de", "IP:a.b", "DNS:1.2.3.4", "email:a", "URI:a", "a.b."]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_name_is_refused(folder, name):
    cert.refused("is neither a DNS name nor an IP address", "self-signed", "--name", name,
                 "--out", f"{folder}/x", code=2)
    assert not os.path.exists(f"{folder}/x")


@pytest.mark.parametrize("subject, text", [
    ("Example", "has no value"), ("XX=a", "is not known"), ("CN=", "is empty"),
    ("C=Germany", "cannot be"), ("CN=" + "a" * 65, "cannot be"), ("CN=a,", "ends with a comma"),
    ("CN=a\nb", "control characters"), ("/CN=a", "is not known")])
def test_what_is_no_subject_is_refused(folder, subject, text):
    cert.refused(text, "ca", "--subject", subject, "--out", f"{folder}/x", code=2)
    assert not os.path.exists(f"{folder}/x")


def test_nothing_is_overwritten_without_force(ca):
    db = ca.server()
    before = cert.contents(db), cert.contents(ca.path("int"))
    cert.refused("server.crt is there already; --force", "server", "--ca", ca.path("int"),
                 "--name", "a.b", "--out", db)
    cert.refused("ca.crt is there already", "ca", "--subject", "CN=R", "--out", ca.path("root"))
    cert.refused("server.key is there already", "csr", "--name", "a.b", "--out", db)
    assert before == (cert.contents(db), cert.contents(ca.path("int")))
    os.unlink(f"{db}/server.crt")
    cert.refused("server.key is there already", "server", "--ca", ca.path("int"), "--name",
                 "a.b", "--out", db)
    cert.good("server", "--ca", ca.path("int"), "--name", "a.b", "--out", db, "--force")
    assert sorted(cert.contents(db)) == ["root.crt", "server.crt", "server.key"]


def test_what_is_no_file_is_never_replaced(ca):
    db = ca.path("db")
    os.makedirs(f"{db}/server.key")
    os.symlink("/etc/passwd", f"{db}/server.crt")
    cert.refused("is not a regular file", "server", "--ca", ca.path("int"), "--name", "a.b",
                 "--out", db, "--force")
    os.unlink(f"{db}/server.crt")
    cert.refused("server.key is not a regular file", "server", "--ca", ca.path("int"), "--name",
                 "a.b", "--out", db, "--force")
    assert os.listdir(db) == ["server.key"]


def test_root_crt_may_have_the_root_already_and_is_not_replaced_otherwise(ca):
    db = ca.server()
    with open(f"{db}/root.crt", "a", encoding="ascii") as file:
        file.write("# and others\n")
    before = cert.contents(db)["root.crt"]
    cert.good("client", "--ca", ca.path("int"), "--user", "alice", "--out", db)
    assert cert.contents(db)["root.crt"] == before
    cert.good("ca", "--subject", "CN=Other", "--out", ca.path("other"))
    os.unlink(f"{db}/client.crt")
    os.unlink(f"{db}/client.key")
    cert.refused("root.crt is there already", "client", "--ca", ca.path("other"), "--user",
                 "bob", "--out", db)
    assert sorted(cert.contents(db)) == ["root.crt", "server.crt", "server.key"]


def test_path_lengths_hold(ca):
    words = ["intermediate", "--subject", "CN=Deeper", "--out", ca.path("deeper")]
    cert.refused("may have no authority below it", *words, "--ca", ca.path("int"))
    cert.refused("the authority's own path length is 1", *words, "--ca", ca.path("root"),
                 "--path-length", "1")
    cert.good("ca", "--subject", "CN=Deep", "--out", ca.path("deep"), "--path-length", "2")
    cert.good("intermediate", "--ca", ca.path("deep"), "--subject", "CN=One", "--path-length",
              "1", "--out", ca.path("one"))
    cert.good(*words, "--ca", ca.path("one"))
    leaf = ca.server(ca="deeper") + "/server.crt"
    assert cert.count(leaf) == 3
    cert.verify(ca.path("deep", "ca.crt"), leaf)


def test_authorities_that_are_none_are_refused(ca):
    db = ca.server()
    sign = ["server", "--name", "a.b", "--out", ca.path("x"), "--ca"]
    cert.refused("could not open", *sign, ca.path("nothing"))
    cert.refused("is no folder of an authority", *sign, ca.path("root", "ca.crt"))
    fake = ca.path("fake")
    os.mkdir(fake)
    for name, source in (("ca.crt", f"{db}/server.crt"), ("ca.key", f"{db}/server.key")):
        os.link(source, os.path.join(fake, name))
    cert.refused("is not of an authority", *sign, fake)
    os.rename(ca.path("int", "ca.key"), ca.path("int", "kept"))
    cert.refused("could not open", *sign, ca.path("int"))
    os.link(f"{db}/server.key", ca.path("int", "ca.key"))
    cert.refused("is not the key of the authority", *sign, ca.path("int"))
    os.chmod(f"{db}/server.key", 0o644)
    cert.refused("has group or world access", *sign, ca.path("int"))
    assert not os.path.exists(ca.path("x"))


def test_an_authority_that_has_ended_signs_nothing(ca):
    expired = ca.path("expired")
    os.mkdir(expired, 0o700)
    cert.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", "/CN=old", "-keyout", f"{expired}/ca.key", "-out", f"{expired}/csr")
    with open(f"{expired}/ext", "w", encoding="ascii") as ext:
        ext.write("basicConstraints=critical,CA:TRUE\n")
    cert.openssl("x509", "-req", "-in", f"{expired}/csr", "-key", f"{expired}/ca.key",
                 *make.validity(-1), "-extfile", f"{expired}/ext", "-out", f"{expired}/ca.crt")
    os.chmod(f"{expired}/ca.key", 0o600)
    cert.refused("has expired", "server", "--ca", expired, "--name", "a.b", "--out", ca.path("x"))


def test_a_folder_without_a_parent_is_refused(folder):
    cert.refused("could not make the folder", "self-signed", "--name", "a.b", "--out",
                 f"{folder}/a/b")


USAGE = [
    ([], "a word is missing"), (["servr"], 'did you mean "server"'), (["xyzzy"], "unknown word"),
    (["server"], "--ca DIR is missing"), (["self-signed", "--out", "x"], "--name NAME is missing"),
    (["ca", "--out", "x"], "--subject NAME is missing"), (["ca", "--out"], "--out needs a DIR"),
    (["ca", "--subject", "CN=a"], "--out DIR is missing"),
    (["self-signed", "--nam", "x"], "did you mean --name?"),
    (["self-signed", "--name", "a", "--out", "x", "--out", "y"], "--out is given twice"),
    (["self-signed", "--name", "a", "--out", ""], "is not to be empty"),
    (["self-signed", "--name", "a", "--out", "x", "--days", "0"], "is not a number from 1"),
    (["self-signed", "--name", "a", "--out", "x", "--days", "90d"], "is not a number from 1"),
    (["self-signed", "--name", "a", "--out", "x", "--days", "36501"], "is not a number from 1"),
    (["self-signed", "--name", "a", "--out", "x", "--key", "rsa:1024"], "is not one of ec:P-256"),
    (["self-signed", "--name", "a", "--out", "x", "--force=yes"], "takes no value"),
    (["self-signed", "--name", "a", "--out", "x", "y"], "one word too many"),
    (["self-signed", "--name", "a", "--out", "x", "--renew-before", "30"], "like 30d"),
    (["self-signed", "--name", "a", "--out", "x", "--renew-before", "90d"],
     "must be less than --days"),
    (["client", "--ca", "x", "--out", "y"], "--user or --subject is needed"),
    (["client", "--ca", "x", "--out", "y", "--user", "a", "--subject", "CN=a"], "one of them"),
    (["csr", "--out", "x"], "--name is missing"),
    (["csr", "--out", "x", "--purpose", "client"], "--user is missing"),
    (["csr", "--out", "x", "--purpose", "ca"], "--subject is missing"),
    (["csr", "--out", "x", "--purpose", "ca", "--name", "a"], "an authority has no --name"),
    (["csr", "--out", "x", "--name", "a", "--user", "b"], "--user is for clients"),
    (["csr", "--out", "x", "--purpose", "client", "--user", "a", "--subject", "CN=b"],
     "--user or --subject, not both"),
    (["sign", "--ca", "x", "--out", "y", "--csr-names"], "FILE.csr is missing"),
    (["sign", "--ca", "x", "--out", "y", "z"], "--name is missing"),
    (["revoke", "--ca", "x"], "FILE.crt or --serial is needed"),
    (["revoke", "--ca", "x", "--serial", "1", "y"], "one of them"),
    (["revoke", "--ca", "x", "y", "--reason", "lost"], "is not one of unspecified"),
    (["crl"], "--ca DIR is missing"), (["verify"], "--cert FILE is missing"),
    (["verify", "--cert", "x", "--crl", "y"], "--crl needs --ca"),
    (["verify", "--cert", "x", "--purpose", "ca"], "is not one of server client"),
    (["show"], "FILE|HOST:PORT is missing"), (["show", "a:1", "--via", "x"], "is not one of"),
    (["ca", "--subject", "CN=a", "--out", "x", "--passphrase", "--passphrase-file", "y"],
     "one passphrase is enough"),
    (["crl", "--ca", "x", "--ca-passphrase-file", "a", "--ca-passphrase-command", "b"],
     "not both"),
]


@pytest.mark.parametrize("words, text", USAGE, ids=lambda one: " ".join(one)[:60])
def test_wrong_usage_is_2(folder, words, text):
    cert.refused(text, *words, code=2, cwd=folder)
    assert os.listdir(folder) == []


WORDS = ["self-signed", "ca", "intermediate", "server", "client", "csr", "sign", "revoke", "crl",
         "verify", "show"]


@pytest.mark.parametrize("word", WORDS)
def test_help_behind_every_word_is_the_manual_s(word):
    done = cert.good(word, "--help")
    assert done.out.startswith(f"usage: pgtls cert {word}") and done.err == ""
    behind = cert.good(word, "--out", "x", "--help").out
    by_help = subprocess.run([program(), "help", "cert", word], capture_output=True, text=True,
                             check=True, timeout=30).stdout
    assert done.out == behind == by_help
    assert f"  {word} " in cert.good("--help").out


def test_one_command_makes_all_authorities_above(folder):
    words = ["--new-root", "ca", "--name", "localhost"]
    cert.good("server", *words, "--ca", "ca", "--out", "two", cwd=folder)
    cert.good("server", *words, "--ca", "int", "--out", "three", cwd=folder)
    cert.good("client", "--new-root", "ca", "--ca", "int", "--user", "o'neill, jr=1", "--out",
              "bob", cwd=folder)
    assert [cert.count(f"{folder}/{name}/server.crt") for name in ("two", "three")] == [1, 2]
    for chain in ("two/server.crt", "three/server.crt", "bob/client.crt"):
        cert.verify(f"{folder}/ca/ca.crt", f"{folder}/{chain}")


def test_it_calls_no_other_program_and_no_network(folder):
    trace = os.path.join(folder, "trace")
    script = "\n".join([
        f"set -e; cd {folder}; P={program()}",
        "$P cert server --new-root ca --ca int --name a.b --out db",
        "$P cert csr --name a.b --out csr; $P cert sign --ca int --csr-names --out csr "
        "csr/server.csr",
        "$P cert revoke --ca int db/server.crt; $P cert crl --ca int; $P cert crl --ca ca",
        "$P cert verify --cert csr/server.crt --ca ca/ca.crt; $P cert show int/ca.crl"])
    done = subprocess.run([shutil.which("strace"), "-f", "-o", trace, "-e", "trace=execve,socket", "/bin/sh",
                           "-c", script], env={"PATH": "/nowhere", "ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True,
                          text=True, timeout=150, check=False)
    if "ptrace" in done.stderr.lower() and "not permitted" in done.stderr.lower():
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    with open(trace, encoding="utf-8") as lines:
        text = lines.read()
    programs = re.findall(r'execve\("([^"]*)"', text)
    assert set(programs) == {"/bin/sh", program()} and len(programs) == 9, text
    assert "socket(" not in text
