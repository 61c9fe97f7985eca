#!/usr/bin/env python3
"""The packet plane on paths that are not perfect: packets are lost, doubled, reordered and damaged,
and become too big."""

import subprocess

from support import backends, network, processes, streams
from support.case import SANITIZED, main
from support.packet import TOO_BIG, Packet
from support.path import Cable, Router

SIZE = (1 << 20) if SANITIZED else (8 << 20)


def both_ways(connection, expected):
    """A backend's part: echoes until "bulk", then sends and takes SIZE bytes at once."""
    connection.settimeout(120)
    while piece := connection.recv(backends.BLOCK):
        if piece == b"bulk":
            break
        connection.sendall(piece)
    connection.sendall(b"ok")
    streams.exchange(connection, SIZE, expected)


class Faulty(Packet):
    def make_lab(self):
        return Cable(seed=self.id())

    def check_bulk(self, place="container", **faults):
        expected = streams.digest(SIZE)
        outcome = []

        def handler(connection):
            both_ways(connection, expected)
            outcome.append("right")
        started = self.started(place, handler)
        self.lab.begin(**faults)
        connection, sent = self.handed_over(started)
        connection.settimeout(120)
        connection.sendall(b"bulk")
        self.assertEqual(backends.read_exactly(connection, 2), b"ok")
        streams.exchange(connection, SIZE, expected)
        processes.wait_until(lambda: outcome, "the backend to have every byte", 60)
        record = self.line(started)
        self.assertEqual((record["client_bytes"], record["server_bytes"]),
                         (sent + 4 + SIZE, sent + 2 + SIZE), self.lab.done)
        for fault in faults:
            self.assertGreater(self.lab.done[fault], 0)

    def test_lost_packets_are_sent_again(self):
        self.check_bulk(lost=0.02)

    def test_doubled_packets_count_once(self):
        self.check_bulk(twice=0.1)

    def test_reordered_packets_find_their_place(self):
        self.check_bulk(late=0.1)

    def test_damaged_packets_are_not_believed(self):
        self.check_bulk(damaged=0.02)

    def test_all_of_it_at_once_and_on_both_sides(self):
        self.check_bulk("remote", lost=0.01, twice=0.02, late=0.05, damaged=0.005)

    def test_all_of_it_without_selective_acknowledgements(self):
        subprocess.run(["ip", "netns", "exec", self.lab.client, "sysctl", "-q",
                        "net.ipv4.tcp_sack=0"], check=True, timeout=20)
        self.check_bulk("remote", lost=0.01, twice=0.02, late=0.02)


class TooBig(Packet):
    def make_lab(self):
        return Router()

    def check_shrinking(self, place, mtu):
        def handler(connection):
            connection.settimeout(120)
            while piece := connection.recv(backends.BLOCK):
                if piece == b"more":
                    streams.send(connection, SIZE)
                else:
                    connection.sendall(piece)
        started = self.started(place, handler)
        connection, _ = self.handed_over(started)
        connection.settimeout(60)
        expected = streams.digest(SIZE)
        for width in (1500, mtu):
            network.ip("-n", self.lab.middle, "link", "set", "outer", "mtu", str(width))
            connection.sendall(b"more")
            self.assertEqual(streams.receive(connection, SIZE), expected)
        self.assertGreater(self.counted(started, TOO_BIG), 0)
        connection.close()
        self.line(started)

    def test_a_path_that_shrinks_is_told_to_the_sender(self):
        self.check_shrinking("container", 1000)

    def test_a_path_that_shrinks_is_told_to_the_sender_by_ipv6(self):
        self.check_shrinking("container, IPv6", 1280)


if __name__ == "__main__":
    main()
