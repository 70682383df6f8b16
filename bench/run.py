#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Measures pgtls beside other TLS proxies and writes RESULTS.md.

    bench/run.py [--program build/src/pgtls] [--rounds 3] [--seconds 5] [--write NAME]
    bench/run.py --only login,query --proxies haproxy,pgtls      some columns, some proxies
    bench/run.py --only pgbench                                  that part alone

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
from proxies import GROUP, HERE, PROXIES, SAME_PROCESS, TLS_PEERS, Proxies

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
WORKERS = {32: "CPU per query, two workers of one, 32 connections",
           64: "CPU per query, two workers of one, 64 connections"}
REPEATS = 3                     # in each round of those two: what is looked for is small
FLOOR = "OpenSSL alone, in memory"
# what: which way, threads of pgbench
PGBENCH = {
    "pgbench -S -c 16 through pgtls, of PostgreSQL's own TLS; Unix socket to the server":
        ("pgtls, Unix socket", 1),
    "the same, one worker": ("pgtls, one worker, Unix socket", 1),
    "the same, TCP to the server": ("pgtls", 1),
    "the same, TCP, one worker": ("pgtls, one worker", 1),
    "pgbench -S -c 16 -j 16, a thread for each client; Unix socket": ("pgtls, Unix socket", 16),
    "the same, TCP": ("pgtls", 16),
}
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


def median(values):
    """None after an error."""
    return None if None in values else statistics.median(values)


def quotient(part, whole):
    return part / whole if part and whole else None


def measure_idle(proxies, add, number):
    if number == 1:
        for name in IDLE_PROXIES:
            if name in proxies.pids:
                add(IDLE, name, proxies.with_idle(name, IDLE_COUNT)[0])
    query = lambda: [proxies.cpu_per_unit("pgtls", COLUMNS["query x32"][0])
                     for _ in range(REPEATS)]
    before, (_, beside), after = query(), proxies.with_idle("pgtls", BESIDE_COUNT, query), query()
    add(BESIDE, "pgtls", quotient(median(beside), median(before + after)))


def measure_workers(proxies, add):
    """Pairs, each the other way round, so that what the machine does besides hits both."""
    names = ["pgtls, two workers", "pgtls"]
    for connections, what in WORKERS.items():
        for number in range(REPEATS):
            used = {name: proxies.cpu_per_unit(name, f"query PORT SECONDS {connections}")
                    for name in (names if number % 2 else reversed(names))}
            add(what, "pgtls", quotient(*[used[name] for name in names]))


def measure(proxies, options):
    """The median of each figure: column, proxy, value."""
    figures = {}

    def add(column, name, value):
        figures.setdefault(column, {}).setdefault(name, []).append(value)

    for number in range(1, options.rounds + 1):
        measure_columns(proxies, add, number, options.only)
        if not options.only:
            add("handshake", FLOOR, proxies.floor())
            measure_workers(proxies, add)
            measure_idle(proxies, add, number)
    return {column: {name: median(values) for name, values in names.items()}
            for column, names in figures.items()}


def measure_all(options):
    proxies = Proxies(options.program, options.seconds)
    try:
        proxies.prepare()
        proxies.start(options.proxies.split(","))
        return measure(proxies, options)
    finally:
        proxies.stop()


# Report

def table(rows):
    head, *body = [[str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)]


