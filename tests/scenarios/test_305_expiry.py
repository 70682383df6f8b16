# SPDX-License-Identifier: PostgreSQL
"""What ends soon is told, and --check shows all that was loaded and what is odd about it."""
import os
import shutil
import signal
import subprocess

import pytest

import make
from peers.proxy import route, run, toml


@pytest.fixture
def issue(certs, folder):
    """issue(name, days, usage, names): a certificate of the servers' issuing authority."""
    def one(name, days, usage="serverAuth", names="DNS:localhost", chain=True):
        file = os.path.join(folder, name)
        with open(file + ".ext", "w", encoding="ascii") as out:
            out.write(f"extendedKeyUsage={usage}\nsubjectAltName={names}\n")
        for words in (["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}", "-keyout",
                       file + ".key", "-out", file + ".csr"],
                      ["x509", "-req", "-in", file + ".csr", "-CA",
                       certs.file("servers-issuing.pem"), "-CAkey", certs.key("servers-issuing"),
                       "-set_serial", "0x77", "-days", str(days), "-extfile", file + ".ext",
                       "-out", file + ".crt"]):
            subprocess.run(["openssl", *words], capture_output=True, check=True)
        os.chmod(file + ".key", 0o600)
        if chain:
            with open(file + ".crt", "a", encoding="ascii") as out, \
                 open(certs.file("servers-issuing.pem"), encoding="ascii") as above:
                out.write(above.read())
        return {"server_cert": file + ".crt", "server_key": file + ".key"}
    return one


