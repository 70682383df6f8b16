# SPDX-License-Identifier: PostgreSQL
"""The set-ups of the README and of docs/scram.md, as they are printed: only addresses are others."""
import os
import re
import shutil
import subprocess
import tomllib

import pytest

from peers import cert
from peers.libpq import psql
from peers.postgres import PASSWORD
from peers.proxy import Proxy, program
from peers.stream import free_port

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MAIN = "Client certificates, tied to the user, and a verified server."
NAMES = ["localhost", "orders.example.com", "stock.example.com"]


def blocks(page):
    """{title: configuration} of a page; the title is the bold beginning or the heading before it."""
    found, title, block = {}, None, None
    with open(os.path.join(SOURCE, page), encoding="utf-8") as text:
        for line in text:
            if block is None:
                start = re.match(r"(?:\*\*|#+ )([^*\n]+)", line)
                title = start.group(1) if start else title
                block = [] if line == "```toml\n" else None
            elif line == "```\n":
                found[title], block = "".join(block), None
            else:
                block.append(line)
    return found


README, SCRAM = blocks("README.md"), blocks("docs/scram.md")


class Files:
    """The files that the set-ups name, made as the README says; and clients' certificates."""

    def __init__(self, folder, certs):
        self.folder = folder
        cert.good("server", "--new-root", self.path("root"), "--ca", self.path("issuing"), "--out",
                  self.path("made"), *[word for name in NAMES for word in ("--name", name)])
        self.root = self.path("made", "root.crt")
        for name in ("server", "orders", "stock"):
            for end in ("crt", "key"):
                shutil.copy(self.path("made", f"server.{end}"), self.path(f"{name}.{end}"))
        cert.good("ca", "--subject", "CN=Clients", "--out", self.path("clients"))
        shutil.copy(self.path("clients", "ca.crt"), self.path("clients-ca.crt"))
        shutil.copy(certs.cert("backends-ca"), self.path("backend-ca.crt"))
        shutil.copy(certs.cert("proxy"), self.path("proxy.crt"))
        shutil.copy(certs.key("proxy"), self.path("proxy.key"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def client(self, user):
        """What libpq needs to show a certificate of that user."""
        if not os.path.exists(self.path(user)):
            cert.good("client", "--ca", self.path("clients"), "--user", user, "--out",
                      self.path(user))
        return {"sslcert": self.path(user, "client.crt"), "sslkey": self.path(user, "client.key")}


@pytest.fixture
def files(folder, certs):
    return Files(folder, certs)


@pytest.fixture
def serve(request, files, postgres):
    """serve(text): a proxy with this configuration, its addresses replaced by those of here."""
    running = []
    request.node.proxies = running

    def one(text):
        port = free_port()
        for there, here in ((r"0\.0\.0\.0:6432|127\.0\.0\.1:6432", f"127.0.0.1:{port}"),
                            (r"unix:/run/postgresql/\.s\.PGSQL\.5432", f"unix:{postgres.socket}"),
                            (r"[a-z]+\.internal:5432", f"localhost:{postgres.port}")):
            text = re.sub(f'"(?:{there})"', f'"{here}"', text)
        whole = tomllib.loads(text if "[[proxy]]" in text else "[[proxy]]\n" + text)
        for route in whole["proxy"]:
            if "host" in route:
                route["hosts"] = route.pop("host")
        running.append(Proxy(files.folder, whole["proxy"]))
        return running[-1].wait_ready()

    yield one
    for proxy in running:
        proxy.stop()


def who(proxy, files, sql="select current_user", **more):
    return psql(proxy.port, sql, **{"sslmode": "verify-full", "sslrootcert": files.root, **more})


def test_there_are_as_many_set_ups_as_this_file_tries():
    assert list(README) == [
        "TLS in front of a local server", MAIN,
        "A server that demands certificates itself", "Old clients without TLS",
        "Several databases on one port", "SCRAM and channel binding"]
    assert list(SCRAM) == ["The bridge", "Verifiers from the server: `auth_query`"]


def test_tls_in_front_of_a_local_server(serve, files):
    one = serve(README["TLS in front of a local server"])
    done = who(one, files)
    assert (done.returncode, done.stdout) == (0, "alice\n"), done
    done = who(one, files, sslmode="disable", sslrootcert=None)
    assert done.returncode == 2 and "TLS" in done.stderr, done


def test_client_certificates_tied_to_the_user(serve, files):
    one = serve(README[MAIN])
    done = who(one, files, **files.client("alice"))
    assert (done.returncode, done.stdout) == (0, "alice\n"), done
    for more in ({}, files.client("bob")):
        done = who(one, files, **more)
        assert done.returncode == 2 and "certificate" in done.stderr, done
    ends = one.wait_count("connection.end", 3)
    assert [end.get("backend_verified") for end in ends] == [True, None, None]


def test_a_server_that_demands_certificates_itself(serve, files):
    listener = README[MAIN].partition("[proxy.backend]")[0]
    one = serve(listener + README["A server that demands certificates itself"])
    done = who(one, files, "select client_dn from pg_stat_ssl where pid = pg_backend_pid()",
               dbname="certdb", **files.client("alice"))
    assert (done.returncode, done.stdout) == (0, "/O=pgtls/CN=proxy\n"), done


def test_old_clients_without_tls(serve, files):
    one = serve(README["Old clients without TLS"])
    done = who(one, files, "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
               sslmode="disable", sslrootcert=None)
    assert (done.returncode, done.stdout) == (0, "t\n"), done


def test_several_databases_on_one_port(serve, files):
    one = serve(README["Several databases on one port"])
    for host in NAMES[1:]:
        done = who(one, files, host=host, **files.client("alice"))
        assert (done.returncode, done.stdout) == (0, "alice\n"), done
    for host, more in ((NAMES[1], files.client("bob")), (NAMES[0], files.client("alice"))):
        assert who(one, files, host=host, **more).returncode == 2


def write_userlist(files, postgres):
    """By the command of docs/scram.md."""
    with open(os.path.join(SOURCE, "docs", "scram.md"), encoding="utf-8") as page:
        command = re.search(r"^psql .*?^```", page.read(), re.M | re.S).group(0)[:-3]
    subprocess.run(["sh", "-c", "umask 077\n" + command], check=True, cwd=files.folder, timeout=60,
                   env={**os.environ, "PGHOST": os.path.dirname(postgres.socket),
                        "PGPORT": str(postgres.port), "PGUSER": "postgres",
                        "PGDATABASE": "postgres"})


def is_bound(one, files):
    done = who(one, files, user="scram", password=PASSWORD, channel_binding="require")
    assert (done.returncode, done.stdout) == (0, "scram\n"), done
    done = who(one, files, user="scram", password="wrong", channel_binding="require")
    assert done.returncode == 2 and "password authentication failed" in done.stderr, done


def listener_without_clients_certificates():
    return README["TLS in front of a local server"].partition("[proxy.backend]")[0]


@pytest.mark.parametrize("backend", [README["SCRAM and channel binding"], SCRAM["The bridge"]])
def test_scram_and_channel_binding(serve, files, postgres, backend):
    write_userlist(files, postgres)
    is_bound(serve(listener_without_clients_certificates() + backend), files)


def test_the_verifiers_of_the_page_s_function(serve, files, postgres):
    with open(os.path.join(SOURCE, "docs", "scram.md"), encoding="utf-8") as page:
        function = re.search(r"^```sql\n(.*?)^```", page.read(), re.M | re.S).group(1)
    with postgres.connect(dbname="postgres") as session:
        session.execute("set password_encryption = 'scram-sha-256'")
        session.execute(function.replace("'...'", "'of the role'"))
    try:
        with open(files.path("auth_query.password"), "w", encoding="ascii") as out:
            out.write("of the role\n")
        os.chmod(files.path("auth_query.password"), 0o600)
        backend = SCRAM["The bridge"].replace("auth_file", "#auth_file")
        query = SCRAM["Verifiers from the server: `auth_query`"].partition("]\n")[2]
        is_bound(serve(listener_without_clients_certificates() + backend + query), files)
    finally:
        with postgres.connect(dbname="postgres") as session:
            session.execute("drop function public.verifier_of; drop role pgtls_auth")


def test_the_sample_file_is_good_once_its_files_are_there(files):
    sample = subprocess.run([program(), "help", "sample"], stdout=subprocess.PIPE, check=True,
                            text=True).stdout
    with open(files.path("sample.toml"), "w", encoding="utf-8") as out:
        out.write(sample)
    done = subprocess.run([program(), "proxy", "-c", files.path("sample.toml"), "--check"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "orders" in done.stdout, done
