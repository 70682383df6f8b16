#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Writes the seeds of the fuzz corpora: fuzz/corpus/<target>/<what it is>.

Inputs that libFuzzer found stand beside them and are not touched.  The first
byte of a frame, gate or login input, and the second of the latter two, choose
the set-up and the cuts (fuzz.h)."""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"


def packet(code, body=b"", length=None):
    return struct.pack(">II", 8 + len(body) if length is None else length, code) + body


def startup(*words, version=196608):
    return packet(version, b"".join(word.encode() + b"\0" for word in words) + b"\0")


def message(kind, body=b"", length=None):
    return kind.encode() + struct.pack(">I", 4 + len(body) if length is None else length) + body


def error(**fields):
    return message("E", b"".join(k.encode() + v.encode() + b"\0" for k, v in fields.items()) + b"\0")


def auth(code, body=b""):
    return message("R", struct.pack(">I", code) + body)


def sasl(*mechanisms):
    return auth(10, b"".join(name.encode() + b"\0" for name in mechanisms) + b"\0")


SSL, GSS = packet(80877103), packet(80877104)
CANCEL = packet(80877102, struct.pack(">I", 4711) + b"abcd")
ANN = startup("user", "ann", "database", "shop", "application_name", "psql")
HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(32)
PLUS, SCRAM = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
REFUSAL = error(S="FATAL", V="FATAL", C="28000", M="SCRAM channel binding check failed",
                F="auth-scram.c", L="1360", R="read_client_final_message")
READY = message("Z", b"I")
KEY = message("K", struct.pack(">I", 4711) + b"abcd")
WELCOME = auth(0) + message("S", b"server_version\x0017.2\0") + KEY + READY
ANSWER = (message("T", b"\0\1n\0" + bytes(18)) + message("D", b"\0\1\0\0\0\x011")
          + message("C", b"SELECT 1\0") + READY)

OPENINGS = {
    "ssl": SSL, "gss": GSS, "cancel": CANCEL, "startup": ANN, "hello": HELLO,
    "ssl-hello": SSL + HELLO, "ssl-startup": SSL + ANN, "ssl-9": packet(80877103, b"x"),
    "cancel-268": packet(80877102, bytes(260)), "cancel-269": packet(80877102, bytes(261)),
    "cancel-15": packet(80877102, bytes(7)), "startup-3.2": startup("user", "ann", version=196610),
    "startup-3.9999": startup("user", "ann", "_pq_.test", "", version=3 << 16 | 9999),
    "protocol-2": packet(2 << 16, bytes(288)), "protocol-4": packet(4 << 16, bytes(1)),
    "request-9999": packet(1234 << 16 | 9999), "length-0": bytes(8), "length-7": packet(196608, length=7),
    "length-10004": packet(196608, bytes(9996)), "length-10005": packet(196608, length=10005),
    "length-negative": packet(196608, length=0xffffffff), "http": b"GET / HTTP/1.1\r\n\r\n",
}
STARTUPS = {
    "user": startup("user", "ann"), "user-database": ANN, "no-user": startup("database", "shop"),
    "empty-user": startup("user", ""), "empty-database": startup("user", "ann", "database", ""),
    "user-twice": startup("user", "ann", "user", "bob"), "nothing": packet(196608),
    "terminator-alone": startup(), "no-terminator": packet(196608, b"user\0ann\0"),
    "no-value": packet(196608, b"user\0"), "no-end": packet(196608, b"user\0ann"),
    "early-end": packet(196608, b"user\0ann\0\0database\0shop\0\0"),
    "bytes-behind": ANN + b"p\0\0\0\x08x\0\0\0", "options": startup("user", "ann", "options", "-c a=b",
    "replication", "database", "_pq_.x", "1"), "longest": packet(196608, b"user\0" + b"a" * 9989 + b"\0\0"),
}
ERRORS = {
    "refusal": REFUSAL, "with-hint": error(C="28000", M="no", H="do this"),
    "with-detail": error(S="FATAL", C="28000", M="no", D="why"), "hint-first": error(H="x", C="28000"),
    "empty-hint": error(C="28000", H=""), "empty": message("E", b"\0"), "no-code": error(M="no"),
    "two-hints": message("E", b"Hone\0Htwo\0\0"), "two-codes": message("E", b"C28000\0C28P01\0\0"),
    "no-terminator": message("E", b"C28000\0"), "bytes-behind": message("E", b"C28000\0\0x"),
    "no-end": message("E", b"C28000"), "too-long": message("E", b"C28000\0\0", length=4000),
    "old-style": b"EFATAL:  sorry, too many clients already\n\0", "notice": message("N", b"C00000\0\0"),
    "translated": error(S="FATALE", V="FATAL", C="28000", M="non"),
}
SASLS = {
    "both": sasl(PLUS, SCRAM), "plain": sasl(SCRAM), "only-plus": sasl(PLUS), "empty-list": sasl(),
    "plus-last": sasl(SCRAM, PLUS), "plus-between": sasl("A", "B-PLUS", "C"), "oauth": sasl(PLUS, "OAUTHBEARER", SCRAM),
    "suffix-alone": sasl("-PLUS", "PLUS", "X-PLU"), "no-end": auth(10, b"SCRAM-SHA-256-PLUS\0X\0"),
    "no-nul": auth(10, b"X-PLUS\0X"), "tail": auth(10, b"X-PLUS\0X\0\0tail"), "ok": auth(0),
    "continue": auth(11, b"r=X-PLUS\0Y\0\0"), "md5": auth(5, b"salt"), "no-code": message("R", b"\0\0"),
    "code-ffffffff": auth(0xffffffff), "error": error(C="28000"),
}
FRAMES = {
    "answer": ANSWER, "answers": 3 * ANSWER, "in-transaction": message("Z", b"T") + message("Z", b"E"),
    "empty-message": message("I") + READY, "ready-without-status": message("Z") + READY,
    "ready-too-long": message("Z", b"IXY") + message("n"), "length-3": message("D", length=3) + READY,
    "length-0": message("D", length=0), "length-negative": message("D", length=0xfffffffe),
    "length-longest": message("d", bytes(40), length=0x7fffffff), "header-cut": ANSWER + b"D\0\0",
    "body-cut": ANSWER + message("D", b"abc", length=400), "ready-cut": ANSWER + READY[:5],
    "copy": 20 * message("d", b"1\tone\n") + message("c") + message("C", b"COPY 20\0") + READY,
}
REQUESTS = {
    "query": message("Q", b"select 1\0") + message("X"),
    "extended": message("P", b"\0select 1\0\0\0") + message("B", bytes(8)) + message("E", bytes(5)) + message("S"),
    "pipeline": 5 * (message("B", bytes(8)) + message("E", bytes(5)) + message("S")),
    "copy": message("Q", b"copy t from stdin\0") + 9 * message("d", b"QSF\n") + message("c"),
    "function": message("F", bytes(10)), "near-types": message("q") + message("s") + message("\x11") + message("\0"),
}
LOGINS = {
    "trust": WELCOME, "trust-and-more": WELCOME + ANSWER, "password": auth(3) + WELCOME,
    "md5": auth(5, b"salt") + WELCOME,
    "scram": sasl(PLUS, SCRAM) + auth(11, b"r=x,s=eA==,i=4096") + auth(12, b"v=eA==") + WELCOME,
    "scram-refused": sasl(PLUS, SCRAM) + auth(11, b"r=x,s=eA==,i=4096") + REFUSAL,
    "scram-refused-twice": sasl(PLUS, SCRAM) + REFUSAL + REFUSAL, "plus-only": sasl(PLUS) + REFUSAL,
    "bad-password": sasl(PLUS, SCRAM) + error(C="28P01", M="password authentication failed"),
    "refused-later": sasl(PLUS, SCRAM) + auth(0) + REFUSAL, "hba": REFUSAL,
    "negotiate": message("v", struct.pack(">II", 0, 1) + b"_pq_.x\0") + WELCOME,
    "notice": message("N", b"SWARNING\0C01000\0Mx\0\0") + WELCOME, "unknown": message("x", b"abc") + WELCOME,
    "length-3": message("S", length=3), "long-r": message("R", length=65536), "longest-r": message("R", bytes(9), length=65535),
    "long-e": message("E", bytes(9), length=65536), "long-s": message("S", bytes(9), length=70000),
    "ready-without-status": message("Z"), "r-without-code": message("R", b"\0\0\0"),
    "key-256": message("K", bytes(260)) + READY, "key-257": message("K", bytes(261)) + READY,
    "old-style": b"Ecould not fork new process for connection: Cannot allocate memory\n\0",
}


RESPS = {
    "pong": b"+PONG\r\n",
    "noauth": b"-NOAUTH Authentication required.\r\n:12\r\n",
    "time": b"*2\r\n$10\r\n1764000000\r\n$6\r\n123456\r\n",
    "null": b"$-1\r\n*-1\r\n",
    "long": b"$65537\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no_cr": b"+PONG\n",
}


def item(kind, *parts):
    body = b"".join(parts)
    return bytes([kind]) + struct.pack(">H", len(body)) + body


RAW_BYTES, NEXT_KEYS, INNER, ALERT, HANDSHAKE, DATA = 0, 1, 2, 21, 22, 23
HELLO_DATA = item(DATA, b"hello")
TICKET = bytes.fromhex("04000015000000090000000102" "6e6e00067469636b65740000")
UPDATE, REQUEST = bytes.fromhex("1800000100"), bytes.fromhex("1800000101")
RECORDS = {
    "data": 3 * HELLO_DATA, "empty": 33 * item(DATA), "padded": item(INNER, b"hello\x17", bytes(40)),
    "full": item(DATA, b"x" * 16384) + HELLO_DATA, "too-full": item(DATA, b"x" * 16385),
    "close": HELLO_DATA + item(ALERT, b"\1\0") + HELLO_DATA, "fatal": item(ALERT, b"\2\x28"),
    "canceled": 5 * item(ALERT, b"\1\x5a"), "half-alert": item(ALERT, b"\1") + item(ALERT, b"\0"),
    "update": item(HANDSHAKE, UPDATE) + item(NEXT_KEYS) + HELLO_DATA,
    "requests": 3 * (item(HANDSHAKE, REQUEST) + item(NEXT_KEYS) + HELLO_DATA),
    "many-updates": 66 * (item(HANDSHAKE, UPDATE) + item(NEXT_KEYS)),
    "update-cut": item(HANDSHAKE, UPDATE[:2]) + item(HANDSHAKE, UPDATE[2:]) + item(NEXT_KEYS) + HELLO_DATA,
    "update-and-more": item(HANDSHAKE, UPDATE + b"\x18"), "update-2": item(HANDSHAKE, b"\x18\0\0\1\2"),
    "ticket": item(HANDSHAKE, TICKET) + HELLO_DATA,
    "tickets-update": item(HANDSHAKE, TICKET + TICKET + UPDATE) + item(NEXT_KEYS) + HELLO_DATA,
    "ticket-cut": b"".join(item(HANDSHAKE, TICKET[i:i + 3]) for i in range(0, len(TICKET), 3)) + HELLO_DATA,
    "ticket-broken": item(HANDSHAKE, TICKET[:-1] + b"\1"), "amid": item(HANDSHAKE, TICKET[:9]) + HELLO_DATA,
    "finished": item(HANDSHAKE, b"\x14\0\0\x30", bytes(48)), "wrong-key": item(NEXT_KEYS) + HELLO_DATA,
    "raw-header": item(RAW_BYTES, b"\x17\3\3\x41\1x"), "raw-alert": item(RAW_BYTES, b"\x15\3\3\0\2\2\x28"),
    "raw-garbage": HELLO_DATA + item(RAW_BYTES, b"\x17\3\3\0\x20", bytes(32)), "no-type": item(INNER, bytes(9)),
}


CLIENT_NONCE, NONCES = "rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = f"{NONCES},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = f"c=biws,{NONCES},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
SCRAM_CLIENTS = {
    "rfc7677": f"{SERVER_FIRST}\0{SERVER_FINAL}", "error": f"{SERVER_FIRST}\0e=invalid-proof",
    "extension": f"{SERVER_FIRST},x=y\0v=AAAA", "mandatory": f"m=x,{SERVER_FIRST}", "no-count": f"{NONCES},s=AA==,i=0",
    "count-too-large": f"{NONCES},s=AA==,i=1000001", "no-salt": f"{NONCES},s=,i=1", "own-nonce": "r=x,s=AA==,i=1",
    "long-nonce": f"{NONCES}{'x' * 300},s=AA==,i=1", "empty": "",
}
SCRAM_SERVERS = {
    "0-rfc7677": f"n,,n=user,r={CLIENT_NONCE}\0{CLIENT_FINAL}", "4-known": f"n,,n=,r={CLIENT_NONCE}\0{CLIENT_FINAL}",
    "3-bound": f"p=tls-server-end-point,,n=,r={CLIENT_NONCE}\0{CLIENT_FINAL}", "1-lie": "y,,n=,r=abc",
    "3-unique": "p=tls-unique,,n=,r=abc", "0-authzid": "n,a=bob,n=,r=abc", "0-mandatory": "n,,m=x,n=,r=abc",
    "0-no-nonce": "n,,n=,r=", "0-long-nonce": "n,,n=,r=" + "x" * 257, "2-unoffered": "p=tls-server-end-point,,n=,r=abc",
    "0-no-proof": f"n,,n=,r={CLIENT_NONCE}\0c=biws,{NONCES}", "0-other-binding": f"n,,n=,r={CLIENT_NONCE}\0c=eSws,{NONCES},p=",
}


def initial(mechanism, first):
    return message("p", mechanism.encode() + b"\0" + struct.pack(">I", len(first)) + first.encode())


def turn(of_client, data):
    """Pieces of a bridge's input: whose, and how long in fours."""
    data += b"\0" * (-len(data) % 4)
    return bytes([(128 if of_client else 0) | len(data) // 4]) + data


BRIDGES = {
    "list": turn(0, sasl(PLUS, SCRAM)), "plain-list": turn(0, sasl(SCRAM)), "md5": turn(0, auth(5, b"salt")),
    "trust": turn(0, auth(0)), "refusal": turn(0, REFUSAL), "oauth": turn(0, sasl("OAUTHBEARER")),
    "first": turn(0, sasl(PLUS, SCRAM)) + turn(1, initial(SCRAM, "n,,n=,r=abc")),
    "bound": turn(0, sasl(PLUS, SCRAM)) + turn(1, initial(PLUS, "p=tls-server-end-point,,n=,r=abc")),
    "lie": turn(0, sasl(PLUS, SCRAM)) + turn(1, initial(SCRAM, "y,,n=,r=abc")),
    "no-proof": turn(0, sasl(SCRAM)) + turn(0, auth(0)), "challenge": turn(0, sasl(SCRAM)) + turn(0, auth(11, b"r=x,s=AA==,i=1")),
    "query": turn(0, sasl(SCRAM)) + turn(1, message("Q", b"select 1\0")), "early": turn(1, initial(SCRAM, "n,,n=,r=abc")),
    "notice": turn(0, message("N", b"C00000\0\0")), "ready": turn(0, sasl(SCRAM)) + turn(0, READY),
}
ROW = message("D", b"\0\1" + struct.pack(">I", 4) + b"text")
QUERIES = {
    "nobody": WELCOME + message("C", b"SELECT 0\0") + READY, "row": WELCOME + ROW + READY,
    "null": WELCOME + message("D", b"\0\1\xff\xff\xff\xff") + message("C", b"SELECT 1\0") + READY,
    "error": WELCOME + error(C="42501", M="permission denied"), "refusal": REFUSAL, "md5": auth(5, b"salt"),
    "scram": sasl(PLUS, SCRAM) + auth(11, b"r=x,s=AA==,i=1"), "early-ok": sasl(SCRAM) + auth(0), "early-ready": READY,
    "verifier": WELCOME + message("D", b"\0\1" + struct.pack(">I", 133) + b"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                  b"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=") + READY,
}


def gates():
    """Each policy and layer that matters, with each opening; two requests in turn."""
    turns = dict(OPENINGS)
    turns |= {"gss-ssl": GSS + SSL, "ssl-gss": SSL + GSS, "ssl-ssl": SSL + SSL, "gss-gss": GSS + GSS,
              "ssl-gss-startup": SSL + GSS + ANN, "gss-ssl-hello": GSS + SSL + HELLO}
    for name in ("length-10004", "protocol-2", "cancel-268", "cancel-269", "cancel-15", "length-0", "length-7"):
        del turns[name]
    setups = {"never": 0, "required": 2, "negotiated": 5, "direct": 8}
    for i, (name, stream) in enumerate(turns.items()):
        for j, (setup, choice) in enumerate(setups.items()):
            if i % 2 == j % 2 or len(stream) <= 16:
                yield f"{setup}-{name}", bytes([choice, 11 * i + j]) + stream


def logins():
    legs = {"tls-tls": 3, "plain-tls": 2, "tls-plain": 1, "same-leaf": 7}
    for i, (name, stream) in enumerate(LOGINS.items()):
        for j, (leg, choice) in enumerate(legs.items()):
            if "scram" in name or "plus" in name or i % 4 == j:
                yield f"{leg}-{name}", bytes([choice, 7 * i + j]) + stream


def write(target, inputs):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in inputs.items():
        (folder / name).write_bytes(data)


write("pg_opening", OPENINGS)
write("pg_startup", STARTUPS)
write("pg_error_response", ERRORS)
write("resp", RESPS)
write("pg_sasl", SASLS)
write("pg_frame", {name: bytes([i]) + stream for i, (name, stream) in enumerate(FRAMES.items())})
write("pg_frame", {f"client-{name}": bytes([128 + i]) + stream for i, (name, stream) in enumerate(REQUESTS.items())})
write("tls_record", {f"{role}-{name}": bytes([choice + i]) + stream for role, choice in
                     (("client", 64), ("server", 0)) for i, (name, stream) in enumerate(RECORDS.items())
                     if role == "client" or i % 2 or "ticket" in name})
write("gate", dict(gates()))
write("login", dict(logins()))
write("scram_client", {name: text.encode() for name, text in SCRAM_CLIENTS.items()})
write("scram_server", {name[2:]: bytes([int(name[0])]) + text.encode() for name, text in SCRAM_SERVERS.items()})
write("bridge", {f"{name}-{choice}": bytes([choice]) + data for i, (name, data) in enumerate(BRIDGES.items())
                 for choice in ((7, 15) if i % 2 else (7, 2))})
write("auth_query", {name: bytes([i]) + data for i, (name, data) in enumerate(QUERIES.items())})
