#!/usr/bin/env python3
"""The packet plane: connections that leave the proxy, between network namespaces."""

import collections
import contextlib
import signal
import socket
import subprocess
import threading
import time

from support import backends, network, processes, streams, tls
from support.case import SANITIZED, main
from support.packet import FORWARDED_BYTES, HANDED_OVER, Packet

# The kernel carries the bytes; a sanitizer only slows down the hand-over. One backend in each kind of
# place gets the most.
BULK = (64 << 20) if SANITIZED else (256 << 20)
MOST = BULK if SANITIZED else streams.GIB


def bulk_both_ways(connection, size, digests):
    """The backend's part: sends and receives `size` bytes at once, and ends in order."""
    down = streams.Task(streams.send, connection, size)
    digests.append(streams.receive(connection, size))
    down.result(240)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


class Carried(Packet):
    def check_bulk(self, place, size=BULK):
        def handler(connection):
            connection.settimeout(120)
            while piece := connection.recv(backends.BLOCK):
                if piece == b"bulk":
                    break
                connection.sendall(piece)
            connection.sendall(b"ok")
            bulk_both_ways(connection, size, digests)

        digests = []
        started = self.started(place, handler)
        connection, sent = self.handed_over(started)
        sockets = started.held()["socket"]
        connection.sendall(b"bulk")
        self.assertEqual(backends.read_exactly(connection, 2), b"ok")
        up = streams.Task(streams.send, connection, size)
        expected = streams.digest(size)
        self.assertEqual(streams.receive(connection, size), expected)
        up.result(240)
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        record = self.line(started)
        self.assertEqual(digests, [expected])
        self.assertEqual(record["client_bytes"], sent + 4 + size)
        self.assertEqual(record["server_bytes"], sent + 2 + size)
        self.assertGreaterEqual(self.counted(started, FORWARDED_BYTES), 2 * size)
        self.assertLessEqual(started.held()["socket"], sockets)

    def test_a_remote_backend_gets_and_sends_every_byte(self):
        self.check_bulk("remote", MOST)

    def test_a_remote_backend_by_ipv6_too(self):
        self.check_bulk("remote, IPv6")

    def test_a_container_behind_a_bridge_too(self):
        self.check_bulk("container", MOST)

    def test_a_container_by_ipv6_too(self):
        self.check_bulk("container, IPv6")

    def test_a_backend_on_loopback_too(self):
        self.check_bulk("loopback", MOST)

    def test_a_backend_on_loopback_by_ipv6_too(self):
        self.check_bulk("loopback, IPv6")

    def test_a_backend_on_an_address_of_the_host_too(self):
        self.check_bulk("own address")

    def test_families_may_differ(self):
        self.check_bulk("mixed")

    def check_small_windows(self, at):
        """Small messages hardly move the window that was promised to the other side."""
        network.execute(at, "sysctl", "-q", "net.ipv4.tcp_rmem=4096 122880 6291456")
        started = self.started("container", backends.echo)
        for count in range(1, 4):
            self.handed_over(started, count)

    def test_a_client_with_less_window_than_usual_is_handed_over_too(self):
        self.check_small_windows(self.lab.client)

    def test_a_backend_with_less_window_than_usual_is_handed_over_too(self):
        self.check_small_windows(self.lab.container)

    def test_hand_overs_under_full_traffic_both_ways_lose_no_byte(self):
        size = 32 << 20

        def handler(connection):
            connection.settimeout(120)
            backends.read_exactly(connection, len(hello))
            bulk_both_ways(connection, size, digests)

        digests = []
        hello = tls.client_hello("one.example")
        started = self.started("container", handler, fast_path={"packet_after_bytes": "256KiB"})
        expected = streams.digest(size)
        for _ in range(8):
            connection = self.connect(started)
            connection.settimeout(120)
            connection.sendall(hello)
            up = streams.Task(streams.send, connection, size)
            self.assertEqual(streams.receive(connection, size), expected)
            up.result(120)
            self.assertEqual(connection.recv(1), b"")
            connection.close()
        for record in started.access(8):
            self.assertEqual((record["client_bytes"], record["server_bytes"], record["end"]),
                             (size + len(hello), size, "done"), record)
        self.assertEqual(digests, [expected] * 8)


