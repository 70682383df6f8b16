# SPDX-License-Identifier: PostgreSQL
"""What pgtls cert makes is taken by PostgreSQL, libpq, Redis and Java; and what it revokes is not."""
import os
import subprocess
import time

import psycopg
import pytest

from peers import cert, redis
from peers import postgres as servers
from peers.libpq import conninfo, psql

JDBC = "/usr/share/java/postgresql.jar"
HBA = "hostssl all all 127.0.0.1/32 cert clientcert=verify-full\n"
JAVA = """
import java.sql.*;
class Login {
    public static void main(String[] urls) {
        for (String url : urls)
            System.out.println(login(url));
    }

    static String login(String url) {
        try (Connection session = DriverManager.getConnection(url);
             ResultSet rows = session.createStatement().executeQuery(
                 "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()")) {
            rows.next();
            return rows.getString(1) + " " + rows.getBoolean(2);
        } catch (SQLException error) {
            StringBuilder all = new StringBuilder();
            for (Throwable e = error; e != null; e = e.getCause())
                all.append(e.getMessage().replace('\\n', ' ')).append("; ");
            return all.toString();
        }
    }
}
"""


class Files:
    """What peers.postgres takes for the certificates of a server."""

    def __init__(self, server, root):
        self.files = {"backend": f"{server}/server", "proxies-ca": root.removesuffix(".crt")}

    def cert(self, name):
        return self.files[name] + ".crt"

    def key(self, name):
        return self.files[name] + ".key"


def start_postgres(folder, template, ca, db, lists=None):
    """A server that lets in whoever has a certificate of its own name, and no one else."""
    more = {} if lists is None else {"settings": {"ssl_crl_file": "all.crl"},
                                     "files": {"all.crl": lists}}
    return servers.Postgres(folder, template, Files(db, ca.path("root", "ca.crt")), "pg",
                            ssl=True, hba="local all all trust\n" + HBA, **more)


@pytest.fixture
def ca(folder):
    return cert.Authorities(folder)


def login(server, ca, user, files=None, root="db/root.crt", **more):
    files = ca.path(files or user)
    return psql(server.port, "select current_user", user=user, sslmode="verify-full",
                sslrootcert=ca.path(root), sslcert=f"{files}/client.crt",
                sslkey=f"{files}/client.key", **more)


def check_postgres(folder, template, ca, kind):
    db = ca.server("--key", kind)
    for user in ("alice", "bob"):
        ca.client(user, "--key", kind)
    cert.good("revoke", "--ca", ca.path("int"), ca.path("bob", "client.crt"))
    server = start_postgres(folder, template, ca, db, ca.lists())
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("kind", ["ec:P-256", pytest.param("rsa:3072", marks=pytest.mark.long),
                                  pytest.param("ed25519", marks=pytest.mark.long)])
def test_postgresql_and_libpq_take_all_of_it(folder, template, ca, kind):
    for server in check_postgres(folder, template, ca, kind):
        done = login(server, ca, "alice")
        assert (done.returncode, done.stdout) == (0, "alice\n"), done
        done = login(server, ca, "alice", sslcrl=ca.path("all.crl"))
        assert done.stdout == "alice\n", done
        done = login(server, ca, "postgres", files="alice")
        assert done.returncode == 2 and 'authentication failed for user "postgres"' in done.stderr
        done = login(server, ca, "bob")
        assert done.returncode == 2 and "certificate revoked" in done.stderr, done
        done = login(server, ca, "alice", host="127.0.0.2")
        assert 'does not match host name "127.0.0.2"' in done.stderr, done


def replace_files(server, files):
    """The server's certificate becomes another, by a reload."""
    for name in ("server.crt", "server.key"):
        with open(files.cert("backend") if name.endswith("crt") else files.key("backend"),
                  encoding="ascii") as text:
            server._write(name, text.read(), 0o600)
    with server.connect(dbname="postgres") as session:
        session.execute("select pg_reload_conf()")


def wait_login(server, root):
    until = time.monotonic() + 30
    while True:
        done = psql(server.port, sslmode="verify-full", sslrootcert=root)
        if done.returncode == 0:
            return
        assert time.monotonic() < until, done
        time.sleep(0.1)


