#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Runs the matrix of clients: every cell of expected.txt, with real clients and servers.

    tests/matrix/run.py              the quick part: this machine's psql in most cells, its other
                                     clients in some
    tests/matrix/run.py --long       every client in every cell, with PostgreSQL 17 and its
                                     clients from the tree of tools/trixie_tree.sh
    --client NAME                    only this client, pgbench for instance; may be repeated
    --modes WORD,WORD                only these modes of listener and backend

One proxy has a route for each mode of listener, mode of backend and kind of server.  Of each cell
three things must be as expected: what the client got or said, what pg_stat_ssl says of the
server's leg, and the proxy's line connection.end.

Prints a line for each cell that is not as expected, then `N passed, N failed`.
"""
import argparse
import itertools
import os
import queue
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenarios"), os.path.join(HERE, "..", "certs")]

import bench                                                            # noqa: E402
import clients                                                          # noqa: E402
import make                                                             # noqa: E402
import table                                                            # noqa: E402
from peers import standalone                                            # noqa: E402
from peers.stream import free_ports                                     # noqa: E402

DATABASES = {"both": "postgres", "tls-only": "tlsdb", "clear-only": "cleardb",
             "ssl-off": "postgres"}
LEAVES = {"right": "alice", "other": "bob", "stranger": "alice-of-strangers"}
LOG_PATIENCE_S = 10


# The proxy

def route_name(listener, backend, has_tls):
    return f"{listener}.{backend}.{'on' if has_tls else 'off'}"


def listener_of(mode, port, certs):
    words = {"bind_address": f"127.0.0.1:{port}", "sslmode": mode}
    if mode != "disable":
        words |= {"server_cert": certs.cert("server"), "server_key": certs.key("server")}
    if mode.startswith("verify"):
        words |= {"client_ca": certs.cert("clients-ca")}
    return words


def backend_of(mode, server, certs):
    words = {"address": f"localhost:{server.port}", "sslmode": mode}
    if mode.startswith("verify"):
        words |= {"root_ca": certs.cert("backends-ca")}
    return words


def routes(modes, servers, certs):
    keys = list(itertools.product(modes, modes, (True, False)))
    return [{"name": route_name(listener, backend, has_tls),
             "listener": listener_of(listener, port, certs),
             "backend": backend_of(backend, servers[has_tls], certs),
             "limits": {"max_connections": 20, "drain_timeout": "2s"}}
            for (listener, backend, has_tls), port in zip(keys, free_ports(len(keys)))]


class Ledger:
    """The proxy's log by route: how many connections came, and the lines of their ends."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.read = 0
        self.lock = threading.Lock()
        self.accepted, self.ended = {}, {}

    def _catch_up(self):
        with self.proxy.changed:
            news = self.proxy.events[self.read:]
            self.read += len(news)
        for event in news:
            if event["event"] == "client.accept":
                self.accepted[event["route"]] = self.accepted.get(event["route"], 0) + 1
            elif event["event"] == "connection.end":
                self.ended.setdefault(event["route"], []).append(event)

    def mark(self, route):
        with self.lock:
            self._catch_up()
            return len(self.ended.get(route, []))

    def verdict(self, route, mark, wanted):
        """What the log says of the last connection since `mark`; waits for lines that are late."""
        until = time.monotonic() + LOG_PATIENCE_S
        while True:
            with self.lock:
                self._catch_up()
                ends = self.ended.get(route, [])
                quiet = self.accepted.get(route, 0) == len(ends)
                last = max(ends[mark:], key=lambda end: end["conn"], default=None)
            word = of_end(last) if last else "no connection"
            if (quiet and word in wanted) or time.monotonic() > until:
                return word if quiet else word + ", others have not ended"
            time.sleep(0.002)

    def count(self, route, mark, word):
        return sum(of_end(end) == word for end in self.ended.get(route, [])[mark:])


def of_end(end):
    """The verdict that a line connection.end amounts to."""
    reason = end["reason"]
    leg = "tls" if "tls_version" in end else "clear"
    if reason in ("client_closed", "server_closed") and "login_ms" in end:
        return f"{leg}/{'tls' if 'backend_tls_version' in end else 'clear'}"
    if reason == "client_closed" and end["negotiation"] == "none":
        return "no-tls"
    return f"{reason} {leg}"


# What of_end says of the words of the table that are no sessions.
LOGGED = {
    "no-tls": {"no-tls"},
    "28000-tls": {"refused clear"},
    "28000-cert": {"auth_failed tls"},
    "28000-name": {"auth_failed tls"},
    "28000-hba": {"auth_failed tls", "auth_failed clear"},
    "08001": {"backend_unreachable tls", "backend_unreachable clear",
              "backend_tls_failed tls", "backend_tls_failed clear"},
    "alert": {"client_tls_failed clear", "client_tls_failed tls"},
}


# The cells

def certificate_files(certificate, certs):
    leaf = LEAVES.get(certificate)
    return (certs.cert(leaf), certs.key(leaf)) if leaf else ("", "")


