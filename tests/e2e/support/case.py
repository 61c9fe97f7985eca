"""The base of every end-to-end test: a directory, and helpers that clean up after themselves."""

import contextlib
import os
import pathlib
import resource
import socket
import ssl
import sys
import tempfile
import unittest

from . import backends, proxy, tls

SANITIZED = bool(os.environ.get("SNI_SANITIZE"))
SKIP_STATUS = 77  # SKIP_RETURN_CODE in CMakeLists.txt.


class ProxyTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="sni-proxy-e2e.")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.proxies = 0

    # Programs.

    def proxy(self, config, **options):
        self.proxies += 1
        directory = self.directory / f"proxy{self.proxies}"
        directory.mkdir()
        started = proxy.Proxy(config, directory, **options)
        self.addCleanup(self._end_proxy, started)
        return started

    def _end_proxy(self, started):
        result = self._outcome.result  # The failure is known by now, and the log says why.
        failed = (getattr(case, "test_case", case) for case, _ in result.failures + result.errors)
        if self in failed:
            print(f"--- log of the proxy in {self.id()}\n{started.log()[-6000:]}", file=sys.stderr)
        started.end()

    def nginx(self, *names, **options):
        started = backends.Nginx(names, self.directory, **options)
        self.addCleanup(started.end)
        return started

    def backend(self, handler=backends.echo, **options):
        started = backends.SocketBackend(handler, **options)
        self.addCleanup(started.end)
        return started

    def relay(self, handler=backends.echo, names=("one.example",), process=None, **config):
        """A proxy whose only route leads to a socket backend with this handler; `process` has
        options of the process, and other arguments are tables of the configuration."""
        route = {"names": list(names), "backend": self.backend(handler).address}
        return self.proxy({"route": [route], **config}, **process or {})

    # Clients.

    def connect(self, started, listener=None, host="127.0.0.1", seconds=20):
        port = started.ports[listener] if listener else started.port
        connection = socket.create_connection((host, port), timeout=seconds)
        self.addCleanup(connection.close)
        return connection

    def connect_hello(self, started, name="one.example", **options):
        """A connection with the hello sent, and the hello."""
        connection = self.connect(started, **options)
        hello = tls.client_hello(name)
        connection.sendall(hello)
        return connection, hello

    def poke(self, started, sent):
        """Sends, waits for one byte or any kind of end, and closes."""
        with self.connect(started) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            connection.recv(1)

    def certificate(self, name):
        return tls.certificate(str(self.directory), name)[0]

    def server_certificate(self, started, name, listener=None, *, alpn=(), highest=None):
        """The name in the certificate that a TLS client gets, or None if the handshake fails."""
        raw = self.connect(started, listener)
        return self.handshake(raw, name, alpn=alpn, highest=highest)

    def handshake(self, raw, name, *, alpn=(), highest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if highest:
            context.maximum_version = highest
        try:
            with context.wrap_socket(raw, server_hostname=name) as connection:
                der = connection.getpeercert(binary_form=True)
        except (ssl.SSLError, ConnectionError):
            return None
        return self._name_of(der)

    def _name_of(self, der):
        for path in self.directory.glob("*.pem"):
            if ssl.PEM_cert_to_DER_cert(path.read_text()) == der:
                return path.stem.replace("_", "*")
        self.fail("a certificate that no backend has")


def allow_descriptors(count):
    """Raises the soft limit of this process, and of the children it starts from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, count) if os.geteuid() == 0 else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, wanted), wanted))


def main():
    if not proxy.BINARY:
        sys.exit("set SNI_PROXY to the binary to test")
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    if not program.result.wasSuccessful():
        sys.exit(1)
    if program.result.skipped:
        sys.exit(1 if "CI" in os.environ else SKIP_STATUS)
