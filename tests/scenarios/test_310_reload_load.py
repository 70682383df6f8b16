# SPDX-License-Identifier: PostgreSQL
"""A thousand reloads under load: nobody is turned away, and nothing is left behind."""
import threading

import pytest

from peers.installed import Files, wait_served
from peers.proxy import route, sanitized
from peers.stream import connect_tls

ROUNDS = 1000
NAMES = ("server", "server-rsa", "server-ed25519")


class Load:
    """Sessions over TLS, one after the other in some threads; every failure is kept."""

    def __init__(self, port, certs, threads=3):
        self.port, self.certs = port, certs
        self.sessions, self.failures = 0, []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _work(self):
        while not self.stopped.is_set():
            try:
                with connect_tls(self.port, self.certs.careless_client()) as client:
                    assert client.login()[-1].type == "Z"
                    assert client.query("SELECT 1")[-1].type == "Z"
                self.sessions += 1
            except Exception as error:                  # pylint: disable=broad-except
                self.failures.append(repr(error))

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)


@pytest.fixture
def files(certs, folder):
    one = Files(certs, folder + "/tls")
    one.put_both("server")
    return one


def reloads(proxy, files, count):
    """Every second one has a new certificate; every hundredth comes by the files alone."""
    for number in range(count):
        name = NAMES[number // 2 % len(NAMES)]
        if number % 100 == 99:
            files.put_both(NAMES[(number // 2 + 1) % len(NAMES)])
            wait_served(proxy.port, files.serial(NAMES[(number // 2 + 1) % len(NAMES)]))
            continue
        files.put_both(name)
        proxy.reload(cause="signal")         # the files may have been noticed before


def settled(proxy):
    """Descriptors and memory once the load has gone."""
    return proxy.descriptors_at_rest(), proxy.resident_kib()


def run_rounds(start, files, certs, postgres_clear, rounds):
    proxy = start(route({"address": postgres_clear.address}, files.listener()), log_level="info",
                  workers=2)
    held = connect_tls(proxy.port, certs.careless_client())
    assert held.login()[-1].type == "Z"
    load = Load(proxy.port, certs)
    reloads(proxy, files, rounds // 10)                 # pools and caches are filled
    load.stop()
    before = settled(proxy)
    load = Load(proxy.port, certs)
    reloads(proxy, files, rounds - rounds // 10)
    load.stop()
    after = settled(proxy)
    assert held.query("SELECT 1")[-1].type == "Z"       # of the first generation
    held.close()
    assert not load.failures, load.failures[:3]
    assert load.sessions > rounds / 20
    failed = [one["reason"] for one in proxy.find("reload.failed")]
    assert not failed, failed
    print(f"{len(proxy.find('reload.ok'))} reloads, {load.sessions} sessions, descriptors "
          f"{before[0]} -> {after[0]}, resident {before[1]} -> {after[1]} KiB")
    assert after[0] <= before[0] + 2, (before, after)
    if rounds == ROUNDS and not sanitized():            # fewer only fill pools
        assert after[1] <= before[1] * 1.15 + 1024, (before, after)


@pytest.mark.long
def test_a_thousand_reloads_under_load_leak_nothing(start, files, certs, postgres_clear):
    run_rounds(start, files, certs, postgres_clear, ROUNDS)


@pytest.mark.thread
def test_thirty_reloads_under_load_turn_nobody_away(start, files, certs, postgres_clear):
    run_rounds(start, files, certs, postgres_clear, 30)
