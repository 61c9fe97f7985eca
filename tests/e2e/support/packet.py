"""Connections on the packet plane: a separate host between a client and a container."""

import json
import os
import signal
import socket
import subprocess
import unittest

from . import backends, network, planes, processes, tls
from .case import ProxyTest
from .proxy import BINARY, listener

EAGER = {"mode": "packet", "packet_after": "0s", "packet_after_bytes": "0B"}
HANDED_OVER = "was handed over"
# Indices of TRAFFIC_STATS in src/bpf/packet/packet_shared.h.
FORWARDED_BYTES, UNBELIEVED, RESETS_DOUBTED, SYNS, TOO_BIG, EVENTS_LOST = 5, 6, 8, 9, 11, 17


class Lab(network.Network):
    """Client and proxy, and a container behind a bridge of the proxy's host; both families."""

    bridge_address, container_address = "198.18.1.1", "198.18.1.2"
    v6 = {"proxy": "2001:db8::1", "client": "2001:db8::2",
          "bridge": "2001:db8:1::1", "container": "2001:db8:1::2"}

    def __init__(self):
        super().__init__()
        self.container = f"sni-e2e-{os.getpid()}-container"
        network.ip("netns", "add", self.container)
        network.ip("-n", self.container, "link", "set", "lo", "up")
        network.ip("-n", self.proxy, "link", "add", "br0", "type", "bridge")
        network.ip("link", "add", "port", "netns", self.proxy, "type", "veth",
                   "peer", "name", "eth0", "netns", self.container)
        network.ip("-n", self.proxy, "link", "set", "port", "master", "br0", "up")
        network.ip("-n", self.proxy, "link", "set", "br0", "up")
        network.ip("-n", self.container, "link", "set", "eth0", "up")
        for namespace, device, v4, v6 in (
                (self.proxy, "near", None, "proxy"), (self.client, "far", None, "client"),
                (self.proxy, "br0", self.bridge_address, "bridge"),
                (self.container, "eth0", self.container_address, "container")):
            if v4:
                network.ip("-n", namespace, "address", "add", f"{v4}/24", "dev", device)
            network.ip("-n", namespace, "address", "add", f"{self.v6[v6]}/64", "dev", device,
                       "nodad")

    def end(self):
        super().end()
        network.ip("netns", "delete", self.container)


# Namespace of the backend, its address, and the address at which the client meets the proxy.
PLACES = {
    "remote": ("client", Lab.client_address, Lab.proxy_address),
    "remote, IPv6": ("client", Lab.v6["client"], Lab.v6["proxy"]),
    "container": ("container", Lab.container_address, Lab.proxy_address),
    "container, IPv6": ("container", Lab.v6["container"], Lab.v6["proxy"]),
    "loopback": ("proxy", "127.0.0.1", Lab.proxy_address),
    "loopback, IPv6": ("proxy", "::1", Lab.v6["proxy"]),
    "own address": ("proxy", Lab.bridge_address, Lab.proxy_address),
    "mixed": ("container", Lab.container_address, Lab.v6["proxy"]),
}


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Packet(ProxyTest):
    def setUp(self):
        super().setUp()
        self.lab = self.make_lab()
        self.addCleanup(self.lab.end)

    def make_lab(self):
        return Lab()

    def place_backend(self, place, handler):
        where, address, _ = PLACES[place]
        backend = network.within(getattr(self.lab, where), lambda: backends.SocketBackend(
            handler, host=address))
        self.addCleanup(backend.end)
        return backend

    def started(self, place, handler, fast_path=None, *, route_keys=None, listen=None, wrapper=(),
                wait=True, **config):
        """A proxy that hands over at once, and a backend. `route_keys`, `listen`: further keys of
        its route and listener; `wrapper`: a command that starts it with other privileges or
        limits."""
        backend = self.place_backend(place, handler)
        self.front = PLACES[place][2]
        return self.proxy({
            "listener": [listener(host=self.front, port=processes.free_port()) |
                         (listen or {})],
            "route": [{"names": ["one.example"], "backend": backend.address} |
                      (route_keys or {})],
            **config, "fast_path": EAGER | (fast_path or {})},
            command=[*self.lab.command, *wrapper], wait=wait)

    def connect(self, started, port=None, **_):
        connection = network.within(self.lab.client, lambda: socket.create_connection(
            (self.front, port or started.port), timeout=60))
        self.addCleanup(connection.close)
        return connection

    def command(self, started, *arguments):
        """The running proxy's answer to a command."""
        done = subprocess.run(
            [BINARY, *arguments, "--socket", started.config["control"]["socket"], "--json"],
            capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def short_connection(self, started):
        """A connection that is answered and ends at once."""
        connection = self.connect(started)
        hello = tls.client_hello("one.example")
        connection.sendall(hello)
        backends.read_exactly(connection, len(hello))
        connection.close()

    def handed_over(self, started, count=1, connection=None):
        """A connection carried by the kernel, and how many bytes each way it has seen."""
        if connection is None:
            connection = self.connect(started)
        hello = tls.client_hello("one.example")
        connection.sendall(hello)
        sent = len(hello)
        backends.read_exactly(connection, sent)

        def over():
            nonlocal sent
            connection.sendall(b"ping")
            backends.read_exactly(connection, 4)
            sent += 4
            return started.log().count(HANDED_OVER) >= count
        processes.wait_until(over, "the hand-over", 20)
        return connection, sent

    def check_relayed(self, started, connection, counted):
        """A connection works and is declined, counted under this reason. Ends the proxy."""
        hello = tls.client_hello("one.example")
        connection.sendall(hello)
        backends.read_exactly(connection, len(hello))

        def declined():
            connection.sendall(b"ping")
            self.assertEqual(backends.read_exactly(connection, 4), b"ping")
            return f"stays in the relay: {counted}" in started.log()
        processes.wait_until(declined, f"a decline: {counted}", 30)
        connection.close()
        self.assertIn("userspace", [record["plane"] for record in started.access(1)])
        self.assertNotIn(HANDED_OVER, started.log())
        started.signal(signal.SIGTERM)
        self.assertEqual(started.wait(20), 0)
        counted = "packet_declined." + counted.replace(" ", "_") + "=1"
        self.assertIn(counted, started.log())

    def counted(self, started, which):
        ids = [id for id, name in planes.held("map", started).items() if name == "TRAFFIC_STATS"]
        total = 0
        for each in ids:
            for entry in planes.bpftool("map", "dump", "id", str(each)):
                if entry["formatted"]["key"] == which:
                    total += sum(value["value"] for value in entry["formatted"]["values"])
        return total

    def none_was_invalid(self, namespace, size):
        """The counters "good" and "bad" of its rules, after `size` bytes."""
        packets = network.nft_packets(namespace)
        self.assertEqual(packets["bad"], 0)
        self.assertGreater(packets["good"], size // 65536)

    def line(self, started, end="done", count=1):
        record = started.access(count)[-1]
        self.assertEqual((record["plane"], record["end"]), ("packet", end), record)
        return record
