#!/usr/bin/env python3
"""Effects of the path on spliced connections: packets are lost, duplicated, reordered and damaged,
are tracked by a firewall and become too big; links are narrow and wide, readers stop."""

import time

from support import backends, network, processes, streams, tls
from support.case import SANITIZED, main
from support.packet import TOO_BIG, Packet
from support.path import Cable, LongCable, Router

SIZE = (1 << 20) if SANITIZED else (8 << 20)
STALLED = 32 << 20  # More than the sockets on the path can hold.


def both_ways(connection, expected):
    """The backend's part: echoes until "bulk", then sends and receives SIZE bytes at once."""
    connection.settimeout(120)
    while piece := connection.recv(backends.BLOCK):
        if piece == b"bulk":
            break
        connection.sendall(piece)
    connection.sendall(b"ok")
    streams.exchange(connection, SIZE, expected)


class Carried(Packet):
    def carry(self, place, **faults):
        """SIZE bytes each way at once over a connection carried by the kernel, on a cable with
        these faults, if any, since before the hand-over. Returns the proxy."""
        expected = streams.digest(SIZE)
        outcome = []

        def handler(connection):
            both_ways(connection, expected)
            outcome.append("right")
        started = self.started(place, handler)
        if faults:
            self.lab.begin(**faults)
        connection, sent = self.handed_over(started)
        connection.settimeout(120)
        connection.sendall(b"bulk")
        self.assertEqual(backends.read_exactly(connection, 2), b"ok")
        streams.exchange(connection, SIZE, expected)
        processes.wait_until(lambda: outcome, "the backend to have every byte", 60)
        record = self.line(started)
        self.assertEqual((record["client_bytes"], record["server_bytes"]),
                         (sent + 4 + SIZE, sent + 2 + SIZE), faults)
        return started


class Faulty(Carried):
    def make_lab(self):
        return Cable(seed=self.id())

    def check_bulk(self, place="container", **faults):
        self.carry(place, **faults)
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
        network.execute(self.lab.client, "sysctl", "-q", "net.ipv4.tcp_sack=0")
        self.check_bulk("remote", lost=0.01, twice=0.02, late=0.02)


class Distant(Packet):
    """A client that is a long way off: bytes are in flight all the time. Its backend is near."""

    SIZE = 24 << 20
    ALWAYS = {"packet_after_bytes": "256KiB", "packet_far_clients": "always"}

    def make_lab(self):
        return LongCable()

    def check_handed_over_on_the_way(self, serve, use):
        digests = []

        def handler(connection):
            connection.settimeout(120)
            backends.read_exactly(connection, len(hello))
            serve(connection, digests)
        hello = tls.client_hello("one.example")
        # BBR would learn of the long way only after 10 s.
        self.assertTrue(network.use_congestion_control(self.lab.container, "reno"))
        started = self.started("container", handler, fast_path=self.ALWAYS)
        # On a busy machine a transfer may be over before its hand-over, or lose something itself.
        for count in range(1, 4):
            lost = self.lost()
            connection = self.connect(started)
            connection.settimeout(120)
            connection.sendall(hello)
            use(connection, digests)
            connection.close()
            record = started.access(count)[-1]
            self.assertEqual(record["end"], "done")
            self.assertEqual(digests.pop(), streams.digest(self.SIZE))
            if record["plane"] == "packet" and self.lost() == lost:
                return
        self.fail("none of three was handed over on the way without a loss")

    def lost(self):
        """Segments that were dropped for want of memory, or for an acknowledgement too old."""
        return sum(network.nstat(namespace, counter) for namespace, counter in (
            (self.lab.proxy, "TcpExtTCPRcvQDrop"),
            *((end, f"TcpExtTCP{counter}") for end in (self.lab.client, self.lab.container)
              for counter in ("ChallengeACK", "ACKSkippedChallenge"))))

    def test_a_download_is_handed_over_on_the_way(self):
        def serve(connection, digests):
            streams.send(connection, self.SIZE)

        def use(connection, digests):
            digests.append(streams.receive(connection, self.SIZE))
        self.check_handed_over_on_the_way(serve, use)

    def test_an_upload_is_handed_over_on_the_way(self):
        def serve(connection, digests):
            digests.append(streams.receive(connection, self.SIZE))
            connection.sendall(b"ok")

        def use(connection, digests):
            streams.send(connection, self.SIZE)
            self.assertEqual(backends.read_exactly(connection, 2), b"ok")
        self.check_handed_over_on_the_way(serve, use)

    def test_both_ways_at_once_are_handed_over_on_the_way(self):
        def serve(connection, digests):
            sent = streams.Task(streams.send, connection, self.SIZE)
            digests.append(streams.receive(connection, self.SIZE))
            sent.result(120)

        def use(connection, digests):
            sent = streams.Task(streams.send, connection, self.SIZE)
            self.assertEqual(streams.receive(connection, self.SIZE), streams.digest(self.SIZE))
            sent.result(120)
        self.check_handed_over_on_the_way(serve, use)

    def test_an_operator_may_leave_distant_clients_in_the_relay(self):
        started = self.started("container", backends.echo,
                               fast_path={"packet_far_clients": "never"})
        self.check_relayed(started, self.connect(started), "the client is far from a near backend "
                           "(packet_far_clients)")

    def test_a_host_with_bbr_leaves_distant_clients_in_the_relay_by_default(self):
        for algorithm, plane in (("reno", "packet"), ("bbr", "userspace")):
            if not network.use_congestion_control(self.lab.proxy, algorithm):
                continue
            started = self.started("container", backends.echo)
            with self.connect(started) as connection:
                for _ in range(10):
                    connection.sendall(tls.client_hello("one.example"))
                    backends.read_exactly(connection, len(tls.client_hello("one.example")))
            self.assertEqual(started.access(1)[0]["plane"], plane)


