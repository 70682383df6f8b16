# SPDX-License-Identifier: PostgreSQL
"""Scanners look at a listener, and find what docs/scanners.md explains and nothing else."""
import json
import os
import re
import subprocess
import xml.etree.ElementTree

import pytest

import make
from peers.proxy import route

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "scanners.md")
FINE = ("OK", "INFO", "LOW", "DEBUG")
TESTSSL = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]
SUITES = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} | {
    f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}


def explained():
    """{(finding, severity)}"""
    with open(PAGE, encoding="utf-8") as page:
        return set(re.findall(r"^\| `(\w+)` \| (\w+) \| .{20,} \|$", page.read(), re.MULTILINE))


class Scan:
    """testssl.sh at work; several of them wait at the same time."""

    def __init__(self, folder, certs, port, *words):
        self.file = os.path.join(folder, f"{port}{'-'.join(words)}.json")
        self.process = subprocess.Popen(
            [*TESTSSL, "--add-ca", certs.cert("servers-ca"), "--jsonfile", self.file, *words,
             f"localhost:{port}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=folder)

    def findings(self):
        """({finding: severity}, text); those of several certificates fall together."""
        text = self.process.communicate()[0].decode("utf-8", "replace")
        assert os.path.exists(self.file), text
        with open(self.file, encoding="utf-8") as rows:
            found = {row["id"].partition(" ")[0]: row["severity"] for row in json.load(rows)
                     if row["severity"] not in FINE}
        assert "Done" in text, text
        return found, text


@pytest.fixture
def scanned(start, certs):
    """scanned(**more): a listener with two kinds of keys, and certificates that last."""
    folder = make.Folder(certs.folder)
    names = {"scanned-ec": "ec", "scanned-rsa": "rsa"}
    for name, key in names.items():
        folder.leaf(name, "servers", "/CN=localhost", make.LOCAL, "serverAuth",
                    {"key": key, "days": 200})

    def one(**more):
        return start(route({"address": "127.0.0.1:1"}, {
            "sslmode": "require", "server_cert": [certs.cert(name) for name in names],
            "server_key": [certs.key(name) for name in names], **more}))
    return one


@pytest.mark.long
def test_testssl_finds_what_the_manual_explains_and_nothing_else(scanned, certs, folder):
    default, ordered = scanned(), scanned(prefer_server_ciphers=True)
    weak = scanned(ciphers="AES128-GCM-SHA256", max_protocol_version="TLSv1.2")
    scans = [Scan(folder, certs, default.port, "-t", "postgres", "-p", "-s", "-f", "-P", "-S", "-U"),
             Scan(folder, certs, default.port, "-p", "-s", "-f", "-P"),
             Scan(folder, certs, ordered.port, "-t", "postgres", "-P"),
             Scan(folder, certs, weak.port, "-t", "postgres", "-f")]
    (whole, text), (direct, direct_text), (in_order, _), (weakness, _) = [
        scan.findings() for scan in scans]
    for word in ("Heartbleed", "ROBOT", "Chain of trust", "LOGJAM", "SWEET32"):
        assert word in text, text
    assert set(whole.items()) == explained(), text
    assert set(direct.items()) <= explained(), direct_text
    assert "TLS 1.3    offered (OK)" in direct_text, direct_text
    assert in_order.keys() <= {"engine_problem"}, in_order
    assert "PFS" in weakness or "FS" in weakness, weakness


@pytest.mark.parametrize("how", [["--starttls-psql"], []], ids=["asked for", "direct"])
def test_sslscan_finds_strong_suites_alone(scanned, folder, how):
    one = scanned()
    file = os.path.join(folder, "scan.xml")
    done = subprocess.run(["sslscan", f"--xml={file}", *how, f"localhost:{one.port}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    scan = xml.etree.ElementTree.parse(file).getroot().find("ssltest")
    enabled = {row.get("type") + row.get("version") for row in scan.iter("protocol")
               if row.get("enabled") == "1"}
    assert enabled == {"tls1.2", "tls1.3"}
    assert {row.get("cipher") for row in scan.iter("cipher")} <= SUITES
    assert len(list(scan.iter("cipher"))) >= 9      # of both kinds of keys
    assert scan.find("renegotiation").get("supported") == "0"
    assert {row.get("vulnerable") for row in scan.iter("heartbleed")} == {"0"}
    assert min(int(row.get("bits")) for row in scan.iter("group")) >= 112
