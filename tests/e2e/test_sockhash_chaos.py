#!/usr/bin/env python3
"""The SOCKHASH planes under hundreds of connections whose both sides write, stall, half-close and
reset at random, and hand-overs under full traffic from both sides."""


from support import backends, planes, streams, tls
from support.case import main
from support.planes import PLANES, PlaneTest
from support.scripts import ScriptedTest

HAND_OVERS = 500  # On each plane.
AT_ONCE = 8


class Chaos(PlaneTest, ScriptedTest):
    def test_nothing_is_lost_invented_reordered_or_left_open(self):
        for plane in PLANES:
            proxy, lines = self.run_scripts(
                lambda handler: self.on_plane(
                    plane, handler, config={"names": ["*"], "log": {"level": "info"}}), 120)
            self.assert_moved(plane, 1 << 20)
            taken = sum(line["plane"] == "sockhash" for line in lines.values())
            self.assertGreater(taken, 60)
            proxy.end()

    def test_hand_overs_under_full_traffic_from_both_sides(self):
        """The hand-over in the middle of a stream each way, at whatever point the pair has
        reached."""
        count = 600_000
        hello = tls.client_hello("one.example")
        expected = streams.digest(count)

        def handler(connection):
            backends.read_exactly(connection, len(hello))
            streams.exchange(connection, count, expected)

        def clients(turns):
            for _ in range(turns):
                connection = self.connect(proxy, seconds=60)
                connection.sendall(hello)
                streams.exchange(connection, count, expected)

        for plane in PLANES:
            proxy = self.on_plane(plane, handler, after_bytes="200KiB")
            for task in [streams.Task(clients, HAND_OVERS // AT_ONCE) for _ in range(AT_ONCE)]:
                task.result()
            self.assert_moved(plane, 1 << 20)
            proxy.end()


if __name__ == "__main__":
    main()
