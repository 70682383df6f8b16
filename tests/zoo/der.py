# SPDX-License-Identifier: PostgreSQL
"""DER, written by hand: tools for certificates refuse to make most of what the zoo needs."""

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 1, 2, 3, 4, 5, 6
UTF8, SEQUENCE, SET, PRINTABLE, T61, IA5 = 12, 0x30, 0x31, 19, 20, 22
UTC_TIME, GENERALIZED_TIME, BMP = 23, 24, 30


def context(number, constructed=False):
    """The tag [number]."""
    return 0x80 | (0x20 if constructed else 0) | number


def tlv(tag, *parts):
    body = b"".join(parts)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body


def sequence(*parts):
    return tlv(SEQUENCE, *parts)


def integer(number):
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def oid(text):
    first, second, *rest = (int(word) for word in text.split("."))
    octets = bytearray()
    for number in (first * 40 + second, *rest):
        group = [number & 0x7f]
        while number > 0x7f:
            number >>= 7
            group.append(0x80 | number & 0x7f)
        octets += bytes(reversed(group))
    return tlv(OID, bytes(octets))


def bit_string(octets, unused=0):
    return tlv(BIT_STRING, bytes((unused,)), octets)


def octet_string(octets):
    return tlv(OCTET_STRING, octets)


def true():
    return tlv(BOOLEAN, b"\xff")


def time(moment):
    """UTCTime until 2049 and GeneralizedTime from then on, as RFC 5280 4.1.2.5 says."""
    if moment.year < 2050:
        return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())
