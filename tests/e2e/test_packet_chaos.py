#!/usr/bin/env python3
"""The packet plane under connections whose both sides write, stall, half-close and reset at random."""

import test_packet
from support.case import main
from support.scripts import ScriptedTest

LINGER_S = 60  # For which the port of a flow that has ended is held.


class Chaos(test_packet.Packet, ScriptedTest):
    def test_nothing_is_lost_invented_reordered_or_left_open(self):
        def start(handler):
            backend = self.place_backend("container", handler)
            return self.started("container", handler, log={"level": "info"},
                                fast_path={"packet_after_bytes": "16KiB"},
                                route=[{"names": ["*"], "backend": backend.address}])

        _, lines = self.run_scripts(start, 200, LINGER_S)
        taken = sum(line["plane"] == "packet" for line in lines.values())
        self.assertGreater(taken, 5)


if __name__ == "__main__":
    main()
