#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Measures pgtls beside other TLS proxies and writes RESULTS.md.

    bench/run.py [--program build/src/pgtls] [--rounds 3] [--seconds 5] [--write NAME]
    bench/run.py --only login,query --proxies haproxy,pgtls      some columns, some proxies

Every figure is CPU microseconds of the proxy (its whole process tree) per unit, taken from
/proc, not a rate: load, proxy and backend share the machine.  The rounds are interleaved (one
figure, every proxy, next figure), and the median of the rounds is what is compared.  Quote
ratios, not absolute times.  --write puts the tables into the part NAME of RESULTS.md.
"""
import argparse
import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

import pgbench
from proxies import HERE, PROXIES, SAME_PROCESS, TLS_PEERS, Proxies

# column: pgload's arguments (PORT, SECONDS are put in), and which proxies
SIDE = ["pgtls, two workers", "pgtls, TLS on both legs"]
ALL = [name for name in [*PROXIES, *SAME_PROCESS] if name not in SIDE]
ENCRYPTING = [name for name in ALL if name != "nginx without TLS"]
COLUMNS = {
    "handshake": ("handshake PORT SECONDS 2", ENCRYPTING),
    "login": ("connect PORT SECONDS 2", ENCRYPTING),
    "query x1": ("query PORT SECONDS 1", ALL),
    "query x32": ("query PORT SECONDS 32", [*ALL, "pgtls, two workers"]),
    "MiB down": ("bulk PORT 1000 1", ALL),
    "MiB up": ("upload PORT 1000 1", ALL),
}
IDLE, IDLE_COUNT = "idle bytes", 3000
IDLE_PROXIES = [name for name in [*ALL, "pgtls, TLS on both legs"] if name not in SAME_PROCESS]
BESIDE, BESIDE_COUNT = "query x32 beside 8000 idle, of without", 8000
PGBENCH = "pgbench -S through pgtls, of PostgreSQL's own TLS"
# PgBouncer's login reuses a pooled server connection: another work
LOGIN_PEERS = ["haproxy", "hitch", "nginx"]

# what, column, compared with the best of, must be at most, aim
TARGETS = [
    ("query, 32 connections", "query x32", TLS_PEERS, 0.70, 0.60),
    ("query, 32 connections, against nginx without TLS", "query x32", ["nginx without TLS"],
     0.90, 0.75),
    ("query, 1 connection", "query x1", TLS_PEERS, 1.0, 0.9),
    ("MiB down", "MiB down", TLS_PEERS, 0.72, None),
    ("MiB down, against nginx without TLS", "MiB down", ["nginx without TLS"], None, 1.0),
    ("MiB up", "MiB up", TLS_PEERS, 0.72, None),
    ("MiB up, against nginx without TLS", "MiB up", ["nginx without TLS"], None, 1.0),
    ("handshake", "handshake", ["haproxy"], 0.75, None),
    ("login", "login", LOGIN_PEERS, 0.80, None),
]
# the library record layer and epoll
PLAIN_TARGETS = [(f"{column}, library and epoll", column,
                  LOGIN_PEERS if column == "login" else TLS_PEERS, 1.1, None)
                 for column in [*COLUMNS, IDLE]]


def measure_columns(proxies, add, number, only=""):
    for column, (arguments, names) in COLUMNS.items():
        if not any(word in column for word in only.split(",")):
            continue
        for name in names:
            if name not in proxies.pids:
                continue
            value = proxies.cpu_per_unit(name, arguments)
            add(column, name, value)
            print(f"round {number}: {column:12} {name:24} "
                  f"{'failed' if value is None else f'{value:.1f}'}", file=sys.stderr)


def measure_idle(proxies, add, number):
    if number == 1:
        for name in IDLE_PROXIES:
            if name in proxies.pids:
                add(IDLE, name, proxies.with_idle(name, IDLE_COUNT)[0])
    query = lambda: proxies.cpu_per_unit("pgtls", COLUMNS["query x32"][0])
    alone, (_, beside), again = query(), proxies.with_idle("pgtls", BESIDE_COUNT, query), query()
    add(BESIDE, "pgtls", beside / ((alone + again) / 2) if alone and beside and again else None)


def measure(proxies, options):
    """The median of each figure: column, proxy, value."""
    figures = {}

    def add(column, name, value):
        figures.setdefault(column, {}).setdefault(name, []).append(value)

    for number in range(1, options.rounds + 1):
        measure_columns(proxies, add, number, options.only)
        if not options.only:
            measure_idle(proxies, add, number)
    return {column: {name: None if None in values else statistics.median(values)
                     for name, values in names.items()} for column, names in figures.items()}


# Report

def table(rows):
    head, *body = [[str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)]


def cell(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def ratio(figures, column, name, peers):
    best = [figures[column][peer] for peer in peers if figures[column].get(peer)]
    mine = figures[column].get(name)
    return mine / min(best) if mine and best else None


def target_rows(figures, targets, name):
    rows = []
    for what, column, peers, must, aim in targets:
        reached = ratio(figures, column, name, peers)
        verdict = "" if must is None or reached is None else "yes" if reached <= must else "no"
        rows.append([what, cell(reached, 2), cell(must, 2), cell(aim, 2), verdict])
    return rows


def more_rows(figures, tps):
    """What is not a ratio to a peer."""
    both = figures[IDLE].get("pgtls, TLS on both legs")
    workers = ratio(figures, "query x32", "pgtls, two workers", ["pgtls"])
    judge = lambda value, good: "" if value is None else "yes" if good(value) else "no"
    rows = [
        ["idle connection, TLS and plain, bytes", cell(figures[IDLE]["pgtls"], 0), "2560", "1536",
         judge(figures[IDLE]["pgtls"], lambda value: value <= 2560)],
        ["idle connection, TLS on both legs, bytes", cell(both, 0), "4096", "2048",
         judge(both, lambda value: value <= 4096)],
        [BESIDE, cell(figures[BESIDE]["pgtls"], 2), "1.05", "",
         judge(figures[BESIDE]["pgtls"], lambda value: value <= 1.05)],
        ["CPU per query, two workers of one", cell(workers, 2), "1.05", "",
         judge(workers, lambda value: value <= 1.05)],
    ]
    if tps is not None:
        rows.append([PGBENCH, cell(tps, 2), "at least 0.90", "1.00",
                     judge(tps, lambda value: value >= 0.9)])
    return rows


def report(figures, tps, options):
    version = lambda *a: subprocess.run(a, text=True, stdout=subprocess.PIPE, check=False,
                                        stderr=subprocess.STDOUT).stdout.splitlines()[0]
    columns = [*COLUMNS, IDLE]
    names = [name for name in [*PROXIES, *SAME_PROCESS] if any(name in figures[c] for c in columns)]
    head = ["", "measured", "must", "aim", "reached"]
    return "\n".join([
        f"{datetime.date.today()}, {platform.platform()}, {os.cpu_count()} cores, "
        f"{version('openssl', 'version')}; made by", "",
        f"    bench/run.py --rounds {options.rounds} --seconds {options.seconds} "
        f"--write {options.write}", "",
        f"CPU microseconds of the proxy per unit, medians of {options.rounds}; idle: bytes of memory",
        f"of each of {IDLE_COUNT} idle, logged-in TLS connections.  TLS 1.3, ECDSA P-256, one worker.", "",
        *table([["", *columns], *[[name, *[cell(figures[c].get(name), 0 if c == IDLE else 1)
                                           for c in columns]] for name in names]]), "",
        "Against the best TLS peer of the column unless it says otherwise (logins: of haproxy, hitch",
        "and nginx; PgBouncer reuses pooled server connections there):", "",
        *table([head, *target_rows(figures, TARGETS, "pgtls"), *more_rows(figures, tps),
                *target_rows(figures, PLAIN_TARGETS, "pgtls, library, epoll")]), ""])


def print_some(figures):
    for column, names in figures.items():
        for name, value in names.items():
            print(f"{column:12} {name:24} {cell(value)}")


def write(name, text):
    """Puts `text` between the marks of part `name`."""
    file = HERE / "RESULTS.md"
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    whole = file.read_text() if file.exists() else "# Results\n"
    part = f"{begin}\n{text}{end}\n"
    found = re.search(re.escape(begin) + ".*?" + re.escape(end) + "\n", whole, re.DOTALL)
    whole = whole[:found.start()] + part + whole[found.end():] if found else f"{whole}\n{part}"
    file.write_text(whole)


def main():
    parser = argparse.ArgumentParser(description="Measures pgtls beside other TLS proxies.")
    parser.add_argument("--program", default=str(HERE.parent / "build/src/pgtls"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--no-pgbench", action="store_true")
    parser.add_argument("--only", default="", metavar="COLUMN,...", help="columns with these words")
    parser.add_argument("--proxies", default="", metavar="NAME,...", help="names with these words")
    parser.add_argument("--write", metavar="NAME", help="the part of RESULTS.md, debian12 for instance")
    options = parser.parse_args()
    proxies = Proxies(options.program, options.seconds)
    try:
        proxies.prepare()
        proxies.start(options.proxies.split(","))
        figures = measure(proxies, options)
    finally:
        proxies.stop()
    if options.only:
        print_some(figures)
        return
    tps = None if options.no_pgbench else pgbench.ratio(options)
    text = report(figures, tps, options)
    print(text)
    if options.write:
        write(options.write, text)


if __name__ == "__main__":
    main()
