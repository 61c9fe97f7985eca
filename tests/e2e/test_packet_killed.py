#!/usr/bin/env python3
"""The proxy is killed in the middle of a hand-over, at each of its steps: every connection ends, and
no end gets other bytes than the other one sent."""

import contextlib
import os
import signal

from support import backends, mounts, processes, tls
from support.case import main
from support.packet import Packet
from support.steps import Steps

# The calls of a hand-over (support/steps.py), as a name and which one of that name.
STEPS = [("update", 1), ("update", 2),  # Its keys are watched.
         ("repair 1", 1), ("repair -1", 1), ("repair 1", 2),  # Numbers are read.
         ("prepare", 1), ("prepare", 2),  # Entries get their numbers.
         ("state 1", 1), ("state 1", 2),  # The programs forward one way, then both.
         ("receive", 1), ("receive", 2),  # What the sockets have is carried.
         ("state 2", 1), ("state 2", 2)]  # Spliced: the sockets leave.


class Killed(Packet):
    def handler(self, connection):
        came = self.came
        connection.settimeout(20)
        with contextlib.suppress(OSError):
            while piece := connection.recv(backends.BLOCK):
                came += piece
                connection.sendall(piece)

    def echoed(self, connection, piece=b""):
        """Whether the piece, and all before it, comes back; False: the connection has ended."""
        self.sent += piece
        with contextlib.suppress(ConnectionError):
            if piece:
                connection.sendall(piece)
            while len(self.received) < len(self.sent):
                if not (some := connection.recv(backends.BLOCK)):
                    break
                self.received += some
        return len(self.received) == len(self.sent)

    def kill_at(self, step, at, **fast_path):
        self.sent, self.received, self.came = bytearray(), bytearray(), bytearray()
        steps = Steps(self.directory / f"steps{self.proxies}")
        started = self.started("container", self.handler, wrapper=steps.wrapper,
                               fast_path=fast_path)
        connection = self.connect(started)
        connection.settimeout(3)
        steps.begin(step, at)
        piece = tls.client_hello("one.example")
        with contextlib.suppress(TimeoutError):  # There may be nobody to tell of the end.
            for number in range(5000):
                if not self.echoed(connection, piece) or not started.alive():
                    break
                piece = number.to_bytes(4, "big") * 64
        connection.settimeout(20)
        self.assertTrue(steps.hit.is_set(), (step, at, steps.seen))
        self.assertEqual(started.wait(), -signal.SIGKILL)
        started.process.returncode = 0  # The harness treats SIGKILL as a crash.
        return started, connection

    def compare(self, connection):
        connection.close()
        self.assertTrue(self.sent.startswith(self.came))
        self.assertTrue(self.came.startswith(self.received))

    def test_without_pins_every_connection_ends(self):
        """With the next packet at the latest."""
        for step, at in STEPS:
            with self.subTest(step=step, at=at):
                _, connection = self.kill_at(step, at)
                while self.echoed(connection, b"more"):
                    pass
                self.compare(connection)

    def test_with_pins_every_connection_ends_at_the_next_start(self):
        file_system = mounts.detached_bpf_fs()
        self.addCleanup(os.close, file_system)
        pins = f"/proc/{os.getpid()}/fd/{file_system}/sni-proxy"
        for step, at in STEPS:
            with self.subTest(step=step, at=at):
                old, connection = self.kill_at(step, at, pin=pins)
                new = self.proxy(old.config, command=self.lab.command)
                # Also one that only waits.
                self.assertFalse(self.echoed(connection) and self.echoed(connection, b"more"))
                self.compare(connection)
                self.assertEqual(self.command(new, "connections"), [])
                new.stop()


if __name__ == "__main__":
    main()
