#!/usr/bin/env python3
"""A hello reaches its backend verbatim, however it is cut into segments and records."""

import random
import socket
import time
import unittest

from support import backends, tls
from support.case import ProxyTest, main

NAME = "one.example"


class Hello(ProxyTest):
    def start(self):
        """A proxy before a backend that keeps the first bytes of each connection, and sends "ok"
        once it has as many as `self.expected`."""
        self.expected, self.seen = 0, []

        def handler(connection):
            self.seen.append(backends.read_exactly(connection, self.expected))
            connection.sendall(b"ok")

        return self.relay(handler)

    def passes(self, proxy, pieces, pause=0.0):
        """Sends each piece in its own segment, and compares what the backend gets."""
        whole = b"".join(pieces)
        self.expected, self.seen[:] = len(whole), []
        connection = self.connect(proxy)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        self.assertEqual(backends.read_exactly(connection, 2), b"ok")
        self.assertEqual(self.seen, [whole])

    def test_two_segments_split_anywhere(self):
        proxy, hello = self.start(), tls.client_hello(NAME)
        for position in sorted({1, 4, 5, 6, 9, 43, 44, *range(60, len(hello), 37), len(hello) - 1}):
            with self.subTest(position=position):
                self.passes(proxy, [hello[:position], hello[position:]], pause=0.005)

    def test_byte_by_byte(self):
        hello = tls.client_hello(NAME)
        self.passes(self.start(), [hello[i:i + 1] for i in range(len(hello))], pause=0.0005)

    def test_records_of_any_lengths(self):
        proxy, message = self.start(), tls.client_hello(NAME)[5:]
        rng = random.Random(1)
        layouts = [[1], [3], [4], [5, 100], [1] * 20, [1] * len(message), [len(message) - 1],
                   *[[rng.randint(1, 90) for _ in range(9)] for _ in range(10)]]
        for sizes in layouts:
            with self.subTest(sizes=sizes[:10]):
                self.passes(proxy, [tls.records(message, sizes)])

    def test_records_and_segments_that_do_not_match(self):
        proxy, message = self.start(), tls.client_hello(NAME)[5:]
        wire = tls.records(message, [7, 1, 60, 3])
        for step in (2, 11, 64):
            pieces = [wire[i:i + step] for i in range(0, len(wire), step)]
            self.passes(proxy, pieces, pause=0.001)

    def test_post_quantum_sizes_and_the_largest_hello(self):
        proxy = self.start()
        base = len(tls.client_hello(NAME)) - 5 - 4
        for extra in (1184, 4000, 16 * 1024 - base - 64):
            message = tls.padded_hello(NAME, extra)[5:]
            for sizes in ([], [1000] * 16, [1] * 500):
                with self.subTest(extra=extra, records=len(sizes)):
                    self.passes(proxy, [tls.records(message, sizes or [len(message)])])

    def test_bytes_right_behind_the_hello_are_forwarded_too(self):
        proxy, hello = self.start(), tls.client_hello(NAME)
        self.passes(proxy, [hello + b"\x17\x03\x03\x00\x04data" * 2000])
        self.passes(proxy, [hello[:-3], hello[-3:] + b"early data"], pause=0.01)

    def test_a_hello_larger_than_the_bound_is_refused(self):
        proxy = self.start()
        connection = self.connect(proxy)
        connection.sendall(tls.records(tls.padded_hello(NAME, 17_000)[5:], [16_000]))
        answer = backends.read_to_end(connection)
        self.assertTrue(tls.is_fatal_alert(answer, tls.DECODE_ERROR), answer)
        self.assertEqual(self.seen, [])

    def test_a_client_that_leaves_in_the_middle_of_its_hello_reaches_nobody(self):
        proxy, hello = self.start(), tls.client_hello(NAME)
        connection = self.connect(proxy)
        connection.sendall(hello[:100])
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(backends.read_to_end(connection), b"")
        self.assertEqual(len(proxy.access(1)), 1)
        self.assertEqual(self.seen, [])


if __name__ == "__main__":
    main()
