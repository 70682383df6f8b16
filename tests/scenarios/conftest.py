# SPDX-License-Identifier: PostgreSQL
"""Fixtures of the scenarios.  Peers are real: PostgreSQL, psql, psycopg, raw sockets."""
import os
import shutil
import signal
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "certs"))

import make                                                             # noqa: E402
from peers import backend as backends                                   # noqa: E402
from peers import descriptors                                           # noqa: E402
from peers import postgres as postgres_servers                          # noqa: E402
from peers.certs import Certs                                           # noqa: E402
from peers.odd_certs import OddCerts                                    # noqa: E402
from peers.proxy import Proxy, program                           # noqa: E402

SHORT_LIMIT_S, LONG_LIMIT_S = 180, 900
MANY = 65536                            # a shell gives a thousand descriptors; a crowd needs more


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long; only with --long")
    config.addinivalue_line("markers", "thread: also run under ThreadSanitizer")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the long scenarios and no others")
    parser.addoption("--everything", action="store_true", help="quick and long ones")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--everything"):
        return
    wanted = config.getoption("--long")
    kept = [one for one in items if (one.get_closest_marker("long") is not None) == wanted]
    config.hook.pytest_deselected(items=[one for one in items if one not in kept])
    items[:] = kept


def pytest_sessionstart(session):
    if not os.access(program(), os.X_OK):
        pytest.exit(f"{program()} is not there: run make, or set PGTLS_PROGRAM", 2)
    for name in [name for name in os.environ if name.startswith("PG") and name.isupper()
                 and not name.startswith("PGTLS_")]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"    # what psql says is compared
    descriptors.allow(MANY)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the log of the proxy, and how to run this one scenario again."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for one in getattr(item, "proxies", []):
        report.sections.append(("log of the proxy", one.text()[-20000:]))
        report.sections.append(("its configuration", one.config_text))
    report.sections.append(("again", f"/usr/bin/python3 -m pytest '{item.nodeid}'"))


@pytest.fixture(autouse=True)
def no_scenario_hangs(request):
    limit = LONG_LIMIT_S if request.node.get_closest_marker("long") else SHORT_LIMIT_S

    def on_alarm(*_):
        raise TimeoutError(f"the scenario took more than {limit} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def session_folder():
    """Readable by the user that PostgreSQL runs as; a short path, for Unix sockets."""
    folder = tempfile.mkdtemp(prefix="pgtls-", dir="/tmp")
    os.chmod(folder, 0o755)
    os.environ["HOME"] = folder         # no ~/.postgresql of this machine
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def certs(session_folder):
    folder = os.path.join(session_folder, "certs")
    make.make(folder)
    return Certs(folder)


@pytest.fixture(scope="session")
def odd(session_folder):
    """Certificates with faults."""
    return OddCerts(os.path.join(session_folder, "odd"))


@pytest.fixture(scope="session")
def template(session_folder):
    return postgres_servers.Template(session_folder)


@pytest.fixture(scope="session")
def postgres(session_folder, template, certs):
    """A server with ssl = on."""
    server = postgres_servers.Postgres(session_folder, template, certs, "pg-ssl", ssl=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_clear(session_folder, template, certs):
    """A server with ssl = off."""
    server = postgres_servers.Postgres(session_folder, template, certs, "pg-clear", ssl=False)
    yield server
    server.stop()


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="pgtls-", dir="/tmp")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(request, folder):
    """start(routes..., log_level=...): a running proxy, ended and judged behind the scenario."""
    running = []
    request.node.proxies = running

    def one(*routes, ready=True, **top):
        place = os.path.join(folder, f"proxy-{len(running)}")
        os.mkdir(place)
        proxy = Proxy(place, list(routes), **top)
        running.append(proxy)
        return proxy.wait_ready() if ready else proxy

    yield one
    problems = []
    for proxy in running:
        try:
            proxy.stop()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.fixture
def fake(request):
    """fake(script): a server of our own making, stopped behind the scenario."""
    running = []

    def one(script, **more):
        running.append(backends.FakeBackend(script, **more))
        return running[-1]

    yield one
    for server in running:
        server.stop()


@pytest.fixture
def blackhole():
    hole = backends.Blackhole()
    yield hole
    hole.stop()


@pytest.fixture
def listener(certs):
    """listener(sslmode, **more): the TLS settings of a listener."""
    def one(sslmode="require", cert="server", **more):
        words = {"sslmode": sslmode}
        if sslmode != "disable":
            words |= {"server_cert": certs.cert(cert), "server_key": certs.key(cert)}
        if sslmode and sslmode.startswith("verify"):
            words |= {"client_ca": certs.cert("clients-ca")}
        return {**words, **more}
    return one


@pytest.fixture
def verified(certs):
    """verified(address, **more): a backend with verify-full."""
    def one(address, **more):
        return {"address": address, "sslmode": "verify-full",
                "root_ca": certs.cert("backends-ca"), **more}
    return one


