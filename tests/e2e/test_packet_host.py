#!/usr/bin/env python3
"""nftables and conntrack of the proxy's own host beside the packet plane, and NAT in front of it."""

import socket
import unittest

from support import backends, network, processes, streams, tls
from support.case import main
from support.packet import Packet
from support.path import Router

TRANSLATED = "packets do not arrive under the expected addresses (NAT?)"
NAT = "add table ip n; add chain ip n {hook} {{ type nat hook {hook} priority {at} ; }}; "
BEFORE, AFTER = NAT.format(hook="prerouting", at=-100), NAT.format(hook="postrouting", at=100)
TRACK = "add table inet t; add chain inet t {hook} {{ type filter hook {hook} priority {at} ; }}; "
PIECES = 50
SIZE = 16 << 20


def show_bridged(namespace, value):
    """Whether bridges show their packets to iptables (br_netfilter), and so to conntrack."""
    keys = [f"net.bridge.bridge-nf-call-{name}tables" for name in ("ip", "ip6")]
    try:
        network.execute(namespace, "sysctl", "-qw", *(f"{key}={value}" for key in keys))
    except AssertionError:
        if value:
            raise unittest.SkipTest("needs br_netfilter") from None


class Translated(Packet):
    """NAT of the proxy's host: packets do not arrive under the addresses that its sockets have."""

    def nft(self, rules):
        network.execute(self.lab.proxy, "nft", rules)

    def test_connections_to_another_address_of_the_host_stay_in_the_relay(self):
        """DNAT."""
        port = processes.free_port()
        started = self.started("container", backends.echo, listen={
            "address": f"{self.lab.bridge_address}:{port}"})
        self.nft(BEFORE + "add rule ip n prerouting tcp dport 9999 dnat to "
                 f"{self.lab.bridge_address}:{port}")
        self.check_relayed(started, self.connect(started, port=9999), TRANSLATED)

    def test_connections_that_leave_under_another_port_stay_in_the_relay(self):
        """MASQUERADE."""
        self.nft(AFTER + "add rule ip n postrouting oifname br0 meta l4proto tcp "
                 "masquerade to :10000-10999")
        self.check_leaving()

    def test_connections_that_leave_under_another_address_stay_in_the_relay(self):
        """SNAT."""
        network.ip("-n", self.lab.proxy, "address", "add", "198.18.1.9/24", "dev", "br0")
        self.nft(AFTER + "add rule ip n postrouting oifname br0 snat to 198.18.1.9")
        self.check_leaving()

    def check_leaving(self):
        """However early the bridge undoes it: before the packets come to br0, or later."""
        show_bridged(self.lab.proxy, 0)
        self.check_left()
        show_bridged(self.lab.proxy, 1)
        self.check_left()

    def check_left(self):
        seen = []

        def handler(connection):
            seen.append(connection.getpeername())
            backends.echo(connection)
        started = self.started("container", handler)
        self.check_relayed(started, self.connect(started), TRANSLATED)
        (address, port), = seen
        self.assertTrue(address == "198.18.1.9" or 10000 <= port < 11000, seen)


    def test_clients_behind_a_bridge_that_meet_another_address_stay_in_the_relay(self):
        """REDIRECT, by the bridge."""
        show_bridged(self.lab.proxy, 1)
        started = self.started("container", backends.echo, listen={
            "address": f"{self.lab.bridge_address}:{processes.free_port()}"})
        self.nft(BEFORE + f"add rule ip n prerouting tcp dport 9999 redirect to {started.port}")
        self.front = self.lab.bridge_address
        connection = network.within(self.lab.container, lambda: socket.create_connection(
            (self.front, 9999), timeout=60))
        self.addCleanup(connection.close)
        self.check_relayed(started, connection, TRANSLATED)


class InFront(Packet):
    def make_lab(self):
        return Router()

    def test_behind_nat_of_a_router_connections_are_handed_over(self):
        started = self.started("container", backends.echo)
        network.execute(self.lab.middle, "nft", BEFORE + AFTER + (
            f"add rule ip n prerouting tcp dport 9999 dnat to {self.front}:{started.port}; "
            "add rule ip n postrouting oifname inner masquerade"))
        self.front = "198.18.2.1"  # The router's.
        connection, sent = self.handed_over(started, connection=self.connect(started, port=9999))
        block = bytes(range(256)) * 4096
        connection.sendall(block)
        self.assertEqual(backends.read_exactly(connection, len(block)), block)
        connection.close()
        record = self.line(started)
        self.assertRegex(record["client"], r"^198\.18\.0\.254:")
        self.assertEqual(record["client_bytes"], sent + len(block))


