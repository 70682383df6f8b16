# SPDX-License-Identifier: PostgreSQL
"""Certificates and revocation lists of any shape, as DER; the keys are the openssl command's."""
import base64
import collections
import datetime
import os
import subprocess

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

import der

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
PAST = (NOW - datetime.timedelta(days=60), NOW - datetime.timedelta(days=1))
FUTURE = (NOW + datetime.timedelta(days=2), NOW + datetime.timedelta(days=60))
VALID = (NOW - datetime.timedelta(days=2), NOW + datetime.timedelta(days=30))

COMMON_NAME, ORGANIZATION = "2.5.4.3", "2.5.4.10"
RSA, EC = "1.2.840.113549.1.1.", "1.2.840.10045.4."
SHA256 = "2.16.840.1.101.3.4.2.1"


# Names

def attribute(kind, text, tag=der.UTF8):
    value = text if isinstance(text, bytes) else text.encode()
    return der.sequence(der.oid(kind), der.tlv(tag, value))


def name(*attributes, organization="zoo"):
    """A distinguished name: organization, then each attribute in an RDN of its own."""
    first = [attribute(ORGANIZATION, organization)] if organization else []
    return der.sequence(*(der.tlv(der.SET, one) for one in [*first, *attributes]))


def common(text, tag=der.UTF8):
    return attribute(COMMON_NAME, text, tag)


# Extensions

def extension(kind, value, critical=False):
    return der.sequence(der.oid(kind), der.true() if critical else b"", der.octet_string(value))


def basic_constraints(is_ca, pathlen=None, critical=True):
    return extension("2.5.29.19", der.sequence(der.true() if is_ca else b"",
                                               b"" if pathlen is None else der.integer(pathlen)),
                     critical)


def key_usage(*bits):
    """By number, as RFC 5280 4.2.1.3 counts: 0 digitalSignature, 5 keyCertSign, 6 cRLSign."""
    octet = sum(0x80 >> bit for bit in bits)
    unused = 7 - max(bits) if bits else 0
    return extension("2.5.29.15", der.bit_string(bytes((octet,)), unused), True)


PURPOSES = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2",
            "code": "1.3.6.1.5.5.7.3.3", "any": "2.5.29.37.0"}


def purposes(*names, critical=False):
    return extension("2.5.29.37", der.sequence(*(der.oid(PURPOSES[one]) for one in names)),
                     critical)


def dns(text):
    return der.tlv(der.context(2), text if isinstance(text, bytes) else text.encode())


def email(text):
    return der.tlv(der.context(1), text.encode())


def uri(text):
    return der.tlv(der.context(6), text.encode())


def ip(octets):
    return der.tlv(der.context(7), octets)


def alternative_names(*names, critical=False):
    return extension("2.5.29.17", der.sequence(*names), critical)


def name_constraints(permitted=(), excluded=(), critical=True):
    def trees(number, names):
        return der.tlv(der.context(number, True), *(der.sequence(one) for one in names)) \
            if names else b""
    return extension("2.5.29.30", der.sequence(trees(0, permitted), trees(1, excluded)), critical)


# Keys

GENERATED = {
    "ec": ["EC", "ec_paramgen_curve:prime256v1"], "ec-ca": ["EC", "ec_paramgen_curve:prime256v1"],
    "ec-other": ["EC", "ec_paramgen_curve:prime256v1"],
    "p384": ["EC", "ec_paramgen_curve:secp384r1"], "p521": ["EC", "ec_paramgen_curve:secp521r1"],
    "k256": ["EC", "ec_paramgen_curve:secp256k1"],
    "rsa": ["RSA", "rsa_keygen_bits:2048"], "rsa-1024": ["RSA", "rsa_keygen_bits:1024"],
    "rsa-3072": ["RSA", "rsa_keygen_bits:3072", "rsa_keygen_primes:3"],
    # of five primes, because two large ones take many seconds to find
    "rsa-8192": ["RSA", "rsa_keygen_bits:8192", "rsa_keygen_primes:5"],
    "rsa-pss": ["RSA-PSS", "rsa_keygen_bits:2048"],
    "ed25519": ["ED25519"], "ed448": ["ED448"],
}


