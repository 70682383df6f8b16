# SPDX-License-Identifier: PostgreSQL
"""pgtls cert verify and show: each fault is found, named, and told what to do about."""
import json
import os
import re
import socket
import ssl
import threading

import pytest

from peers import cert

STEPS = ["order", "key", "dates", "strength", "trust", "revocation", "purpose", "name"]


@pytest.fixture
def ca(folder):
    return cert.Authorities(folder)


def look(*words):
    """{step: (verdict, text)} and the exit code."""
    done = cert.run("verify", *words)
    assert done.code in (0, 1) and done.err == "", done
    rows = [re.match(r"(good|BAD|-) +(\w+) +(.*)", line).groups()
            for line in done.out.splitlines()]
    assert [row[1] for row in rows] == STEPS
    assert (done.code == 1) == any(row[0] == "BAD" for row in rows), done
    return {step: (verdict, text) for verdict, step, text in rows}


def bad(*words):
    """{step: text} of what is bad."""
    return {step: text for step, (verdict, text) in look(*words).items() if verdict == "BAD"}


def read(*paths):
    text = []
    for path in paths:
        with open(path, encoding="ascii") as file:
            text.append(file.read())
    return "".join(text)


def write(path, text, mode=0o644):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def blocks(path):
    return re.findall("-----BEGIN.*?END CERTIFICATE-----\n", read(path), re.DOTALL)


def openssl_signed(ca, name, start, end, more="", md="sha256"):
    """A certificate of those dates by the issuing authority."""
    write(ca.path("x.cnf"), f"""[ca]\ndefault_ca=x\n[x]\ndir={ca.folder}\ndatabase=$dir/x.txt
certificate=$dir/int/ca.crt\nprivate_key=$dir/int/ca.key\nnew_certs_dir=$dir\nrand_serial=yes
default_md={md}\npolicy=p\nx509_extensions=e\nunique_subject=no\n[p]\ncommonName=supplied
[e]\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n{more}""")
    write(ca.path("x.txt"), "")
    cert.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", "/CN=" + name, "-keyout", ca.path(name + ".key"), "-out",
                 ca.path(name + ".csr"))
    cert.openssl("ca", "-config", ca.path("x.cnf"), "-batch", "-notext", "-in",
                 ca.path(name + ".csr"), "-startdate", start, "-enddate", end, "-out",
                 ca.path(name + ".crt"))
    return write(ca.path(name + ".crt"), read(ca.path(name + ".crt"), ca.path("int", "ca.crt")))


def test_all_is_good(ca):
    db, root = ca.server(), ca.path("root", "ca.crt")
    found = look("--cert", f"{db}/server.crt", "--key", f"{db}/server.key", "--ca", root, "--crl",
                 ca.lists(), "--name", "localhost", "--name", "127.0.0.1")
    assert all(verdict == "good" for verdict, _ in found.values()), found
    assert "2 certificates" in found["order"][1] and re.search(
        "(89|90) days left", found["dates"][1])
    assert "CN=Example Root,O=Example" in found["trust"][1]
    alice = ca.client("alice")
    assert not bad("--cert", f"{alice}/client.crt", "--purpose", "client", "--name", "alice",
                   "--ca", root)
    only = look("--cert", f"{db}/server.crt")
    assert [step for step in STEPS if only[step][0] == "-"] == ["key", "trust", "revocation",
                                                                 "name"]


def test_another_name(ca):
    db = ca.server()
    assert bad("--cert", f"{db}/server.crt", "--name", "other") == {
        "name": 'server certificate is for "localhost" (and 1 other name), not for host "other"; '
                "the certificate must name the host that is connected to, or the name to verify "
                "must be set to one that it has"}
    assert '"10.9.9.9"' in bad("--cert", f"{db}/server.crt", "--name", "localhost", "--name",
                               "10.9.9.9")["name"]
    alice = ca.client("alice")
    found = bad("--cert", f"{alice}/client.crt", "--purpose", "client", "--name", "bob")
    assert list(found) == ["name"] and 'CN=alice\'s, not user "bob"' in found["name"]


