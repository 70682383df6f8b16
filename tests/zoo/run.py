#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Shows every animal of the zoo to the proxy, to libpq and to PostgreSQL: expected.txt.

    tests/zoo/run.py            verify-full, beside libpq and PostgreSQL of this machine
    tests/zoo/run.py --long     verify-ca too, and beside those of Debian 13, in the tree of
                                tools/trixie_tree.sh
    --only NAME                 only this animal; may be repeated
    --show                      what each said, in its own words

On the backend's side a server of the test shows the certificate; libpq connects to the same server
directly.  On the listener's side one client shows it to the proxy and to PostgreSQL.

Prints a line for each verdict that is not as expected, then `N passed, N failed`.
"""
import argparse
import collections
import concurrent.futures
import os
import shutil
import ssl
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenarios"), os.path.join(HERE, "..", "certs")]

import keeper                                                           # noqa: E402
import make                                                             # noqa: E402
import servers                                                          # noqa: E402
import table                                                            # noqa: E402
import verdicts                                                         # noqa: E402
from peers import postgres, standalone                                  # noqa: E402
from peers.certs import Certs                                           # noqa: E402
from peers.stream import free_ports                                     # noqa: E402

DATABASES = {"verify-ca": "tlsdb", "verify-full": "certdb"}
HBA = "".join(f"hostssl {database} all 127.0.0.1/32 trust clientcert={mode}\n"
              for mode, database in DATABASES.items())
THREADS = 4

# Who says something: pgtls or theirs (libpq, PostgreSQL), with the OpenSSL of which Debian.
Verifier = collections.namedtuple("Verifier", "who debian")


def debian_here():
    return "13" if ssl.OPENSSL_VERSION_INFO >= (3, 5) else "12"


class Libpq:
    """A process that connects as it is told; libpq is that of its machine."""

    def __init__(self, stage, tree=""):
        script = shutil.copy(os.path.join(HERE, "client.py"), stage.home)
        inside = [standalone.TREE_TOOL, "run"] if tree else []
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [*inside, "/usr/bin/python3", "-B", script], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PGTLS_TRIXIE": tree})
        stage.add(self)

    def ask(self, **words):
        conninfo = " ".join(f"{key}='{value}'" for key, value in words.items())
        with self.lock:
            self.process.stdin.write(conninfo + "\n")
            self.process.stdin.flush()
            text = self.process.stdout.readline().rstrip("\n")
        return verdicts.of_libpq(text), text

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


# The proxy's routes

def backend_route(made, mode, server_port, port, zoo):
    words = {"address": f"127.0.0.1:{server_port}", "sslmode": mode, "root_ca": zoo.trust_file}
    if mode == "verify-full":
        words["verify_name"] = made.host
    if made.animal.has_crl:
        words["crl_file"] = zoo.crl_file
    return {"name": f"{made.animal.name} {mode}", "backend": words, "limits": LIMITS,
            "listener": {"bind_address": f"127.0.0.1:{port}", "sslmode": "disable"}}


def listener_route(mode, has_crl, server_port, port, zoo, certs):
    words = {"bind_address": f"127.0.0.1:{port}", "sslmode": mode, "client_ca": zoo.trust_file,
             "server_cert": certs.cert("server"), "server_key": certs.key("server")}
    if has_crl:
        words["client_crl_file"] = zoo.crl_file
    return {"name": f"{'lists ' if has_crl else ''}{mode}", "listener": words, "limits": LIMITS,
            "backend": {"address": f"127.0.0.1:{server_port}", "sslmode": "disable"}}


LIMITS = {"max_connections": 20, "drain_timeout": "1s"}


# The two legs: each returns functions by (verifier, mode), which take an animal

def server_leg(stage, zoo, trees, modes):
    """Servers show the animals, the proxy and libpq look at them."""
    made = zoo.made["server"]
    cages = stage.add(servers.Servers(made))
    cases = [(one, mode) for one in made for mode in modes]
    ports = free_ports(len(cases))
    proxy = stage.start_proxy([backend_route(*case, cages.ports[case[0].animal.name], port, zoo)
                               for case, port in zip(cases, ports)], "backend-leg")
    ports = {(one.animal.name, mode): port for (one, mode), port in zip(cases, ports)}

    def of_proxy(mode):
        return lambda one: verdicts.of_backend_leg(proxy, f"{one.animal.name} {mode}",
                                                   ports[one.animal.name, mode])

    def of_libpq(client, mode):
        def ask(one):
            lists = {"sslcrl": zoo.crl_file} if one.animal.has_crl else {}
            return client.ask(host=one.host, hostaddr="127.0.0.1", sslmode=mode, user="alice",
                              port=cages.ports[one.animal.name], sslrootcert=zoo.trust_file,
                              dbname="postgres", connect_timeout=20, **lists)
        return ask

    found = {(Verifier("pgtls", debian_here()), mode): of_proxy(mode) for mode in modes}
    for debian, tree in trees.items():
        client = Libpq(stage, tree)
        found |= {(Verifier("theirs", debian), mode): of_libpq(client, mode) for mode in modes}
    return made, found


def client_leg(stage, zoo, trees, certs, modes):
    """One client shows the animals, the proxy and PostgreSQL look at them."""
    clear = stage.add(servers.Servers([])).ports[None]
    kinds = [(mode, has_crl) for mode in modes for has_crl in (False, True)]
    ports = dict(zip(kinds, free_ports(len(kinds))))
    stage.start_proxy([listener_route(*kind, clear, port, zoo, certs)
                       for kind, port in ports.items()], "listener-leg")

    def of_proxy(mode):
        return lambda one: verdicts.of_login(one, ports[mode, one.animal.has_crl], keeper.USER,
                                             "postgres")

    def of_postgres(running, mode):
        return lambda one: verdicts.of_postgres(one, running[one.animal.has_crl].port,
                                                keeper.USER, DATABASES[mode])

    found = {(Verifier("pgtls", debian_here()), mode): of_proxy(mode) for mode in modes}
    for debian, tree in trees.items():
        running = start_postgres(stage, zoo, certs, tree)
        found |= {(Verifier("theirs", debian), mode): of_postgres(running, mode)
                  for mode in modes}
    return zoo.made["client"], found


def start_postgres(stage, zoo, certs, tree):
    """By whether it has revocation lists."""
    template = postgres.Template(stage.home, postgres.Installation(tree))
    running = {}
    for has_crl in (False, True):
        settings = {"ssl_crl_file": "root.crl"} if has_crl else {}
        files = {"root.crt": zoo.trust_file, "root.crl": zoo.crl_file}
        name = f"postgresql-{template.installation.version()}-{has_crl}"
        running[has_crl] = stage.add(postgres.Postgres(stage.home, template, certs, name, True,
                                                       settings, HBA, files))
    return running


# All of it

def ask_all(leg, zoo, askers):
    """(leg, mode, name of the animal) -> verifier -> (verdict, words)"""
    found = collections.defaultdict(dict)

    def ask(job):
        (verifier, mode), asker, made = job
        try:
            return verifier, mode, made.animal.name, asker(made)
        except Exception as error:          # a verifier that is broken is a verdict too
            return verifier, mode, made.animal.name, ("broken", repr(error))

    jobs = [(key, asker, made) for made in zoo for key, asker in askers.items()]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for verifier, mode, name, answer in pool.map(ask, jobs):
            found[leg, mode, name][verifier] = answer
    return found


def run(stage, options, trees):
    wanted, modes = options.only, table.MODES if options.long else ("verify-full",)
    zoo = keeper.make(os.path.join(stage.home, "zoo"),
                      lambda animal: not wanted or animal.name in wanted)
    certs = Certs(os.path.join(stage.home, "certs"))
    make.make(certs.folder)
    found = ask_all("server", *server_leg(stage, zoo, trees, modes))
    found |= ask_all("client", *client_leg(stage, zoo, trees, certs, modes))
    return found


def judge(found, options):
    """(passed, failed)"""
    expected, passed, failed = table.load(), 0, 0
    lost = [] if options.only else expected.keys() - {animal.name for animal in keeper.load()}
    for name in sorted(lost):
        failed += 1
        print(f"FAIL {name}: is in the table, and no animal of animals.py")
    for (leg, mode, name), answers in found.items():
        for verifier, (got, words) in answers.items():
            wanted = expected[name].verdict(leg, mode, verifier.who) if name in expected \
                else "a row of expected.txt"
            passed, failed = passed + (got == wanted), failed + (got != wanted)
            if got != wanted or options.show:
                print(f"{'FAIL' if got != wanted else 'ok  '} {name} as {leg} {mode}: "
                      f"{verifier.who} with OpenSSL of Debian {verifier.debian}: "
                      f"expected {wanted}, got {got}: {words}", flush=True)
    return passed, failed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--show", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    trees = {debian_here(): ""}
    if options.long:
        trees["13"] = standalone.tree()
    with standalone.stage("pgtls-zoo-") as stage:
        found = run(stage, options, trees)
    passed, failed = judge(found, options)
    for problem in stage.problems:
        print(f"FAIL at the end: {problem}")
    failed += len(stage.problems)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
