# SPDX-License-Identifier: PostgreSQL
"""The proxies that are measured: their configurations, and how they are started.

Each has one worker and stands in front of the null backend on port 7000.  haproxy, hitch and
nginx speak direct TLS only; PgBouncer and stunnel SSLRequest only; pgtls both.  The load asks for
one group of key exchange, so that a handshake is the same work for everybody.
"""
import contextlib
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BACKEND_PORT = 7000
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
# the first of OpenSSL's own list
GROUP = "X25519MLKEM768" if ssl.OPENSSL_VERSION_INFO >= (3, 5) else "X25519"

PGBOUNCER = """[databases]
* = {backend}
[pgbouncer]
listen_addr=127.0.0.1
listen_port={port}
auth_type=any
pool_mode=session
max_client_conn=9000
default_pool_size=9000
server_reset_query=
client_tls_sslmode=require
client_tls_cert_file={dir}/server.crt
client_tls_key_file={dir}/server.key
client_tls_ca_file={dir}/server.crt
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
accept = 127.0.0.1:{port}
connect = 127.0.0.1:7000
cert = {dir}/server.crt
key = {dir}/server.key
curves = {group}
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
  bind 127.0.0.1:{port} ssl crt {dir}/both.pem alpn postgresql curves {group}
  server s1 127.0.0.1:7000
"""
HITCH = """frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:7000"
pem-file = "{dir}/both.pem"
alpn-protos = "postgresql"
ecdh-curve = "{group}"
workers = 1
keepalive = 3600
user = "nobody"
"""
NGINX = """load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
daemon off;
pid {dir}/{name}.run;
error_log {dir}/{name}.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
stream {{ server {{ listen 127.0.0.1:{port}{tls} proxy_pass 127.0.0.1:7000; tcp_nodelay on; }} }}
"""
NGINX_TLS = (" ssl; ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key;"
             " ssl_alpn postgresql; ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve {group};")
PGTLS = """workers = {workers}
event_loop = "{loop}"
log_level = "warn"
[[proxy]]
name = "bench"
[proxy.listener]
bind_address = "127.0.0.1:{port}"
server_cert = "{dir}/server.crt"
server_key = "{dir}/pgtls.key"
sslmode = "require"
{listener}
[proxy.backend]
{backend}
[proxy.limits]
max_connections = 9000
"""
NULL_BACKEND = "host=127.0.0.1 port=7000 user=bench"
IN_CLEAR = 'address = "127.0.0.1:7000"'
IN_TLS = ('address = "127.0.0.1:7106"\nsslmode = "verify-full"\nsslnegotiation = "direct"\n'
          'root_ca = "{dir}/server.crt"')
SERVE = ["{program}", "proxy", "-c", "{file}"]


def pgtls(workers=1, loop="auto", listener="", backend=IN_CLEAR):
    """The configuration, with what differs filled in."""
    filled = {"{workers}": str(workers), "{loop}": loop, "{listener}": listener,
              "{backend}": backend}
    text = PGTLS
    for field, value in filled.items():
        text = text.replace(field, value)
    return text


# name: configuration file, command, port, what the load asks for
DIRECT, ASK, PLAIN = {"DIRECT": "1"}, {}, {"PLAIN": "1"}
PROXIES = {
    "pgbouncer": (PGBOUNCER, ["setpriv", "--reuid=65534", "--clear-groups", "pgbouncer",
                              "{file}"], 7101, ASK),
    "stunnel": (STUNNEL, ["stunnel", "{file}"], 7102, ASK),
    "haproxy": (HAPROXY, ["haproxy", "-f", "{file}"], 7103, DIRECT),
    "hitch": (HITCH, ["hitch", "--config={file}"], 7104, DIRECT),
    "nginx": (NGINX.replace("{tls}", NGINX_TLS), ["nginx", "-c", "{file}", "-p", "{dir}"], 7105,
              DIRECT),
    "nginx without TLS": (NGINX.replace("{tls}", ";"), ["nginx", "-c", "{file}", "-p", "{dir}"],
                          7110, PLAIN),
    "pgtls": (pgtls(), SERVE, 7106, DIRECT),
    "pgtls, library, epoll": (pgtls(loop="epoll", listener='record_layer = "library"'), SERVE,
                              7107, DIRECT),
    "pgtls, record, epoll": (pgtls(loop="epoll"), SERVE, 7111, DIRECT),
    "pgtls, two workers": (pgtls(workers=2), SERVE, 7108, DIRECT),
    "pgtls, TLS on both legs": (pgtls(backend=IN_TLS), SERVE, 7109, DIRECT),
}
SAME_PROCESS = {"pgtls, SSLRequest": ("pgtls", ASK)}
TLS_PEERS = ["pgbouncer", "stunnel", "haproxy", "hitch", "nginx"]


