#!/usr/bin/env python3
"""What TCP itself can do on a spliced connection: urgent bytes, keepalive of the ends, fast open."""

import contextlib
import select
import socket
import time

from support import backends, network, processes, tls
from support.case import main
from support.packet import Packet

ENABLED_FOR_ALL = "1027"  # net.ipv4.tcp_fastopen: of clients, of servers, and of every listener.


def urgent_byte(connection):
    if not select.select([], [], [connection], 20)[2]:
        raise AssertionError("waited 20 s in vain for an urgent byte")
    connection.setblocking(True)  # A timeout would wait until ordinary bytes can be read.
    return connection.recv(1, socket.MSG_OOB)


def keep_alive(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                          (socket.TCP_KEEPCNT, 2)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


class Tcp(Packet):
    def test_no_packet_of_a_hand_over_is_too_old_by_its_timestamp(self):
        """The receiver would drop it (PAWS), and the sender send it again 200 ms later."""
        started = self.started("remote", backends.echo, log={"level": "info"}, fast_path={
            "packet_after": "20ms", "packet_after_bytes": "1MiB"})
        hello = tls.client_hello("one.example")
        before = network.nstat(self.lab.client, "TcpExtPAWSEstab")
        for _ in range(4):
            connections = [self.connect(started) for _ in range(48)]
            for each in connections:
                each.sendall(hello)
            poller = select.poll()
            for each in connections:
                poller.register(each, select.POLLIN)
            by_fd = {each.fileno(): each for each in connections}

            def most_are_over():
                end = time.monotonic() + 0.4
                while time.monotonic() < end:
                    for fd, _ in poller.poll(1000):
                        by_fd[fd].sendall(by_fd[fd].recv(backends.BLOCK))
                flows = self.command(started, "connections")
                return sum(flow["plane"] == "packet" for flow in flows) > 40
            processes.wait_until(most_are_over, "40 hand-overs")
            for each in connections:
                each.close()
        taken = sum(line["plane"] == "packet" for line in started.access(4 * 48))
        self.assertGreater(taken, 150)
        self.assertEqual(network.nstat(self.lab.client, "TcpExtPAWSEstab"), before)

    def test_urgent_bytes_stay_urgent_both_ways(self):
        def handler(connection):
            while piece := connection.recv(backends.BLOCK):
                if piece == b"urgent":
                    break
                connection.sendall(piece)
            connection.sendall(b"ready")
            connection.send(urgent_byte(connection), socket.MSG_OOB)
            connection.recv(1)

        started = self.started("container", handler)
        connection, sent = self.handed_over(started)
        connection.sendall(b"urgent")
        self.assertEqual(backends.read_exactly(connection, 5), b"ready")
        connection.send(b"!", socket.MSG_OOB)
        self.assertEqual(urgent_byte(connection), b"!")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        record = self.line(started)
        self.assertEqual((record["client_bytes"], record["server_bytes"]), (sent + 7, sent + 6))

    def test_keepalive_probes_of_either_end_reach_the_other(self):
        def handler(connection):
            keep_alive(connection)
            with contextlib.suppress(TimeoutError):
                backends.echo(connection)

        started = self.started("container", handler)
        connection, _ = self.handed_over(started)
        keep_alive(connection)
        # Of two unanswered ones the second would end the connection.
        for namespace in (self.lab.client, self.lab.container):
            processes.wait_until(lambda: network.nstat(namespace, "TcpExtTCPKeepAlive") >= 4,
                                 "keepalive probes")
        connection.sendall(b"still")
        self.assertEqual(backends.read_exactly(connection, 5), b"still")
        network.ip("-n", self.lab.container, "link", "set", "eth0", "down")
        with self.assertRaises(TimeoutError):
            connection.settimeout(30)
            connection.recv(1)

    def test_a_client_that_sends_its_hello_in_the_syn_is_handed_over(self):
        for namespace in (self.lab.client, self.lab.proxy):
            network.execute(namespace, "sysctl", "-qw",
                            f"net.ipv4.tcp_fastopen={ENABLED_FOR_ALL}")
        started = self.started("container", backends.echo)
        hello = tls.client_hello("one.example")
        opened = lambda: network.nstat(self.lab.proxy, "TcpExtTCPFastOpenPassive")
        for _ in range(2):  # The first gets the cookie.
            before = opened()
            connection = network.within(self.lab.client, socket.socket)
            self.addCleanup(connection.close)
            connection.sendto(hello, socket.MSG_FASTOPEN, (self.front, started.port))
            connection.settimeout(60)
            backends.read_exactly(connection, len(hello))
        self.assertEqual(opened(), before + 1)
        self.handed_over(started, connection=connection)
        connection.close()
        self.line(started)

    def test_a_client_that_negotiates_less_than_the_backend_stays_in_the_relay(self):
        for option in ("timestamps", "sack"):
            with self.subTest(option):
                key = f"net.ipv4.tcp_{option}"
                network.execute(self.lab.client, "sysctl", "-qw", f"{key}=0")
                started = self.started("container", backends.echo)
                self.check_relayed(started, self.connect(started),
                                   "timestamps, SACK or window scaling on one side only")
                network.execute(self.lab.client, "sysctl", "-qw", f"{key}=1")

    def test_ecn_of_one_side_only_stays_in_the_relay(self):
        network.execute(self.lab.client, "sysctl", "-qw", "net.ipv4.tcp_ecn=1")
        started = self.started("container", backends.echo)
        self.check_relayed(started, self.connect(started), "ECN on one side only")

    def test_a_host_that_negotiates_less_hands_such_clients_over(self):
        for key, client in (("net.ipv4.tcp_timestamps", 0), ("net.ipv4.tcp_ecn", 1)):
            with self.subTest(key):
                network.execute(self.lab.client, "sysctl", "-qw", f"{key}={client}")
                network.execute(self.lab.proxy, "sysctl", "-qw", f"{key}=0")
                started = self.started("container", backends.echo)
                connection, _ = self.handed_over(started)
                connection.close()
                self.line(started)


if __name__ == "__main__":
    main()
