#!/usr/bin/env python3
"""Readers that stall before a hand-over and after it.

Spliced connections live on though their reader does not read for longer than every short limit: as in
plain TCP, its acknowledgements of window probes keep the connection alive."""

import os
import threading
import time

from support import backends, streams, tls
from support.case import main
from support.packet import Packet

STALL_S = int(os.environ.get("SNI_STALL", "70"))
COUNT = 32 << 20  # More than the sockets on the path can hold.
LIMITS = {"keepalive_idle": "1s", "keepalive_interval": "1s", "keepalive_probes": 2,
          "user_timeout": "5s"}


class Stalled(Packet):
    def test_a_window_may_be_closed_for_long(self):
        """The client's and the backend's at once."""
        going_on = threading.Event()
        stalled, received = [], []

        def handler(connection):
            connection.settimeout(STALL_S + 60)
            while piece := connection.recv(backends.BLOCK):
                if piece == b"send":
                    return streams.send(connection, COUNT)
                if piece == b"stop":
                    connection.sendall(b"done")
                    stalled.append(connection)
                    going_on.wait(STALL_S + 60)
                    received.append(streams.receive(connection, COUNT))
                    return
                connection.sendall(piece)
        started = self.started("container", handler, tcp=LIMITS)
        reader, _ = self.handed_over(started)
        writer, _ = self.handed_over(started, count=2)
        for each in (reader, writer):
            each.settimeout(STALL_S + 60)
        reader.sendall(b"send")
        writer.sendall(b"stop")
        self.assertEqual(backends.read_exactly(writer, 4), b"done")
        sending = streams.Task(streams.send, writer, COUNT)
        streams.wait_stalled(reader, *stalled)
        time.sleep(STALL_S)
        self.assertTrue(sending.is_alive())
        going_on.set()
        expected = streams.digest(COUNT)
        self.assertEqual(streams.receive(reader, COUNT), expected)
        self.assertEqual(reader.recv(1), b"")
        sending.result()
        self.assertEqual(writer.recv(1), b"")
        self.assertEqual(received, [expected])
        for each in (reader, writer):
            each.close()
        self.assertEqual({(line["plane"], line["end"]) for line in started.access(2)},
                         {("packet", "done")})

    def test_before_a_hand_over_it_does_not_hold_up_the_other_direction(self):
        hello = tls.client_hello("one.example")
        ticks, tick = 120, b"every 50 ms"
        received = []

        def handler(connection):
            connection.settimeout(60)
            for _ in range(ticks):
                connection.sendall(tick)
                time.sleep(0.05)
            backends.read_exactly(connection, len(hello))
            received.append(streams.receive(connection, COUNT))

        started = self.started("container", handler, fast_path={"packet_after": "1s",
                                                                "packet_after_bytes": "1GiB"})
        connection = self.connect(started)
        connection.sendall(hello)
        sending = streams.Task(streams.send, connection, COUNT)
        gaps = []
        for _ in range(ticks):
            before = time.monotonic()
            self.assertEqual(backends.read_exactly(connection, len(tick)), tick)
            gaps.append(time.monotonic() - before)
        sending.result()
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        self.assertEqual(received, [streams.digest(COUNT)])
        self.assertLess(max(gaps), 1)
        line, = started.access(1)
        self.assertEqual((line["client_bytes"], line["end"]), (len(hello) + COUNT, "done"))
        # Foreseen, or found while the relay came to rest.
        self.assertRegex(started.log(), "is put off for .*: (a reader has stalled|bytes stay un)")


if __name__ == "__main__":
    main()
