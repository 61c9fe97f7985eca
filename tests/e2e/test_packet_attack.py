#!/usr/bin/env python3
"""Strangers who know the addresses and ports of a spliced connection but not its numbers, and a
proxy that misses what the programs tell."""

import signal
import socket

from support import backends, planes, processes, ring, streams
from support.case import main
from support.forge import ACK, FIN, PUSH, RST, SYN, Forger
from support.packet import EVENTS_LOST, RESETS_DOUBTED, SYNS, UNBELIEVED, Packet

RING_BYTES = 1 << 20  # PACKET_RING_BYTES of src/bpf/packet/packet_shared.h.
SIZE = 4 << 20
FAR, NEAR = 1 << 29, 100  # From the right number: outside of any window, and inside.
# flags, payload, and how far seq and ack are from the right numbers.
WRONG = [(RST, b"", seq, 0) for seq in (NEAR, FAR, -FAR, -NEAR)]
WRONG += [(RST | ACK, b"", seq, ack) for seq, ack in ((NEAR, 0), (FAR, FAR), (-FAR, 0))]
WRONG += [(SYN, b"", seq, 0) for seq in (0, NEAR, FAR)]
WRONG += [(SYN | ACK, b"", seq, 0) for seq in (NEAR, FAR)]
WRONG += [(FIN | ACK, payload, seq, ack) for payload in (b"", b"evil")
          for seq, ack in ((FAR, 0), (-FAR, 0), (0, FAR), (NEAR, FAR))]
WRONG += [(PUSH | ACK, b"evil" * 50, seq, ack) for seq, ack in (
    (FAR, 0), (-FAR, 0), (0, FAR), (NEAR, FAR), (FAR, FAR))]
WRONG += [(ACK, b"", seq, ack) for seq, ack in ((0, FAR), (FAR, 0), (-FAR, 0), (-1, FAR))]


class Blind(Packet):
    def check_unmoved(self, place):
        met = []

        def handler(connection):
            met.append((connection.getpeername()[:2], connection.getsockname()[:2]))
            backends.echo(connection)
        started = self.started(place, handler)
        connection, sent = self.handed_over(started)
        (own, backend), = met
        forgers = {}
        for name, namespace, device, source, target in (
                ("client", self.lab.client, "far", connection.getsockname()[:2],
                 connection.getpeername()[:2]),
                ("backend", self.lab.container, "eth0", backend, own)):
            forgers[name] = Forger(namespace, device, source, target)
            self.addCleanup(forgers[name].close)

        def talk():
            nonlocal sent
            connection.sendall(b"talk")
            self.assertEqual(backends.read_exactly(connection, 4), b"talk")
            sent += 4
        before = {stat: self.counted(started, stat) for stat in (UNBELIEVED, RESETS_DOUBTED, SYNS)}
        for name, forger in forgers.items():
            for flags, payload, seq, ack in WRONG:
                with self.subTest(end=name, flags=flags, length=len(payload), seq=seq, ack=ack):
                    right_seq, right_ack = forger.numbers(talk)
                    forger.send(right_seq + seq, right_ack + ack, flags, payload)
                    talk()
        resets = sum(flags & RST != 0 for flags, *_ in WRONG)
        syns = sum(flags & SYN != 0 for flags, *_ in WRONG)
        for stat, least in ((UNBELIEVED, len(WRONG) - resets - syns), (RESETS_DOUBTED, resets),
                            (SYNS, syns)):
            self.assertGreaterEqual(self.counted(started, stat) - before[stat], 2 * least, stat)

        sending = streams.Task(streams.send, connection, SIZE)
        self.assertEqual(streams.receive(connection, SIZE), streams.digest(SIZE))
        sending.result()
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        record = self.line(started)
        self.assertEqual((record["client_bytes"], record["server_bytes"]), (sent + SIZE,) * 2)

    def test_wrong_numbers_change_nothing(self):
        self.check_unmoved("container")

    def test_wrong_numbers_change_nothing_by_ipv6(self):
        self.check_unmoved("container, IPv6")

    def test_an_rst_with_the_right_number_does_what_it_would_to_the_end(self):
        seen = []
        started = self.started("container", backends.echo_until_reset(seen))
        connection, _ = self.handed_over(started)
        forger = Forger(self.lab.client, "far", connection.getsockname()[:2],
                        connection.getpeername()[:2])
        self.addCleanup(forger.close)

        def talk():
            connection.sendall(b"talk")
            backends.read_exactly(connection, 4)
        seq, _ = forger.numbers(talk)
        forger.send(seq, 0, RST)
        processes.wait_until(lambda: seen, "the backend to be reset")
        self.line(started, "client_reset")


class Missed(Packet):
    def test_a_lost_event_is_found_by_looking(self):
        """Of connections that end in order, and by each end's RST."""
        seen = []
        started = self.started("container", backends.echo_until_reset(seen))
        connections = [self.handed_over(started, count) for count in (1, 2, 3)]
        number, = (id for id, name in planes.held("map", started).items()
                   if name == "PACKET_EVENTS")
        started.signal(signal.SIGSTOP)
        self.addCleanup(started.signal, signal.SIGCONT)
        with ring.Full(number, RING_BYTES):
            connections[0][0].shutdown(socket.SHUT_WR)
            self.assertEqual(connections[0][0].recv(1), b"")
            for connection, _ in connections[1:]:
                backends.reset(connection)
            processes.wait_until(lambda: len(seen) == 2, "the backends to be reset")
            processes.wait_until(lambda: self.counted(started, EVENTS_LOST) >= 5,
                                 "two FINs, an end and two resets to be lost")
        started.signal(signal.SIGCONT)
        found = {(record["plane"], record["end"], record["client_bytes"], record["server_bytes"])
                 for record in started.access(3)}
        sent = [count for _, count in connections]
        self.assertEqual(found, {("packet", "done", sent[0], sent[0])} | {
            ("packet", "client_reset", count, count) for count in sent[1:]})


if __name__ == "__main__":
    main()
