#!/usr/bin/env python3
"""1 GiB each way at once between network namespaces, intact and counted exactly, in the modes that
may use the kernel."""

import queue
import unittest

from support import backends, planes, streams, tls
from support.case import main
from support.planes import PlaneTest

GIB = streams.GIB


class Bulk(PlaneTest):
    def carry(self, plane):
        self.in_network()
        hello_length = len(tls.client_hello("one.example"))
        hashes = queue.Queue()

        def handler(connection):
            backends.read_exactly(connection, hello_length)
            connection.sendall(b"ready")
            sending = streams.Task(streams.send, connection, GIB)
            hashes.put(streams.receive(connection, GIB))
            sending.result()

        proxy = self.on_plane(plane, handler)
        connection, _ = self.connect_hello(proxy, seconds=60)
        self.assertEqual(backends.read_exactly(connection, 5), b"ready")
        sending = streams.Task(streams.send, connection, GIB)
        self.assertEqual(streams.receive(connection, GIB), DIGEST)
        sending.result()
        self.assertEqual(hashes.get(timeout=60), DIGEST)
        connection.close()
        line = proxy.access(2 if plane == "local" else 1)[-1]
        self.assertEqual((line["plane"], line["client_bytes"], line["server_bytes"]),
                         ("sockhash", GIB + hello_length, GIB + 5))
        self.assert_moved(plane, 1 << 20)
        proxy.end()

    def test_a_backend_on_this_host(self):
        self.carry("local")

    def test_a_remote_backend(self):
        self.carry("remote")


DIGEST = streams.digest(GIB)

if __name__ == "__main__":
    main()
