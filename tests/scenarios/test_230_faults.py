# SPDX-License-Identifier: PostgreSQL
"""System calls that fail, are short or late: sessions may end, but what comes is right.

A failure tells its seed; PGTLS_FAULT_SEED=N runs that one alone, PGTLS_FAULT_RATE (of a million
calls) makes it worse or better.
"""
import hashlib
import os
import random
import signal
import ssl
import subprocess
import threading
import time

import pytest

from hostile.faults import NEVER, SELDOM, Faults
from peers import wire
from peers.proxy import program, route, toml
from peers.stream import Truncated, connect, connect_tls

RATES = [int(os.environ["PGTLS_FAULT_RATE"])] if "PGTLS_FAULT_RATE" in os.environ else [3000, 20000]

LOOPS = ["epoll", "io_uring"]


def seeds(count):
    if "PGTLS_FAULT_SEED" in os.environ:
        return [int(os.environ["PGTLS_FAULT_SEED"])]
    return list(range(1, count + 1))


def some_long(count):
    """All but the first few take long."""
    return [seed if seed < 3 else pytest.param(seed, marks=pytest.mark.long)
            for seed in seeds(count)]


class Load:
    """Sessions one after the other in some threads; every answer that came whole is compared."""

    def __init__(self, ports, certs, seed):
        self.ports, self.certs, self.seed = ports, certs, seed
        self.sessions = self.answers = 0
        self.wrong = []
        self.stopped = threading.Event()
        self.threads = []
        self.here = threading.local()   # the port of the session of this thread

    def start(self, count=6):
        self.threads = [threading.Thread(target=self._work, args=(number,), daemon=True)
                        for number in range(count)]
        for thread in self.threads:
            thread.start()

    def has_worked(self):
        return self.sessions > 5 and self.answers > 5

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(80)
        assert not any(thread.is_alive() for thread in self.threads), "a client hangs"
        assert not self.wrong, self.wrong[0]

    def _work(self, number):
        dice = random.Random(self.seed * 1000 + number)
        while not self.stopped.is_set():
            try:
                self.session(dice)
            except TimeoutError:
                self.wrong.append(f"{self.here.port}: neither an answer nor an end")
                return
            except (OSError, EOFError, TypeError, Truncated, ssl.SSLError):
                pass                    # ended by a fault, which is its right
            except AssertionError as error:
                if str(error) != "b''":                     # no answer to SSLRequest
                    self.wrong.append(str(error))
                    return

    def session(self, dice):
        kind, port = dice.choice(list(self.ports.items()))
        if kind == "tls":
            stream = connect_tls(port, self.certs.client(), timeout=40)
        else:
            stream = connect(port, timeout=40)
        self.here.port = stream.sock.getsockname()[1]
        with stream:
            if stream.login(database="postgres")[-1].type != "Z":
                return
            self.sessions += 1
            for _ in range(dice.randrange(1, 8)):
                self.ask(stream, dice)
            if dice.random() < 0.5:
                stream.send(wire.TERMINATE)
                stream.rest()

    def ask(self, stream, dice):
        count = dice.choice([1, 100, 3000, 40000])
        word = f"{dice.getrandbits(128):032x}"
        if dice.random() < 0.5:
            sql, expected = f"select repeat('{word}', {count})", word * count
        else:
            text = word * count
            sql, expected = f"select md5('{text}')", hashlib.md5(text.encode()).hexdigest()
        found = stream.query(sql)
        if any(one.type == "E" for one in found):
            raise EOFError
        row = next(one.body for one in found if one.type == "D")
        assert row[6:] == expected.encode(), f"{len(row)} bytes that are not the answer to {sql[:60]}"
        self.answers += 1


@pytest.fixture
def faulty(start, folder, listener, certs, verified, postgres, postgres_clear, monkeypatch):
    """faulty(seed, top): a proxy whose system calls can be made to fail, and the load for it."""
    def one(seed, **top):
        faults = Faults(folder, seed)
        for key, value in faults.env.items():
            monkeypatch.setenv(key, value)
        limits = {"connect_timeout": "2s", "login_timeout": "5s"}
        clear = route({"address": postgres_clear.address}, limits=limits, name="clear")
        secure = route(verified(postgres.address), listener("require"), limits, name="tls")
        proxy = start(clear, secure, workers=2, log_level="info", **top)
        for key in faults.env:
            monkeypatch.delenv(key)
        port = int(secure["listener"]["bind_address"].rpartition(":")[2])
        return faults, proxy, Load({"clear": proxy.port, "tls": port}, certs, seed)
    return one


