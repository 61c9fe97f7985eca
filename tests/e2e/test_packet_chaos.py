#!/usr/bin/env python3
"""The packet plane under connections whose both sides write, stall, half-close and reset at random,
and hand-overs under full traffic from both sides."""

import os
import time

from support import backends, packet, streams, tls
from support.case import main
from support.scripts import WORKERS, ScriptedTest

CONNECTIONS = int(os.environ.get("SNI_HAND_OVERS", "64"))
MINUTES = int(os.environ.get("SNI_CHAOS_MINUTES", "0"))  # 0: one round.
AT_ONCE = 8
LINGER_S = 60  # How long the port of an ended flow is held.


class Chaos(packet.Packet, ScriptedTest):
    patience_s = 300 if MINUTES else ScriptedTest.patience_s

    def test_nothing_is_lost_invented_reordered_or_left_open(self):
        def start(handler):
            backend = self.place_backend("container", handler)
            return self.started("container", handler, log={"level": "info"},
                                fast_path={"packet_after_bytes": "16KiB"},
                                route=[{"names": ["*"], "backend": backend.address}])

        end = time.monotonic() + 60 * MINUTES
        scripts = {"first": 1000, "at_once": 200 if MINUTES else WORKERS}
        while True:
            started, lines = self.run_scripts(start, 200 if not MINUTES else 1000, LINGER_S,
                                              **scripts)
            taken = sum(line["plane"] == "packet" for line in lines.values())
            self.assertGreater(taken, 5)
            if time.monotonic() >= end:
                return
            started.stop()
            scripts["first"] = 1000 + (scripts["first"] + 17) % 8000  # Other scripts.

    def test_hand_overs_under_full_traffic_from_both_sides(self):
        count = 24_000_000
        hello = tls.client_hello("one.example")
        expected = streams.digest(count)

        def handler(connection):
            connection.settimeout(60)
            backends.read_exactly(connection, len(hello))
            streams.exchange(connection, count, expected)

        def clients(turns):
            for _ in range(turns):
                connection = self.connect(started)
                connection.sendall(hello)
                streams.exchange(connection, count, expected)

        started = self.started("container", handler, fast_path={"packet_after_bytes": "64KiB"},
                               log={"level": "info"})
        for task in [streams.Task(clients, CONNECTIONS // AT_ONCE) for _ in range(AT_ONCE)]:
            task.result(600)
        lines = started.access(CONNECTIONS)
        self.assertEqual({(line["end"], line["client_bytes"], line["server_bytes"])
                          for line in lines}, {("done", count + len(hello), count)})
        taken = sum(line["plane"] == "packet" for line in lines)
        self.assertGreater(taken, CONNECTIONS // 2, taken)


if __name__ == "__main__":
    main()
