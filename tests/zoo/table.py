#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""The table of expected verdicts: expected.txt as data, and as a page of the manual.

    tests/zoo/table.py            prints docs/zoo.md
    tests/zoo/table.py --check    says whether docs/zoo.md is that page
    tests/zoo/table.py --write    writes it
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "expected.txt")
sys.path.insert(0, os.path.join(HERE, ".."))

import printed

LEGS = ("server", "client")
MODES = ("verify-ca", "verify-full")
COLUMNS = [(leg, mode) for leg in LEGS for mode in MODES]
VERDICTS = ("ok", "chain", "name", "none", "closed", "tls")


class Row:
    """The verdicts on one animal: those of the proxy, and where libpq or PostgreSQL differ."""

    def __init__(self, group, name, text, cells):
        self.group, self.name, self.text = group, name, text
        self.pgtls = self.theirs = dict(zip(COLUMNS, cells))
        self.reason = ""

    def verdict(self, leg, mode, who):
        return (self.pgtls if who == "pgtls" else self.theirs)[leg, mode]

    def differ(self, cells):
        self.theirs = {column: self.pgtls[column] if cell == "." else cell
                       for column, cell in zip(COLUMNS, cells)}

    def mistake(self):
        """What is wrong with the row, or None."""
        if not set([*self.pgtls.values(), *self.theirs.values()]) <= set(VERDICTS):
            return "has a word that is no verdict"
        if (self.theirs != self.pgtls) != bool(self.reason):
            return "has a difference without a reason, or a reason without a difference"
        return None


def load(file=FILE):
    """Row by name, in the order of the file.  A mistake in the file ends the program."""
    rows, group, row = {}, "", None
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if line.startswith("["):
                group = line.strip("[]\n")
            elif words[0] == "theirs":
                row.differ(words[1:])
            elif words[0] == "because":
                row.reason = " ".join(words[1:])
            else:
                assert words[0] not in rows, f"{file}:{number}: {words[0]} is there twice"
                assert len(words) > 5, f"{file}:{number}: a row has a name, 4 verdicts and a text"
                row = rows[words[0]] = Row(group, words[0], " ".join(words[5:]), words[1:5])
    for row in rows.values():
        assert row.mistake() is None, f"{file}: {row.name} {row.mistake()}"
    return rows


# The page

TOP = """# The zoo: what is said of odd certificates

{count} certificates and chains, each shown to pgtls on both sides: as a server's, which
`[proxy.backend]` verifies, and as a client's, which `[proxy.listener]` verifies. Beside it libpq
looks at the same server (`sslmode` and `sslrootcert` the same), and PostgreSQL at the same client
(`clientcert` the same). This page is printed by `tests/zoo/table.py` from `tests/zoo/expected.txt`;
`tests/zoo/run.py` makes the certificates and proves each verdict: with PostgreSQL 15, libpq 15 and
OpenSSL 3.0 of Debian 12, and with PostgreSQL 17, libpq 17 and OpenSSL 3.5 of Debian 13. The two say
the same.

| verdict | means |
| --- | --- |
| ok | a session |
| chain | the chain does not verify: expired, revoked, of nobody we know, for another purpose, ... |
| name | it verifies, but is not for this host, or not this user's (SQLSTATE 28000) |
| none | TLS has no signature of its key, so the client shows none (28000) |
| tls | no handshake at all: TLS has no signature of the server's key |
| closed | the connection is closed without a word |

The host is db.zoo.test and the user alice, where the text does not say otherwise. What is said of
SAN is about servers: users are compared with CN. "theirs" is what libpq or PostgreSQL say where
that is not the same; the reason follows the table.
"""

HEAD = ["certificate", "", "server, verify-ca", "server, verify-full", "client, verify-ca",
        "client, verify-full"]


def cells(row):
    for column in COLUMNS:
        ours, theirs = row.pgtls[column], row.theirs[column]
        yield ours if ours == theirs else f"**{ours}** (theirs: {theirs})"


def page():
    rows = load()
    parts, group = [TOP.format(count=len(rows))], None
    for row in rows.values():
        if row.group != group:
            group = row.group
            lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
            lines += ["| " + " | ".join([one.name, escaped(one.text), *cells(one)]) + " |"
                      for one in rows.values() if one.group == group]
            reasons = [f"- **{one.name}**: {one.reason}" for one in rows.values()
                       if one.group == group and one.reason]
            parts += [f"## {group}\n", "\n".join(lines) + "\n"]
            parts += ["\n".join(reasons) + "\n"] if reasons else []
    return "\n".join(parts)


def escaped(text):
    return text.replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    printed.main(sys.argv, "docs/zoo.md", page(), __doc__)