def children(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):    # stunnel's threads come and go
            yield from map(int, task.read_text().split())


def tree(pid):
    yield pid
    for child in children(pid):
        yield from tree(child)


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


class Proxies:
    """All of them, running; and the load that is sent through one at a time."""

    def __init__(self, program, seconds):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pgtls-bench-"))
        os.chmod(self.dir, 0o777)
        self.program = str(pathlib.Path(program).resolve())
        self.seconds = str(seconds)
        self.processes = []
        self.pids, self.ports, self.asked = {}, {}, {}

    def prepare(self):
        run = lambda *a: subprocess.run(a, check=True, cwd=self.dir, stderr=subprocess.DEVNULL)
        run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-out", "server.key")
        run("openssl", "req", "-x509", "-new", "-key", "server.key", "-days", "90", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out",
            "server.crt")
        key, crt = (self.dir / "server.key").read_text(), (self.dir / "server.crt").read_text()
        (self.dir / "both.pem").write_text(key + crt)
        (self.dir / "pgtls.key").write_text(key)
        os.chmod(self.dir / "pgtls.key", 0o600)
        os.chmod(self.dir / "server.key", 0o644)
        for program in ("pgload", "null_backend", "floor"):
            run("cc", "-O2", "-o", program, str(HERE / f"{program}.c"), "-lssl", "-lcrypto",
                "-lpthread")

    def start(self, wanted):
        """Those whose name has one of the words `wanted`."""
        self.spawn(["./null_backend", str(BACKEND_PORT)])
        for name, (text, command, port, asked) in PROXIES.items():
            if not any(word in name for word in wanted):
                continue
            file = self.dir / f"{name.replace(' ', '-').replace(',', '')}.conf"
            fields = {"dir": self.dir, "name": file.stem, "port": port, "file": file,
                      "program": self.program, "group": GROUP, "backend": NULL_BACKEND}
            words = [word.format(**fields) for word in command]
            missing = [word for word in words if word in PROXIES or "/" in word[:1]]
            if missing and shutil.which(missing[0]) is None and not os.path.exists(missing[0]):
                print(f"{name}: not installed, left out", file=sys.stderr)
                continue
            file.write_text(text.replace("{dir}", str(self.dir)).format(**fields))
            self.pids[name], self.ports[name], self.asked[name] = self.spawn(words), port, asked
        for name, (other, asked) in SAME_PROCESS.items():
            if other not in self.pids:
                continue
            self.pids[name], self.ports[name] = self.pids[other], self.ports[other]
            self.asked[name] = asked
        time.sleep(2)
        dead = [words for process, words in self.processes if process.poll() is not None]
        if dead:
            sys.exit(f"did not start: {dead}\n{(self.dir / 'output.log').read_text()}")

    def spawn(self, words):
        log = open(self.dir / "output.log", "a", encoding="utf-8")
        process = subprocess.Popen(words, cwd=self.dir, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
        self.processes.append((process, words))
        return process.pid

    def stop(self):
        for process, _ in reversed(self.processes):
            process.terminate()
        for process, _ in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir)

    def environment(self, name):
        return {**os.environ, "GROUP": GROUP, **self.asked[name]}

    def load(self, name, arguments):
        """Operations done, or None after an error."""
        words = arguments.replace("PORT", str(self.ports[name])).replace("SECONDS", self.seconds)
        done = subprocess.run(["./pgload", *words.split()], cwd=self.dir, text=True, check=False,
                              env=self.environment(name), stdout=subprocess.PIPE, timeout=300)
        fields = done.stdout.split()
        return int(fields[0]) if len(fields) > 4 and fields[4] == "0" else None

    def cpu_per_unit(self, name, arguments):
        before = cpu_us(self.pids[name])
        operations = self.load(name, arguments)
        return (cpu_us(self.pids[name]) - before) / operations if operations else None

    def floor(self):
        """CPU microseconds of OpenSSL's own server handshake, with nothing around it."""
        done = subprocess.run(["./floor", "server.crt", "server.key", GROUP, self.seconds],
                              cwd=self.dir, text=True, check=True, stdout=subprocess.PIPE)
        return float(done.stdout)

    def with_idle(self, name, count, act=lambda: None):
        """act() while `count` logged-in connections are idle, behind their memory for each."""
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
