# SPDX-License-Identifier: PostgreSQL
"""Certificates that a doctor must find fault with, made by the openssl command."""
import datetime
import os
import ssl

import make

LOCAL = make.LOCAL
CONFIG = """
[ca]
default_ca = d
[d]
database = {folder}/{issuer}.index
new_certs_dir = {folder}
rand_serial = yes
crlnumber = {folder}/{issuer}.crlnumber
default_md = sha256
policy = p
unique_subject = no
[p]
organizationName = optional
commonName = optional
"""


def when(**delta):
    """So far from now, as openssl writes it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)
    return moment.strftime("%Y%m%d%H%M%SZ")


class OddCerts:
    """Each certificate once; `chain` writes what a server is to send."""

    def __init__(self, path):
        os.makedirs(path, exist_ok=True)
        self.folder = make.Folder(path)
        self.authority("odd")

    def file(self, name):
        return self.folder.file(name)

    def authority(self, name, **more):
        self.issue(name + "-ca", None, f"/O=odd/CN={name} root", ca=True, **more)
        self.issue(name + "-issuing", name + "-ca", f"/O=odd/CN={name} issuing", ca=True, **more)

    def _config(self, issuer):
        name = f"{issuer}.cnf"
        if not os.path.exists(self.file(name)):
            self.folder.write(name, CONFIG.format(folder=self.folder.path, issuer=issuer))
            self.folder.write(f"{issuer}.index", "")
            self.folder.write(f"{issuer}.crlnumber", "01\n")
        return self.file(name)

    def _request(self, name, subject, key):
        words = make.KEYS.get(key, ["-newkey", key])
        make.openssl("req", "-new", "-nodes", *words, "-subj", subject,
                     "-keyout", self.file(name + ".key"), "-out", self.file(name + ".csr"))
        os.chmod(self.file(name + ".key"), 0o600)

    def issue(self, name, issuer="odd-issuing", subject="/CN=localhost", names=LOCAL, key="ec",
              usage="serverAuth", ca=False, start=None, end=None, digest="sha256"):
        """NAME.pem, signed by `issuer` or by itself; NAME.key."""
        if os.path.exists(self.file(name + ".pem")):
            return name
        self._request(name, subject, key)
        extensions = make.CA_EXTENSIONS if ca else make.LEAF_EXTENSIONS
        if not ca:
            extensions += f"extendedKeyUsage={usage}\n"
            extensions += f"subjectAltName={names}\n" if names else ""
        self.folder.write(name + ".ext", extensions)
        signer = issuer or name
        words = ["-selfsign", "-keyfile", self.file(name + ".key")] if issuer is None else [
            "-cert", self.file(issuer + ".pem"), "-keyfile", self.file(issuer + ".key")]
        make.openssl("ca", "-batch", "-notext", "-config", self._config(signer),
                     *words, "-in", self.file(name + ".csr"), "-out", self.file(name + ".pem"),
                     "-extfile", self.file(name + ".ext"), "-md", digest,
                     "-startdate", start or when(days=-1), "-enddate", end or when(days=90))
        return name

    def crl(self, name, issuer, revoked=(), last=None, next_=None):
        config = self._config(issuer)
        by = ["-cert", self.file(issuer + ".pem"), "-keyfile", self.file(issuer + ".key")]
        for one in revoked:
            make.openssl("ca", "-batch", "-config", config, *by, "-revoke",
                         self.file(one + ".pem"))
        make.openssl("ca", "-gencrl", "-config", config, *by, "-out", self.file(name),
                     "-crl_lastupdate", last or when(days=-2),
                     "-crl_nextupdate", next_ or when(days=30))
        return name

    def join(self, name, *parts):
        """A file of several, in this order."""
        self.folder.write(name, "".join(self.folder.read(part) for part in parts))
        return self.file(name)

    def chain(self, *names):
        """The file of a chain that is sent like this: the first has the key."""
        return self.join("-".join(names) + ".crt", *(name + ".pem" for name in names))

    def server(self, *names, weak=False, alpn=(), client_ca=None, demanded=True, version=None):
        """A context that sends this chain."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if weak:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(self.chain(*names), self.file(names[0] + ".key"))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context
