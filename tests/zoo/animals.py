# SPDX-License-Identifier: PostgreSQL
"""The animals of the zoo: a row for each certificate, or chain of them, that somebody may show.

A row is a name and what is unlike the plain one: a leaf, under an issuing CA, under a trusted root.
expected.txt says in words what each is.  keeper.py makes them, once for servers and once for
clients: `n` is the name that the verifier wants (the host, or the user), and the purposes "own"
and "other" are the leg's.
"""
import datetime

import der
from certificate import (FUTURE, PAST, VALID, alternative_names, attribute, basic_constraints,
                         common, dns, email, extension, ip, key_usage, name, name_constraints, uri)

LONG_NAME = ".".join(["a" * 63] * 3 + ["a" * 52, "zoo.test"])       # 253 bytes
UNKNOWN = "1.3.6.1.4.1.99999.1"


def leaf(**unlike):
    return {"leaf": unlike}


def named(cn, san=None):
    """One name, or the common name and others."""
    return leaf(cn=cn, san=[dns(cn)] if san is None else san)


def address(octets, host, cn="NAME"):
    return {"host": host, "leaf": {"cn": cn, "san": [ip(octets)]}}


def revoked(**unlike):
    """An animal whose verifier has revocation lists, of every CA unless told otherwise."""
    return {"crl": unlike}


CHAINS = [
    ("plain", {}),
    ("of-the-root", {"depth": 0}),
    ("four-levels", {"depth": 2}),
    ("ten-levels", {"depth": 8}),
    ("hundred-levels", {"depth": 99}),
    ("too-long", {"depth": 103}),
    ("missing-intermediate", {"send": lambda leaf, cas, root: [leaf]}),
    ("missing-upper", {"depth": 2, "send": lambda leaf, cas, root: [leaf, cas[0]]}),
    ("root-sent", {"send": lambda leaf, cas, root: [leaf, *cas, root]}),
    ("sent-twice", {"send": lambda leaf, cas, root: [leaf, *cas, *cas]}),
    ("wrong-order", {"depth": 2, "send": lambda leaf, cas, root: [leaf, *reversed(cas)]}),
    ("stranger-sent", {"send": lambda leaf, cas, root: [leaf, *cas, "stranger"]}),
    ("stranger-first", {"send": lambda leaf, cas, root: [leaf, "stranger", *cas]}),
    ("wrong-ca", {"root": {}, "trust": ()}),
    ("wrong-ca-root-sent",
     {"root": {}, "trust": (), "send": lambda leaf, cas, root: [leaf, *cas, root]}),
    ("same-name-ca", leaf(signer="ec-other")),
    ("same-name-issuing", {"issuing": {"signer": "ec-other"}}),
    ("self-signed", {"depth": None, "trust": ()}),
    ("self-signed-trusted", {"depth": None, "trust": ("leaf",)}),
    ("self-signed-no-bc", {"depth": None, "trust": ("leaf",), "leaf": {"bc": None, "ku": None}}),
    ("self-signed-ca",
     {"depth": None, "trust": ("leaf",), "leaf": {"bc": basic_constraints(True), "ku": (0, 5)}}),
    ("anchor-issuing", {"root": {}, "trust": ("issuing",)}),
    ("anchor-leaf", {"root": {}, "trust": ("leaf",)}),
    ("ca-as-leaf", leaf(bc=basic_constraints(True), ku=(0, 5, 6))),
    ("leaf-as-ca", {"issuing": {"bc": basic_constraints(False), "ku": (0,)}}),
    ("ca-false-sign", {"issuing": {"bc": basic_constraints(False)}}),
    ("ca-no-bc", {"issuing": {"bc": None}}),
    ("ca-bare", {"issuing": {"bc": None, "ku": None}}),
    ("ca-v1", {"issuing": {"version": 1}}),
    ("root-v1", {"root": {"version": 1}}),
    ("ca-no-sign", {"issuing": {"ku": (0, 6)}}),
    ("root-no-sign", {"root": {"ku": (0, 6)}}),
    ("bc-not-critical", {"issuing": {"bc": basic_constraints(True, critical=False)}}),
    ("pathlen-kept", {"issuing": {"bc": basic_constraints(True, 0)}}),
    ("pathlen-exceeded", {"root": {"bc": basic_constraints(True, 0)}}),
    ("pathlen-deep", {"depth": 2, "root": {"bc": basic_constraints(True, 1)}}),
]

