# SPDX-License-Identifier: PostgreSQL
"""SCRAM verifiers: copied from a server, made from a password, written as a userlist."""
import base64
import hashlib
import hmac
import os


def copied(server, *users):
    """{user: verifier} as pg_authid has them."""
    with server.connect(dbname="postgres") as session:
        rows = session.execute("select rolname, rolpassword from pg_authid where rolname = any(%s)",
                               [list(users)]).fetchall()
    assert len(rows) == len(users), rows
    return dict(rows)


def keys(password, salt, iterations):
    """ClientKey, StoredKey, ServerKey of a password in ASCII."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return client, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def made(password, salt=b"0123456789abcdef", iterations=4096):
    _, stored, server = keys(password, salt, iterations)
    text = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{text[0]}${text[1]}:{text[2]}"


def parts(verifier):
    """Salt and count of a verifier."""
    stretch = verifier.split("$")[1]
    iterations, _, salt = stretch.partition(":")
    return base64.b64decode(salt), int(iterations)


def userlist(folder, users, name="userlist.txt"):
    """Writes the file; its path."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        for user, verifier in users.items():
            doubled = user.replace('"', '""')
            out.write(f'"{doubled}" "{verifier}"\n')
    os.chmod(path, 0o600)
    return path
