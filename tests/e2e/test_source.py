#!/usr/bin/env python3
"""The source of connections to backends."""

import os
import socket
import unittest

from support import backends, network, processes, tls
from support.case import ProxyTest, main
from support.proxy import listener

NAME = "one.example"


class Source(ProxyTest):
    """Every address of 127.0.0.0/8 belongs to this host."""

    def start(self, route, **options):
        self.peers = []

        def note(connection):
            self.peers.append(connection.getpeername())
            backends.echo(connection)
        backend = self.backend(note, **options)
        return self.proxy({"route": [{"names": [NAME], "backend": backend.address} | route]})

    def peer(self, proxy):
        connection, hello = self.connect_hello(proxy, NAME)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.close()
        return self.peers[-1]

    def failed(self, proxy):
        connection, _ = self.connect_hello(proxy, NAME)
        backends.drain(connection)
        line = proxy.access()[-1]
        return line["end"], line["error"]

    def test_connections_come_from_the_address_of_the_route(self):
        proxy = self.start({"bind_address": ["127.0.0.9", "2001:db8::1"]})
        self.assertEqual(self.peer(proxy)[0], "127.0.0.9")
        ipv6 = self.start({"bind_address": "127.0.0.9"}, host="::1")
        self.assertEqual(self.peer(ipv6)[0], "::1", "no address of this family is given")

    def test_a_missing_source_address_is_reported(self):
        proxy = self.start({"bind_address": "192.0.2.77"})
        self.assertEqual(self.failed(proxy), ("unreachable", "source address is not available"))
        self.assertIn("cannot bind to 192.0.2.77 (this host has no such address)", proxy.log())

    def test_one_source_address_has_all_ports_for_each_backend(self):
        both = [self.backend() for _ in range(2)]
        proxy = self.proxy({"route": [
            {"names": [f"{number}.example"], "backend": backend.address,
             "bind_address": "127.0.0.9", "source_ports": "40000-40000"}
            for number, backend in enumerate(both)]})
        for number in range(2):  # The same port, to two backends at once.
            connection, hello = self.connect_hello(proxy, f"{number}.example")
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)

    def test_running_out_of_ports_has_a_reason_of_its_own(self):
        proxy = self.start({"source_ports": "40002-40003"})
        held = [self.connect_hello(proxy, NAME) for _ in range(2)]
        for connection, hello in held:
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        self.assertEqual({port for _, port in self.peers}, {40002, 40003})
        self.assertEqual(self.failed(proxy), ("no_local_port", "no local port is left"))
        self.assertIn("no local port is left for connections to 127.0.0.1", proxy.log())
        self.assertEqual(proxy.ended(), {"no_local_port": 1})


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Networked(ProxyTest):
    """The client's namespace has the backend too; the proxy's is between them."""

    def setUp(self):
        super().setUp()
        self.lab = network.Network()
        self.addCleanup(self.lab.end)
        self.peers = []

        def note(connection):
            self.peers.append(connection.getpeername())
            backends.echo(connection)
        # Behind a link of its own, so that answers to the client's address only reach it through
        # the proxy's host.
        self.inside = f"sni-e2e-{os.getpid()}-inside"
        network.ip("netns", "add", self.inside)
        self.addCleanup(network.ip, "netns", "delete", self.inside)
        network.ip("link", "add", "inner", "netns", self.lab.proxy, "type", "veth",
                   "peer", "name", "eth0", "netns", self.inside)
        for namespace, device, last in ((self.lab.proxy, "inner", 1), (self.inside, "eth0", 2)):
            network.ip("-n", namespace, "address", "add", f"198.18.1.{last}/24", "dev", device)
            network.ip("-n", namespace, "link", "set", device, "up")
        network.ip("-n", self.inside, "route", "add", "default", "via", "198.18.1.1")
        self.backend = network.within(self.inside, lambda: backends.SocketBackend(
            note, host="198.18.1.2"))
        self.addCleanup(self.backend.end)

    def start(self, route, **config):
        return self.proxy({
            "listener": [listener(host=self.lab.proxy_address, port=processes.free_port())],
            "route": [{"names": [NAME], "backend": self.backend.address} | route], **config},
            command=self.lab.command)

    def connect(self, started, **_):
        connection = network.within(self.lab.client, lambda: socket.create_connection(
            (self.lab.proxy_address, started.port), timeout=20))
        self.addCleanup(connection.close)
        return connection

    def peer(self, proxy):
        connection, hello = self.connect_hello(proxy, NAME)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.close()
        return self.peers[-1][0]

    def route_answers_here(self):
        """The rule of docs/source.md: packets from backends to foreign destinations are delivered
        locally."""
        network.ip("-n", self.lab.proxy, "rule", "add", "iif", "inner", "lookup", "100")
        network.ip("-n", self.lab.proxy, "route", "add", "local", "0.0.0.0/0", "dev", "lo",
                   "table", "100")

    def test_the_backend_sees_the_clients_own_address(self):
        self.route_answers_here()
        for mode in ("userspace", "auto"):
            proxy = self.start({"transparent": True}, fast_path={"mode": mode})
            self.assertEqual(self.peer(proxy), self.lab.client_address)
            line = proxy.access()[0]
            self.assertEqual(line["end"], "done")
            self.assertEqual(line["client_bytes"], line["server_bytes"])

    def test_the_backend_sees_the_client_that_a_proxy_tells(self):
        self.route_answers_here()
        proxy = self.proxy({
            "listener": [listener(host=self.lab.proxy_address, port=processes.free_port()) |
                         {"accept_proxy_from": [f"{self.lab.client_address}/32"]}],
            "route": [{"names": [NAME], "backend": self.backend.address, "transparent": True}]},
            command=self.lab.command)
        connection = self.connect(proxy)
        hello = tls.client_hello(NAME)
        connection.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n" + hello)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        self.assertEqual(self.peers[-1][0], "192.0.2.7")

    def test_connections_leave_by_the_interface_of_the_route(self):
        self.assertEqual(self.peer(self.start({"bind_interface": "inner"})), "198.18.1.1")
        wrong = self.start({"bind_interface": "near"}, timeouts={"connect": "300ms"})
        connection, _ = self.connect_hello(wrong, NAME)
        backends.drain(connection)
        self.assertIn(wrong.access()[0]["end"], ("unreachable", "connect_timeout"))
        absent = self.start({"bind_interface": "absent0"})
        connection, _ = self.connect_hello(absent, NAME)
        backends.drain(connection)
        self.assertEqual(absent.access()[0]["error"], "source address is not available")
        self.assertIn("cannot bind to interface absent0", absent.log())

    def test_a_mark_chooses_the_way(self):
        network.ip("-n", self.lab.proxy, "rule", "add", "fwmark", "42", "blackhole")
        plain = self.start({"mark": 7})
        self.assertEqual(self.peer(plain), "198.18.1.1")
        marked = self.start({"mark": 42})
        connection, _ = self.connect_hello(marked, NAME)
        backends.drain(connection)
        self.assertEqual(marked.access()[0]["end"], "unreachable")


if __name__ == "__main__":
    main()