DATES = [
    ("expired", leaf(dates=PAST)),
    ("not-yet", leaf(dates=FUTURE)),
    ("expired-issuing", {"issuing": {"dates": PAST}}),
    ("not-yet-issuing", {"issuing": {"dates": FUTURE}}),
    ("expired-root", {"root": {"dates": PAST}}),
    ("reversed-dates", leaf(dates=(VALID[1], VALID[0]))),
    ("far-future", leaf(dates=(VALID[0], datetime.datetime(2222, 2, 2)))),
    ("no-end", leaf(dates=(VALID[0], datetime.datetime(9999, 12, 31, 23, 59, 59)))),
    ("from-1950", leaf(dates=(datetime.datetime(1950, 1, 1), VALID[1]))),
]

PURPOSES = [
    ("no-purpose", leaf(eku=None)),
    ("wrong-purpose", leaf(eku=("other",))),
    ("both-purposes", leaf(eku=("own", "other"))),
    ("code-signing", leaf(eku=("code",))),
    ("any-purpose", leaf(eku=("any",))),
    ("critical-purpose", leaf(eku_critical=True)),
    ("ca-wrong-purpose", {"issuing": {"eku": ("other",)}}),
    ("ca-own-purpose", {"issuing": {"eku": ("own",)}}),
    ("no-key-usage", leaf(ku=None)),
    ("key-agreement", leaf(ku=(4,))),
    ("cert-sign-only", leaf(ku=(5,))),
    ("rsa-encipherment", leaf(key="rsa", ku=(2,))),
    ("netscape-other", leaf(netscape="other")),
    ("netscape-own", leaf(netscape="own")),
]

NAMES = [
    ("wrong-name", named("other.zoo.test")),
    ("no-san", leaf(san=None)),
    ("no-san-wrong", leaf(cn="other.zoo.test", san=None)),
    ("san-beats-cn", leaf(san=[dns("other.zoo.test")])),
    ("san-second", leaf(san=lambda n: [dns("other.zoo.test"), dns(n)])),
    ("san-of-500", leaf(san=lambda n: [*(dns(f"n{i}.zoo.test") for i in range(499)), dns(n)])),
    ("san-email-only", leaf(san=[email("zoo@zoo.test")])),
    ("san-uri-only", leaf(san=[uri("postgresql://db.zoo.test")])),
    ("san-address-only", leaf(san=[ip(b"\x7f\0\0\1")])),
    ("san-empty", leaf(san=[])),
    ("san-empty-name", leaf(san=[dns("")])),
    ("san-critical", leaf(san_critical=True)),
    ("san-utf8", leaf(san=[dns("zoö.zoo.test")])),
    ("upper-case", leaf(cn=lambda n: n.upper(), san=lambda n: [dns(n.upper())])),
    ("trailing-dot", leaf(cn=lambda n: n + ".", san=lambda n: [dns(n + ".")])),
    ("trailing-space", leaf(cn=lambda n: n + " ", san=lambda n: [dns(n + " ")])),
    ("underscore", {"host": "db_1.zoo.test", **named("db_1.zoo.test")}),
    ("idn", {"host": "xn--zo-jka.zoo.test", **named("xn--zo-jka.zoo.test")}),
    ("long-name", {"host": LONG_NAME, **named(LONG_NAME)}),
    ("long-cn", leaf(cn="x" * 3000)),
    ("star-label", named("*.zoo.test")),
    ("star-two-labels", named("*.test")),
    ("star-below", named("*.db.zoo.test")),
    ("star-parent", {"host": "zoo.test", **named("*.zoo.test")}),
    ("star-front", named("d*.zoo.test")),
    ("star-behind", named("*b.zoo.test")),
    ("star-alone", named("*")),
    ("star-dot", named("*.")),
    ("star-star", named("*.*.test")),
    ("star-double", named("**.zoo.test")),
    ("star-middle", named("db.*.test")),
    ("star-cn", leaf(cn="*.zoo.test", san=None)),
    ("star-address", {"host": "127.0.0.1", **named("*.0.0.1")}),
    ("star-idn", {"host": "xn--zo-jka.zoo.test", **named("xn--*.zoo.test")}),
    ("ip-v4", address(b"\x7f\0\0\1", "127.0.0.1")),
    ("ip-v4-other", address(b"\x7f\0\0\2", "127.0.0.1", "127.0.0.1")),
    ("ip-v6", address(bytes(15) + b"\1", "::1")),
    ("ip-v6-other", address(bytes(15) + b"\2", "::1")),
    ("ip-mapped", address(bytes(10) + b"\xff\xff\x7f\0\0\1", "127.0.0.1")),
    ("ip-5-bytes", address(b"\x7f\0\0\1\0", "127.0.0.1")),
    ("ip-8-bytes", address(b"\x7f\0\0\1\xff\xff\xff\xff", "127.0.0.1")),
    ("ip-empty", address(b"", "127.0.0.1")),
    ("ip-as-dns", {"host": "127.0.0.1", **named("db.zoo.test", [dns("127.0.0.1")])}),
    ("ip-as-cn", {"host": "127.0.0.1", **leaf(cn="127.0.0.1", san=None)}),
    ("ip-cn-and-dns", {"host": "127.0.0.1", **leaf(cn="127.0.0.1")}),
    ("nul-in-cn", leaf(cn=lambda n: n + "\0.evil.test", san=None)),
    ("nul-in-san", leaf(cn=lambda n: n, san=lambda n: [dns(n + "\0.evil.test")])),
    ("nul-behind-cn", leaf(cn=lambda n: n + "\0", san=None)),
    ("nul-in-second", leaf(san=lambda n: [dns(n), dns("a\0b.zoo.test")])),
    ("two-cns", leaf(subject=lambda n: name(common(n), common("other.zoo.test")), san=None)),
    ("two-cns-second", leaf(subject=lambda n: name(common("other.zoo.test"), common(n)), san=None)),
    ("cn-in-set",
     leaf(subject=lambda n: der.sequence(der.tlv(der.SET, common(n), attribute("2.5.4.11", "x"))),
          san=None)),
    ("empty-cn", leaf(cn="", san=None)),
    ("empty-subject", leaf(subject=der.sequence(), san_critical=True)),
    ("empty-subject-no-san", leaf(subject=der.sequence(), san=None)),
    ("cn-printable", leaf(subject=lambda n: name(common(n, der.PRINTABLE)), san=None)),
    ("cn-t61", leaf(subject=lambda n: name(common(n, der.T61)), san=None)),
    ("cn-bmp", leaf(subject=lambda n: name(common(n.encode("utf-16-be"), der.BMP)), san=None)),
    ("cn-utf8", leaf(cn="zoö", san=lambda n: [dns(n)])),
    ("cn-t61-latin", leaf(subject=name(common(b"zo\xf6", der.T61)), san=lambda n: [dns(n)])),
    ("cn-control", leaf(cn="zoo\nlevel=error", san=lambda n: [dns(n)])),
]

