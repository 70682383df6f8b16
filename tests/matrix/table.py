#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""The table of expected verdicts: expected.txt as data, and as a page of the manual.

    tests/matrix/table.py            prints docs/matrix.md
    tests/matrix/table.py --check    says whether docs/matrix.md is that page
    tests/matrix/table.py --write    writes it
"""
import collections
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "expected.txt")
sys.path.insert(0, os.path.join(HERE, ".."))

import printed

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SERVERS = ("both", "tls-only", "clear-only", "ssl-off")
CERTIFICATES = ("none", "right", "other", "stranger")

Row = collections.namedtuple("Row", "server listener certificate client")


class Section:
    """The verdicts of one family of clients: Row -> a verdict for each mode of the backend."""

    def __init__(self, name, modes, base):
        self.name, self.modes = name, modes
        self.own = {}
        self.base = base

    def verdicts(self, row):
        return self.own.get(row) or self.base.verdicts(row)

    def rows(self):
        return [Row(server, listener, certificate, client) for server in SERVERS
                for listener in MODES for certificate in certificates_of(listener)
                for client in self.modes]


def certificates_of(listener):
    return CERTIFICATES if listener.startswith("verify") else ("-",)


def load(file=FILE):
    """Section by name, in the order of the file.  A mistake in the file ends the program."""
    sections = {}
    section = None
    with open(file, encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if words[0] == "clients":
                base = next(iter(sections.values()), None)
                section = Section(words[1].rstrip(":"), tuple(words[2:]), base)
                sections[section.name] = section
            else:
                add_row(section, words, f"{file}:{number}")
    first = next(iter(sections.values()))
    missing = [row for row in first.rows() if row not in first.own]
    assert not missing, f"{file}: no such row: {missing[0]}"
    return sections


def add_row(section, words, where):
    row = Row(*words[:4])
    assert len(words) == 4 + len(MODES), f"{where}: a row has 4 words and {len(MODES)} verdicts"
    assert row in section.rows(), f"{where}: there is no such case"
    assert row not in section.own, f"{where}: it is there twice"
    section.own[row] = tuple(words[4:])


# The page

TOP = """# What each client gets

Every `sslmode` of client, listener and backend, with what comes out. This page is printed by
`tests/matrix/table.py` from `tests/matrix/expected.txt`; the tests run each cell with real clients
and servers and look at both legs and at the log.

The modes themselves are explained in [settings.md](settings.md). The listener of these tables has a
certificate that its clients' `sslrootcert` knows, and the backend's `root_ca` knows the server's.

| in a cell | means |
| --- | --- |
| tls/clear | a session: the client's leg is TLS, the server's leg is plaintext; likewise the others |
| no-tls | the listener answers that it has no TLS, and the client gives up |
| 28000-tls | the proxy refuses a login in plaintext: SQLSTATE 28000, with a hint |
| 28000-cert | the proxy refuses a login without a client certificate: 28000, inside TLS |
| 28000-name | the proxy refuses a certificate that names another user: 28000, inside TLS |
| 28000-hba | the server refuses, by its `pg_hba.conf`; its own message is passed on |
| 08001 | the proxy cannot get to the server as the backend's sslmode demands |
| alert | a TLS alert: the chain of the client's certificate does not verify |
| A + B | the client made two attempts by itself; the first ended with A, the second with B |

| client's certificate | means |
| --- | --- |
| - | the listener asks for none |
| none | the client shows none |
| right | issued by `client_ca`; its common name is the user |
| other | issued by `client_ca`; its common name is another user's |
| stranger | its common name is the user, but another authority issued it |

`allow` and `prefer` of a client are libpq's own: it may try again, with or without TLS, after a
failure. `prefer` of the backend never does: the proxy goes on in plaintext only if the server says
that it has no TLS.
"""

TITLES = {
    "both": "Servers that take TLS and plaintext\n\n`ssl = on`, `host` in pg_hba.conf.",
    "tls-only": "Servers that insist on TLS\n\n`ssl = on`, `hostssl` in pg_hba.conf.",
    "clear-only": "Servers that refuse TLS at the login\n\n`ssl = on`, `hostnossl` in pg_hba.conf: "
                  "they begin TLS, then refuse the login inside it.",
    "ssl-off": "Servers without TLS\n\n`ssl = off`.",
}

OTHERS = {
    "libpq-15": "libpq 15 and older\n\nAs above, except where the client's `allow` meets a listener "
                "without TLS: libpq 17 does not try\nplaintext twice, libpq 15 does.",
    "pgjdbc": "pgjdbc\n\nIts `allow` and `prefer` try again after SQLSTATE 28000 only, `prefer` even where "
              "the first\nattempt was in plaintext. It sends no certificate that the listener's "
              "`client_ca` did not issue.",
    "node-postgres": "node-postgres\n\nIt has no `sslmode`. Its `ssl` option is `false` (disable), "
                     "`{rejectUnauthorized: false}`\n(require), `{ca}` with a "
                     "`checkServerIdentity` that accepts all (verify-ca), or `{ca}`\n"
                     "(verify-full). It never tries a second time.",
}


def table(section, rows, with_server=False):
    head = (["server"] if with_server else []) + ["listener", "certificate", "client", *MODES]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [*(row if with_server else row[1:]),
                 *(verdict.replace("+", " + ") for verdict in section.verdicts(row))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page():
    sections = load()
    first, *others = sections.values()
    parts = [TOP, "The columns on the right are the sslmode of the backend. The first tables are "
             "those of psql, psycopg,\npsycopg2 and pgbench with libpq 17.\n"]
    for server in SERVERS:
        parts.append(f"## {TITLES[server]}\n")
        parts.append(table(first, [row for row in first.rows() if row.server == server]))
    for section in others:
        parts.append(f"## {OTHERS[section.name]}\n")
        if section.own:
            parts.append("The rows that differ:\n")
            parts.append(table(section, list(section.own), with_server=True))
        else:
            parts.append("Its rows are those of libpq.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    printed.main(sys.argv, "docs/matrix.md", page(), __doc__)