class Matrix:
    def __init__(self, proxy, certs, home, modes):
        self.proxy, self.certs, self.home, self.modes = proxy, certs, home, modes
        self.ledger = Ledger(proxy)
        self.ports = {route["name"]: int(route["listener"]["bind_address"].rpartition(":")[2])
                      for route in proxy.routes}
        self.sections = table.load()
        self.lock = threading.Lock()
        self.passed = self.failed = 0

    def cells(self, client, wanted):
        """Cases by route: two cases of a route are never under way at once."""
        section = self.sections[client.section]
        cells = {}
        for row in section.rows():
            if row.listener not in self.modes or not wanted(row):
                continue
            for backend, verdict in zip(table.MODES, section.verdicts(row)):
                if backend in self.modes:
                    name = route_name(row.listener, backend, row.server != "ssl-off")
                    cells.setdefault(name, []).append((self._case(row, backend, name), verdict))
        return cells

    def _case(self, row, backend, route):
        rootcert = self.certs.cert("servers-ca") if row.client.startswith("verify") else ""
        return clients.Case(row, backend, self.ports[route], DATABASES[row.server], rootcert,
                            *certificate_files(row.certificate, self.certs))

    def run(self, client, wanted):
        started, before = time.monotonic(), self.passed + self.failed
        cells = self.cells(client, wanted)
        work = queue.Queue()
        for item in cells.items():
            work.put(item)
        threads = [threading.Thread(target=self._work, args=(client, work))
                   for _ in range(os.cpu_count() or 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        proved = self.passed + self.failed - before
        lost = sum(map(len, cells.values())) - proved
        self.failed += lost
        if lost:
            print(f"FAIL {client.name}: {lost} cells were not proved, a client is gone")
        print(f"{client.name}: {proved} cells, {time.monotonic() - started:.0f} s", flush=True)

    def _work(self, client, work):
        driver = client.open(self.home)
        while True:
            try:
                route, cells = work.get_nowait()
            except queue.Empty:
                break
            for case, expected in cells:
                self._prove(client, driver, route, case, expected)
        driver.close()

    def _prove(self, client, driver, route, case, expected):
        mark = self.ledger.mark(route)
        got, text = driver.ask(case)
        last = expected.rpartition("+")[2]
        logged = self.ledger.verdict(route, mark, LOGGED.get(last, {last}))
        good = got == expected and logged in LOGGED.get(last, {last})
        with self.lock:
            self.passed, self.failed = self.passed + good, self.failed + (not good)
            if not good:
                print(f"FAIL {client.name} server={case.row.server} listener={case.row.listener} "
                      f"certificate={case.row.certificate} client={case.row.client} "
                      f"backend={case.backend}: expected {expected}, got {got}; "
                      f"log: {logged} {text}", flush=True)

    def prove_bench(self, name, words, script, legs, row, backend):
        """All transactions pass, and the log says the same legs of each session."""
        route = route_name(row.listener, backend, row.server != "ssl-off")
        mark = self.ledger.mark(route)
        got, text = bench.transactions(words, script, self._case(row, backend, route))
        logged = self.ledger.verdict(route, mark, {legs})
        sessions = self.ledger.count(route, mark, legs)
        good = (got, sessions, logged) == (bench.TRANSACTIONS, bench.SESSIONS, legs)
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        if not good:
            print(f"FAIL {name} server={row.server} listener={row.listener} client={row.client} "
                  f"backend={backend}: expected {legs}; {got} transactions, {sessions} sessions, "
                  f"log: {logged} {text}", flush=True)


# The parts

def everything(_row):
    return True


def most_of_it(row):
    """The kinds of servers differ by the backend's mode, hardly by the listener's."""
    return row.server == "both" or row.listener in ("disable", "require")


def some_of_it(row):
    return row.server == "both" and row.certificate in ("-", "right")


def quick_plan(home):
    psql, *others = clients.of_this_machine()
    plan = [(psql, most_of_it)]
    plan += [(one, some_of_it)
             for one in (*others, clients.node_postgres(), clients.pgjdbc(home))]
    return plan


def long_plan(home, tree):
    return [(one, everything)
            for one in (*clients.of_this_machine(), *clients.of_the_tree(tree, home),
                        clients.node_postgres(), clients.pgjdbc(home))]


def make_certificates(home):
    from peers.certs import Certs
    folder = os.path.join(home, "certs")
    make.make(folder)
    for leaf in LEAVES.values():
        subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER",
                        "-in", os.path.join(folder, leaf + ".key"),
                        "-out", os.path.join(folder, leaf + ".pk8")], check=True)
        os.chmod(os.path.join(folder, leaf + ".pk8"), 0o600)
    return Certs(folder)


def start_servers(stage, certs):
    """By whether it has TLS.  Imported late: the module looks for the tree when it is loaded."""
    from peers import postgres
    template = postgres.Template(stage.home)
    return {has_tls: stage.add(postgres.Postgres(stage.home, template, certs, name, ssl=has_tls))
            for has_tls, name in ((True, "on"), (False, "off"))}


def prove(stage, options, tree):
    certs = make_certificates(stage.home)
    servers = start_servers(stage, certs)
    proxy = stage.start_proxy(routes(options.modes, servers, certs))
    matrix = Matrix(proxy, certs, stage.home, options.modes)
    plan = long_plan(stage.home, tree) if options.long else quick_plan(stage.home)
    for client, wanted in plan:
        if not options.client or client.name in options.client:
            matrix.run(client, wanted)
    if not options.client or "pgbench" in options.client:
        bench.run(matrix, tree)
    return matrix


def use_tree():
    """The servers run in it from here on."""
    tree = standalone.tree()
    os.environ["PGTLS_TRIXIE"] = os.environ["PGTLS_POSTGRES_TREE"] = tree
    return tree


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--client", action="append", metavar="NAME")
    parser.add_argument("--modes", default=table.MODES, type=lambda text: tuple(text.split(",")))
    return parser.parse_args()


def main():
    options = arguments()
    tree = use_tree() if options.long else None
    with standalone.stage("pgtls-matrix-") as stage:
        matrix = prove(stage, options, tree)
    for problem in stage.problems:
        print(f"FAIL at the end: {problem}")
    failed = matrix.failed + len(stage.problems)
    print(f"{matrix.passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
