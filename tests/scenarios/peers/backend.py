# SPDX-License-Identifier: PostgreSQL
"""Servers that are not PostgreSQL: scripted, broken or hostile ones."""
import socket
import threading

from peers import wire
from peers.stream import Stream, free_port


class FakeBackend:
    """
    Runs `script(stream)` in a thread for each connection.  `seen` has what each
    connection left behind: the script may append whatever it wants to tell.
    """

    def __init__(self, script, backlog=128, host="127.0.0.1"):
        self.script = script
        self.seen = []
        self.accepted = 0
        self.streams = []
        self.changed = threading.Condition()
        self.listener = socket.create_server((host, 0), backlog=backlog, family=(
            socket.AF_INET6 if ":" in host else socket.AF_INET))
        self.port = self.listener.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(30)
            stream = Stream(sock)
            with self.changed:
                self.accepted += 1
                self.streams.append(stream)
                self.changed.notify_all()
            thread = threading.Thread(target=self._serve, args=(stream,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, stream):
        try:
            self.script(stream, self.tell)
        except (OSError, EOFError, AttributeError, TypeError) as error:   # no message at the end
            self.tell(error)
        finally:
            stream.close()

    def tell(self, what):
        with self.changed:
            self.seen.append(what)
            self.changed.notify_all()

    def wait(self, count=1, timeout=30):
        """Until `count` things were told; returns them all."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, timeout), self.seen
            return list(self.seen)

    def stop(self):
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)    # wakes the thread in accept
            self.listener.close()
        for stream in self.streams:
            try:
                stream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(10)


class Lane:
    """A server that does one case after the other, for a route of its own (`port`)."""

    def __init__(self, fake, certs):
        self.certs = certs
        self.case = None
        self.port = None
        self.server = fake(self._serve)

    def _serve(self, stream, _tell):
        try:
            self.case(stream, self.certs)
        except (AssertionError, ValueError):
            pass                        # the proxy had enough before
        finally:
            self.server.streams.clear()
            del self.server.threads[1:-20]


def answer_ssl(stream, first, context):
    """Takes an SSLRequest where `first` is one; the packet behind it, or `first`."""
    if first != wire.SSL_REQUEST:
        return first
    stream.send(b"S" if context else b"N")
    if context:
        stream.start_tls(context, server_side=True)
    return stream.packet()


def accept_login(stream, context=None, ready=wire.LOGGED_IN):
    """The server's side of a login: TLS if there is a context; returns the startup packet."""
    first = answer_ssl(stream, stream.packet(), context)
    if first is not None:
        stream.send(ready)
    return first


def record_everything(stream, tell):
    """Tells every byte that came, at the end."""
    tell(stream.rest())


def take_cancel(stream, tell):
    """Tells the packet and whatever comes right behind it; closes, as PostgreSQL does."""
    packet = stream.packet()
    stream.sock.settimeout(0.1)
    try:
        packet += stream.recv()
    except TimeoutError:
        pass
    tell(packet)


def wire_tap(port):
    """Tells the first packet of each connection and passes everything on to the server there."""
    def pass_on(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass                            # it is gone

    def script(stream, tell):
        first = stream.packet()
        tell(first)
        with socket.create_connection(("127.0.0.1", port), 30) as server:
            server.sendall(first)
            back = threading.Thread(target=pass_on, args=(server, stream.sock), daemon=True)
            back.start()
            pass_on(stream.sock, server)
            back.join(30)

    return script


class Blackhole:
    """An address that never answers: its queue of waiting connections is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.fillers = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(sock)

    def stop(self):
        for sock in [*self.fillers, self.listener]:
            sock.close()


def refusing_address():
    """An address that nobody listens on."""
    return f"127.0.0.1:{free_port()}"
