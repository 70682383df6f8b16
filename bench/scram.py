#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""What the SCRAM bridge costs, and what its answers tell of who exists.

    bench/scram.py [LOGINS]          1000 each; about two minutes on two cores

Prints the proxy's CPU time a login, bridged and passed through (TLS on both legs, libpq, a new
connection each), and the median time until a wrong password is refused, for a user with a
verifier, one whom only the server knows, and one who does not exist; in turns, so that what the
machine does besides hits all of them.
"""
import glob
import os
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = os.path.join(HERE, "..", "tests", "scenarios")
sys.path[:0] = [SCENARIOS, os.path.join(HERE, "..", "tests", "certs")]

import make                                                             # noqa: E402
import psycopg                                                          # noqa: E402
from peers import postgres, sasl, stream, verifiers                     # noqa: E402
from peers.certs import Certs                                           # noqa: E402
from peers.libpq import conninfo                                        # noqa: E402
from peers.proxy import Proxy, route                                    # noqa: E402


def cpu_ns(pid):
    """Of all threads, finer than clock ticks."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as text:
            total += int(text.read().split()[0])
    return total


def login(port, ca, binding):
    with psycopg.connect(**conninfo(port, user="scram", password="open sesame",
                                    sslmode="verify-full", sslrootcert=ca,
                                    channel_binding=binding)):
        pass


def refusal(port, context, user):
    """Seconds until the refusal; scramdb asks everybody for SCRAM."""
    begin = time.perf_counter()
    with stream.connect_tls(port, context) as client:
        one = sasl.Login(client, user, "wrong", database="scramdb")
        one.offered()
        assert one.final(sasl.body_of(one.first(), 11)).code == "28P01"
        return time.perf_counter() - begin


def main(logins):
    folder = tempfile.mkdtemp(prefix="pgtls-", dir="/tmp")
    os.chmod(folder, 0o755)
    os.environ["HOME"] = folder
    make.make(os.path.join(folder, "certs"))
    certs = Certs(os.path.join(folder, "certs"))
    server = postgres.Postgres(folder, postgres.Template(folder), certs, "pg", ssl=True)
    with server.connect(dbname="postgres") as session:
        session.execute("set password_encryption = 'scram-sha-256'")
        session.execute("create role unlisted login password 'open sesame'")
    users = verifiers.userlist(folder, verifiers.copied(server, "scram"))
    backend = {"address": server.address, "sslmode": "verify-full",
               "root_ca": certs.cert("backends-ca")}
    listener = {"sslmode": "require", "server_cert": certs.cert("server"),
                "server_key": certs.key("server")}
    proxies = {}
    for way, words in (("passed", {"scram": "passthrough"}),
                       ("bridged", {"scram": "bridge", "auth_file": users})):
        os.mkdir(os.path.join(folder, way))
        proxies[way] = Proxy(os.path.join(folder, way), [route({**backend, **words}, listener)],
                             log_level="error")
    time.sleep(1)
    ca = certs.cert("servers-ca")
    try:
        spent = dict.fromkeys(proxies, 0)
        for _ in range(10):
            for way, proxy in proxies.items():
                before = cpu_ns(proxy.process.pid)
                for _ in range(logins // 10):
                    login(proxy.port, ca, "disable" if way == "passed" else "require")
                spent[way] += cpu_ns(proxy.process.pid) - before
        for way in proxies:
            print(f"{way:8} {spent[way] / logins / 1000:7.1f} us of proxy CPU a login")
        print(f"ratio    {spent['bridged'] / spent['passed']:7.3f}")
        times = {"scram": [], "unlisted": [], "nobody": []}
        for _ in range(logins):
            for user, taken in times.items():
                taken.append(refusal(proxies["bridged"].port, certs.client(), user))
        medians = {user: statistics.median(taken) * 1000 for user, taken in times.items()}
        for user, median in medians.items():
            print(f"{user:8} {median:7.2f} ms until a wrong password is refused (median)")
        print(f"spread   {max(medians.values()) / min(medians.values()):7.3f}")
    finally:
        for proxy in proxies.values():
            proxy.stop()
        server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