class Ends(Packet):
    def test_either_side_may_close_its_half_first(self):
        for first in ("client", "backend"):
            with self.subTest(first):
                def handler(connection, first=first):
                    connection.settimeout(60)
                    while piece := connection.recv(backends.BLOCK):
                        if piece == b"now":
                            break
                        connection.sendall(piece)
                    connection.sendall(b"ok")
                    if first == "backend":
                        connection.sendall(b"first")
                        connection.shutdown(socket.SHUT_WR)
                        self.assertEqual(backends.read_to_end(connection), b"last")
                    else:
                        self.assertEqual(backends.read_to_end(connection), b"first")
                        connection.sendall(b"last")

                started = self.started("remote", handler)
                connection, sent = self.handed_over(started)
                connection.sendall(b"now")
                self.assertEqual(backends.read_exactly(connection, 2), b"ok")
                if first == "backend":
                    self.assertEqual(backends.read_to_end(connection), b"first")
                    connection.sendall(b"last")
                    connection.shutdown(socket.SHUT_WR)
                else:
                    connection.sendall(b"first")
                    connection.shutdown(socket.SHUT_WR)
                    self.assertEqual(backends.read_to_end(connection), b"last")
                record = self.line(started)
                up, down = (4, 5) if first == "backend" else (5, 4)
                self.assertEqual(record["client_bytes"], sent + 3 + up)
                self.assertEqual(record["server_bytes"], sent + 2 + down)

    def test_a_reset_of_either_side_reaches_the_other(self):
        for first in ("client", "backend"):
            with self.subTest(first):
                seen = []

                def handler(connection, first=first):
                    connection.settimeout(60)
                    with contextlib.suppress(ConnectionResetError):
                        while piece := connection.recv(backends.BLOCK):
                            if piece == b"now":
                                break
                            connection.sendall(piece)
                        if first == "backend":
                            return backends.reset(connection)
                    seen.append(backends.is_reset(connection) or True)

                started = self.started("remote", handler)
                connection, _ = self.handed_over(started)
                if first == "client":
                    backends.reset(connection)
                    processes.wait_until(lambda: seen, "the backend to be reset", 20)
                else:
                    connection.sendall(b"now")
                    self.assertTrue(backends.is_reset(connection))
                self.line(started, f"{first}_reset")

    def test_an_end_in_the_middle_of_a_hand_over_is_reported_within_seconds(self):
        count = 60  # On loopback the transition takes 10 ms.
        hello = tls.client_hello("one.example")

        def carried():
            connection = self.connect(started)
            connection.sendall(hello)
            backends.read_exactly(connection, len(hello))
            for _ in range(3):  # The programs see both directions, and then the relay is asked.
                connection.sendall(b"ping")
                backends.read_exactly(connection, 4)
            return connection

        started = self.started("loopback", backends.echo)
        # The more flows live, the less often each one is looked at.
        for _ in range(90):
            carried()
        time.sleep(3)  # New routes, as of this lab, have all of them looked at.
        for turn in range(count):
            connection = carried()
            time.sleep(turn % 30 / 1000)
            (backends.reset if turn < count / 2 else socket.socket.close)(connection)
        lines = started.access(count)
        self.assertEqual(collections.Counter(line["end"] for line in lines),
                         {"client_reset": count / 2, "done": count / 2})
        self.assertLess(max(line["duration_ms"] for line in lines), 5_000)

    def test_an_idle_flow_is_reset_both_ways(self):
        seen = []
        started = self.started("remote", backends.echo_until_reset(seen), timeouts={"idle": "2s"})
        connection, sent = self.handed_over(started)
        self.assertTrue(backends.is_reset(connection, 40))
        processes.wait_until(lambda: seen, "the backend to be reset", 20)
        self.assertEqual(self.line(started, "idle_timeout")["client_bytes"], sent)

    def test_answered_probes_do_not_keep_an_idle_flow_alive(self):
        tcp = {"keepalive_idle": "1s", "keepalive_interval": "1s", "keepalive_probes": 2}
        started = self.started("remote", backends.echo, timeouts={"idle": "10m"}, tcp=tcp,
                               route_keys={"idle": "6s"})
        connection, _ = self.handed_over(started)
        begun = time.monotonic()
        self.assertTrue(backends.is_reset(connection, 40))
        # Two unanswered probes would have ended it after three seconds.
        self.assertGreater(time.monotonic() - begun, 5)
        self.line(started, "idle_timeout")

    def check_vanished(self, place, namespace, device, end):
        tcp = {"keepalive_idle": "1s", "keepalive_interval": "1s", "keepalive_probes": 2}
        started = self.started(place, backends.echo, timeouts={"idle": "24h"}, tcp=tcp)
        _, sent = self.handed_over(started)
        # Bytes in flight would be retransmitted for minutes.
        processes.wait_until(lambda: self.command(started, "connections")[0]["server_bytes"] ==
                             sent, "the client's acknowledgement")
        network.ip("-n", namespace, "link", "set", device, "down")
        self.line(started, end)

    def test_a_client_that_has_vanished_is_found_whatever_idle_is(self):
        self.check_vanished("mixed", self.lab.client, "far", "client_lost")

    def test_a_backend_on_loopback_answers_probes_for_longer_than_its_client(self):
        self.check_vanished("loopback", self.lab.client, "far", "client_lost")

    def test_a_backend_that_has_vanished_is_found_whatever_idle_is(self):
        self.check_vanished("container", self.lab.container, "eth0", "backend_lost")

    def test_a_half_closed_flow_has_a_timeout_of_its_own(self):
        def keep(connection):
            backends.echo(connection)
            ended.wait(60)

        ended = threading.Event()
        self.addCleanup(ended.set)
        started = self.started("remote", keep, timeouts={"half_closed": "2s", "idle": "10m"})
        connection, _ = self.handed_over(started)
        connection.shutdown(socket.SHUT_WR)
        self.line(started, "half_closed_timeout")

    def test_a_drain_cuts_flows_at_its_deadline(self):
        started = self.started("remote", backends.echo)
        connection, _ = self.handed_over(started)
        started.signal(signal.SIGTERM)
        connection.sendall(b"more")
        self.assertEqual(backends.read_exactly(connection, 4), b"more")
        self.assertTrue(backends.is_reset(connection, 40))
        self.line(started, "cut")
        self.assertEqual(started.wait(20), 0)
        self.assertRegex(started.log(), r"ended: .* packet_taken=1\b")

    def test_a_process_that_is_killed_takes_its_flows_along(self):
        started = self.started("remote", backends.echo)
        connection, _ = self.handed_over(started)
        started.signal(signal.SIGKILL)
        started.wait(20)
        started.process.returncode = -signal.SIGTERM  # It was killed on purpose: not a crash.
        with self.assertRaises(ConnectionResetError):
            for _ in range(100):
                connection.sendall(b"more")
                backends.read_exactly(connection, 4)