def check(folder, *routes):
    config = os.path.join(folder, "check.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, list(routes)))
    return run("proxy", "-c", config, "--check")


def tls_route(listener, backend=None, **more):
    return route({"address": "127.0.0.1:5432", **(backend or {})},
                 {"sslmode": "require", **listener}, **more)


def test_a_certificate_that_ends_soon_is_told_at_the_start_and_once(start, issue):
    proxy = start(tls_route(issue("soon", 10)))
    told = proxy.wait_event("certificate.expiring")
    file = proxy.routes[0]["listener"]["server_cert"]
    assert told["level"] == "warn"
    assert [told[key] for key in ("route", "leg", "file", "subject", "serial")] == \
        ["orders", "client", file, "CN=soon", "77"]
    assert told["days"] in (9, 10) and told["not_after"].endswith("Z")
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reload.ok")
    issue("soon", 6)                        # and another one is told again
    proxy.wait_count("certificate.expiring", 2)
    assert [one["days"] for one in proxy.find("certificate.expiring")][1] in (5, 6)


def test_a_certificate_that_lasts_is_not_told(start, issue):
    proxy = start(tls_route(issue("long", 31)))
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reload.ok")
    assert not proxy.find("certificate.expiring")


def test_authorities_and_certificates_to_servers_are_told(start, issue, certs):
    mine = issue("soon", 2, "clientAuth")
    proxy = start(route({"address": "127.0.0.1:5432", "sslmode": "verify-ca",
                         "root_ca": mine["server_cert"], "client_cert": mine["server_cert"],
                         "client_key": mine["server_key"]}))
    told = proxy.wait_event("certificate.expiring")
    assert told["leg"] == "backend" and told["days"] in (1, 2)
    assert len(proxy.find("certificate.expiring")) == 1     # one file, one certificate, one line


def test_an_expired_one_is_told_with_its_days(start, listener):
    proxy = start(tls_route(listener("require", "server-expired")))
    assert proxy.wait_event("certificate.expiring")["days"] < 0


def test_reload_ok_says_what_is_served_since(start, issue):
    proxy = start(tls_route(issue("one", 90)))
    ready = proxy.find("listener.ready")[0]
    assert ready["serial"] == "77" and ready["not_after"].endswith("Z")
    proxy.signal(signal.SIGHUP)
    assert "serial" not in proxy.wait_event("reload.ok")    # nothing is new
    issue("one", 80)
    done = proxy.wait_event("reload.ok", cause="files")
    assert done["serial"] == "77" and done["generation"] == 3
    assert done["not_after"] < ready["not_after"]


# --check


def rows(done):
    """The table below the routes, as a list of words for each row."""
    assert done.returncode == 0, done.stderr
    lines = done.stdout.partition("\n\n")[2].splitlines()
    return [line.split() for line in lines]


def test_check_prints_a_table_of_all_that_was_loaded(folder, certs, listener, verified):
    done = check(folder, route(verified("127.0.0.1:5432", client_cert=certs.cert("proxy"),
                                        client_key=certs.key("proxy")),
                               listener("verify-ca", "server-rsa")))
    head, *body = rows(done)
    assert head == "ROUTE LEG WHAT FILE KEY NOT AFTER DAYS SUBJECT AND NAMES".split()
    found = {(row[1], row[2]): row for row in body}
    assert len(body) == len(found) == 6
    server = found["client", "certificate"]
    assert server[0] == "orders" and server[3] == certs.cert("server-rsa")
    assert server[4:6] == ["RSA", "2048"] and server[7] in ("59", "60")
    assert " ".join(server[8:]) == "CN=localhost (DNS:localhost, IP:127.0.0.1)"
    assert found["client", "chain"][4:6] == ["EC", "P-256"]
    assert found["client", "ca"][3] == certs.cert("clients-ca")
    assert found["backend", "certificate"][3] == certs.cert("proxy")
    assert found["backend", "ca"][3] == certs.cert("backends-ca")
    assert done.stderr == ""


def test_check_shows_the_days_of_an_expired_one_and_warns(folder, listener):
    done = check(folder, tls_route(listener("require", "server-expired")))
    assert any(row[2] == "certificate" and int(row[-4]) < 0 for row in rows(done)[1:])
    assert "has expired" in done.stderr


def test_check_warns_of_certificates_for_something_else(folder, issue, certs):
    alice = {"server_cert": certs.cert("alice"), "server_key": certs.key("alice")}
    done = check(folder, tls_route(alice))
    assert done.returncode == 0
    assert "listener.server_cert" in done.stderr and "serverAuth" in done.stderr
    mine = issue("server", 90)
    done = check(folder, route({"address": "127.0.0.1:5432", "sslmode": "verify-ca",
                                "root_ca": certs.cert("backends-ca"),
                                "client_cert": mine["server_cert"],
                                "client_key": mine["server_key"]}))
    assert done.returncode == 0
    assert "backend.client_cert" in done.stderr and "clientAuth" in done.stderr


def test_check_warns_of_a_chain_with_a_gap(folder, issue, certs):
    leaf = issue("leaf", 90, chain=False)
    done = check(folder, tls_route(leaf))
    assert done.returncode == 0
    assert "the chain stops below" in done.stderr and "CN=servers issuing" in done.stderr
    assert "unless that is a root" in done.stderr
    known = os.path.join(folder, "known.crt")       # with the link, and so it is certain
    with open(known, "w", encoding="ascii") as out:
        for name in ("servers-ca.crt", "servers-issuing.pem"):
            with open(certs.file(name), encoding="ascii") as text:
                out.write(text.read())
    done = check(folder, tls_route({**leaf, "sslmode": "verify-ca", "client_ca": known}))
    assert done.returncode == 0
    assert "that is no root: append its certificate" in done.stderr
    shutil.copyfile(certs.file("servers-issuing.pem"), os.path.join(folder, "link"))
    with open(leaf["server_cert"], "a", encoding="ascii") as out, \
         open(os.path.join(folder, "link"), encoding="ascii") as link:
        out.write(link.read())
    assert check(folder, tls_route(leaf)).stderr == ""


def test_check_warns_of_authorities_and_links_that_have_expired(folder, issue, certs):
    ended = os.path.join(folder, "ended")
    with open(ended + ".ext", "w", encoding="ascii") as out:
        out.write("basicConstraints=critical,CA:TRUE\n")
    for words in (["req", "-new", "-key", certs.key("servers-issuing"), "-subj",
                   "/O=pgtls tests/CN=servers issuing", "-out", ended + ".csr"],
                  ["x509", "-req", "-in", ended + ".csr", "-CA", certs.file("servers-ca.pem"),
                   "-CAkey", certs.key("servers-ca"), "-set_serial", "9", "-extfile",
                   ended + ".ext", *make.validity(-1), "-out", ended + ".crt"]):
        subprocess.run(["openssl", *words], capture_output=True, check=True)
    leaf = issue("leaf", 90, chain=False)
    with open(leaf["server_cert"], "a", encoding="ascii") as out, \
         open(ended + ".crt", encoding="ascii") as link:
        out.write(link.read())
    done = check(folder, tls_route({**leaf, "sslmode": "verify-ca", "client_ca": ended + ".crt"}))
    assert done.returncode == 0
    told = done.stderr.splitlines()
    assert any("listener.server_cert" in one and
               '"CN=servers issuing,O=pgtls tests" of the chain has expired' in one for one in told)
    assert any("listener.client_ca" in one and "has expired, and nothing that it signed" in one
               for one in told)


def test_a_host_s_files_are_in_the_table_once(folder, certs, listener):
    hosts = [{"names": ["localhost"]}, {"names": ["*"]},
             {"names": ["x.example.com"], "server_cert": certs.cert("server-rsa"),
              "server_key": certs.key("server-rsa")}]
    done = check(folder, tls_route(listener("require", "server"), hosts=hosts))
    assert [(row[2], row[3]) for row in rows(done)[1:]] == [
        ("certificate", certs.cert("server")), ("chain", certs.cert("server")),
        ("certificate", certs.cert("server-rsa")), ("chain", certs.cert("server-rsa"))]
    told = done.stderr.splitlines()
    assert len(told) == 1 and 'not for the host name "x.example.com"' in told[0]


def test_check_says_nothing_of_a_leaf_below_a_root_that_is_known(folder, certs):
    """A leaf signed by a root needs no more; the root is among the files of the route."""
    root = os.path.join(folder, "root")
    for words in (["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=root", "-days",
                   "90", "-keyout", root + ".key", "-out", root + ".crt"],
                  ["req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=leaf", "-keyout",
                   root + "-leaf.key", "-out", root + "-leaf.csr"],
                  ["x509", "-req", "-in", root + "-leaf.csr", "-CA", root + ".crt", "-CAkey",
                   root + ".key", "-set_serial", "5", "-days", "90", "-out", root + "-leaf.crt"]):
        subprocess.run(["openssl", *words], capture_output=True, check=True)
    os.chmod(root + "-leaf.key", 0o600)
    leaf = {"server_cert": root + "-leaf.crt", "server_key": root + "-leaf.key"}
    assert "the chain stops" in check(folder, tls_route(leaf)).stderr
    assert check(folder, tls_route({**leaf, "sslmode": "verify-ca",
                                    "client_ca": root + ".crt"})).stderr == ""
