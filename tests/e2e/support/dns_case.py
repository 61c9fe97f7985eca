"""Proxies whose backends have names, with DNS servers of the test."""

from . import backends, dns, tls
from .case import ProxyTest


class DnsTest(ProxyTest):
    def server(self, records, **options):
        started = dns.DnsServer(records, **options)
        self.addCleanup(started.end)
        return started

    def start(self, resolver, backend, *, route=None, **config):
        keys = {"servers": [resolver.address], "timeout": "300ms", "tries": 2}
        return self.proxy({"dns": keys | config.pop("dns", {}),
                           "route": [{"names": ["*"], "backend": backend} | (route or {})], **config})

    def answer(self, proxy, name="one.example"):
        connection, _ = self.connect_hello(proxy, name)
        with connection:
            return backends.read_to_end(connection)

    def assert_alert(self, answer):
        self.assertTrue(tls.is_fatal_alert(answer, tls.INTERNAL_ERROR), answer)

    def assert_refused(self, answer):
        """An alert; which one is not part of the contract."""
        self.assertEqual((len(answer), answer[:1]), (7, b"\x15"), answer)