def cell(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def ratio(figures, column, name, peers):
    best = [figures[column][peer] for peer in peers if figures[column].get(peer)]
    mine = figures[column].get(name)
    return quotient(mine, min(best, default=None))


def target_rows(figures, targets, name):
    rows = []
    for what, column, peers, must, aim in targets:
        reached = ratio(figures, column, name, peers)
        verdict = "" if must is None or reached is None else "yes" if reached <= must else "no"
        rows.append([what, cell(reached, 2), cell(must, 2), cell(aim, 2), verdict])
    return rows


def judged(what, value, must, aim="", digits=2, at_least=False):
    """A row for what is not a ratio to a peer."""
    reached = "" if value is None else "yes" if (value >= must if at_least else value <= must) else "no"
    limit = cell(must, digits)
    return [what, cell(value, digits), f"at least {limit}" if at_least else limit, aim, reached]


def more_rows(figures, through):
    idle = figures[IDLE]
    rows = [judged("idle connection, TLS and plain, bytes", idle["pgtls"], 2560, "1536", 0),
            judged("idle connection, TLS on both legs, bytes", idle.get("pgtls, TLS on both legs"),
                   4096, "2048", 0)]
    rows += [judged(what, figures[what]["pgtls"], 1.05) for what in (BESIDE, *WORKERS.values())]
    rows += [judged(what, through[way][0], 0.9, "1.00", at_least=True)
             for what, way in PGBENCH.items() if way in through]
    return rows


def pgbench_table(through):
    """Empty where it was not measured."""
    head = ["", *[f"-j {threads}" for threads in pgbench.THREADS],
            "pgbench", "PostgreSQL", "proxy", "in all"]
    rows = []
    for name in dict.fromkeys(name for name, _ in through):
        used = through[name, 1][1]
        rows.append([name, *[cell(through[name, threads][0], 2) for threads in pgbench.THREADS],
                     *[cell(part or None) for part in used], cell(sum(used))])
    return ["", "pgbench -S -c 16 with 1, 2 and 16 threads (-j): rate of that with PostgreSQL's own TLS, and",
            "CPU microseconds of each process for a transaction (-j 1); pgtls with a worker for each CPU",
            "unless it says one:", "", *table([head, *rows])] if through else []


def report(figures, through, options):
    version = lambda *a: subprocess.run(a, text=True, stdout=subprocess.PIPE, check=False,
                                        stderr=subprocess.STDOUT).stdout.splitlines()[0]
    columns = [*COLUMNS, IDLE]
    names = [name for name in [*PROXIES, *SAME_PROCESS, FLOOR]
             if any(name in figures[c] for c in columns)]
    head = ["", "measured", "must", "aim", "reached"]
    return "\n".join([
        f"{datetime.date.today()}, {platform.freedesktop_os_release()['PRETTY_NAME']}, "
        f"Linux {platform.release()}, {os.cpu_count()} cores, {version('openssl', 'version')}; "
        "made by", "",
        f"    bench/run.py --rounds {options.rounds} --seconds {options.seconds} "
        f"--write {options.write}", "",
        f"CPU microseconds of the proxy per unit, medians of {options.rounds}; idle: bytes of memory",
        f"of each of {IDLE_COUNT} idle, logged-in TLS connections.  TLS 1.3, {GROUP}, ECDSA P-256, one worker.", "",
        *table([["", *columns], *[[name, *[cell(figures[c].get(name), 0 if c == IDLE else 1)
                                           for c in columns]] for name in names]]), "",
        "Against the best TLS peer of the column unless it says otherwise (logins: of haproxy, hitch",
        "and nginx; PgBouncer reuses pooled server connections there):", "",
        *table([head, *target_rows(figures, TARGETS, "pgtls"), *more_rows(figures, through),
                *target_rows(figures, PLAIN_TARGETS, "pgtls, library, epoll")]),
        *pgbench_table(through), ""])


def print_some(figures):
    for column, names in figures.items():
        for name, value in names.items():
            print(f"{column:12} {name:24} {cell(value)}")


def write(file, name, text):
    """Puts `text` between the marks of part `name`."""
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
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "RESULTS.md",
                        help="RESULTS.md, where it is another file")
    options = parser.parse_args()
    figures = {} if options.only == "pgbench" else measure_all(options)
    if options.only and "pgbench" not in options.only:
        print_some(figures)
        return
    through = {} if options.no_pgbench else pgbench.measure(options.program, options.rounds,
                                                            options.seconds)
    if options.only:
        print_some(figures)
        print("\n".join(pgbench_table(through)))
        return
    text = report(figures, through, options)
    print(text)
    if options.write:
        write(options.results, options.write, text)


if __name__ == "__main__":
    main()