KEYS = [
    ("rsa-1024", leaf(key="rsa-1024")),
    ("rsa-2048", leaf(key="rsa")),
    ("rsa-3072", leaf(key="rsa-3072")),
    ("rsa-8192", leaf(key="rsa-8192")),
    ("rsa-pss-key", leaf(key="rsa-pss")),
    ("p384", leaf(key="p384")),
    ("p521", leaf(key="p521")),
    ("secp256k1", leaf(key="k256")),
    ("ed25519", leaf(key="ed25519")),
    ("ed448", leaf(key="ed448")),
    ("ca-rsa", {"leaf": {"key": "rsa"}, "issuing": {"key": "rsa"}, "root": {"key": "rsa"}}),
    ("ca-rsa-1024", {"issuing": {"key": "rsa-1024"}}),
    ("root-rsa-1024", {"root": {"key": "rsa-1024"}}),
    ("ca-pss", {"issuing": {"key": "rsa"}, "leaf": {"signature": "pss"}}),
    ("ca-p384", {"issuing": {"key": "p384"}}),
    ("ca-p521", {"issuing": {"key": "p521"}}),
    ("ca-ed25519", {"issuing": {"key": "ed25519"}}),
    ("ca-ed448", {"issuing": {"key": "ed448"}}),
    ("ca-secp256k1", {"issuing": {"key": "k256"}}),
    ("sha1", {"issuing": {"key": "rsa"}, "leaf": {"signature": "rsa-sha1"}}),
    ("sha1-ecdsa", leaf(signature="ec-sha1")),
    ("sha1-issuing", {"issuing": {"signature": "ec-sha1"}}),
    ("sha1-root", {"root": {"signature": "ec-sha1"}}),
    ("sha512", leaf(signature="ec-sha512")),
    ("md5", {"issuing": {"key": "rsa"}, "leaf": {"signature": "rsa-md5"}}),
    ("md5-root", {"root": {"key": "rsa", "signature": "rsa-md5"}}),
    ("bad-signature", leaf(spoil=True)),
    ("bad-issuing", {"issuing": {"spoil": True}}),
    ("two-algorithms", leaf(outer="ec-sha384")),
]

