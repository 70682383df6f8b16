# SPDX-License-Identifier: PostgreSQL
"""Clients that are closed without a word are counted where an operator sees it."""
import pytest

from peers.proxy import route
from peers.stream import connect


@pytest.mark.parametrize("words, limit", [
    ({"allow": "10.0.0.0/8"}, "allow"),
    ({"deny": "127.0.0.0/8"}, "deny"),
    ({"proxy_protocol": "v1", "trusted_proxies": "10.0.0.1"}, "trusted_proxies"),
])
def test_refused_networks_are_counted_in_few_lines(start, words, limit):
    one = start(route({"address": "127.0.0.1:1"}, words))
    for _ in range(40):
        with connect(one.port) as client:
            assert client.rest() == b""
    first = one.wait_event("limit.reached", limit=limit)
    assert first["level"] == "warn" and first["route"] == "orders" and first["count"] == 1
    assert first["client"].startswith("127.0.0.1:")
    one.stop()                              # what was not told yet is told then
    told = one.find("limit.reached", limit=limit)
    assert sum(line["count"] for line in told) == 40
    assert len(told) < 20
    assert not one.find("connection.end")


def test_the_client_behind_a_proxy_is_counted_too(start):
    words = {"proxy_protocol": "v1", "trusted_proxies": "127.0.0.1", "deny": "192.0.2.0/24"}
    one = start(route({"address": "127.0.0.1:1"}, words))
    for _ in range(3):
        with connect(one.port) as client:
            client.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 5432\r\n")
            assert client.rest() == b""
    assert one.wait_event("limit.reached", limit="deny")["client"] == "192.0.2.9:4711"
    one.stop()
    assert sum(line["count"] for line in one.find("limit.reached", limit="deny")) == 3


def test_nobody_is_counted_who_is_let_in(start, postgres_clear):
    one = start(route({"address": postgres_clear.address}, {"allow": "127.0.0.0/8"}))
    with connect(one.port) as client:
        assert client.login()[-1].type == "Z"
    one.stop()
    assert not one.find("limit.reached")
