# SPDX-License-Identifier: PostgreSQL
"""pgbench -S with 16 clients: TLS through pgtls to a PostgreSQL in the clear, beside
PostgreSQL's own TLS.  Rates can be compared here: nothing else differs."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from proxies import HERE

sys.path[:0] = [str(HERE.parent / "tests" / "scenarios"), str(HERE.parent / "tests" / "certs")]


def rate(server, port, seconds):
    done = subprocess.run(
        [f"{server}/pgbench", "-h", "localhost", "-p", str(port), "-U", "postgres", "-n", "-S",
         "-c", "16", "-j", "2", "-T", str(seconds), "bench"], text=True, check=True,
        env={**os.environ, "PGSSLMODE": "require", "PGHOSTADDR": "127.0.0.1"},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE).group(1))


def serve(folder, certs, program, backend_port):
    from peers.stream import free_port
    port, file = free_port(), os.path.join(folder, "pgtls.toml")
    with open(file, "w", encoding="ascii") as out:
        out.write(f'workers = 1\nlog_level = "warn"\n[[proxy]]\nname = "bench"\n[proxy.listener]\n'
                  f'bind_address = "127.0.0.1:{port}"\nsslmode = "require"\n'
                  f'server_cert = "{certs.cert("server")}"\nserver_key = "{certs.key("server")}"\n'
                  f'[proxy.backend]\naddress = "127.0.0.1:{backend_port}"\n')
    return port, subprocess.Popen([program, "proxy", "-c", file], stdin=subprocess.DEVNULL)


def ratio(options):
    """The rate through pgtls, of that of PostgreSQL's own TLS; the median of the rounds."""
    import make
    from peers import postgres
    from peers.certs import Certs
    folder = tempfile.mkdtemp(prefix="pgtls-bench-", dir="/tmp")
    os.chmod(folder, 0o755)
    make.make(os.path.join(folder, "certs"))
    certs = Certs(os.path.join(folder, "certs"))
    server = postgres.Postgres(folder, postgres.Template(folder), certs, "pg", ssl=True)
    port, proxy = serve(folder, certs, options.program, server.port)
    try:
        time.sleep(1)
        binaries = postgres.bin_dir()
        subprocess.run([f"{binaries}/pgbench", "-h", "localhost", "-p", str(server.port), "-U",
                        "postgres", "-i", "-s", "5", "-q", "bench"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ratios = [rate(binaries, port, options.seconds) / rate(binaries, server.port, options.seconds)
                  for _ in range(options.rounds)]
        return statistics.median(ratios)
    finally:
        proxy.terminate()
        proxy.wait()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