class Firewalled(Carried):
    """A router that tracks connections, as strictly as Linux does by default, and drops the rest."""

    RULES = ("add table inet t; add counter inet t bad; add counter inet t good; "
             "add chain inet t c { type filter hook forward priority 0 ; }; "
             "add rule inet t c ct state invalid counter name bad drop; "
             "add rule inet t c ct state established counter name good accept")

    def make_lab(self):
        return Router()

    def check_tracked(self, place):
        network.execute(self.lab.middle, "nft", self.RULES)
        started = self.carry(place)
        connection, _ = self.handed_over(started, count=2)
        backends.reset(connection)
        self.line(started, "client_reset", count=2)
        self.none_was_invalid(self.lab.middle, SIZE)

    def test_no_packet_of_a_flow_is_invalid(self):
        self.check_tracked("container")

    def test_no_packet_of_a_flow_is_invalid_by_ipv6(self):
        self.check_tracked("container, IPv6")


class Congested(Carried):
    """A router that marks some packets instead of dropping them (RFC 3168)."""

    MARKS = ("add table ip t; add chain ip t c { type filter hook forward priority 0 ; }; "
             "add rule ip t c ip ecn ect0 numgen inc mod 8 0 ip ecn set ce")

    def make_lab(self):
        return Router()

    # Packets that carry a mark, and own packets whose receiver has echoed one.
    SEEN = ("IpExtInCEPkts", "TcpExtTCPDeliveredCE")

    def test_marks_reach_the_receiver_and_their_echo_the_sender(self):
        ends = (self.lab.client, self.lab.container)
        for namespace in (*ends, self.lab.proxy):
            network.execute(namespace, "sysctl", "-q", "net.ipv4.tcp_ecn=1")
        network.execute(self.lab.middle, "nft", self.MARKS)
        before = {(each, name): network.nstat(each, name) for each in ends for name in self.SEEN}
        self.carry("container")
        for (namespace, name), count in before.items():
            self.assertGreater(network.nstat(namespace, name), count + 10, (namespace, name))


class Plain(Carried):
    """The client, the proxy and a container, with nothing in between."""

    def test_links_may_be_narrow_or_wide(self):
        for width in (576, 9000):
            with self.subTest(width):
                for namespace, device in ((self.lab.client, "far"), (self.lab.proxy, "near"),
                                          (self.lab.proxy, "port"), (self.lab.proxy, "br0"),
                                          (self.lab.container, "eth0")):
                    network.ip("-n", namespace, "link", "set", device, "mtu", str(width))
                self.carry("container")

    def test_a_client_may_have_a_narrower_link_than_its_backend(self):
        network.ip("-n", self.lab.client, "link", "set", "far", "mtu", "1400")
        self.carry("container")
        self.carry("loopback")

    def test_a_backend_with_a_narrower_link_is_left_to_the_relay_unless_clients_are_told(self):
        network.ip("-n", self.lab.container, "link", "set", "eth0", "mtu", "1400")
        started = self.started("container", backends.echo)
        self.check_relayed(started, self.connect(started),
                           "segments of one side do not fit the path of the other")
        network.ip("-n", self.lab.proxy, "route", "change", "198.18.0.0/24", "dev", "near",
                   "advmss", "1360")
        self.carry("container")

    def test_a_reader_that_stops_and_goes_on_gets_every_byte(self):
        def handler(connection):
            while piece := connection.recv(backends.BLOCK):
                if piece == b"more":
                    return streams.send(connection, STALLED)
                connection.sendall(piece)
        started = self.started("container", handler)
        connection, _ = self.handed_over(started)
        connection.settimeout(60)
        connection.sendall(b"more")
        streams.wait_stalled(connection)
        time.sleep(2)  # Its window is zero and is probed a few times.
        self.assertEqual(streams.receive(connection, STALLED), streams.digest(STALLED))
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        self.line(started)


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

    def test_the_sender_learns_of_a_shrinking_path(self):
        self.check_shrinking("container", 1000)

    def test_the_sender_learns_of_a_shrinking_path_by_ipv6(self):
        self.check_shrinking("container, IPv6", 1280)


if __name__ == "__main__":
    main()
