#!/usr/bin/env python3
"""How connections reach their backends, on each plane: the bytes are right, every place is given
back, and the plane is the expected one."""

import os
import re
import socket

from support import backends, dns, network, packet, planes, processes, proxied, socks, tls
from support.case import main
from support.proxy import listener

FRONT, FAR, INSIDE = (packet.Lab.proxy_address, packet.Lab.client_address,
                      packet.Lab.container_address)
TOLD = "192.0.2.7"  # The client that a proxy in front tells of.
BOUND, MARKED = "198.18.0.4", "198.18.0.5"  # Further addresses of the proxy's host.
MARK, SOURCE_PORTS = 77, range(40000, 40010)
HAS_SOURCE_PORTS = tuple(int(part) for part in
                         re.findall(r"\d+", os.uname().release)[:2]) >= (6, 3)
SERVICE = "_https._tcp.example.internal"
PING = b"ping" * 1024


class Modes(packet.Packet):
    """One proxy per mode has all these routes."""

    front = FRONT

    def setUp(self):
        super().setUp()
        self.headers, self.requests, self.peers = [], [], []
        self.socks = self.far(socks.server(self.requests))
        self.told, self.queued = self.far(self.note_header), self.far()
        self.pair = [self.far(), self.far()]
        self.resetting = self.far(lambda connection: (connection.recv(65536),
                                                      backends.reset(connection)))
        self.inside = self.place_backend("container", self.note_peer)
        self.named, self.noting, self.healthy = self.far(), self.far(self.note_peer), self.far()
        self.down = f"{FAR}:{processes.free_port()}"
        self.names = network.within(self.lab.proxy, lambda: dns.DnsServer({
            SERVICE: [(0, 0, self.named.port, "a.example.internal")],
            "a.example.internal": [FAR], "web.internal": [FAR]}))
        self.addCleanup(network.within, self.lab.proxy, self.names.end)
        # What is marked leaves from another address, which shows that the mark is there.
        for address in (BOUND, MARKED):
            network.ip("-n", self.lab.proxy, "address", "add", f"{address}/24", "dev", "near")
        network.ip("-n", self.lab.proxy, "rule", "add", "fwmark", str(MARK), "lookup", str(MARK))
        network.ip("-n", self.lab.proxy, "route", "add", f"{FAR}/32", "dev", "near", "src", MARKED,
                   "table", str(MARK))
        # The rule of docs/source.md, for the container's answers to the clients' own addresses.
        network.ip("-n", self.lab.container, "route", "add", "default", "via",
                   packet.Lab.bridge_address)
        network.ip("-n", self.lab.proxy, "rule", "add", "iif", "br0", "lookup", "100")
        network.ip("-n", self.lab.proxy, "route", "add", "local", "0.0.0.0/0", "dev", "lo", "table",
                   "100")

    def far(self, handler=backends.echo):
        return self.place_backend("remote", handler)

    def note_header(self, connection):
        head = backends.read_exactly(connection, 16)
        head += backends.read_exactly(connection, int.from_bytes(head[14:16], "big"))
        self.headers.append(proxied.read_v2(head))
        backends.echo(connection)

    def note_peer(self, connection):
        self.peers.append(connection.getpeername())
        backends.echo(connection)

    def routes(self):
        def route(name, backend, **keys):
            return {"names": [f"{name}.example"], "backend": backend, **keys}
        return [
            route("told", self.told.address, send_proxy="v2", send_proxy_fields=["authority"]),
            route("socks", "10.0.0.9:8443", via="exit"),
            route("pair", [each.address for each in self.pair], balance="least_connections"),
            route("retried", [self.resetting.address, self.pair[0].address]),
            route("queued", {"address": self.queued.address, "max_connections": 1}),
            route("bounded", self.pair[0].address, connections=1),
            route("clear", self.inside.address, transparent=True),
            route("service", f"srv:{SERVICE}"),
            route("expression", f"\\1.internal:{self.named.port}", allow_private=True) |
            {"names": [r"/(web)-\d+\.example/"]},
            route("checked", [self.down, self.healthy.address], health="often"),
            route("bound", self.noting.address, bind_address=BOUND),
            route("marked", self.noting.address, mark=MARK),
            route("ports", self.noting.address,
                  source_ports=f"{SOURCE_PORTS[0]}-{SOURCE_PORTS[-1]}")]

    def start(self, fast_path):
        listeners = [listener(host=FRONT, port=processes.free_port()) | keys for keys in (
            {}, {"name": "behind", "accept_proxy_from": ["198.18.0.0/15"]})]
        return self.proxy({
            "listener": listeners, "route": [each | {"listeners": ["https", "behind"]}
                                             for each in self.routes()],
            "upstream": [{"name": "exit", "address": self.socks.address}],
            "dns": {"servers": [self.names.address]},
            "health": [{"name": "often", "interval": "100ms", "rise": 1, "fall": 1}],
            "server": {"workers": 2}, "fast_path": fast_path}, command=self.lab.command)

    def call(self, name, header=b"", behind=False):
        """A connection with its hello sent, and the hello."""
        connection = self.connect(self.started_proxy,
                                  port=self.started_proxy.ports["behind"] if behind else None)
        hello = tls.client_hello(f"{name}.example")
        connection.sendall(header + hello)
        return connection, hello

    def echoed(self, called, plane):
        """The connection, once it is on the plane, and how many bytes it has seen each way."""
        connection, hello = called
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        seen = len(hello)
        before = self.started_proxy.log().count(packet.HANDED_OVER)

        def over():
            nonlocal seen
            connection.sendall(PING)
            self.assertEqual(backends.read_exactly(connection, len(PING)), PING)
            seen += len(PING)
            return plane != "packet" or self.started_proxy.log().count(packet.HANDED_OVER) > before
        for _ in range(2):
            over()
        if plane == "packet":
            processes.wait_until(over, "the hand-over", 20)
        return connection, seen

    def ended(self, held, plane, **expected):
        """Closes the connection; its access line."""
        connection, seen = held
        connection.close()
        self.lines += 1
        line = self.started_proxy.access(self.lines)[-1]
        expected |= {"plane": plane, "end": "done", "client_bytes": seen, "server_bytes": seen}
        self.assertEqual({key: line[key] for key in expected}, expected)
        return line

    def run_all(self, fast_path, plane, *, socks_plane=None, source_plane=None):
        """`socks_plane`, `source_plane`: of what goes by SOCKS5, and of routes whose connections
        have a source of their own, where the plane does not take these."""
        self.started_proxy, self.lines = self.start(fast_path), 0
        held = self.echoed(self.call("told", proxied.v2(TOLD, "198.51.100.1"), behind=True), plane)
        self.ended(held, plane, client=f"{TOLD}:50123")
        (source, _, fields, _), = self.headers
        self.assertEqual((source, fields), ((TOLD, 50123), {proxied.AUTHORITY: b"told.example"}))

        by_socks = socks_plane or plane
        self.ended(self.echoed(self.call("socks"), by_socks), by_socks, upstream="exit",
                   backend="10.0.0.9:8443")
        self.assertEqual([request[3:] for _, request in self.requests],
                         [b"\1" + socket.inet_aton("10.0.0.9") + (8443).to_bytes(2, "big")])

        held = [self.echoed(self.call("pair"), plane) for _ in range(4)]
        self.assertEqual([len(each.open) for each in self.pair], [2, 2])
        self.assertEqual(self.counts("connections"), {each.address: 2 for each in self.pair})
        for each in held:
            self.ended(each, plane)

        self.ended(self.echoed(self.call("retried"), plane), plane, attempts=2,
                   backend=self.pair[0].address)

        first = self.echoed(self.call("queued"), plane)
        waiting = self.call("queued")
        processes.wait_until(lambda: self.counts("queued") == {self.queued.address: 1},
                             "one that waits")
        self.ended(first, plane)
        self.ended(self.echoed(waiting, plane), plane)

        first = self.echoed(self.call("bounded"), plane)
        refused, _ = self.call("bounded")
        self.assertTrue(tls.is_fatal_alert(backends.read_to_end(refused), tls.INTERNAL_ERROR))
        self.lines += 1
        self.assertEqual(self.started_proxy.access(self.lines)[-1]["end"], "route_full")
        self.ended(first, plane)
        self.ended(self.echoed(self.call("bounded"), plane), plane)

        self.run_named(plane)
        self.run_from(source_plane or plane)
        self.assertEqual(self.counts("connections"), {})
        self.assertEqual(self.counts("queued"), {})

    def run_named(self, plane):
        """Backends by their records, by a group of the client's name, and by their health."""
        for name in ("service", "web-7"):
            self.ended(self.echoed(self.call(name), plane), plane, backend=self.named.address)
        self.started_proxy.wait_log(re.escape(f"backend {self.down} is down"))
        self.ended(self.echoed(self.call("checked"), plane), plane, attempts=1,
                   backend=self.healthy.address)

    def run_from(self, plane):
        """Connections from a source that is not the system's choice."""
        for name, source in (("clear", FAR), ("bound", BOUND), ("marked", MARKED)):
            self.ended(self.echoed(self.call(name), plane), plane)
            self.assertEqual(self.peers[-1][0], source, name)
        if HAS_SOURCE_PORTS:
            self.ended(self.echoed(self.call("ports"), plane), plane)
            self.assertIn(self.peers[-1][1], SOURCE_PORTS)

    def counts(self, key):
        """Of each backend that has any."""
        listed = self.command(self.started_proxy, "backends")["backends"]
        return {each["backend"]: each[key] for each in listed if each[key]}

    def test_userspace(self):
        self.run_all({"mode": "userspace"}, "userspace")

    def test_sockhash(self):
        # The backends' namespaces are on this host.
        self.run_all({"mode": "sockhash", **planes.EAGER, "same_host": False}, "sockhash",
                     socks_plane="userspace")

    def test_packet(self):
        self.run_all(packet.EAGER, "packet", source_plane="userspace")

    def test_auto(self):
        self.run_all({**packet.EAGER, "mode": "auto"}, "packet", source_plane="userspace")


if __name__ == "__main__":
    main()
