# SPDX-License-Identifier: PostgreSQL
"""The program under test: written configuration, running process, log as events."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time

from peers.stream import free_port

SANITIZER_MARKS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


def program():
    if os.environ.get("PGTLS_PROGRAM"):
        return os.environ["PGTLS_PROGRAM"]
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
    places = [os.path.join(source, "build", *more, "pgtls") for more in ((), ("src",), ("src", "cli"))]
    return next((place for place in places if os.path.isfile(place)), places[0])


def program_of_others(folder):
    """A copy that any user may run: the checkout may be in a folder that is only root's."""
    return shutil.copy(program(), folder)


def run(*words, timeout=60, **more):
    """Runs the program to its end; returns the finished process with its texts."""
    if "input" not in more:
        more = {"stdin": subprocess.DEVNULL, **more}
    return subprocess.run([program(), *words], capture_output=True, text=True, timeout=timeout,
                          check=False, **more)


def toml_value(value):
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value)


def toml_lines(table):
    return [f"{key} = {toml_value(value)}" for key, value in table.items() if value is not None]


def toml(top, routes):
    """
    The text of a configuration: `routes` are dicts of name, listener, backend, limits, hosts;
    the last is a list of dicts, which may have a backend.
    """
    lines = toml_lines(top)
    for route in routes:
        lines += ["", "[[proxy]]"]
        lines += toml_lines({k: v for k, v in route.items()
                             if not isinstance(v, dict) and k != "hosts"})
        for part, table in route.items():
            if isinstance(table, dict):
                lines += [f"[proxy.{part}]", *toml_lines(table)]
        for host in route.get("hosts", []):
            lines += ["[[proxy.host]]",
                      *toml_lines({k: v for k, v in host.items() if k != "backend"})]
            if "backend" in host:
                lines += ["[proxy.host.backend]", *toml_lines(host["backend"])]
    return "\n".join(lines) + "\n"


class Proxy:
    """One running proxy.  Every line of its log is kept, parsed where it is JSON.
    Piped: its configuration comes through standard input."""

    def __init__(self, folder, routes, env=None, piped=False, **top):
        self.config = os.path.join(folder, "pgtls.toml")
        self.routes = routes
        self.top = {"log_level": "debug", "log_format": "json", "workers": 1,
                    "event_loop": os.environ.get("PGTLS_EVENT_LOOP"), **top}
        self.lines = []
        self.events = []
        self.changed = threading.Condition()
        self.config_text = toml(self.top, routes)
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(self.config_text)
        self.process = subprocess.Popen([program(), "proxy", "-c", "-" if piped else self.config],
                                        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **(env or {})})
        if piped:
            self.process.stdin.write(self.config_text.encode())
            self.process.stdin.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            with self.changed:
                self.lines.append(line)
                if line.startswith("{"):
                    self.events.append(json.loads(line))
                self.changed.notify_all()
        self.process.stderr.close()
        with self.changed:
            self.changed.notify_all()       # wakes those who wait for a log that ended

    # what it listens on

    @property
    def port(self):
        address = self.routes[0]["listener"]["bind_address"]
        if isinstance(address, list):
            address = address[0]
        return int(address.rpartition(":")[2])

    def wait_ready(self, timeout=20):
        addresses = [route["listener"]["bind_address"] for route in self.routes]
        wanted = sum(len(a) if isinstance(a, list) else 1 for a in addresses)
        self.wait_count("listener.ready", wanted, timeout)
        return self

    # log

    def text(self):
        with self.changed:
            return "\n".join(self.lines)

    def find(self, event, **fields):
        with self.changed:
            return [one for one in self.events if one.get("event") == event
                    and all(one.get(key) == value for key, value in fields.items())]

    def wait_count(self, event, count=1, timeout=20, **fields):
        """Until there are `count` such events; returns them."""
        until = time.monotonic() + timeout
        while True:
            found = self.find(event, **fields)
            if len(found) >= count:
                return found
            left = until - time.monotonic()
            ended = not self.reader.is_alive()
            if left <= 0 or ended:
                raise AssertionError(f"{len(found)} of {count} events {event} {fields}"
                                     f"{' and the program ended' if ended else ''}:\n{self.text()}")
            with self.changed:
                self.changed.wait(min(left, 1))

    def wait_event(self, event, timeout=20, **fields):
        return self.wait_count(event, 1, timeout, **fields)[0]

    def end(self, timeout=20, **fields):
        """The line of the connection that ended."""
        return self.wait_event("connection.end", timeout, **fields)

    # process

    def signal(self, number):
        self.process.send_signal(number)

    def rewrite(self, *routes, **top):
        """Another configuration, for the next reload."""
        self.routes = list(routes)
        with open(self.config + ".new", "w", encoding="utf-8") as out:
            out.write(toml({**self.top, **top}, self.routes))
        os.rename(self.config + ".new", self.config)

    def reload(self, event="reload.ok", **fields):
        """Until it has told of it by `event`, which is returned."""
        before = len(self.find(event, **fields))
        self.signal(signal.SIGHUP)
        return self.wait_count(event, before + 1, **fields)[-1]

    def wait_exit(self, timeout=30):
        code = self.process.wait(timeout)
        self.reader.join(10)
        return code

    def is_running(self):
        return self.process.poll() is None

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def descriptors_at_rest(self):
        """How many it holds once that has not changed for a while."""
        counts = [self.descriptors()]
        until = time.monotonic() + 20
        while counts[-5:] != [counts[-1]] * 5:
            assert time.monotonic() < until, counts
            time.sleep(0.1)
            counts.append(self.descriptors())
        return counts[-1]

    def comes_down_to(self, count, seconds=20):
        """Whether it holds no more descriptors than `count`, soon."""
        until = time.monotonic() + seconds
        while self.descriptors() > count:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def open_files(self):
        """What its descriptors are; some may be closed while one looks."""
        folder = f"/proc/{self.process.pid}/fd"
        found = []
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(os.path.join(folder, number)))
        return found

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Ends it politely; anything but a clean end is a failure of the scenario."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        try:
            code = self.wait_exit(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait_exit()
            raise AssertionError("SIGTERM did not end it within 60 s") from None
        self.check_sanitizers()
        assert code == 0, f"it ended with {code}"

    def check_sanitizers(self):
        text = self.text()
        assert not any(mark in text for mark in SANITIZER_MARKS), text


# The listener of a port whose hosts have certificates of their own.
PORT = {"sslmode": "require"}


def route(backend, listener=None, limits=None, name="orders", hosts=()):
    """A route on a free port of loopback, plaintext on both legs unless told otherwise."""
    address = {"bind_address": f"127.0.0.1:{free_port()}"}
    if "server_cert" not in (listener or {}):
        address["sslmode"] = "disable"
    return {"name": name, "listener": {**address, **(listener or {})},
            **({"backend": backend} if backend else {}),
            "limits": {"max_connections": 1000, "drain_timeout": "2s", **(limits or {})},
            "hosts": list(hosts)}


def sanitized():
    """Whether the program was built with a sanitizer: memory and speed mean nothing then."""
    return "sanitize" in os.environ.get("PGTLS_BUILD", "") or "san" in program()