class Tracked(Packet):
    # Only connections are tracked, not what the host says by itself, such as IGMP.
    RULES = (TRACK.format(hook="prerouting", at=-150) + "add rule inet t prerouting ct state new; "
             "add chain inet t early { type filter hook prerouting priority -300 ; }; "
             "add rule inet t early meta l4proto != tcp notrack; "
             "add chain inet t out { type filter hook output priority -300 ; }; "
             "add rule inet t out meta l4proto != tcp notrack")

    def tracked(self):
        return int(network.execute(self.lab.proxy, "sysctl", "-n",
                                   "net.netfilter.nf_conntrack_count"))

    def check_forgotten(self, place):
        started = self.started(place, backends.echo)
        network.execute(self.lab.proxy, "nft", self.RULES)  # Later than the self-test.
        for turn, finish in enumerate(("close", "reset", "kill"), 1):
            connection, _ = self.handed_over(started, turn)
            self.assertEqual(self.tracked(), 2, finish)
            if finish == "close":
                connection.close()
            elif finish == "reset":
                backends.reset(connection)
            else:
                found, = self.command(started, "connections")
                self.command(started, "kill", found["id"])
            started.access(turn)
            processes.wait_until(lambda: self.tracked() == 0, f"no entry after {finish}", 20)

    def test_no_entry_of_a_connection_is_left(self):
        self.check_forgotten("container")

    def test_no_entry_of_a_connection_by_ipv6_is_left(self):
        self.check_forgotten("container, IPv6")

    def test_no_entry_of_a_connection_to_loopback_is_left(self):
        self.check_forgotten("loopback")


class Bridged(Packet):
    """A bridge that shows its packets to conntrack, which drops invalid ones there."""

    RULES = ("add table inet t; add counter inet t bad; add counter inet t good; "
             "add chain inet t c { type filter hook prerouting priority 0 ; }; "
             "add rule inet t c iifname br0 ct state invalid counter name bad drop; "
             "add rule inet t c iifname br0 ct state established counter name good")

    def check_valid(self, place):
        show_bridged(self.lab.proxy, 1)
        network.execute(self.lab.proxy, "nft", self.RULES)
        expected = streams.digest(SIZE)
        hello = tls.client_hello("one.example")

        def handler(connection):
            connection.settimeout(60)
            connection.sendall(backends.read_exactly(connection, len(hello)))
            while (word := backends.read_exactly(connection, 4)) != b"bulk":
                connection.sendall(word)
            streams.exchange(connection, SIZE, expected)
        started = self.started(place, handler)
        connection, _ = self.handed_over(started)
        connection.sendall(b"bulk")
        streams.exchange(connection, SIZE, expected)
        connection.close()
        self.line(started)
        self.none_was_invalid(self.lab.proxy, SIZE)

    def test_no_packet_of_a_container_is_invalid(self):
        self.check_valid("container")

    def test_no_packet_of_a_container_is_invalid_by_ipv6(self):
        self.check_valid("container, IPv6")


class Counted(Packet):
    """A rule of the proxy's host counts what it would count without the plane."""

    def watch(self, namespace, hook, ports):
        rules = TRACK.format(hook=hook, at=0)
        for name, match in ports.items():
            rules += f"add counter inet t {name}; "
            rules += f"add rule inet t {hook} {match} counter name {name}; "
        network.execute(namespace, "nft", rules)

    def server(self, kind):
        server = network.within(self.lab.proxy, lambda: socket.socket(socket.AF_INET, kind))
        self.addCleanup(server.close)
        server.bind((self.lab.proxy_address, 0))
        return server

    def client(self, server, kind):
        client = network.within(self.lab.client, lambda: socket.socket(socket.AF_INET, kind))
        self.addCleanup(client.close)
        client.settimeout(20)
        client.connect(server.getsockname())
        return client

    def test_rules_on_other_ports_see_each_of_their_packets(self):
        started = self.started("container", backends.echo)
        stream, datagrams = self.server(socket.SOCK_STREAM), self.server(socket.SOCK_DGRAM)
        stream.listen()
        ports = {"spliced": f"tcp dport {started.port}",
                 "stream": f"tcp dport {stream.getsockname()[1]}",
                 "datagrams": f"udp dport {datagrams.getsockname()[1]}"}
        connection, _ = self.handed_over(started)
        self.watch(self.lab.proxy, "input", ports)
        self.watch(self.lab.client, "output", ports)
        one, other = self.client(stream, socket.SOCK_STREAM), self.client(datagrams,
                                                                          socket.SOCK_DGRAM)
        accepted, _ = stream.accept()
        for _ in range(PIECES):
            for each, answers in ((one, accepted), (other, datagrams), (connection, None)):
                each.sendall(b"piece")
                if answers:
                    self.assertEqual(answers.recv(5), b"piece")
            backends.read_exactly(connection, 5)
        for each in (one, accepted):
            each.close()

        def same():
            seen, sent = map(network.nft_packets, (self.lab.proxy, self.lab.client))
            return sent if seen == sent | {"spliced": 0} else None
        sent = processes.wait_until(same, "the same packets at both ends", 20)
        self.assertEqual(sent["datagrams"], PIECES)
        self.assertGreater(sent["stream"], PIECES)
        self.assertGreaterEqual(sent["spliced"], PIECES)


if __name__ == "__main__":
    main()
