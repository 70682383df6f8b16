# SPDX-License-Identifier: PostgreSQL
"""The clients of the matrix: how each is started, and what its words mean."""
import collections
import glob
import os
import re
import shutil
import subprocess
import sys

from peers.standalone import TREE_TOOL

HERE = os.path.dirname(os.path.abspath(__file__))
JDBC = "/usr/share/java/postgresql.jar"
LIBPQ = ("psql", "psycopg", "psycopg-async", "psycopg2", "psycopg2-async")

# What a client says, in the order in which it says it.  A SQLSTATE before it must be this one.
SAYINGS = (
    ("28000-tls", "28000", r"this server requires a TLS \(SSL\) connection"),
    ("28000-cert", "28000", r"connection requires a valid client certificate"),
    ("28000-name", "28000", r"the name in the client certificate is not the user name"),
    ("28000-hba", "28000", r"pg_hba\.conf rejects connection|no pg_hba\.conf entry"),
    ("08001", "08001", r"could not connect to the database server"),
    ("no-tls", "08004", r"server does not support SSL"),
    ("alert", None, r"alert unknown ca|Received fatal alert: unknown_ca"),
)
SAYING = re.compile(r"(?:\[(?P<code>\w{5})\] (?:FATAL: +)?)?(?:" + "|".join(
    f"(?P<saying{number}>{row[2]})" for number, row in enumerate(SAYINGS)) + ")", re.IGNORECASE)

Case = collections.namedtuple("Case", "row backend port dbname rootcert cert key")


def said(text):
    """The verdict in a client's error: one word for each of its attempts."""
    words = []
    for found in SAYING.finditer(text):
        number = next(n for n in range(len(SAYINGS)) if found.group(f"saying{n}"))
        word, code, _ = SAYINGS[number]
        if code and found.group("code") not in (None, code):
            word = f"{found.group('code')}?"
        words.append(word)
    return "+".join(words) or "unknown"


def server_version(folder="/"):
    found = glob.glob(os.path.join(folder, "usr/lib/postgresql/*/bin/psql"))
    return max((int(path.split("/")[-3]) for path in found), default=0)


class Client:
    """One kind of client.  `open` starts a process of it that takes many cases."""

    def __init__(self, name, section, words, suffix=".key", env=None):
        self.name, self.section = name, section
        self.words, self.suffix, self.env = words, suffix, env or {}

    def open(self, home):
        return Driver(self, home)


class Driver:
    def __init__(self, client, home):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith("PG") or key.startswith("PGTLS_")}
        self.client = client
        self.log = open(os.path.join(home, client.name + ".stderr"), "ab")
        self.process = subprocess.Popen(
            client.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env={**env, "HOME": home, **client.env}, text=True)

    def ask(self, case):
        """(verdict, the client's own words)"""
        key = case.key and case.key.removesuffix(".key") + self.client.suffix
        fields = (case.port, case.dbname, case.row.client, case.rootcert, case.cert, key)
        self.process.stdin.write("\t".join(str(field) for field in fields) + "\n")
        self.process.stdin.flush()
        kind, _, text = self.process.stdout.readline().rstrip("\n").partition("\t")
        if kind == "session":
            return text, ""
        return said(text) if kind == "error" else "the client is gone", text

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
        self.log.close()


def libpq_section(version):
    return "libpq-15" if version < 17 else "libpq"


def of_this_machine():
    section = libpq_section(server_version())
    script = os.path.join(HERE, "clients", "libpq.py")
    return [Client(name, section, ["/usr/bin/python3", script, name]) for name in LIBPQ]


def of_the_tree(tree, home):
    """The same with PostgreSQL 17; of our files the tree sees those below /tmp only."""
    script = os.path.join(home, "libpq.py")
    shutil.copy(os.path.join(HERE, "clients", "libpq.py"), script)
    section = libpq_section(server_version(tree))
    return [Client(f"{name}-trixie", section,
                   [TREE_TOOL, "run", "/usr/bin/python3", script, name],
                   env={"PGTLS_TRIXIE": tree}) for name in LIBPQ]


def node_postgres():
    return Client("node-postgres", "node-postgres",
                  ["node", os.path.join(HERE, "node", "client.js")])


def pgjdbc(home):
    """Compiled once; Java does not ask HOME for the home."""
    subprocess.run(["javac", "-nowarn", "-cp", JDBC, "-d", home,
                    os.path.join(HERE, "clients", "Pgjdbc.java")], check=True,
                   stdout=sys.stderr, stdin=subprocess.DEVNULL)
    return Client("pgjdbc", "pgjdbc",
                  ["java", f"-Duser.home={home}", "-XX:TieredStopAtLevel=1", "-cp",
                   f"{JDBC}:{home}", "Pgjdbc"], suffix=".pk8")