def test_wrong_order(ca):
    leaf, issuing = blocks(ca.server() + "/server.crt")
    root = read(ca.path("root", "ca.crt"))
    file = write(ca.path("f"), issuing + leaf)
    found = bad("--cert", file, "--key", ca.path("db", "server.key"))
    assert ("wrong order: the first certificate (CN=Example Issuing) is an authority's; the "
            "right order is 2, 1") in found["order"], found
    assert "is the key of certificate 2, not of the first" in found["key"]
    file = write(ca.path("f"), leaf + root + issuing)
    found = bad("--cert", file, "--ca", ca.path("root", "ca.crt"))
    assert list(found) == ["order"]
    assert "certificate 1 (CN=localhost) was signed by certificate 3" in found["order"]
    assert "the right order is 1, 3, 2" in found["order"]


def test_a_missing_intermediate(ca):
    leaf = write(ca.path("f"), blocks(ca.server() + "/server.crt")[0])
    found = bad("--cert", leaf, "--ca", ca.path("root", "ca.crt"))
    assert list(found) == ["trust"]
    assert ("the certificate of CN=Example Issuing is missing, which signed CN=localhost"
            in found["trust"])
    cert.good("ca", "--subject", "CN=Deep", "--path-length", "2", "--out", ca.path("deep"))
    cert.good("intermediate", "--ca", ca.path("deep"), "--path-length", "1", "--subject",
              "CN=One", "--out", ca.path("one"))
    cert.good("intermediate", "--ca", ca.path("one"), "--subject", "CN=Two", "--out",
              ca.path("two"))
    chain = blocks(ca.server(ca="two", out="deep-db") + "/server.crt")
    file = write(ca.path("f"), chain[0] + chain[2])
    found = bad("--cert", file, "--ca", ca.path("deep", "ca.crt"))
    assert "a certificate is missing between certificate 1 (CN=localhost)" in found["order"]
    assert "CN=Two" in found["order"] and "CN=Two is missing" in found["trust"]


def test_a_stranger_s_root(ca):
    cert.good("ca", "--subject", "CN=Other", "--out", ca.path("other"))
    db = ca.server()
    found = bad("--cert", f"{db}/server.crt", "--ca", ca.path("other", "ca.crt"))
    assert list(found) == ["trust"] and "CN=Example Root,O=Example is missing" in found["trust"]
    cert.good("self-signed", "--name", "localhost", "--out", ca.path("self"))
    found = bad("--cert", ca.path("self", "server.crt"), "--ca", ca.path("other", "ca.crt"))
    assert list(found) == ["trust"] and "self-signed" in found["trust"]
    shown = cert.good("show", ca.path("self", "server.crt")).out
    assert "CN=localhost (itself)" in shown and shown.endswith("order  self-signed\n"), shown


def test_a_root_made_anew_has_the_name_and_another_key(ca):
    db = ca.server()
    cert.good("ca", "--subject", "CN=Example Root,O=Example", "--out", ca.path("anew"))
    found = bad("--cert", f"{db}/server.crt", "--ca", ca.path("anew", "ca.crt"))
    assert list(found) == ["trust"], found


def test_a_key_that_does_not_fit_or_is_open_to_others(ca):
    db, other = ca.server(), ca.server(out="other")
    files = ["--cert", f"{db}/server.crt", "--key"]
    found = bad(*files, f"{other}/server.key")
    assert list(found) == ["key"] and "is not the key of" in found["key"]
    os.chmod(f"{db}/server.key", 0o644)
    found = bad(*files, f"{db}/server.key")
    assert "has group or world access (mode 0644); chmod 0600" in found["key"]
    assert "could not open" in bad(*files, f"{db}/none")["key"]
    if os.getuid() == 0:        # root looks at the key of the user that the server runs as
        os.chown(f"{db}/server.key", 1234, 1234)
        os.chmod(f"{db}/server.key", 0o600)
        assert not bad(*files, f"{db}/server.key")
        os.chmod(f"{db}/server.key", 0o640)
        assert "has group or world access" in bad(*files, f"{db}/server.key")["key"]
    assert "no private key can be read" in bad(*files, write(ca.path("k"), "x\n", 0o600))["key"]
    assert "ENCRYPTED" not in read(f"{other}/server.key")
    cert.openssl("pkey", "-in", f"{db}/server.key", "-aes256", "-passout", "pass:sesame", "-out",
                 ca.path("enc"))
    os.chmod(ca.path("enc"), 0o600)
    assert "wrong passphrase" in bad(*files, ca.path("enc"), "--passphrase-command",
                                     "echo wrong")["key"]
    assert not bad(*files, ca.path("enc"), "--passphrase-command", "echo sesame")