class Keys:
    """Made when they are first wanted; NAME.key in the folder, readable by its owner alone."""

    def __init__(self, folder):
        self.folder, self.public, self.private = folder, {}, {}

    def file(self, key):
        path = os.path.join(self.folder, key + ".key")
        if not os.path.exists(path):
            kind, *options = GENERATED[key]
            words = [word for option in options for word in ("-pkeyopt", option)]
            openssl("genpkey", "-algorithm", kind, *words, "-out", path)
            os.chmod(path, 0o600)
        return path

    def info(self, key):
        """SubjectPublicKeyInfo."""
        if key not in self.public:
            self.public[key] = openssl("pkey", "-in", self.file(key), "-pubout", "-outform", "DER")
        return self.public[key]

    def signer(self, key):
        if key not in self.private:
            with open(self.file(key), "rb") as pem:
                self.private[key] = serialization.load_pem_private_key(pem.read(), None)
        return self.private[key]


def openssl(*words):
    done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr.decode()}")
    return done.stdout


# Signatures: how -> (AlgorithmIdentifier, sign(key, bytes))

def plain(kind, *parameters):
    return der.sequence(der.oid(kind), *parameters)


def pss_parameters():
    sha256 = plain(SHA256)
    return der.sequence(der.tlv(der.context(0, True), sha256),
                        der.tlv(der.context(1, True), plain(RSA + "8", sha256)),
                        der.tlv(der.context(2, True), der.integer(32)))


def with_ec(digest):
    return lambda key, data: key.sign(data, ec.ECDSA(digest()))


def with_rsa(digest):
    return lambda key, data: key.sign(data, padding.PKCS1v15(), digest())


def with_pss(key, data):
    return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def with_edwards(key, data):
    return key.sign(data)


NULL = der.tlv(der.NULL)
SIGNATURES = {
    "ec": (plain(EC + "3.2"), with_ec(hashes.SHA256)),
    "ec-sha1": (plain(EC + "1"), with_ec(hashes.SHA1)),
    "ec-sha384": (plain(EC + "3.3"), with_ec(hashes.SHA384)),
    "ec-sha512": (plain(EC + "3.4"), with_ec(hashes.SHA512)),
    "rsa": (plain(RSA + "11", NULL), with_rsa(hashes.SHA256)),
    "rsa-sha1": (plain(RSA + "5", NULL), with_rsa(hashes.SHA1)),
    "rsa-md5": (plain(RSA + "4", NULL), with_rsa(hashes.MD5)),
    "pss": (plain(RSA + "10", pss_parameters()), with_pss),
    "ed25519": (plain("1.3.101.112"), with_edwards),
    "ed448": (plain("1.3.101.113"), with_edwards),
}


# Certificates and lists

Spec = collections.namedtuple(
    "Spec", "subject extensions key dates serial version signature outer spoil")
LEAF = Spec(None, (), "ec", VALID, 0x1001, 3, None, None, False)


def sign(keys, body, signer, how, outer=None, spoil=False):
    algorithm, make = SIGNATURES[how]
    signature = bytearray(make(keys.signer(signer), body))
    if spoil:
        signature[-1] ^= 1
    return der.sequence(body, SIGNATURES[outer][0] if outer else algorithm,
                        der.bit_string(bytes(signature)))


def certificate(keys, spec, issuer, signer, how="ec"):
    """The DER of `spec`, signed with the key `signer` in the name `issuer`."""
    how = spec.signature or how
    extensions = b""
    if spec.version == 3 and spec.extensions:
        extensions = der.tlv(der.context(3, True), der.sequence(*spec.extensions))
    version = der.tlv(der.context(0, True), der.integer(2)) if spec.version == 3 else b""
    validity = der.sequence(*(der.time(moment) for moment in spec.dates))
    body = der.sequence(version, der.integer(spec.serial), SIGNATURES[how][0], issuer, validity,
                        spec.subject, keys.info(spec.key), extensions)
    return sign(keys, body, signer, how, spec.outer, spec.spoil)


def revocation_list(keys, issuer, signer, serials=(), dates=VALID, extensions=(), reason=None,
                    spoil=False):
    """A version 2 CRL of these serial numbers."""
    more = b""
    if reason is not None:
        more = der.sequence(extension("2.5.29.21", der.tlv(10, bytes((reason,)))))
    rows = [der.sequence(der.integer(serial), der.time(VALID[0]), more) for serial in serials]
    body = der.sequence(
        der.integer(1), SIGNATURES["ec"][0], issuer, *(der.time(moment) for moment in dates),
        der.sequence(*rows) if rows else b"",
        der.tlv(der.context(0, True), der.sequence(extension("2.5.29.20", der.integer(1)),
                                                   *extensions)))
    return sign(keys, body, signer, "ec", spoil=spoil)


def pem(kind, octets):
    text = base64.encodebytes(octets).decode().replace("\n", "")
    rows = [text[at:at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *rows, f"-----END {kind}-----", ""])
