# SPDX-License-Identifier: PostgreSQL
"""pgbench -S with 16 clients: TLS through a proxy to a PostgreSQL in the clear, beside PostgreSQL's
own TLS.  Rates can be compared here, as ratios within one round: nothing else differs."""
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from proxies import HERE, PGBOUNCER, TICK_US, cpu_us

sys.path[:0] = [str(HERE.parent / "tests" / "scenarios"), str(HERE.parent / "tests" / "certs")]

OWN = "PostgreSQL's own TLS"
SECONDS_LEAST = 3               # less moves by a tenth
THREADS = (1, 2, 16)            # of pgbench: its own choice, one a CPU, one a client

# workers = 0: one a CPU, as the program chooses by itself
PGTLS = """workers = {workers}
log_level = "error"
[[proxy]]
name = "bench"
[proxy.listener]
bind_address = "127.0.0.1:{port}"
sslmode = "require"
server_cert = "{dir}/server.crt"
server_key = "{dir}/pgtls.key"
[proxy.backend]
address = "{address}"
"""
SERVE = ["{program}", "proxy", "-c", "{file}"]
POOL = ["setpriv", "--reuid=65534", "--clear-groups", "pgbouncer", "{file}"]

# name: how it is configured, its command, its workers, whether the server is at its Unix socket
WAYS = {
    "pgtls": (PGTLS, SERVE, 0, False),
    "pgtls, Unix socket": (PGTLS, SERVE, 0, True),
    "pgtls, one worker": (PGTLS, SERVE, 1, False),
    "pgtls, one worker, Unix socket": (PGTLS, SERVE, 1, True),
    "PgBouncer": (PGBOUNCER, POOL, 1, False),
    "PgBouncer, Unix socket": (PGBOUNCER, POOL, 1, True),
}


def cpu_us_with_ended(pid):
    """Of a server and its backends, also of those that it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return cpu_us(pid) + (int(fields[13]) + int(fields[14])) * TICK_US


def cpu_us_of_clients():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


class Bench:
    """A PostgreSQL, the proxies before it, and pgbench."""

    def __init__(self, program):
        import make
        from peers import postgres
        from peers.certs import Certs
        self.folder = tempfile.mkdtemp(prefix="pgtls-bench-", dir="/tmp")
        os.chmod(self.folder, 0o777)
        make.make(os.path.join(self.folder, "certs"))
        certs = Certs(os.path.join(self.folder, "certs"))
        for name, source, mode in (("server.crt", certs.cert("server"), 0o644),
                                   ("server.key", certs.key("server"), 0o644),
                                   ("pgtls.key", certs.key("server"), 0o600)):
            shutil.copy(source, os.path.join(self.folder, name))
            os.chmod(os.path.join(self.folder, name), mode)
        self.server = postgres.Postgres(self.folder, postgres.Template(self.folder), certs, "pg",
                                        ssl=True)
        self.pgbench = os.path.join(postgres.bin_dir(), "pgbench")
        self.ports, self.processes = {OWN: self.server.port}, {}
        for name, way in WAYS.items():
            self.serve(name, way, str(pathlib.Path(program).resolve()))
        time.sleep(1)
        self.run("-i", "-s", "5", "-q", port=self.server.port)

    def serve(self, name, way, program):
        from peers.stream import free_port
        text, command, workers, by_unix = way
        if command is POOL and shutil.which("pgbouncer") is None:
            return
        port, server = free_port(), self.server.port
        file = os.path.join(self.folder, f"{port}.conf")
        fields = {
            "dir": self.folder, "port": port, "workers": workers, "program": program, "file": file,
            "address": f"unix:{self.server.socket}" if by_unix else f"127.0.0.1:{server}",
            "backend": f"host={self.server.folder if by_unix else '127.0.0.1'} port={server} "
                       "user=postgres"}
        pathlib.Path(file).write_text(text.format(**fields), encoding="ascii")
        self.ports[name] = port
        with open(f"{file}.log", "wb") as log:
            self.processes[name] = subprocess.Popen([word.format(**fields) for word in command],
                                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def run(self, *words, port):
        return subprocess.run(
            [self.pgbench, "-h", "localhost", "-p", str(port), "-U", "postgres", *words, "bench"],
            text=True, check=True, env={**os.environ, "PGSSLMODE": "require",
                                        "PGHOSTADDR": "127.0.0.1"},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def used(self, name):
        """CPU of clients, server and proxy so far."""
        proxy = self.processes.get(name)
        return (cpu_us_of_clients(), cpu_us_with_ended(self.server.process.pid),
                cpu_us(proxy.pid) if proxy else 0.0)

    def measure(self, name, threads, seconds):
        """Transactions a second; CPU of clients, server and proxy for each."""
        before = self.used(name)
        told = self.run("-n", "-S", "-c", "16", "-j", str(threads), "-T", str(seconds),
                        port=self.ports[name])
        time.sleep(0.5)                 # the backends end
        count = int(re.search(r"actually processed: (\d+)", told).group(1))
        rate = float(re.search(r"^tps = ([0-9.]+)", told, re.MULTILINE).group(1))
        return rate, [(after - was) / count for was, after in zip(before, self.used(name))]

    def stop(self):
        for process in self.processes.values():
            process.terminate()
            process.wait()
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def measure_round(bench, threads, seconds):
    """name: (rate of OWN's, [CPU of clients, server, proxy]).  OWN's is measured first and last:
    the machine's mood changes."""
    seen = []
    for name in [*bench.ports, OWN]:
        rate, used = bench.measure(name, threads, seconds)
        seen.append((name, rate, used))
        print(f"pgbench -j {threads:<2} {name:32} {rate:8.0f} a second", file=sys.stderr)
    own = statistics.mean(rate for name, rate, _ in seen if name == OWN)
    return {name: (rate / own if name != OWN else 1.0, used) for name, rate, used in seen}


def measure(program, rounds, seconds):
    """name, threads of pgbench: the same, medians of the rounds."""
    bench = Bench(program)
    figures = {}
    try:
        for _ in range(rounds):
            for threads in THREADS:
                seen = measure_round(bench, threads, max(seconds, SECONDS_LEAST))
                for name, figure in seen.items():
                    figures.setdefault((name, threads), []).append(figure)
    finally:
        bench.stop()
    return {key: (statistics.median(ratio for ratio, _ in seen),
                  [statistics.median(parts) for parts in zip(*[used for _, used in seen])])
            for key, seen in figures.items()}
