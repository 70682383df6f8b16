# SPDX-License-Identifier: PostgreSQL
"""Requests, passphrases, revocation, lists; and openssl ca on the same folder."""
import os
import pty
import re
import select
import subprocess
import time

import pytest

from peers import cert
from peers.proxy import program


@pytest.fixture
def ca(folder):
    return cert.Authorities(folder)


# ---- requests ----

def test_the_two_halves_make_a_server_s_certificate(ca):
    req = ca.path("req")
    cert.good("csr", "--name", "db.example.com", "--name", "10.0.0.5", "--out", req)
    assert sorted(os.listdir(req)) == ["server.csr", "server.key"]
    assert cert.mode(f"{req}/server.key") == 0o600
    assert "DNS:db.example.com, IP:10.0.0.5" in cert.good("show", f"{req}/server.csr").out
    cert.good("sign", "--ca", ca.path("int"), "--csr-names", "--out", req, f"{req}/server.csr")
    cert.verify(ca.path("root", "ca.crt"), f"{req}/server.crt", "-verify_ip", "10.0.0.5",
                "-purpose", "sslserver")
    cert.good("verify", "--cert", f"{req}/server.crt", "--key", f"{req}/server.key")


def test_the_names_of_a_request_count_only_if_asked_for(ca):
    req = ca.path("req")
    cert.good("csr", "--name", "evil.example.com", "--subject", "CN=evil", "--out", req)
    sign = ["sign", "--ca", ca.path("int"), "--out", req, f"{req}/server.csr"]
    cert.refused("--name is missing", *sign, code=2)
    cert.good(*sign, "--name", "db.example.com")
    text = cert.text_of(f"{req}/server.crt")
    assert "evil" not in text and "DNS:db.example.com" in text
    cert.good(*sign, "--force", "--csr-names", "--name", "db.example.com")
    text = cert.text_of(f"{req}/server.crt")
    assert "CN = evil" in text.replace("CN=evil", "CN = evil") and "evil.example" not in text


def test_clients_and_authorities_by_request(ca):
    req = ca.path("req")
    cert.good("csr", "--purpose", "client", "--user", "alice", "--out", req)
    cert.good("sign", "--ca", ca.path("int"), "--purpose", "client", "--user", "bob", "--out",
              req, f"{req}/client.csr")
    assert "CN=bob" in cert.good("show", f"{req}/client.crt").out
    below = ca.path("below")
    cert.good("csr", "--purpose", "ca", "--subject", "CN=Below", "--out", below)
    cert.good("sign", "--ca", ca.path("root"), "--purpose", "ca", "--csr-names", "--out", below,
              f"{below}/ca.csr")
    cert.verify(ca.path("root", "ca.crt"), ca.server(ca="below") + "/server.crt")
    cert.refused("may have no authority below it", "sign", "--ca", ca.path("int"), "--purpose",
                 "ca", "--csr-names", "--out", req, f"{below}/ca.csr")


