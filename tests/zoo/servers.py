# SPDX-License-Identifier: PostgreSQL
"""A server for each animal: it shows its certificate, and lets everybody in."""
import concurrent.futures
import selectors
import socket
import ssl
import threading

from peers.backend import accept_login
from peers.stream import Stream


def context_of(made):
    """Whatever it is, it is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(made.cert, made.key)
    return context


def serve(sock, made):
    sock.settimeout(20)
    with Stream(sock) as stream:
        try:
            if accept_login(stream, made and context_of(made)) is not None:
                stream.rest()
        except (OSError, EOFError):
            pass                    # a client that does not like what it sees


class Servers:
    """`ports` by the name of the animal; None is a server without TLS."""

    def __init__(self, zoo):
        self.selector = selectors.DefaultSelector()
        self.ports = {}
        for made in [*zoo, None]:
            sock = socket.create_server(("127.0.0.1", 0))
            self.selector.register(sock, selectors.EVENT_READ, made)
            self.ports[made and made.animal.name] = sock.getsockname()[1]
        self.wakeup, self.waker = socket.socketpair()
        self.selector.register(self.wakeup, selectors.EVENT_READ, self)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            while True:
                for key, _ in self.selector.select():
                    if key.data is self:
                        return
                    pool.submit(serve, key.fileobj.accept()[0], key.data)

    def stop(self):
        self.waker.send(b"x")
        self.thread.join(30)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.waker.close()
