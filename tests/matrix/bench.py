# SPDX-License-Identifier: PostgreSQL
"""pgbench: four clients at once through each combination of legs that can be reached."""
import glob
import os
import re
import subprocess

import clients
import table

# For each combination one route that leads to it, and the client's sslmode.
WAYS = (
    ("clear/clear", table.Row("both", "disable", "-", "disable"), "disable"),
    ("clear/tls", table.Row("both", "disable", "-", "disable"), "verify-full"),
    ("tls/clear", table.Row("both", "require", "-", "verify-full"), "disable"),
    ("tls/tls", table.Row("both", "require", "-", "verify-full"), "verify-full"),
    ("tls/tls", table.Row("both", "verify-full", "right", "verify-full"), "verify-full"),
    ("tls/tls", table.Row("tls-only", "prefer", "-", "prefer"), "allow"),
    ("clear/tls", table.Row("tls-only", "allow", "-", "allow"), "prefer"),
    ("clear/clear", table.Row("ssl-off", "allow", "-", "disable"), "prefer"),
)
TRANSACTIONS, SESSIONS = 40, 5      # four clients, and one that looks around first


def programs(tree):
    """The command of each pgbench, by name."""
    here = max(glob.glob("/usr/lib/postgresql/*/bin/pgbench"),
               key=lambda path: int(path.split("/")[4]), default="pgbench")
    found = {"pgbench": [here]}
    if tree:
        found["pgbench-trixie"] = [clients.TREE_TOOL, "run", "/usr/lib/postgresql/17/bin/pgbench"]
    return found


def transactions(words, script, case):
    """How many passed, and what pgbench said where it ended badly."""
    fields = {"host": "localhost", "hostaddr": "127.0.0.1", "port": case.port, "user": "alice",
              "dbname": case.dbname, "sslmode": case.row.client, "sslrootcert": case.rootcert,
              "sslcert": case.cert, "sslkey": case.key}
    info = " ".join(f"{key}='{value}'" for key, value in fields.items() if value)
    done = subprocess.run([*words, "-n", "-c", "4", "-t", "10", "-f", script, info],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False)
    found = re.search(r"actually processed: (\d+)/40", done.stdout)
    return int(found.group(1)) if found and done.returncode == 0 else 0, done.stderr


def run(matrix, tree):
    script = os.path.join(matrix.home, "bench.sql")
    with open(script, "w", encoding="ascii") as out:
        out.write("select sum(n), md5(:client_id::text) from generate_series(1, 1000) n;\n")
    for name, words in programs(tree).items():
        for legs, row, backend in WAYS:
            if {row.listener, backend} <= set(matrix.modes):
                matrix.prove_bench(name, words, script, legs, row, backend)
