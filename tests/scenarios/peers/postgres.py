# SPDX-License-Identifier: PostgreSQL
"""Real PostgreSQL servers on loopback, private to the session."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import time

import psycopg

from peers.stream import free_port

HBA = """
local   all     all                     trust
hostssl certdb  all     127.0.0.1/32    cert map=proxy
host    certdb  all     127.0.0.1/32    reject
hostssl tlsdb   all     127.0.0.1/32    trust
host    tlsdb   all     127.0.0.1/32    reject
hostnossl cleardb all   127.0.0.1/32    trust
host    cleardb all     127.0.0.1/32    reject
host    all     scram   127.0.0.1/32    scram-sha-256
host    all     md5     127.0.0.1/32    md5
host    all     clear   127.0.0.1/32    password
host    all     nobody  127.0.0.1/32    reject
host    all     all     127.0.0.1/32    trust
"""
IDENT = "proxy  proxy  alice\nproxy  proxy  bob\n"
SETUP = """
create role alice login; create role bob login; create role nobody login;
set password_encryption = 'scram-sha-256';
create role scram login password 'open sesame';
create role clear login password 'open sesame';
set password_encryption = 'md5';
create role md5 login password 'open sesame';
create database certdb; create database tlsdb; create database cleardb; create database bench;
grant all on database postgres to alice;
grant all on schema public to public;
"""
PASSWORD = "open sesame"


# The server may be another Debian's, in a tree of its own: tools/trixie_tree.sh.
TREE = os.environ.get("PGTLS_POSTGRES_TREE", "")
TREE_TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "trixie_tree.sh")


def bin_dir():
    if TREE:
        return "/usr/lib/postgresql/17/bin"
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"),
                   key=lambda path: int(path.split("/")[4]))
    assert found, "no PostgreSQL server is installed: make deps-test"
    return os.path.dirname(found[-1])


def version():
    return int(bin_dir().split("/")[4])


def owner():
    """The user and group that the server runs as, by number."""
    if not TREE:
        row = pwd.getpwnam("postgres")
        return row.pw_uid, row.pw_gid
    with open(os.path.join(TREE, "etc", "passwd"), encoding="ascii") as rows:
        row = next(row for row in rows if row.startswith("postgres:")).split(":")
    return int(row[2]), int(row[3])


def unprivileged(words):
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return words
    user, group = owner()
    tree = [os.path.abspath(TREE_TOOL), "run"] if TREE else []
    return [*tree, "setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups",
            *words]


def give_away(path):
    if os.getuid() == 0:
        os.chown(path, *owner())


class Template:
    """One initdb for all servers of the session."""

    def __init__(self, folder):
        self.data = os.path.join(folder, "template")
        os.makedirs(self.data, mode=0o700)
        give_away(self.data)
        subprocess.run(unprivileged([
            os.path.join(bin_dir(), "initdb"), "-D", self.data, "-U", "postgres", "-A", "trust",
            "--no-locale", "-E", "UTF8", "--no-sync"]), check=True, stdout=subprocess.DEVNULL,
            cwd="/")


class Postgres:
    def __init__(self, folder, template, certs, name, ssl, settings=None):
        self.folder = os.path.join(folder, name)
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "log")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        os.makedirs(self.folder, mode=0o755)
        give_away(self.folder)
        subprocess.run(unprivileged(["cp", "-a", template.data, self.data]), check=True, cwd="/")
        self._configure(certs, ssl, settings or {})
        self._start()

    @property
    def socket(self):
        return os.path.join(self.folder, f".s.PGSQL.{self.port}")

    def _write(self, name, text, mode=0o644, how="w"):
        path = os.path.join(self.data, name)
        with open(path, how, encoding="ascii") as out:
            out.write(text)
        os.chmod(path, mode)
        give_away(path)

    def _configure(self, certs, ssl, settings):
        rows = {"port": self.port, "listen_addresses": "127.0.0.1",
                "unix_socket_directories": self.folder, "fsync": "off",
                "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 200,
                "shared_buffers": "64MB", "logging_collector": "off", "max_wal_size": "4GB",
                "wal_level": "minimal", "max_wal_senders": 0, "timezone": "UTC", **settings}
        hba = HBA
        if ssl:
            rows |= {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key",
                     "ssl_ca_file": "root.crt"}
            for name, source in (("server.crt", certs.cert("backend")),
                                 ("server.key", certs.key("backend")),
                                 ("root.crt", certs.cert("proxies-ca"))):
                with open(source, encoding="ascii") as text:
                    self._write(name, text.read(), 0o600)
        else:
            hba = "\n".join(row for row in HBA.split("\n") if not row.startswith("hostssl"))
        text = "".join(f"{key} = '{value}'\n" for key, value in rows.items())
        self._write("postgresql.conf", text, how="a")
        self._write("pg_hba.conf", hba)
        self._write("pg_ident.conf", IDENT)

    def _start(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                unprivileged([os.path.join(bin_dir(), "postgres"), "-D", self.data]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        until = time.monotonic() + 60
        while True:
            try:
                with self.connect(dbname="postgres") as session:
                    for statement in SETUP.split(";"):
                        if statement.strip():
                            session.execute(statement)
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise AssertionError("PostgreSQL did not start:\n" + self.log_text()) from None
                time.sleep(0.1)

    def connect(self, **more):
        """A superuser's session that does not go through the proxy."""
        return psycopg.connect(host=self.folder, port=self.port, user="postgres", autocommit=True,
                               **more)

    def direct(self, **more):
        """Parameters of libpq for TCP without the proxy."""
        return {"host": "localhost", "hostaddr": "127.0.0.1", "port": self.port,
                "dbname": "postgres", **more}

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