class Declined(Packet):
    def test_behind_a_redirect_of_the_same_host_connections_stay_in_the_relay(self):
        started = self.started("remote", backends.echo)
        rules = ("add table ip n; add chain ip n c { type nat hook prerouting priority -100 ; }; "
                 f"add rule ip n c tcp dport 9999 redirect to :{started.port}")
        subprocess.run([*self.lab.command, "nft", rules], check=True, timeout=20)
        self.check_relayed(started, self.connect(started, port=9999),
                           "packets do not arrive under the expected addresses (NAT?)")

    def test_a_full_table_leaves_the_rest_in_the_relay(self):
        started = self.started("remote", backends.echo, fast_path={"packet_flows": 1})
        self.handed_over(started)
        second = self.connect(started)
        hello = tls.client_hello("one.example")
        second.sendall(hello)
        backends.read_exactly(second, len(hello))

        def declined():
            second.sendall(b"ping")
            backends.read_exactly(second, 4)
            return "stays in the relay" in started.log()
        processes.wait_until(declined, "a decline", 20)
        self.assertEqual(started.log().count(HANDED_OVER), 1)

    def test_unix_backends_stay_in_the_relay(self):
        path = f"{self.directory}/backend.sock"
        backend = backends.SocketBackend(backends.echo, path=path)
        self.addCleanup(backend.end)
        started = self.started("remote", backends.echo, route=[
            {"names": ["one.example"], "backend": backend.address}])
        self.check_relayed(started, self.connect(started), "the backend is not a TCP address")

    def test_connections_of_a_route_with_a_source_stay_in_the_relay(self):
        started = self.started("remote", backends.echo, route_keys={"mark": 7})
        self.check_relayed(started, self.connect(started),
                           "the route chooses where the connection comes from")

    def test_interfaces_that_are_not_named_are_left_alone(self):
        started = self.started("remote", backends.echo, fast_path={"interfaces": ["br0"]})
        self.check_relayed(started, self.connect(started), "no hooked interface on the route")


class Counted(Packet):
    def test_flows_count_for_the_limits_as_long_as_they_live(self):
        for limit in ("connections", "connections_per_source"):
            with self.subTest(limit):
                started = self.started("remote", backends.echo, limits={limit: 1})
                connection, _ = self.handed_over(started)
                refused = self.connect(started)
                self.assertEqual(refused.recv(1), b"")
                started.wait_log(rf": limits\.{limit}\b")
                connection.close()
                self.line(started)
                self.handed_over(started, count=2)


if __name__ == "__main__":
    main()