def foreign_request(ca, config, *words):
    """A request that openssl made by this configuration."""
    with open(ca.path("cnf"), "w", encoding="ascii") as file:
        file.write("[req]\ndistinguished_name=dn\nprompt=no\n" + config)
    cert.openssl("req", "-new", "-config", ca.path("cnf"), "-nodes", "-keyout",
                 ca.path("foreign.key"), "-out", ca.path("foreign.csr"),
                 *(words or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")))
    return ca.path("foreign.csr")


@pytest.mark.parametrize("names, text", [
    ("", "asks for no names"), ("otherName:1.2.3;UTF8:x", "a kind that is not issued"),
    ("DNS:a..b", "neither a DNS name"), ("RID:1.2.3", "a kind that is not issued"),
    ("DNS:*.*.com", "neither a DNS name")])
def test_requests_for_odd_names_are_refused(ca, names, text):
    extensions = f"req_extensions=ext\n[ext]\nsubjectAltName={names}\n" if names else ""
    request = foreign_request(ca, extensions + "[dn]\nCN=x\n")
    sign = ["sign", "--ca", ca.path("int"), "--out", ca.path("out")]
    cert.refused(text, *sign, "--csr-names", request)
    assert not os.path.exists(ca.path("out"))
    cert.good(*sign, "--name", "a.b", request)


def test_extensions_of_a_request_do_not_pass(ca):
    request = foreign_request(ca, "req_extensions=ext\n[ext]\nsubjectAltName=DNS:a.b\n"
                              "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"
                              "extendedKeyUsage=clientAuth,codeSigning\n[dn]\nCN=x\n")
    cert.good("sign", "--ca", ca.path("int"), "--out", ca.path("o"), "--csr-names", request)
    text = cert.text_of(ca.path("o", "server.crt"))
    assert "CA:FALSE" in text and "Certificate Sign" not in text and "Client" not in text
    assert "Code Signing" not in text


def test_requests_that_are_bad_are_refused(ca):
    sign = ["sign", "--ca", ca.path("int"), "--name", "a.b", "--out", ca.path("out")]
    cert.refused("could not open", *sign, ca.path("none"))
    cert.refused("no certificate request can be read", *sign, ca.path("int", "ca.crt"))
    weak = foreign_request(ca, "[dn]\nCN=x\n", "-newkey", "rsa:1024")
    cert.refused("is too short: 1024 bits", *sign, weak)
    cert.good("csr", "--name", "a.b", "--out", ca.path("q"))
    der = bytearray(subprocess.run(["openssl", "req", "-in", ca.path("q", "server.csr"),
                                    "-outform", "DER"], capture_output=True, check=True,
                                   timeout=30).stdout)
    der[der.index(b"a.b")] ^= 1
    subprocess.run(["openssl", "req", "-inform", "DER", "-out", ca.path("forged")],
                   input=bytes(der), check=True, timeout=30)
    cert.refused("is not signed by its own key", *sign, ca.path("forged"))
    assert not os.path.exists(ca.path("out"))


# ---- passphrases ----

def secret(folder, text, mode=0o600):
    path = os.path.join(folder, "secret")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def test_an_authority_s_key_with_a_passphrase(folder):
    file = secret(folder, "open sesame\nsecond line\n")
    ca = os.path.join(folder, "ca")
    cert.good("ca", "--subject", "CN=R", "--out", ca, "--passphrase-file", file)
    with open(f"{ca}/ca.key", encoding="ascii") as text:
        assert "BEGIN ENCRYPTED PRIVATE KEY" in text.read()
    cert.openssl("pkey", "-in", f"{ca}/ca.key", "-passin", "pass:open sesame", "-noout")
    make = ["client", "--ca", ca, "--out", f"{folder}/a", "--force", "--user", "a"]
    cert.good(*make, "--ca-passphrase-file", file)
    cert.good(*make, "--ca-passphrase-command", f"cat {file}")
    cert.refused("there is no terminal", *make, start_new_session=True)
    cert.refused("wrong passphrase", *make, "--ca-passphrase-command", "echo wrong")
    cert.refused("the passphrase command ended with status 1", *make, "--ca-passphrase-command",
                 "false")
    cert.refused("could not open", *make, "--ca-passphrase-file", f"{folder}/none")
    cert.refused("has no passphrase in its first line", *make, "--ca-passphrase-file",
                 secret(folder, "\nx\n"))
    cert.refused("has group or world access", *make, "--ca-passphrase-file",
                 secret(folder, "open sesame\n", 0o644))
    cert.refused("at least 4 characters", "ca", "--subject", "CN=R", "--out", f"{folder}/b",
                 "--passphrase-command", "echo abc")
    cert.good("intermediate", "--ca", ca, "--subject", "CN=I", "--out", f"{folder}/int",
              "--ca-passphrase-file", secret(folder, "open sesame\n"), "--passphrase-command",
              "echo inner")
    cert.good("crl", "--ca", f"{folder}/int", "--ca-passphrase-command", "echo inner")


def test_new_authorities_take_the_passphrase_that_is_given(folder):
    file = secret(folder, "open sesame\n")
    make = ["server", "--new-root", f"{folder}/root", "--ca", f"{folder}/int", "--name", "a.b",
            "--out"]
    cert.good(*make, f"{folder}/db", "--ca-passphrase-file", file)
    for one in ("root", "int"):
        with open(f"{folder}/{one}/ca.key", encoding="ascii") as text:
            assert "BEGIN ENCRYPTED PRIVATE KEY" in text.read()
        cert.openssl("pkey", "-in", f"{folder}/{one}/ca.key", "-passin", "pass:open sesame",
                     "-noout")
    cert.refused("there is no terminal", *make, f"{folder}/db2", start_new_session=True)
    cert.good(*make, f"{folder}/db2", "--ca-passphrase-command", f"cat {file}")


def on_terminal(words, *answers):
    """Runs it on a terminal of its own and answers each prompt; (exit code, what was shown)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program(), [program(), "cert", *words])
    shown, answers, until = b"", list(answers), time.monotonic() + 30
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            part = os.read(terminal, 1000)
        except OSError:
            break
        if not part:
            break
        shown += part
        if answers and shown.endswith(b": "):
            os.write(terminal, answers.pop(0).encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_the_terminal_is_asked_twice_for_a_new_passphrase_and_shows_none(folder):
    ca = os.path.join(folder, "ca")
    make = ["ca", "--subject", "CN=R", "--out", ca, "--passphrase"]
    code, shown = on_terminal(make, "sesame\n", "sesam\n")
    assert code == 1 and "the two passphrases differ" in shown and not os.path.exists(ca), shown
    code, shown = on_terminal(make, "sesame\n", "sesame\n")
    assert code == 0 and "sesame" not in shown, shown
    leaf = ["client", "--ca", ca, "--user", "a", "--out", f"{folder}/a"]
    code, shown = on_terminal(leaf, "\x03\n")
    assert code == 1 and "nothing was given" in shown, shown
    code, shown = on_terminal(leaf, "wrong\n")
    assert code == 1 and "wrong passphrase" in shown, shown
    code, shown = on_terminal(leaf, "sesame\n")
    assert code == 0 and "sesame" not in shown, shown


# ---- revocation ----

def revoked(path):
    """{serial: reason} of the first list of a file."""
    text = cert.openssl("crl", "-in", path, "-noout", "-text")
    return {found[0]: (found[1] or "").strip() for found in re.findall(
        r"Serial Number: (\w+)\n[^\n]*(?:\n +CRL entry extensions:\n[^\n]*Code:[^\n]*\n([^\n]*))?",
        text)}


def test_revoked_certificates_are_in_the_list_and_openssl_refuses_them(ca):
    alice, bob = ca.client("alice"), ca.client("bob")
    before = ca.lists()
    for who in (alice, bob):
        cert.verify(ca.path("root", "ca.crt"), f"{who}/client.crt", "-crl_check_all", "-CRLfile",
                    before)
    cert.good("revoke", "--ca", ca.path("int"), "--reason", "keyCompromise",
              f"{alice}/client.crt")
    after = ca.lists()
    assert revoked(after) == {cert.serial_of(f"{alice}/client.crt"): "Key Compromise"}
    cert.verify(ca.path("root", "ca.crt"), f"{bob}/client.crt", "-crl_check_all", "-CRLfile",
                after)
    cert.verify(ca.path("root", "ca.crt"), f"{alice}/client.crt", "-crl_check_all", "-CRLfile",
                after, fails=True)


REASONS = {"unspecified": "", "keyCompromise": "Key Compromise", "CACompromise": "CA Compromise",
           "affiliationChanged": "Affiliation Changed", "superseded": "Superseded",
           "cessationOfOperation": "Cessation Of Operation",
           "certificateHold": "Certificate Hold"}


def test_every_reason_reaches_the_list(ca):
    serials = {}
    for reason in REASONS:
        path = ca.client(reason) + "/client.crt"
        cert.good("revoke", "--ca", ca.path("int"), "--reason", reason, path)
        serials[cert.serial_of(path)] = REASONS[reason]
    assert revoked(ca.lists()) == serials


def test_revocation_by_number_where_the_file_is_lost(ca):
    serial = cert.serial_of(ca.client("alice") + "/client.crt")
    cert.refused("has signed no certificate with that serial", "revoke", "--ca", ca.path("int"),
                 "--serial", "1234")
    cert.refused("has signed no certificate with that serial", "revoke", "--ca", ca.path("int"),
                 "--serial", "nonsense")
    done = cert.good("revoke", "--ca", ca.path("int"), "--serial", serial.lower())
    assert serial in done.out
    cert.refused("has been revoked before", "revoke", "--ca", ca.path("int"), "--serial", serial)
    cert.refused("has been revoked before", "revoke", "--ca", ca.path("int"),
                 ca.path("alice", "client.crt"))


def test_certificates_of_others_are_not_revoked(ca):
    cert.good("ca", "--subject", "CN=Example Issuing", "--out", ca.path("other"))
    cert.refused("was signed by another authority", "revoke", "--ca", ca.path("other"),
                 ca.client("alice") + "/client.crt")
    cert.refused("no certificate in", "revoke", "--ca", ca.path("int"),
                 ca.path("alice", "client.key"))


def test_the_index_may_be_lost_and_may_not_be_broken(ca):
    alice = ca.client("alice")
    os.unlink(ca.path("int", "index.txt"))
    cert.good("revoke", "--ca", ca.path("int"), f"{alice}/client.crt")
    assert len(revoked(ca.lists())) == 1
    for text in ("V\n", "V\t1\t\t12\tunknown\t/CN=x\n", "X\t270101000000Z\t\t12\tunknown\t/CN=x\n",
                 "R\t270101000000Z\t\t12\tunknown\t/CN=x\n", "V\t270101000000Z\t\tzz\tu\t/CN=x\n"):
        with open(ca.path("int", "index.txt"), "w", encoding="ascii") as file:
            file.write(text)
        cert.refused("index.txt: line 1 is none of an index", "crl", "--ca", ca.path("int"))
    os.unlink(ca.path("int", "index.txt"))
    with open(ca.path("int", "crlnumber"), "w", encoding="ascii") as file:
        file.write("many\n")
    cert.refused("has no number", "crl", "--ca", ca.path("int"))


def test_numbers_of_lists_grow(ca):
    numbers = []
    with open(ca.path("int", "crlnumber"), "w", encoding="ascii") as file:
        file.write("FE\n")
    for _ in range(4):
        cert.good("crl", "--ca", ca.path("int"))
        text = cert.openssl("crl", "-in", ca.path("int", "ca.crl"), "-noout", "-crlnumber")
        numbers.append(int(text.strip().partition("=")[2], 16))
    assert numbers == [254, 255, 256, 257]


def openssl_ca(ca, *words):
    with open(ca.path("ca.cnf"), "w", encoding="ascii") as file:
        file.write(f"""[ca]\ndefault_ca=x\n[x]\ndir={ca.path('int')}\ndatabase=$dir/index.txt
certificate=$dir/ca.crt\nprivate_key=$dir/ca.key\ncrlnumber=$dir/crlnumber\nserial=$dir/serial
new_certs_dir=$dir\ndefault_md=sha256\ndefault_crl_days=7\npolicy=p\nrand_serial=yes
default_days=5\n[p]\ncommonName=supplied\n""")
    return cert.openssl("ca", "-config", ca.path("ca.cnf"), "-batch", *words)


def test_openssl_ca_reads_the_books_whatever_the_names_are(ca):
    odd = ['G\u00fcnther/\u00d6l, "x"', "a\\b/CN=root", "tab or not", "=", "a" * 64]
    for number, user in enumerate(odd):
        cert.good("client", "--ca", ca.path("int"), "--user", user, "--out", ca.path(str(number)))
        path = ca.path(str(number), "client.crt")
        cert.good("verify", "--cert", path, "--purpose", "client", "--name", user)
        openssl_ca(ca, "-revoke", path)
    cert.good("crl", "--ca", ca.path("int"))
    openssl_ca(ca, "-gencrl", "-out", ca.path("theirs.crl"))
    assert set(revoked(ca.path("theirs.crl"))) == set(revoked(ca.path("int", "ca.crl"))) == {
        cert.serial_of(ca.path(str(number), "client.crt")) for number in range(len(odd))}


def test_openssl_ca_reads_and_continues_the_books(ca):
    alice, bob = (cert.serial_of(ca.client(user) + "/client.crt") for user in ("alice", "bob"))
    cert.good("revoke", "--ca", ca.path("int"), "--reason", "superseded", "--serial", alice)
    status = [subprocess.run(["openssl", "ca", "-config", ca.path("ca.cnf"), "-status", serial],
                             capture_output=True, text=True, timeout=30, check=False).stderr
              for serial in (alice, bob) if openssl_ca(ca, "-updatedb") is not None]
    assert f"{alice}=Revoked" in status[0] and f"{bob}=Valid" in status[1]
    openssl_ca(ca, "-gencrl", "-out", ca.path("theirs.crl"))
    cert.good("crl", "--ca", ca.path("int"))
    assert revoked(ca.path("theirs.crl")) == revoked(ca.path("int", "ca.crl")) == {
        alice: "Superseded"}
    # what they sign and revoke is ours to continue
    cert.good("csr", "--purpose", "client", "--user", "carol", "--out", ca.path("carol"))
    openssl_ca(ca, "-in", ca.path("carol", "client.csr"), "-out", ca.path("carol", "client.crt"))
    carol = cert.serial_of(ca.path("carol", "client.crt"))
    openssl_ca(ca, "-revoke", ca.path("carol", "client.crt"), "-crl_reason", "keyCompromise")
    cert.good("revoke", "--ca", ca.path("int"), "--serial", bob)
    cert.good("crl", "--ca", ca.path("int"))
    assert revoked(ca.path("int", "ca.crl")) == {alice: "Superseded", bob: "",
                                                 carol: "Key Compromise"}
