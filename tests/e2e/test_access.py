#!/usr/bin/env python3
"""The access lists hold at accept."""

import socket
import unittest

from support import backends, tls
from support.case import ProxyTest, main
from support.proxy import listener


class Access(ProxyTest):
    def served(self, proxy, source):
        """Whether a client with this source address reaches the backend."""
        host = "::1" if ":" in source else "127.0.0.1"
        try:
            with socket.create_connection((host, proxy.port), timeout=20,
                                          source_address=(source, 0)) as connection:
                connection.sendall(tls.client_hello("one.example"))
                return connection.recv(1) == b"\x16"
        except ConnectionError:
            return False

    def assert_served(self, proxy, **expected):
        for last, served in expected.items():
            self.assertEqual(self.served(proxy, f"127.0.0.{last[1:]}"), served, last)

    def test_blocked_sources_get_nothing(self):
        proxy = self.relay(access={"block": ["127.0.0.7", "127.0.0.64/26"]})
        self.assert_served(proxy, _1=True, _7=False, _63=True, _64=False, _127=False, _128=True)

    def test_allow_wins_over_block(self):
        proxy = self.relay(access={"block": ["127.0.0.0/8"], "allow": ["127.0.0.2", "127.0.0.8/30"]})
        self.assert_served(proxy, _1=False, _2=True, _7=False, _8=True, _11=True, _12=False)

    def test_default_deny_serves_only_the_allowlist(self):
        proxy = self.relay(access={"allow": ["127.0.0.2"], "default": "deny"})
        self.assert_served(proxy, _1=False, _2=True)

    def test_v4_mapped_sources_are_the_ipv4_sources_that_they_are(self):
        proxy = self.relay(listener=[listener(host="::")],
                           access={"block": ["127.0.0.7", "::1/128"]})
        self.assert_served(proxy, _1=True, _7=False)
        self.assertFalse(self.served(proxy, "::1"))

    def test_a_block_of_ipv6_leaves_ipv4_alone(self):
        proxy = self.relay(listener=[listener(host="::")], access={"block": ["::/0"]})
        self.assert_served(proxy, _1=True)
        self.assertFalse(self.served(proxy, "::1"))

    def test_blocked_clients_do_not_count_as_connections(self):
        proxy = self.relay(access={"block": ["127.0.0.7"]}, limits={"connections": 1})
        for _ in range(20):
            self.assertFalse(self.served(proxy, "127.0.0.7"))
        connection, hello = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)


class Freebind(ProxyTest):
    def test_a_listener_may_have_an_address_that_no_interface_has(self):
        absent = {"name": "absent", "address": "192.0.2.1:4433", "freebind": True}
        proxy = self.relay(listener=[listener(), absent])
        self.connect_hello(proxy)


if __name__ == "__main__":
    main()