def test_dates(ca):
    old = openssl_signed(ca, "old", "20200101000000Z", "20210203040506Z")
    root = ca.path("root", "ca.crt")
    found = bad("--cert", old, "--ca", root)
    assert list(found) == ["dates"]
    assert "CN=old ended on 2021-02-03 04:05:06 UTC; it must be renewed" in found["dates"]
    future = openssl_signed(ca, "future", "20800101000000Z", "20810101000000Z")
    found = bad("--cert", future, "--ca", root)
    assert list(found) == ["dates"]
    assert "CN=future begins on 2080-01-01 00:00:00 UTC" in found["dates"]
    shown = cert.good("show", old).out, cert.good("show", future).out
    assert re.search(r"ENDED \d+ days ago", shown[0]) and "NOT YET VALID" in shown[1]


def test_weak_keys_and_hashes(ca):
    cert.openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-addext",
                 "subjectAltName=DNS:a", "-keyout", ca.path("weak"), "-out", ca.path("key"))
    found = bad("--cert", ca.path("key"), "--ca", ca.path("key"))
    assert list(found) == ["strength"] and "key" in found["strength"]
    assert "rsa 1024 (weak)" in cert.good("show", ca.path("key")).out.lower()
    sha1 = openssl_signed(ca, "sha1", "20200101000000Z", "20490101000000Z", md="sha1")
    found = bad("--cert", sha1, "--ca", ca.path("root", "ca.crt"))
    assert list(found) == ["strength"] and "hash too weak" in found["strength"], found
    assert "ecdsa-with-SHA1 (WEAK)" in cert.good("show", sha1).out


def test_a_purpose_that_is_another(ca):
    alice = ca.client("alice")
    found = bad("--cert", f"{alice}/client.crt", "--ca", ca.path("root", "ca.crt"))
    assert list(found) == ["purpose"]
    assert "extended key usage must have serverAuth" in found["purpose"]


def test_revocation(ca):
    db, root = ca.server(), ca.path("root", "ca.crt")
    files = ["--cert", f"{db}/server.crt", "--ca", root, "--crl"]
    cert.good("crl", "--ca", ca.path("int"))
    found = bad(*files, ca.path("int", "ca.crl"))
    assert list(found) == ["revocation"]
    assert "must have one of every authority in the chain" in found["revocation"]
    assert not bad(*files, ca.lists())
    cert.good("revoke", "--ca", ca.path("int"), f"{db}/server.crt")
    found = bad(*files, ca.lists())
    assert list(found) == ["revocation"] and "certificate revoked" in found["revocation"]


def test_several_faults_are_all_told(ca):
    old = openssl_signed(ca, "old", "20200101000000Z", "20210101000000Z",
                         "keyUsage=digitalSignature\n")
    leaf = write(ca.path("f"), blocks(old)[0])
    found = bad("--cert", leaf, "--key", ca.path("int", "ca.key"), "--ca",
                ca.path("root", "ca.crt"), "--name", "other", "--purpose", "client")
    assert sorted(found) == ["dates", "key", "name", "purpose", "trust"]


