#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Measures pgtls beside other TLS proxies and writes RESULTS.md.

    bench/run.py [--program build/src/pgtls] [--rounds 3] [--seconds 5] [--write]

Every figure is CPU microseconds of the proxy (its whole process tree) per unit,
taken from /proc, not a rate: load, proxy and backend share the machine.  The
rounds are interleaved (one figure, every proxy, next figure), and the median
of the rounds is what is compared.  Quote ratios, not absolute times.
"""
import argparse
import datetime
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BACKEND_PORT = 7000
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")

PGBOUNCER = """[databases]
* = host=127.0.0.1 port=7000 user=bench
[pgbouncer]
listen_addr=127.0.0.1
listen_port=7101
auth_type=any
pool_mode=session
max_client_conn=9000
default_pool_size=9000
server_reset_query=
client_tls_sslmode=require
client_tls_cert_file={dir}/server.crt
client_tls_key_file={dir}/server.key
unix_socket_dir=
logfile={dir}/pgbouncer.log
log_connections=0
log_disconnections=0
ignore_startup_parameters=extra_float_digits
"""
STUNNEL = """foreground = yes
pid =
debug = 3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[pg]
accept = 127.0.0.1:7102
connect = 127.0.0.1:7000
cert = {dir}/server.crt
key = {dir}/server.key
protocol = pgsql
"""
HAPROXY = """global
  nbthread 1
  maxconn 9000
  tune.ssl.default-dh-param 2048
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen pg
  bind 127.0.0.1:7103 ssl crt {dir}/both.pem alpn postgresql
  server s1 127.0.0.1:7000
"""
NGINX = """load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
daemon off;
pid {dir}/nginx.run;
error_log {dir}/nginx.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
stream {{ server {{ listen 127.0.0.1:7105 ssl; ssl_certificate {dir}/server.crt;
  ssl_certificate_key {dir}/server.key; ssl_alpn postgresql; ssl_protocols TLSv1.2 TLSv1.3;
  proxy_pass 127.0.0.1:7000; tcp_nodelay on; }} }}
