# SPDX-License-Identifier: PostgreSQL
"""The PROXY protocol, in front of clients and towards servers (proxy-protocol.txt)."""
import os
import socket
import stat
import struct

import pytest

from peers import wire
from peers.backend import accept_login
from peers.proxy import route, run, toml
from peers.stream import connect

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.7 203.0.113.1 40000 5432\r\n"
V2 = SIGNATURE + b"\x21\x11" + struct.pack("!H4s4sHH", 12, socket.inet_aton("203.0.113.7"),
                                          socket.inet_aton("203.0.113.1"), 40000, 5432)
TRUSTING = {"trusted_proxies": ["127.0.0.0/8"]}


def behind(server, version, more=None, **limits):
    return route({"address": server.address}, {"proxy_protocol": version, **TRUSTING,
                                               **(more or {})}, limits or None)


@pytest.mark.parametrize("version, header", [("v1", V1), ("v2", V2), ("any", V1), ("any", V2)])
@pytest.mark.parametrize("cut", [0, 1, 7, 20])
def test_the_client_is_the_one_the_header_names(start, postgres_clear, version, header, cut):
    proxy = start(behind(postgres_clear, version))
    with connect(proxy.port) as client:
        client.send(header[:cut])
        client.send(header[cut:])
        assert client.login()[-1].type == "Z"
    end = proxy.end()
    assert end["client"] == "203.0.113.7:40000"
    assert end["client_via"].startswith("127.0.0.1:")


@pytest.mark.parametrize("version, sent", [
    ("v1", V2), ("v2", V1), ("any", b""), ("any", b"PROXY nonsense\r\n"),
    ("any", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n"), ("v2", SIGNATURE + b"\x21\x11\xff\xff"),
])
def test_without_the_right_header_nothing_is_served(start, postgres_clear, version, sent):
    proxy = start(behind(postgres_clear, version))
    with connect(proxy.port) as client:
        client.send(sent + wire.startup())
        assert client.rest() == b""
    assert proxy.end()["reason"] == "bad_proxy_header"


def test_from_elsewhere_a_connection_is_closed(start, postgres_clear):
    proxy = start(behind(postgres_clear, "any", {"trusted_proxies": ["192.0.2.1"]}))
    with connect(proxy.port) as client:
        try:
            client.send(V1 + wire.startup())
            assert client.rest() == b""
        except ConnectionError:
            pass
    assert not proxy.find("client.accept")


def test_the_rules_are_about_the_client_behind_the_proxy(start, postgres_clear):
    proxy = start(behind(postgres_clear, "v1", {"deny": ["203.0.113.0/24"]}))
    with connect(proxy.port) as client:
        client.send(V1 + wire.startup())
        assert client.rest() == b""
    assert proxy.end()["reason"] == "denied"
    with connect(proxy.port) as client:
        client.send(V1.replace(b"203.0.113.7", b"198.51.100.7"))
        assert client.login()[-1].type == "Z"


def test_the_header_must_come_before_first_byte_timeout(start, postgres_clear):
    proxy = start(behind(postgres_clear, "v1", first_byte_timeout="1s"))
    with connect(proxy.port) as client:
        client.send(V1[:10])
        assert client.rest() == b""
    assert proxy.end()["reason"] == "first_byte_timeout"


@pytest.mark.parametrize("header", [V1, V2, SIGNATURE + b"\x20\0\0\0", b"PROXY UNKNOWN\r\n"])
def test_a_health_check_of_the_proxy_in_front_is_not_worth_a_line(start, postgres_clear, header):
    proxy = start(behind(postgres_clear, "any"))
    connect(proxy.port).send(header)            # and it is closed
    end = proxy.end()
    assert (end["level"], end["bytes_in"], end["reason"]) == ("debug", 0, "client_closed")


def read_v2(server):
    head = server.read(16)
    assert head[:12] == SIGNATURE and head[12] == 0x21
    return head[13], server.read(struct.unpack("!H", head[14:])[0])


def test_version_1_is_sent_before_everything(start, fake):
    seen = []

    def script(server, _tell):
        line = b""
        while not line.endswith(b"\r\n"):
            line += server.read(1)
        seen.append(line)
        accept_login(server)

    server = fake(script)
    proxy = start(route({"address": server.address, "proxy_protocol": "v1"}))
    with connect(proxy.port) as client:
        own = client.sock.getsockname()[1]
        assert client.login()[-1].type == "Z"
    assert seen == [f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {proxy.port}\r\n".encode()]


def test_version_2_tells_of_the_client_s_tls(start, fake, listener, certs):
    seen = []

    def script(server, _tell):
        seen.append(read_v2(server))
        accept_login(server)

    server = fake(script)
    proxy = start(route({"address": server.address, "proxy_protocol": "v2"},
                        listener("verify-full")))
    with connect(proxy.port) as client:
        client.ask_for_tls()
        client.start_tls(certs.client(cert="alice"), server_hostname="localhost")
        assert client.login(user="alice")[-1].type == "Z"
    family, body = seen[0]
    assert family == 0x11
    assert body[:8] == socket.inet_aton("127.0.0.1") * 2
    tlv, length = struct.unpack("!BH", body[12:15])
    assert tlv == 0x20 and len(body) == 15 + length
    assert body[15] == 7 and body[16:20] == b"\0\0\0\0"       # TLS, a certificate, verified
    assert b"TLSv1.3" in body and body.endswith(b"\x22\0\x05alice")


@pytest.mark.parametrize("settings, complaint", [
    ({"proxy_protocol": "v1"}, "needs trusted_proxies"),
    ({"trusted_proxies": ["10.0.0.1"]}, "has no effect with proxy_protocol"),
    ({"proxy_protocol": "v3"}, "is not one of off, v1, v2, any"),
    ({"proxy_protocol": "v1", "trusted_proxies": ["host"]}, "is not a network"),
])
def test_settings_that_make_no_sense_are_told(postgres_clear, folder, settings, complaint):
    config = os.path.join(folder, "bad.toml")
    with open(config, "w", encoding="utf-8") as out:
        out.write(toml({}, [route({"address": postgres_clear.address}, settings)]))
    done = run("proxy", "-c", config, "--check")
    assert done.returncode == 1 and complaint in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_unix_socket_belongs_to_its_group(start, postgres_clear, folder):
    path = os.path.join(folder, "s")
    one = route({"address": postgres_clear.address})
    one["listener"] = {"bind_address": f"unix:{path}", "unix_socket_group": "nogroup",
                       "unix_socket_mode": "0620"}
    start(one)
    info = os.stat(path)
    assert stat.S_IMODE(info.st_mode) == 0o620
    import grp
    assert grp.getgrgid(info.st_gid).gr_name == "nogroup"