REST = [
    ("serial-zero", leaf(serial=0)),
    ("serial-negative", leaf(serial=-1)),
    ("serial-huge", leaf(serial=1 << 310)),
    ("v1", leaf(version=1)),
    ("critical-unknown", leaf(more=[extension(UNKNOWN, b"\5\0", True)])),
    ("extension-unknown", leaf(more=[extension(UNKNOWN, b"\5\0")])),
    ("ca-critical-unknown", {"issuing": {"more": [extension(UNKNOWN, b"\5\0", True)]}}),
    ("root-critical-unknown", {"root": {"more": [extension(UNKNOWN, b"\5\0", True)]}}),
    ("extension-twice", leaf(more=[extension(UNKNOWN, b"\5\0")] * 2)),
    ("ca-bc-twice", {"issuing": {"more": [basic_constraints(True)]}}),
    ("ca-ku-twice", {"issuing": {"more": [key_usage(5)]}}),
    ("ca-san-twice", {"issuing": {"more": [alternative_names(dns("zoo.test"))] * 2}}),
    ("ca-bc-broken", {"issuing": {"bc": extension("2.5.29.19", b"\x30\x05\x01", True)}}),
    ("ca-san-broken", {"issuing": {"more": [extension("2.5.29.17", b"\x30\x20\x82\x02")]}}),
    ("authority-wrong", {"issuing": {"more": [extension("2.5.29.14", der.octet_string(b"same"))]},
      "leaf": {"more": [extension("2.5.29.35",
                                  der.sequence(der.tlv(der.context(0), b"other")))]}}),
    ("authority-alone",
     leaf(more=[extension("2.5.29.35", der.sequence(der.tlv(der.context(0), b"other")))])),
    ("subject-key-twice", {"issuing": {"more": [extension("2.5.29.14", der.octet_string(b"same"))]},
      "leaf": {"more": [extension("2.5.29.14", der.octet_string(b"same"))]}}),
    ("constraints-kept", {"issuing": {"more": [name_constraints([dns("zoo.test")])]}}),
    ("constraints-broken", {"issuing": {"more": [name_constraints([dns("other.test")])]}}),
    ("constraints-excluded",
     {"issuing": {"more": [name_constraints(excluded=[dns("db.zoo.test")])]}}),
    ("constraints-optional",
     {"issuing": {"more": [name_constraints(excluded=[dns("db.zoo.test")], critical=False)]}}),
    ("constraints-cn", {"leaf": {"san": None},
      "issuing": {"more": [name_constraints([dns("other.test")])]}}),
    ("constraints-address", {**address(b"\x7f\0\0\1", "127.0.0.1"),
      "issuing": {"more": [name_constraints(excluded=[ip(bytes(8))])]}}),
    ("explicit-policy",
     {"issuing": {"more": [extension("2.5.29.36", der.sequence(der.tlv(der.context(0), b"\0")),
                                     True)]}}),
    ("large", leaf(more=[extension(UNKNOWN, bytes(40000))])),
]

REVOKED = [
    ("listed-none", revoked()),
    ("revoked", revoked(issuing={"serials": "below"})),
    ("revoked-issuing", revoked(root={"serials": "below"})),
    ("revoked-deep", {"depth": 2, **revoked(root={"serials": "below"})}),
    ("revoked-middle", {"depth": 2, **revoked(upper={"serials": "below"})}),
    ("revoked-other", revoked(issuing={"serials": (0xabc,)})),
    ("revoked-hold", revoked(issuing={"serials": "below", "reason": 6})),
    ("revoked-undone", revoked(issuing={"serials": "below", "reason": 8})),
    ("crl-expired", revoked(issuing={"dates": PAST})),
    ("crl-not-yet", revoked(issuing={"dates": FUTURE})),
    ("crl-root-expired", revoked(root={"dates": PAST})),
    ("crl-missing", revoked(issuing=None)),
    ("crl-root-missing", revoked(root=None)),
    ("crl-of-another", revoked(issuing={"signer": "ec-other"})),
    ("crl-bad-signature", revoked(issuing={"spoil": True})),
    ("crl-critical-unknown", revoked(issuing={"extensions": (extension(UNKNOWN, b"\5\0", True),)})),
    ("crl-no-crl-sign", {"issuing": {"ku": (5,)}, **revoked()}),
]

ANIMALS = CHAINS + DATES + PURPOSES + NAMES + KEYS + REST + REVOKED
