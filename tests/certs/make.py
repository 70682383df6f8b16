#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Makes every certificate that the scenario tests use, with the openssl command.

    tests/certs/make.py DIR

Nothing is committed: certificates end, and keys do not belong into a repository.
Every CA is a root with an issuing CA under it, so that each chain has three
levels: NAME.crt is the leaf with its issuing certificate behind it, NAME.key its
key (0600).  README.md in this folder lists the files.
"""
import os
import subprocess
import sys

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
KEYS = {"ec": EC, "rsa": ["-newkey", "rsa:2048"], "ed25519": ["-newkey", "ed25519"]}

DAYS = 60               # more than certificate.expiring warns of

CA_EXTENSIONS = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
LEAF_EXTENSIONS = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
LOCAL = "DNS:localhost,IP:127.0.0.1"
ALICE = ("DNS:alice.example.com,DNS:second.example.com,URI:spiffe://example.com/alice,"
         "email:alice@example.com")
# name, issued by, revoked leaves, whether it has expired
LISTS = [
    ("clients-root-list", "clients-ca", (), False),
    ("clients-list", "clients-issuing", ("alice-revoked",), False),
    ("clients-list-before", "clients-issuing", (), False),
    ("clients-list-expired", "clients-issuing", (), True),
    ("backends-root-list", "backends-ca", (), False),
    ("backends-list", "backends-issuing", ("backend-revoked",), False),
    ("strangers-list", "strangers-issuing", (), False),
]

# name, issued by, subject, names, purpose, more
LEAVES = [
    ("server", "servers", "/CN=localhost", LOCAL, "serverAuth", {}),
    ("server-rsa", "servers", "/CN=localhost", LOCAL, "serverAuth", {"key": "rsa"}),
    ("server-ed25519", "servers", "/CN=localhost", LOCAL, "serverAuth", {"key": "ed25519"}),
    ("host-a", "servers", "/CN=a.example.com", "DNS:a.example.com", "serverAuth", {}),
    ("host-b", "servers", "/CN=b.example.com", "DNS:b.example.com", "serverAuth", {}),
    ("server-expired", "servers", "/CN=localhost", LOCAL, "serverAuth", {"days": -1}),
    ("backend", "backends", "/CN=localhost", LOCAL, "serverAuth", {}),
    ("backend-name-only", "backends", "/CN=localhost", "DNS:localhost", "serverAuth", {}),
    ("backend-common-name", "backends", "/CN=localhost", None, "serverAuth", {}),
    ("backend-wildcard", "backends", "/CN=any", "DNS:*.db.example.com", "serverAuth", {}),
    ("backend-other-name", "backends", "/CN=other", "DNS:other.example.com", "serverAuth", {}),
    ("backend-expired", "backends", "/CN=localhost", LOCAL, "serverAuth", {"days": -1}),
    ("backend-for-clients", "backends", "/CN=localhost", LOCAL, "clientAuth", {}),
    ("backend-revoked", "backends", "/CN=localhost", LOCAL, "serverAuth", {}),
    ("proxy", "proxies", "/O=pgtls/CN=proxy", None, "clientAuth", {}),
    ("alice", "clients", "/CN=alice", None, "clientAuth", {}),
    ("bob", "clients", "/CN=bob", None, "clientAuth", {}),
    ("long-name", "clients", "/CN=" + "a" * 63 + "x", None, "clientAuth", {}),
    ("wild", "clients", "/CN=*", None, "clientAuth", {}),
    ("long-subject", "clients", "/O=Some \"quoted\" = name/CN=alice", None, "clientAuth", {}),
    ("alice-names", "clients", "/O=pgtls tests/OU=People/CN=Alice", ALICE, "clientAuth", {}),
    ("alice-revoked", "clients", "/CN=alice", None, "clientAuth", {}),
    ("alice-expired", "clients", "/CN=alice", None, "clientAuth", {"days": -1}),
    ("alice-for-servers", "clients", "/CN=alice", None, "serverAuth", {}),
    ("alice-of-strangers", "strangers", "/CN=alice", None, "clientAuth", {}),
    ("stranger", "strangers", "/CN=localhost", LOCAL, "serverAuth", {}),
]


def openssl(*words):
    done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stdout}")


def validity(days):
    """The words for so many days from now; negative: a certificate that has expired."""
    if days > 0:
        return ["-days", str(days)]
    helps = subprocess.run(["openssl", "x509", "-help"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False).stdout
    if "-not_after" in helps:           # OpenSSL 3.4 and later refuse an end before the start
        return ["-not_before", "20240101000000Z", "-not_after", "20240201000000Z"]
    return ["-days", str(days)]


class Folder:
    def __init__(self, path):
        self.path = path

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text, mode=0o644):
        with open(self.file(name), "w", encoding="ascii") as out:
            out.write(text)
        os.chmod(self.file(name), mode)

    def read(self, name):
        with open(self.file(name), encoding="ascii") as text:
            return text.read()

    def request(self, name, subject, key):
        openssl("req", "-new", "-nodes", *KEYS[key], "-subj", subject,
                "-keyout", self.file(name + ".key"), "-out", self.file(name + ".csr"))
        os.chmod(self.file(name + ".key"), 0o600)

    def sign(self, name, issuer, extensions, days):
        self.write(name + ".ext", extensions)
        by = ["-key", self.file(name + ".key")]
        if issuer is not None:
            by = ["-CA", self.file(issuer + ".pem"), "-CAkey", self.file(issuer + ".key")]
        openssl("x509", "-req", "-in", self.file(name + ".csr"), *by,
                "-extfile", self.file(name + ".ext"), *validity(days),
                "-set_serial", str(1000 + len(os.listdir(self.path))),
                "-out", self.file(name + ".pem"))
        for end in (".csr", ".ext"):
            os.unlink(self.file(name + end))

    def authority(self, name):
        root, issuing = name + "-ca", name + "-issuing"
        self.request(root, f"/O=pgtls tests/CN={name} root", "ec")
        self.sign(root, None, CA_EXTENSIONS, DAYS)
        os.replace(self.file(root + ".pem"), self.file(root + ".crt"))
        os.symlink(root + ".crt", self.file(root + ".pem"))
        self.request(issuing, f"/O=pgtls tests/CN={name} issuing", "ec")
        self.sign(issuing, root, CA_EXTENSIONS.replace("CA:TRUE", "CA:TRUE,pathlen:0"), DAYS)

    def leaf(self, name, issuer, subject, names, purpose, more):
        self.request(name, subject, more.get("key", "ec"))
        extensions = LEAF_EXTENSIONS + f"extendedKeyUsage={purpose}\n"
        if names is not None:
            extensions += f"subjectAltName={names}\n"
        self.sign(name, issuer + "-issuing", extensions, more.get("days", DAYS))
        chain = self.read(name + ".pem") + self.read(issuer + "-issuing.pem")
        self.write(name + ".crt", chain)

    def revocation_list(self, name, issuer, revoked, is_expired):
        """NAME.crl, one list alone."""
        self.write("ca.index", "")
        self.write("ca.conf", "[ca]\ndefault_ca=this\n[this]\ndefault_md=sha256\n"
                              f"database={self.file('ca.index')}\n")
        words = ["ca", "-config", self.file("ca.conf"), "-keyfile", self.file(issuer + ".key"),
                 "-cert", self.file(issuer + ".pem")]
        for leaf in revoked:
            openssl(*words, "-revoke", self.file(leaf + ".pem"))
        dates = ["-crldays", str(DAYS)]
        if is_expired:
            dates = ["-crl_lastupdate", "20240101000000Z", "-crl_nextupdate", "20240201000000Z"]
        openssl(*words, "-gencrl", *dates, "-out", self.file(name + ".crl"))

    def lists(self):
        for row in LISTS:
            self.revocation_list(*row)
        root = self.read("clients-root-list.crl")
        for name in ("list", "list-before", "list-expired"):
            self.write(f"clients-both-{name}.crl", root + self.read(f"clients-{name}.crl"))
        self.write("backends-both.crl",
                   self.read("backends-root-list.crl") + self.read("backends-list.crl"))
        for side in ("clients", "backends"):
            os.mkdir(self.file(side + "-lists"))
            for name in ("root-list", "list"):
                self.write(f"{side}-lists/{name}.crl", self.read(f"{side}-{name}.crl"))

    def odd_files(self):
        """Files that the program must refuse, or read with care."""
        self.write("server-leaf-only.crt", self.read("server.pem"))
        leaf, issuing = self.read("server.pem"), self.read("servers-issuing.pem")
        self.write("server-wrong-order.crt", issuing + leaf)
        self.write("server-open.key", self.read("server.key"), 0o644)
        self.write("server-group.key", self.read("server.key"), 0o640)
        self.write("garbage.crt", "this is not a certificate\n")
        self.write("garbage.key", "this is not a key\n", 0o600)
        self.write("empty.crt", "")
        openssl("pkey", "-in", self.file("server.key"), "-aes256", "-passout", "pass:secret",
                "-out", self.file("server-encrypted.key"))
        os.chmod(self.file("server-encrypted.key"), 0o600)
        openssl("pkey", "-in", self.file("proxy.key"), "-aes256", "-passout", "pass:secret",
                "-out", self.file("proxy-encrypted.key"))
        os.chmod(self.file("proxy-encrypted.key"), 0o600)
        openssl("pkcs12", "-export", "-in", self.file("server.crt"), "-inkey",
                self.file("server.key"), "-passout", "pass:", "-out", self.file("server.p12"))
        os.chmod(self.file("server.p12"), 0o600)
        openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072",
                "-out", self.file("ffdhe3072.pem"))
        for kind, words in (("sec1", ("ec", "server")), ("pkcs1", ("rsa", "server-rsa"))):
            openssl(words[0], "-in", self.file(words[1] + ".key"),
                    *(["-traditional"] if kind == "pkcs1" else []),
                    "-out", self.file(f"server-{kind}.key"))
            os.chmod(self.file(f"server-{kind}.key"), 0o600)
        self.write("both-ca.crt", self.read("clients-ca.crt") + self.read("strangers-ca.crt"))


def make(path):
    os.makedirs(path, exist_ok=True)
    folder = Folder(path)
    for name in sorted({row[1] for row in LEAVES}):
        folder.authority(name)
    for row in LEAVES:
        folder.leaf(*row)
    folder.lists()
    folder.odd_files()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make.py DIR")
    make(sys.argv[1])
