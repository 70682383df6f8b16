# SPDX-License-Identifier: PostgreSQL
"""What each verifier says of a certificate, in the words of the table.

    ok       a session
    chain    the chain does not verify, or the certificate cannot be read
    name     it is good, but not for this name
    none     as if no certificate were shown
    closed   closed without a word
    tls      the handshake fails for another reason
"""
import re
import ssl

from peers import wire
from peers.stream import Truncated, connect

# The first that fits.
SAYINGS = (
    ("chain", r"certificate verify failed|(server|client)'s certificate: |"
              r"alert (unknown ca|bad certificate|certificate (expired|revoked|unknown)|"
              r"unsupported certificate|decrypt error)|EVP lib|provider signature failure|"
              r"SSL error: invalid certificate"),
    ("name", r"does not match host name|host name from server certificate|embedded (null|NUL)|"
             r"IP address of \d+ bytes|invalid length|alternative names cannot be read|"
             r"not for host|no name, and host|is not the user name|"
             r"authentication failed for user"),
    ("none", r"requires a valid client certificate"),
)


def of_text(text):
    for verdict, pattern in SAYINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return verdict
    return "tls"


# A server's certificate

def of_libpq(text):
    return "ok" if text == "ok" else of_text(text)


def of_backend_leg(proxy, name, port):
    """(verdict, the proxy's own words): a login in plaintext, whose server shows the animal."""
    with connect(port, timeout=20) as client:
        last = client.login()[-1]
    if last.type == "Z":
        return "ok", ""
    failed = proxy.wait_event("tls.handshake.failed", route=name)
    if failed["leg"] != "backend" or not last.code.startswith("08"):
        return "?", f"{failed} {last.fields}"
    words = f"{failed['reason']}; {failed.get('hint', '')}"
    return of_text(words), words


# A client's certificate

def context_of(made):
    """A client that shows whatever it has, to anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.load_cert_chain(made.cert, made.key)
    return context


def of_postgres(made, port, user, database):
    """(verdict, words).  It closes without reading what came behind the handshake: its alert is
    lost then, more or less often."""
    for _ in range(10):
        found = of_login(made, port, user, database)
        if "ConnectionResetError" not in found[1]:
            break
    return found


def of_login(made, port, user, database):
    """(verdict, words) of the proxy's listener, or of PostgreSQL."""
    with connect(port, timeout=20) as client:
        assert client.ask_for_tls() == b"S"
        try:
            client.start_tls(context_of(made))
            client.send(wire.startup(user, database))
            last = client.messages_until("ZE")[-1]
        except ssl.SSLError as error:
            return of_text(str(error)), str(error)
        except (EOFError, ConnectionError, Truncated) as error:
            return "closed", repr(error)
    return ("ok", "") if last.type == "Z" else (of_text(last.fields["M"]), last.fields["M"])