def test_each_recipe_serves_a_client_that_verifies_all_of_it(folder, template):
    """Self-signed; root and leaf; root, intermediate and leaf."""
    local = ["--name", "localhost"]
    cert.good("self-signed", *local, "--out", "one", cwd=folder)
    cert.good("server", "--new-root", "ca", "--ca", "ca", *local, "--out", "two", cwd=folder)
    cert.good("server", "--new-root", "ca", "--ca", "int", *local, "--out", "three", cwd=folder)
    first = Files(f"{folder}/one", f"{folder}/one/server.crt")
    server = servers.Postgres(folder, template, first, "pg", ssl=True)
    try:
        for name, root in (("one", "server.crt"), ("two", "root.crt"), ("three", "root.crt")):
            root = os.path.join(folder, name, root)
            replace_files(server, Files(f"{folder}/{name}", root))
            wait_login(server, root)
    finally:
        server.stop()


def test_java_takes_it(folder, template, ca):
    db = ca.server()
    ca.client("alice")
    server = start_postgres(folder, template, ca, db)
    try:
        with open(f"{folder}/Login.java", "w", encoding="ascii") as file:
            file.write(JAVA)
        # the driver of Debian 12 wants the client's key in DER
        cert.openssl("pkcs8", "-topk8", "-nocrypt", "-in", ca.path("alice", "client.key"),
                     "-outform", "DER", "-out", ca.path("alice", "client.pk8"))
        url = (f"jdbc:postgresql://localhost:{server.port}/postgres?user=alice&sslmode=verify-full"
               f"&sslcert={ca.path('alice', 'client.crt')}&sslkey={ca.path('alice', 'client.pk8')}"
               "&sslrootcert=")
        cert.good("ca", "--subject", "CN=Other", "--out", ca.path("other"))
        done = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-cp", JDBC, f"{folder}/Login.java",
             url + ca.path("db/root.crt"), url + ca.path("other/ca.crt")], capture_output=True,
            text=True, timeout=150, check=False)
        good, bad = done.stdout.splitlines()
        assert good == "alice true", done
        assert "unable to find valid certification path" in bad, done
    finally:
        server.stop()


def ask_redis(server, ca, root="root/ca.crt", client="alice"):
    shown = [] if client is None else ["--cert", ca.path(client, "client.crt"), "--key",
                                       ca.path(client, "client.key")]
    done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(server.tls_port), "--tls",
                           "--cacert", ca.path(root), *shown, "ping"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def test_redis_takes_it(folder, ca):
    files = Files(ca.server(), ca.path("root", "ca.crt"))
    ca.client("alice")
    cert.good("ca", "--subject", "CN=Other", "--out", ca.path("other"))
    server = redis.Redis(folder, 0, tls=files)
    try:
        assert ask_redis(server, ca) == "PONG\n"
        assert "certificate verify failed" in ask_redis(server, ca, root="other/ca.crt")
        assert "PONG" not in ask_redis(server, ca, client=None)
        shown = cert.good("show", f"127.0.0.1:{server.tls_port}", "--via", "tls").out
        assert "CN=localhost" in shown and "2 certificates" in shown
    finally:
        server.stop()


@pytest.mark.long
def test_postgresql_17_and_its_libpq_take_all_of_it(folder, ca):
    if os.getuid() != 0:
        pytest.skip("only root can make a Debian 13 tree")
    tree = subprocess.run([servers.TREE_TOOL], capture_output=True, text=True, check=True,
                          timeout=580).stdout.strip()
    template = servers.Template(folder, servers.Installation(tree))

    def psql_17(server, user, files, **more):
        words = conninfo(server.port, user=user, sslmode="verify-full",
                         sslrootcert=ca.path("db", "root.crt"),
                         sslcert=ca.path(files, "client.crt"),
                         sslkey=ca.path(files, "client.key"))
        info = psycopg.conninfo.make_conninfo("", **words)
        info += "".join(f" {name}={value}" for name, value in more.items())
        return subprocess.run([servers.TREE_TOOL, "run", "psql", "-XAtq", "-d", info, "-c",
                               "select current_user, current_setting('server_version_num')"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)

    for server in check_postgres(folder, template, ca, "ec:P-256"):
        for negotiation in ("postgres", "direct"):
            done = psql_17(server, "alice", "alice", sslnegotiation=negotiation)
            assert done.stdout.startswith("alice|17"), done
        assert psql_17(server, "postgres", "alice").returncode == 2
        assert "certificate revoked" in psql_17(server, "bob", "bob").stderr
        shown = cert.good("show", f"localhost:{server.port}", "--via", "direct").out
        assert "CN=localhost" in shown and "2 certificates" in shown