def many(injected, _loop):
    return sum(injected.values()) > 20


def each_kind(injected, loop):
    return all((count > 0) != (call in NEVER[loop]) for call, count in injected.items()
               if call not in SELDOM[loop])


def suffer(faulty, seed, rates, seconds, loop, enough):
    faults, proxy, load = faulty(seed, event_loop=loop)
    if proxy.wait_event("proxy.start")["event_loop"] != loop:
        pytest.skip(f"{loop} is not to be had here")
    dice = random.Random(seed)
    for _ in range(10):
        load.session(dice)              # what is made once is made
    before = proxy.descriptors_at_rest()
    load.sessions = load.answers = 0
    load.start()
    for rate in rates:
        faults.set_rate(rate)
        time.sleep(seconds / len(rates))
    until = time.monotonic() + 30       # a busy machine does little in `seconds`
    while not (enough(faults.injected, loop) and load.has_worked()) and time.monotonic() < until:
        time.sleep(0.1)
    load.stop()
    faults.set_rate(0)
    where = f"seed {seed}: {faults.injected}"
    assert proxy.is_running(), where
    assert load.has_worked(), where
    assert proxy.comes_down_to(before), \
        f"{proxy.descriptors()} descriptors, {before} before; {where}"
    good = load.answers
    load.sessions = 0
    for _ in range(20):
        load.session(dice)
    assert load.sessions == 20 and load.answers > good, where
    return faults.injected


@pytest.mark.thread
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("seed", seeds(1))
def test_the_proxy_survives_every_fault(faulty, seed, loop):
    injected = suffer(faulty, seed, RATES, 3, loop, many)
    assert many(injected, loop), injected


@pytest.mark.long
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("seed", [seed + 1000 for seed in seeds(10)])
def test_the_proxy_survives_every_fault_for_longer(faulty, seed, loop):
    injected = suffer(faulty, seed, [1000, 10000, 50000], 6, loop, each_kind)
    assert each_kind(injected, loop), injected


@pytest.mark.thread
@pytest.mark.parametrize("seed", some_long(10))
def test_it_drains_and_reloads_under_faults(faulty, seed):
    faults, proxy, load = faulty(seed)
    load.start()
    faults.set_rate(20000)
    for _ in range(5):
        time.sleep(0.2)
        proxy.signal(signal.SIGHUP)
    time.sleep(0.3)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit() == 0, f"seed {seed}"
    load.stop()


def wait_for_handlers(process):
    """Until SIGTERM does not simply end it (proc_pid_status(5)), or it has ended."""
    until = time.monotonic() + 30
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            masks = {row.partition(":")[0]: row.split()[1] for row in status if row.startswith("Sig")}
        if (int(masks["SigBlk"], 16) | int(masks["SigCgt"], 16)) >> (signal.SIGTERM - 1) & 1:
            break
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("seed", some_long(40))
def test_a_start_under_faults_succeeds_or_says_why_not(folder, seed):
    faults = Faults(folder, seed)
    faults.set_rate(100000)
    config = os.path.join(folder, "pgtls.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({"workers": 2}, [route({"address": "127.0.0.1:1"})]))
    proxy = subprocess.Popen([program(), "proxy", "-c", config], env={**os.environ, **faults.env},
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    wait_for_handlers(proxy)
    time.sleep(0.5)
    proxy.send_signal(signal.SIGTERM)
    try:
        text = proxy.communicate(timeout=20)[1]
    except subprocess.TimeoutExpired:
        proxy.kill()
        raise AssertionError(f"seed {seed}: hangs:\n{proxy.communicate()[1]}") from None
    assert proxy.returncode in (0, 1), f"seed {seed}: {proxy.returncode}\n{text}"
    assert proxy.returncode == 0 or "pgtls:" in text, f"seed {seed}\n{text}"
