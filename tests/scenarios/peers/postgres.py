# SPDX-License-Identifier: PostgreSQL
"""Real PostgreSQL servers on loopback, private to the session."""
import glob
import os
import shutil
import signal
import subprocess
import time

import psycopg

from peers.standalone import TREE_TOOL
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
host    scramdb all     127.0.0.1/32    scram-sha-256
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



class Installation:
    """A PostgreSQL of this machine, or of another Debian in a tree of its own."""

    def __init__(self, tree=""):
        self.tree = tree

    def bin_dir(self):
        found = sorted(glob.glob(self.tree + "/usr/lib/postgresql/*/bin/postgres"),
                       key=lambda path: int(path.split("/")[-3]))
        assert found, "no PostgreSQL server is installed: make deps-test"
        return os.path.dirname(found[-1]).removeprefix(self.tree)

    def version(self):
        return int(self.bin_dir().split("/")[-2])

    def owner(self):
        """The user and group that the server runs as, by number."""
        with open(self.tree + "/etc/passwd", encoding="utf-8") as rows:
            row = next(row for row in rows if row.startswith("postgres:")).split(":")
        return int(row[2]), int(row[3])

    def unprivileged(self, words):
        """PostgreSQL refuses to run as root."""
        if os.getuid() != 0:
            return words
        user, group = self.owner()
        inside = [TREE_TOOL, "run"] if self.tree else []
        return [*inside, "setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups",
                *words]

    def environment(self):
        return {**os.environ, "PGTLS_TRIXIE": self.tree} if self.tree else None

    def give_away(self, path):
        if os.getuid() == 0:
            os.chown(path, *self.owner())


DEFAULT = Installation(os.environ.get("PGTLS_POSTGRES_TREE", ""))
bin_dir = DEFAULT.bin_dir


class Template:
    """One initdb for all servers of the session."""

    def __init__(self, folder, installation=DEFAULT):
        self.installation = installation
        self.data = os.path.join(folder, f"template-{installation.version()}")
        os.makedirs(self.data, mode=0o700)
        installation.give_away(self.data)
        subprocess.run(installation.unprivileged([
            os.path.join(installation.bin_dir(), "initdb"), "-D", self.data, "-U", "postgres",
            "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync"]), check=True,
            stdout=subprocess.DEVNULL, cwd="/", env=installation.environment())


class Postgres:
    """A running server.  `hba` are rows before the usual ones, `files` more files of its folder:
    name -> where from."""

    def __init__(self, folder, template, certs, name, ssl, settings=None, hba="", files=None):
        self.installation = template.installation
        self.folder = os.path.join(folder, name)
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "log")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        os.makedirs(self.folder, mode=0o755)
        self.installation.give_away(self.folder)
        subprocess.run(self.installation.unprivileged(["cp", "-a", template.data, self.data]),
                       check=True, cwd="/", env=self.installation.environment())
        self._configure(certs, ssl, settings or {}, hba, files or {})
        self._start()

    @property
    def socket(self):
        return os.path.join(self.folder, f".s.PGSQL.{self.port}")

    def _write(self, name, text, mode=0o644, how="w"):
        path = os.path.join(self.data, name)
        with open(path, how, encoding="ascii") as out:
            out.write(text)
        os.chmod(path, mode)
        self.installation.give_away(path)

    def _configure(self, certs, ssl, settings, hba, files):
        rows = {"port": self.port, "listen_addresses": "127.0.0.1",
                "unix_socket_directories": self.folder, "fsync": "off",
                "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 200,
                "shared_buffers": "64MB", "logging_collector": "off", "max_wal_size": "4GB",
                "wal_level": "minimal", "max_wal_senders": 0, "timezone": "UTC", **settings}
        hba += HBA
        if ssl:
            rows |= {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key",
                     "ssl_ca_file": "root.crt"}
            files = {"server.crt": certs.cert("backend"), "server.key": certs.key("backend"),
                     "root.crt": certs.cert("proxies-ca"), **files}
        else:
            hba = "\n".join(row for row in hba.split("\n") if not row.startswith("hostssl"))
        for name, source in files.items():
            with open(source, encoding="ascii") as text:
                self._write(name, text.read(), 0o600)
        text = "".join(f"{key} = '{value}'\n" for key, value in rows.items())
        self._write("postgresql.conf", text, how="a")
        self._write("pg_hba.conf", hba)
        self._write("pg_ident.conf", IDENT)

    def _start(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.installation.unprivileged([
                    os.path.join(self.installation.bin_dir(), "postgres"), "-D", self.data]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=self.installation.environment())
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

    def wait_asleep(self, column, value):
        """Until the session with that in pg_stat_activity runs a pg_sleep()."""
        asked = f"select wait_event from pg_stat_activity where {column} = %s"
        until = time.monotonic() + 30
        with self.connect(dbname="postgres") as session:
            while session.execute(asked, [value]).fetchone() != ("PgSleep",):
                assert time.monotonic() < until, f"{column} {value} does not sleep"
                time.sleep(0.02)

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
