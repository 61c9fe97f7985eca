#!/usr/bin/env python3
"""The SOCKHASH planes: the same bytes and the same ends as in userspace, and counters that prove
that the kernel moved them."""

import hashlib
import queue
import random
import socket
import threading
import time
import unittest

from support import backends, planes, processes, streams, tls
from support.case import main
from support.planes import PLANES, PlaneTest

MIB = 1 << 20


class Planes(PlaneTest):
    def test_a_fin_comes_after_all_bytes_however_slow_the_reader(self):
        def handler(connection):
            backends.read_exactly(connection, 10)
            streams.send(connection, 64 * MIB)
            connection.shutdown(socket.SHUT_WR)
            backends.read_to_end(connection)

        for plane in PLANES:
            proxy = self.on_plane(plane, handler)
            connection, _ = self.connect_hello(proxy, seconds=60)
            streams.wait_stalled(connection)
            self.assertEqual(streams.receive(connection, 64 * MIB), streams.digest(64 * MIB))
            self.assertEqual(connection.recv(1), b"")
            connection.close()
            self.assert_moved(plane)
            proxy.end()

    def test_resets_are_carried_over_both_ways(self):
        resets = queue.Queue()
        heard = threading.Event()

        def answer_and_wait(connection):
            backends.read_exactly(connection, 10)
            connection.sendall(b"ready")
            resets.put(backends.is_reset(connection))

        def answer_and_reset(connection):
            backends.read_exactly(connection, 10)
            connection.sendall(b"ready")
            heard.wait(20)
            backends.reset(connection)

        for plane in PLANES:
            proxy = self.on_plane(plane, answer_and_wait)
            connection, _ = self.connect_hello(proxy)
            self.assertEqual(backends.read_exactly(connection, 5), b"ready")
            backends.reset(connection)
            self.assertTrue(resets.get(timeout=20))
            proxy.end()
            proxy = self.on_plane(plane, answer_and_reset)
            heard.clear()
            connection, _ = self.connect_hello(proxy)
            self.assertEqual(backends.read_exactly(connection, 5), b"ready")
            heard.set()
            self.assertTrue(backends.is_reset(connection))
            proxy.end()

    def test_a_stalled_reader_stops_its_writer(self):
        sent = [0]

        def handler(connection):
            backends.read_exactly(connection, 10)
            try:
                for block in streams.blocks(streams.GIB):
                    connection.sendall(block)
                    sent[0] += len(block)
            except OSError:
                pass

        for plane in PLANES:
            sent[0] = 0
            proxy = self.on_plane(plane, handler, config={"limits": {"connections": 100}},
                                  backlog="1MiB")
            connection, _ = self.connect_hello(proxy)
            stopped = processes.wait_still(lambda: sent[0], "the writer to be stopped", still=1)
            # Unsent bytes take no memory: there are only the socket buffers on both sides of the
            # proxy, and bytes that the kernel has queued between them, which no socket is charged
            # for.
            self.assertLess(stopped, 64 * MIB)
            self.assertLessEqual(max(planes.backlog_peaks()), MIB)
            self.assert_moved(plane)
            connection.close()
            proxy.end()

    def test_hundreds_of_connections_with_random_stalls_keep_every_byte(self):
        sizes = [random.randrange(1, MIB) for _ in range(200)]

        def handler(connection):
            backends.read_exactly(connection, len(hello))
            index = int.from_bytes(backends.read_exactly(connection, 4), "big")
            streams.send(connection, sizes[index])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

        hello = tls.client_hello("one.example")

        def client(index):
            connection = self.connect(proxy, seconds=60)
            connection.sendall(hello)
            connection.sendall(index.to_bytes(4, "big"))
            if index % 7 == 0:
                connection.shutdown(socket.SHUT_WR)
            whole, left = hashlib.sha256(), sizes[index]
            while left:
                piece = connection.recv(min(left, 200_000))
                self.assertTrue(piece, f"connection {index} ended with {left} bytes missing")
                whole.update(piece)
                left -= len(piece)
                if random.random() < 0.05:
                    time.sleep(random.random() / 20)
            self.assertEqual(connection.recv(1), b"")
            connection.close()
            return whole.hexdigest()

        for plane in PLANES:
            proxy = self.on_plane(plane, handler)
            tasks = [streams.Task(client, index) for index in range(len(sizes))]
            for index, task in enumerate(tasks):
                self.assertEqual(task.result(), streams.digest(sizes[index]), index)
            self.assert_moved(plane, MIB)
            proxy.end()

    def test_a_backend_that_blocks_never_sees_a_recv_end_before_its_time(self):
        """The backend writes and half-closes by itself while its client is silent."""
        answer = bytes(50_000)
        hello_length = len(tls.client_hello("one.example"))

        def handler(connection):
            backends.read_exactly(connection, hello_length)  # Its exceptions fail the test.
            for _ in range(3):
                connection.sendall(answer)
                backends.read_exactly(connection, 100)
            connection.shutdown(socket.SHUT_WR)
            backends.read_exactly(connection, 100)

        def client(_):
            connection, _ = self.connect_hello(proxy, seconds=60)
            for _ in range(3):
                backends.read_exactly(connection, len(answer))
                time.sleep(random.random() / 50)
                connection.sendall(bytes(100))
            self.assertEqual(connection.recv(1), b"")
            time.sleep(random.random() / 20)
            connection.sendall(bytes(100))
            connection.close()

        proxy = self.relay(handler, fast_path={"mode": "sockhash", **planes.EAGER})
        of_self_test = planes.counters()[planes.CAPTURES]
        for _ in range(5):
            for task in [streams.Task(client, index) for index in range(40)]:
                task.result()
        proxy.access(200)
        self.assertEqual(planes.counters()[planes.CAPTURES], of_self_test)

    def test_programs_and_maps_have_their_names_and_end_with_the_process(self):
        proxy = self.relay(fast_path={"mode": "sockhash"})
        programs, maps = planes.held("prog", proxy), planes.held("map", proxy)
        self.assertLessEqual({"redirect_msg", "redirect_skb", "capture_backend"},
                             set(programs.values()))
        self.assertLessEqual({"SOCK_MAP", "SOURCE_MAP", "LOCAL_MAP", "DNS_CACHE",
                              "TRAFFIC_STATS"}, set(maps.values()))
        proxy.end()
        planes.wait_gone("prog", programs)
        planes.wait_gone("map", maps)


if __name__ == "__main__":
    main()