"""
PGTLS = """workers = 1
log_level = "warn"
[[proxy]]
name = "bench"
[proxy.listener]
bind_address = "127.0.0.1:7106"
server_cert = "{dir}/server.crt"
server_key = "{dir}/pgtls.key"
sslmode = "require"
[proxy.backend]
address = "127.0.0.1:7000"
[proxy.limits]
max_connections = 9000
"""

# name, configuration file, command, port, direct TLS only
PEERS = [
    ("pgbouncer", PGBOUNCER, ["setpriv", "--reuid=65534", "--clear-groups", "pgbouncer", "{file}"],
     7101, False),
    ("stunnel", STUNNEL, ["stunnel", "{file}"], 7102, False),
    ("haproxy", HAPROXY, ["haproxy", "-f", "{file}"], 7103, True),
    ("hitch", "", ["hitch", "--user=nobody", "--frontend=[127.0.0.1]:7104",
                   "--backend=[127.0.0.1]:7000", "--alpn-protos=postgresql", "-n", "1",
                   "--keepalive=3600", "{dir}/both.pem"], 7104, True),
    ("nginx", NGINX, ["nginx", "-c", "{file}", "-p", "{dir}"], 7105, True),
    ("pgtls", PGTLS, ["{program}", "proxy", "-c", "{file}"], 7106, True),
]

# column, pgload arguments (PORT, SECONDS are put in), unit
COLUMNS = [
    ("handshake", "handshake PORT SECONDS 2"),
    ("login", "connect PORT SECONDS 2"),
    ("query x1", "query PORT SECONDS 1"),
    ("query x32", "query PORT SECONDS 32"),
    ("MiB down", "bulk PORT 3000 1"),
    ("MiB up", "upload PORT 3000 1"),
]
IDLE = "idle bytes"
BESIDE = "query x32 beside 8000 idle"
ASKED = "pgtls, SSLRequest"
TLS_PEERS = ["pgbouncer", "stunnel", "haproxy", "hitch", "nginx"]
# PgBouncer's login reuses a pooled server connection: another work
COMPARED = {"login": ["haproxy", "hitch", "nginx"]}


def tree(pid):
    yield pid
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from tree(int(child))


def cpu_us(pid):
    ticks = 0
    for process in tree(pid):
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK_US


def pss_bytes(pid):
    total = 0
    for process in tree(pid):
        for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Bench:
    def __init__(self, program, seconds):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pgtls-bench-"))
        os.chmod(self.dir, 0o777)
        self.program = str(pathlib.Path(program).resolve())
        self.seconds = str(seconds)
        self.processes = []
        self.pids = {}
        self.ports = {}
        self.direct = {}

    def prepare(self):
        run = lambda *a: subprocess.run(a, check=True, cwd=self.dir, stderr=subprocess.DEVNULL)
        run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-out", "server.key")
        run("openssl", "req", "-x509", "-new", "-key", "server.key", "-days", "30", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out",
            "server.crt")
        key, crt = (self.dir / "server.key").read_text(), (self.dir / "server.crt").read_text()
        (self.dir / "both.pem").write_text(key + crt)
        (self.dir / "pgtls.key").write_text(key)
        os.chmod(self.dir / "pgtls.key", 0o600)
        os.chmod(self.dir / "server.key", 0o644)
        run("cc", "-O2", "-o", "pgload", str(HERE / "pgload.c"), "-lssl", "-lcrypto", "-lpthread")

    def start(self):
        self.spawn(["./pgload", "backend", str(BACKEND_PORT)])
        for name, text, command, port, direct in PEERS:
            words = [w.format(dir=self.dir, file=f"{self.dir}/{name}.conf", program=self.program)
                     for w in command]
            if shutil.which(words[0]) is None or (name == "pgbouncer" and
                                                  shutil.which("pgbouncer") is None):
                print(f"{name}: not installed, left out", file=sys.stderr)
                continue
            (self.dir / f"{name}.conf").write_text(text.format(dir=self.dir))
            self.pids[name] = self.spawn(words)
            self.ports[name], self.direct[name] = port, direct
        # the same process, asked in PostgreSQL's own way
        self.pids[ASKED], self.ports[ASKED], self.direct[ASKED] = self.pids["pgtls"], 7106, False
        time.sleep(2)

    def spawn(self, words):
        log = open(self.dir / "output.log", "a")
        process = subprocess.Popen(words, cwd=self.dir, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process.pid

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir)

    def environment(self, name):
        return {**os.environ, **({"DIRECT": "1"} if self.direct[name] else {})}

    def pgload(self, name, arguments):
        """Operations done, or None after an error."""
        words = arguments.replace("PORT", str(self.ports[name])).replace("SECONDS", self.seconds)
        done = subprocess.run(["./pgload", *words.split()], cwd=self.dir, text=True,
                              env=self.environment(name), stdout=subprocess.PIPE, timeout=300)
        fields = done.stdout.split()
        return int(fields[0]) if len(fields) > 4 and fields[4] == "0" else None

    def measure(self, name, arguments):
        before = cpu_us(self.pids[name])
        operations = self.pgload(name, arguments)
        return (cpu_us(self.pids[name]) - before) / operations if operations else None

    def with_idle(self, name, count, act):
        """act() while `count` logged-in connections are idle; their memory per connection."""
        before = pss_bytes(self.pids[name])
        holder = subprocess.Popen(["./pgload", "idle", str(self.ports[name]), str(count), "600"],
                                  cwd=self.dir, env=self.environment(name),
                                  stdout=subprocess.PIPE, text=True)
        try:
            first = holder.stdout.readline().split()
            time.sleep(1)
            each = (pss_bytes(self.pids[name]) - before) / count
            return (each if first and first[0] == str(count) else None), act()
        finally:
            holder.kill()
            holder.wait()
            time.sleep(2)


def measure_all(bench, rounds):
    figures = {}

    def add(column, name, value):
        figures.setdefault(column, {}).setdefault(name, []).append(value)

    for number in range(rounds):
        for column, arguments in COLUMNS:
            for name in bench.pids:
                value = bench.measure(name, arguments)
                add(column, name, value)
                print(f"round {number + 1}: {column:12} {name:10} "
                      f"{'failed' if value is None else f'{value:.1f}'}", file=sys.stderr)
        for name in bench.pids:
            if number == 0:
                add(IDLE, name, bench.with_idle(name, 3000, lambda: None)[0])
        query = dict(COLUMNS)["query x32"]
        alone = bench.measure("pgtls", query)
        _, beside = bench.with_idle("pgtls", 8000, lambda: bench.measure("pgtls", query))
        again = bench.measure("pgtls", query)
        if alone and beside and again:
            add(BESIDE, "pgtls", beside / ((alone + again) / 2))
    return {column: {name: (None if None in values else statistics.median(values))
                     for name, values in names.items()} for column, names in figures.items()}


def cell(value, digits=1):
    return "failed" if value is None else f"{value:.{digits}f}"


def ratio(column, name, peers):
    best = [column[peer] for peer in peers if column.get(peer)]
    return f"{column[name] / min(best):.2f}" if column.get(name) and best else "n/a"


def report(medians, names, options):
    version = lambda *a: subprocess.run(a, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT).stdout.splitlines()[0]
    columns = [c for c, _ in COLUMNS] + [IDLE]
    lines = [
        "# Results", "",
        f"{datetime.date.today()}, {platform.platform()}, {os.cpu_count()} cores, "
        f"{version('openssl', 'version')}; made by", "",
        f"    bench/run.py --rounds {options.rounds} --seconds {options.seconds} --write", "",
        "CPU microseconds of the proxy per unit, medians; idle: bytes of memory per idle,",
        "logged-in TLS connection.  TLS 1.3, ECDSA P-256, library record layer, epoll, one worker.",
        "haproxy, hitch and nginx speak direct TLS only; PgBouncer and stunnel SSLRequest only;",
        "pgtls both.", "",
        "| | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(
            cell(medians[c].get(name), 0 if c == IDLE else 1) for c in columns) + " |")
    lines += ["", "pgtls against the best TLS peer of each column (for logins of haproxy, hitch and",
              "nginx: PgBouncer reuses pooled server connections there); lower is better.", "",
              "| | " + " | ".join(columns) + " | " + BESIDE + " |",
              "| --- |" + " --- |" * (len(columns) + 1)]
    for name in ("pgtls", ASKED):
        row = [ratio(medians[c], name, COMPARED.get(c, TLS_PEERS)) for c in columns]
        row.append(cell(medians.get(BESIDE, {}).get(name), 2) if name == "pgtls" else "")
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines + [""])


def main():
    parser = argparse.ArgumentParser(description="Measures pgtls beside other TLS proxies.")
    parser.add_argument("--program", default=str(HERE.parent / "build/src/pgtls"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    bench = Bench(options.program, options.seconds)
    try:
        bench.prepare()
        bench.start()
        text = report(measure_all(bench, options.rounds), list(bench.pids), options)
    finally:
        bench.stop()
    print(text)
    if options.write:
        (HERE / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
