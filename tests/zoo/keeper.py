#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Makes the files of every animal, for both legs.

    tests/zoo/keeper.py DIR          all of them, to be looked at

DIR/server/NAME.crt and DIR/client/NAME.crt are what the peer shows; trusted.crt is what is trusted
of all of them, revoked.crl the lists of those that have some.
"""
import collections
import os
import sys

import animals
from certificate import (LEAF, Keys, alternative_names, basic_constraints, certificate, common,
                         dns, extension, key_usage, name, pem, purposes, revocation_list)

HOST, USER = "db.zoo.test", "alice"
NETSCAPE = {"server": b"\x03\x02\x06\x40", "client": b"\x03\x02\x07\x80"}
HOW = {"p384": "ec-sha384", "rsa": "rsa", "rsa-1024": "rsa", "ed25519": "ed25519",
       "ed448": "ed448"}

Leg = collections.namedtuple("Leg", "name other wanted")
LEGS = {"server": Leg("server", "client", HOST), "client": Leg("client", "server", USER)}

Animal = collections.namedtuple("Animal", "name host has_crl unlike")
Made = collections.namedtuple("Made", "animal cert key host")

# A certificate that may sign others, with what it is signed by.
Authority = collections.namedtuple("Authority", "subject key serial octets")


def load():
    return [Animal(name_, unlike.get("host", HOST), "crl" in unlike, unlike)
            for name_, unlike in animals.ANIMALS]


class Keeper:
    def __init__(self, folder):
        self.folder = folder
        for leg in LEGS:
            os.makedirs(os.path.join(folder, leg), exist_ok=True)
        self.keys = Keys(folder)
        self.trusted, self.lists, self.made = [], [], {leg: [] for leg in LEGS}
        self.serial = 0x2000
        self.root = self._root("the zoo's root", {})
        self.issuing = self._below(self.root, LEGS["server"], "the zoo's issuing", {})
        stranger = self._root("a stranger's root", {})
        self.stranger = self._below(stranger, LEGS["server"], "a stranger's issuing", {})
        self._trust(self.root.octets)
        self.lists.append(revocation_list(self.keys, self.root.subject, self.root.key))

    def _trust(self, octets):
        if octets not in self.trusted:
            self.trusted.append(octets)

    # authorities

    def _spec(self, subject, extensions, unlike):
        self.serial += 1
        fields = {key: value for key, value in unlike.items() if key in LEAF._fields}
        return LEAF._replace(**{"key": "ec-ca", "serial": self.serial, **fields,
                                "subject": subject, "extensions": tuple(extensions)})

    def _ca_extensions(self, leg, unlike):
        found = [unlike.get("bc", basic_constraints(True))]
        usage = unlike.get("ku", (5, 6))
        found.append(key_usage(*usage) if usage else None)
        if "eku" in unlike:
            found.append(purposes(*_roles(leg, unlike["eku"])))
        return [one for one in found if one] + list(unlike.get("more", ()))

    def _root(self, text, unlike):
        subject = name(common(text))
        spec = self._spec(subject, self._ca_extensions(None, unlike), unlike)
        octets = certificate(self.keys, spec, subject, spec.key, HOW.get(spec.key, "ec"))
        return Authority(subject, spec.key, spec.serial, octets)

    def _below(self, above, leg, text, unlike):
        subject = name(common(text))
        spec = self._spec(subject, self._ca_extensions(leg, unlike), unlike)
        signer = unlike.get("signer", above.key)
        octets = certificate(self.keys, spec, above.subject, signer, HOW.get(signer, "ec"))
        return Authority(subject, spec.key, spec.serial, octets)

    def _authorities(self, animal, leg):
        """(root, intermediates from the top down)"""
        unlike, prefix = animal.unlike, f"{animal.name} of a {leg.name}"
        depth = unlike.get("depth", 1)
        own_root = "root" in unlike or animal.has_crl
        root = self._root(prefix + ", root", unlike.get("root", {})) if own_root else self.root
        if depth == 1 and not own_root and "issuing" not in unlike:
            return root, [self.issuing]
        found = []
        for level in range(depth):
            lowest = level == depth - 1
            found.append(self._below(found[-1] if found else root, leg, f"{prefix}, CA {level}",
                                     unlike.get("issuing", {}) if lowest else {}))
        return root, found

    # leaves

    def _leaf_extensions(self, leg, host, unlike):
        wanted = host if leg.name == "server" else leg.wanted
        found = [unlike.get("bc", basic_constraints(False))]
        usage = unlike.get("ku", (0,))
        found.append(key_usage(*usage) if usage else None)
        roles = unlike.get("eku", ("own",))
        if roles:
            found.append(purposes(*_roles(leg, roles),
                                  critical=unlike.get("eku_critical", False)))
        names = _said(unlike.get("san", lambda n: [dns(n)]), wanted)
        if names is not None:
            found.append(alternative_names(*names, critical=unlike.get("san_critical", False)))
        if "netscape" in unlike:
            kind = leg.name if unlike["netscape"] == "own" else leg.other
            found.append(extension("2.16.840.1.113730.1.1", NETSCAPE[kind]))
        return [one for one in found if one] + list(unlike.get("more", ()))

    def _leaf(self, animal, leg, issuer):
        unlike = animal.unlike.get("leaf", {})
        wanted = animal.host if leg.name == "server" else leg.wanted
        # those that are trusted themselves are told apart by their subjects
        subject = unlike.get("subject") or name(common(
            _said(unlike.get("cn", "NAME"), wanted).replace("NAME", wanted)),
            organization="zoo" if issuer else animal.name)
        spec = self._spec(_said(subject, wanted), self._leaf_extensions(leg, animal.host, unlike),
                          {"key": "ec", **unlike})
        signer = unlike.get("signer", issuer.key if issuer else spec.key)
        octets = certificate(self.keys, spec, issuer.subject if issuer else spec.subject, signer,
                             HOW.get(signer, "ec"))
        return Authority(spec.subject, spec.key, spec.serial, octets)

    # files

    def _add_lists(self, animal, root, cas, leaf):
        """A list of each authority; `serials = "below"` has the certificate below it."""
        chain = [root, *cas, leaf]
        roles = ["root", *["upper"] * (len(cas) - 1), "issuing"]
        for role, issuer, below in zip(roles, chain, chain[1:]):
            words = animal.unlike["crl"].get(role, {})
            if words is None:
                continue
            words = {"signer": issuer.key, **words}
            if words.get("serials") == "below":
                words["serials"] = (below.serial,)
            self.lists.append(revocation_list(self.keys, issuer.subject, **words))

    def add(self, animal, leg):
        root, cas = (None, []) if animal.unlike.get("depth", 1) is None else \
            self._authorities(animal, leg)
        leaf = self._leaf(animal, leg, cas[-1] if cas else root)
        members = {"root": root, "issuing": cas[-1] if cas else root, "leaf": leaf}
        for member in animal.unlike.get("trust", ("root",)):
            self._trust(members[member].octets)
        upwards = [one.octets for one in reversed(cas)]
        sent = animal.unlike.get("send", lambda leaf, cas, root: [leaf, *cas])(
            leaf.octets, upwards, root and root.octets)
        sent = [self.stranger.octets if one == "stranger" else one for one in sent]
        if animal.has_crl:
            self._add_lists(animal, root, cas, leaf)
        path = os.path.join(self.folder, leg.name, animal.name + ".crt")
        write(path, "".join(pem("CERTIFICATE", one) for one in sent))
        self.made[leg.name].append(Made(animal, path, self.keys.file(leaf.key), animal.host))

    def finish(self):
        write(self.trust_file, "".join(pem("CERTIFICATE", one) for one in self.trusted))
        write(self.crl_file, "".join(pem("X509 CRL", one) for one in self.lists))

    @property
    def trust_file(self):
        return os.path.join(self.folder, "trusted.crt")

    @property
    def crl_file(self):
        return os.path.join(self.folder, "revoked.crl")


def _roles(leg, names):
    return [{"own": leg.name, "other": leg.other}.get(one, one) for one in names]


def _said(value, wanted):
    return value(wanted) if callable(value) else value


def write(path, text):
    with open(path, "w", encoding="ascii") as out:
        out.write(text)


def make(folder, wanted=lambda animal: True):
    keeper = Keeper(folder)
    for animal in load():
        if wanted(animal):
            for leg in LEGS.values():
                keeper.add(animal, leg)
    keeper.finish()
    return keeper


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(sys.argv[1])
