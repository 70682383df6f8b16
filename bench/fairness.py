#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""How long a small query takes while others keep the proxy busy.

    bench/fairness.py [--program build/src/pgtls] [--event-loop auto] [--seconds 8]

One worker, TLS towards clients, a null backend.  A query is asked each millisecond over one
connection, and its time is told: alone, beside seven streams of bulk, beside 500 handshakes a
second, beside eight clients that asked for 64 MiB and do not read.  The streams' rate is compared
with what they reach without the query.  Wanted: p50 of 1 ms and p99 of 5 ms at the most, and 90 %
of the rate.  Load, proxy and backend share the machine: run it on an idle one.
"""
import argparse
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
STREAMS, HANDSHAKES_A_SECOND, STALLED = 7, 500, 8
P50_MOST_US, P99_MOST_US, RATE_LEAST = 1000, 5000, 0.9

CONFIG = """workers = 1
log_level = "warn"
event_loop = "{loop}"
[[proxy]]
name = "bench"
[proxy.listener]
bind_address = "127.0.0.1:{port}"
server_cert = "{dir}/server.crt"
server_key = "{dir}/server.key"
sslmode = "require"
[proxy.backend]
address = "127.0.0.1:{backend}"
[proxy.limits]
max_connections = 9000
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Fairness:
    def __init__(self, program, loop, seconds):
        self.dir = tempfile.mkdtemp(prefix="pgtls-fairness-")
        self.seconds, self.port, backend = seconds, free_port(), free_port()
        self.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key", "-out",
                 "server.crt", "-days", "30", "-subj", "/CN=localhost")
        os.chmod(os.path.join(self.dir, "server.key"), 0o600)
        for name in ("pgload", "null_backend"):
            self.run("cc", "-O2", "-o", name, str(HERE / f"{name}.c"), "-lssl", "-lcrypto",
                     "-lpthread")
        with open(os.path.join(self.dir, "pgtls.toml"), "w", encoding="utf-8") as out:
            out.write(CONFIG.format(loop=loop, port=self.port, dir=self.dir, backend=backend))
        self.running = [self.spawn("./null_backend", str(backend)),
                        self.spawn(str(pathlib.Path(program).resolve()), "proxy", "-c",
                                   "pgtls.toml")]
        time.sleep(1)

    def run(self, *words):
        subprocess.run(words, check=True, cwd=self.dir, stderr=subprocess.DEVNULL)

    def spawn(self, *words, **environment):
        return subprocess.Popen(words, cwd=self.dir, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, **environment})

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait()

    def load(self, mode, *arguments, **environment):
        return self.spawn("./pgload", mode, str(self.port), *map(str, arguments), **environment)

    def ask(self):
        """(p50, p99, max) of queries, in microseconds"""
        text = self.load("query", self.seconds, 1, LATENCY="1").communicate()[0]
        return tuple(int(n) for n in re.search(r"p50 (\d+) p99 (\d+) max (\d+)", text).groups())

    def beside(self, *load, **environment):
        other = self.load(*load, **environment)
        try:
            time.sleep(0.5)
            return self.ask()
        finally:
            other.kill()
            other.wait()

    def stream_rate(self, megabytes, with_query):
        """MiB a second of all streams; what the query saw meanwhile."""
        streams = self.load("bulk", megabytes, STREAMS)
        seen = None
        if with_query:
            time.sleep(0.3)
            seen = self.ask()
        text = streams.communicate()[0]
        return float(text.split()[2]), seen


def tell(name, seen):
    p50, p99, most = seen
    good = p50 <= P50_MOST_US and p99 <= P99_MOST_US
    print(f"{name:34} p50 {p50:6} us   p99 {p99:6} us   max {most:6} us   "
          f"{'' if good else 'MISSED'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", default=str(HERE.parent / "build/src/pgtls"))
    parser.add_argument("--event-loop", default="auto")
    parser.add_argument("--seconds", type=int, default=8)
    options = parser.parse_args()
    one = Fairness(options.program, options.event_loop, options.seconds)
    try:
        good = tell("a query alone", one.ask())
        rate, _ = one.stream_rate(200, False)
        # as long as the queries take, and a little more
        megabytes = int(rate * (options.seconds + 1.5) / STREAMS)
        alone, _ = one.stream_rate(megabytes, False)
        rate, seen = one.stream_rate(megabytes, True)
        good &= tell(f"beside {STREAMS} streams", seen)
        print(f"{'':34} the streams keep {rate / alone:.2f} of {alone:.0f} MiB/s   "
              f"{'' if rate / alone >= RATE_LEAST else 'MISSED'}", flush=True)
        good &= rate / alone >= RATE_LEAST
        good &= tell(f"beside {HANDSHAKES_A_SECOND} handshakes a second",
                     one.beside("handshake", 600, 8, RATE=str(HANDSHAKES_A_SECOND)))
        good &= tell(f"beside {STALLED} stalled readers", one.beside("stall", STALLED, 600))
    finally:
        one.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
