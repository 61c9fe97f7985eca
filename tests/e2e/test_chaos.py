#!/usr/bin/env python3
"""Hundreds of connections whose both sides write, stall, half-close and reset at random."""

from support.case import main
from support.scripts import ScriptedTest


class Chaos(ScriptedTest):
    def test_nothing_is_lost_invented_reordered_or_left_open(self):
        self.run_scripts(
            lambda handler: self.relay(handler, names=["*"], log={"level": "info"}), 300)


if __name__ == "__main__":
    main()
