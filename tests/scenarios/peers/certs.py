# SPDX-License-Identifier: PostgreSQL
"""The session's certificates, and the contexts of Python's ssl module made of them."""
import os
import ssl


class Certs:
    def __init__(self, folder):
        self.folder = folder

    def file(self, name):
        return os.path.join(self.folder, name)

    def cert(self, name):
        return self.file(name + ".crt")

    def key(self, name):
        return self.file(name + ".key")

    def client(self, ca="servers-ca", cert=None, alpn=(), version=None):
        """A context for clients of the proxy; the name of the server is checked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.cert(ca))
        return self._finish(context, cert, alpn, version)

    def careless_client(self, cert=None, alpn=(), version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return self._finish(context, cert, alpn, version)

    def server(self, cert="backend", client_ca=None, alpn=(), version=None):
        """A context for a fake PostgreSQL behind the proxy."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if client_ca is not None:
            context.load_verify_locations(self.cert(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        return self._finish(context, cert, alpn, version)

    def _finish(self, context, cert, alpn, version):
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF    # an end without close_notify is seen
        if cert is not None:
            context.load_cert_chain(self.cert(cert), self.key(cert))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context