@pytest.mark.parametrize("text, what", [
    ("", "is empty"), ("nonsense\n", "no certificate in"), (None, "could not open"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is damaged")])
def test_files_that_cannot_be_looked_at(folder, text, what):
    file = os.path.join(folder, "f")
    if text is not None:
        write(file, text)
    cert.refused(what, "verify", "--cert", file)
    cert.refused("no certificate, request" if text == "nonsense\n" else what, "show", file)


# ---- show ----

def test_what_json_says(ca):
    db = ca.server()
    shown = json.loads(cert.good("show", f"{db}/server.crt", "--json").out)
    leaf, issuing = shown["certificates"]
    assert shown["in_order"] is True and "tls" not in shown
    assert leaf["subject"] == "CN=localhost" and leaf["issuer"] == "CN=Example Issuing"
    assert leaf["names"] == "DNS:localhost, IP:127.0.0.1" and leaf["signed_by"] == 2
    assert leaf["days_left"] in (89, 90) and leaf["use"] == "server"
    assert issuing["is_authority"] is True and issuing["signed_by"] is None
    assert issuing["use"] == "authority, path length 0"
    fingerprint = cert.openssl("x509", "-in", f"{db}/server.crt", "-noout", "-fingerprint",
                               "-sha256").strip().partition("=")[2].replace(":", "").lower()
    assert leaf["fingerprint_sha256"] == fingerprint
    assert leaf["serial"].upper() == cert.serial_of(f"{db}/server.crt")
    lists = json.loads(cert.good("show", ca.lists(), "--json").out)["lists"]
    assert [one["issuer"] for one in lists] == ["CN=Example Issuing", "CN=Example Root,O=Example"]
    assert [one["revoked"] for one in lists] == [0, 0] and lists[0]["days_left"] in (29, 30)
    cert.good("csr", "--name", "a.b", "--out", ca.path("q"))
    request = json.loads(cert.good("show", ca.path("q", "server.csr"), "--json").out)["request"]
    assert request == {"subject": "CN=a.b", "names": "DNS:a.b", "key": "ec:P-256"}


def test_a_server_s_chain_by_sslrequest(postgres):
    shown = cert.good("show", f"localhost:{postgres.port}").out
    assert "2 certificates, by TLSv1.3" in shown and "CN=localhost" in shown
    shown = json.loads(cert.good("show", f"127.0.0.1:{postgres.port}", "--json").out)
    assert shown["tls"]["version"] == "TLSv1.3" and len(shown["certificates"]) == 2


def test_a_server_without_tls(postgres_clear):
    cert.refused("does not support TLS", "show", f"localhost:{postgres_clear.port}")


class Server:
    """Answers one connection."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
        self.thread.start()

    def _serve(self, answer):
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(30)
            try:
                answer(connection)
            except OSError:
                pass

    def stop(self):
        self.socket.close()
        self.thread.join(30)


@pytest.fixture
def serve():
    running = []

    def one(answer):
        running.append(Server(answer))
        return running[-1].address
    yield one
    for server in running:
        server.stop()


def tls_answer(context):
    def answer(connection):
        with context.wrap_socket(connection, server_side=True) as session:
            session.recv(1)
    return answer


def test_direct_tls_demands_the_protocol_and_plain_tls_does_not(serve, certs):
    with_alpn, without = certs.server(alpn=["postgresql"]), certs.server()
    shown = cert.good("show", serve(tls_answer(with_alpn)), "--via", "direct").out
    assert "2 certificates, by TLSv1.3" in shown
    assert "2 certificates, by TLSv1.3" in cert.good("show", serve(tls_answer(without)), "--via",
                                                     "tls").out


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_has_shown_its_own(serve, certs, version):
    context = certs.server(client_ca="clients-ca", version=version)
    shown = cert.good("show", serve(tls_answer(context)), "--via", "tls").out
    assert "CN=localhost" in shown and "2 certificates" in shown


@pytest.mark.parametrize("answer, way, text", [
    (b"H", "sslrequest", 'is invalid: "H"; is it PostgreSQL? --via tls'),
    (b"E", "sslrequest", "sent an error response"),
    (b"N", "sslrequest", "does not support TLS"),
    (b"", "sslrequest", "closed the connection instead of answering"),
    (b"-ERR unknown\r\n", "tls", "does not speak TLS"),
    (b"", "tls", "closed the connection without a word"),
    (b"S", "sslrequest", "the connection")])
def test_servers_that_answer_something_else(serve, answer, way, text):
    def say(connection):
        connection.recv(1000)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    address = serve(say)
    done = cert.refused(text, "show", address, "--via", way)
    assert address in done.err


def test_servers_that_are_not_there_or_say_nothing(serve):
    with socket.socket() as closed:         # bound, so that nobody else takes the port
        closed.bind(("127.0.0.1", 0))
        cert.refused("Connection refused", "show", f"127.0.0.1:{closed.getsockname()[1]}")
    cert.refused("a server is named HOST:PORT", "show", "localhost")
    done = threading.Event()
    address = serve(lambda _: done.wait(30))
    cert.refused(address, "show", address, "--timeout", "1")
    done.set()
    cert.refused("name.invalid", "show", "name.invalid:5432", "--timeout", "5")
