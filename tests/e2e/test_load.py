#!/usr/bin/env python3
"""Many connections at once, and stalled ones beside an active one."""

import selectors
import socket
import time
import unittest

from support import backends, processes, streams, tls
from support.case import ProxyTest, allow_descriptors, main

MIB = 1 << 20


class EchoLoop:
    """An echo server for thousands of connections in one thread; for messages that fit a buffer."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=8192)
        self.listening.setblocking(False)
        self.address = "127.0.0.1:%d" % self.listening.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listening, selectors.EVENT_READ)
        self.open = 0
        self.ended = False
        self.task = streams.Task(self._run)

    def _run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.2):
                if key.fileobj is self.listening:
                    self._accept()
                else:
                    self._echo(key.fileobj)

    def _accept(self):
        try:
            while True:
                connection, _ = self.listening.accept()
                self.selector.register(connection, selectors.EVENT_READ)
                self.open += 1
        except BlockingIOError:
            pass

    def _echo(self, connection):
        try:
            data = connection.recv(65536)
            connection.sendall(data)
        except ConnectionError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            connection.close()
            self.open -= 1

    def end(self):
        self.ended = True
        self.task.result()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


class Load(ProxyTest):
    def test_5000_connections_at_once_each_get_their_own_bytes(self):
        count = 5000
        allow_descriptors(20_000)
        server = EchoLoop()
        self.addCleanup(server.end)
        proxy = self.proxy({"route": [{"names": ["*"], "backend": server.address}],
                            "log": {"level": "info"}})
        hello = tls.client_hello("one.example")
        connections = []
        for _ in range(count):
            connections.append(self.connect(proxy, seconds=60))
            connections[-1].sendall(hello)
        for connection in connections:
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        self.assertEqual(server.open, count)
        for round_ in range(2):
            for number, connection in enumerate(connections):
                connection.sendall(b"%d/%d" % (round_, number))
            for number, connection in enumerate(connections):
                expected = b"%d/%d" % (round_, number)
                self.assertEqual(backends.read_exactly(connection, len(expected)), expected)
        for connection in connections:
            connection.close()
        processes.wait_until(lambda: server.open == 0, "every backend connection to be closed")
        proxy.access(count, seconds=60)

    def test_idle_connections_cost_no_time(self):
        proxy = self.relay()
        for _ in range(300):
            connection, hello = self.connect_hello(proxy)
            backends.read_exactly(connection, len(hello))
        before = processes.wait_still(proxy.cpu_seconds, "it to come to rest")
        time.sleep(3)  # What is measured.
        self.assertLess(proxy.cpu_seconds() - before, 0.5)

    def stall(self, count, flood, **config):
        """A proxy with `count` readers that do not read, whose writers run `flood`; another
        connection still echoes."""
        hello_length = len(tls.client_hello("stall.example"))

        def handler(connection):
            hello = backends.read_exactly(connection, hello_length)
            if b"quick" in hello:
                backends.echo(connection)
            else:
                flood(connection)

        proxy = self.relay(handler, names=["*"], server={"workers": 1}, **config)
        early, _ = self.connect_hello(proxy, "quick.example", seconds=60)
        stalled = [self.connect_hello(proxy, "stall.example", seconds=60)[0] for _ in range(count)]
        streams.wait_stalled(*stalled)
        late, _ = self.connect_hello(proxy, "quick.example", seconds=60)
        for moving in (early, late):
            self.assert_moves(moving)
        return proxy, stalled

    def assert_moves(self, connection):
        for _ in range(100):
            connection.sendall(b"ping")
            self.assertEqual(backends.read_exactly(connection, 4), b"ping")
        sending = streams.Task(streams.send, connection, 32 * MIB)
        self.assertEqual(streams.receive(connection, 32 * MIB), streams.digest(32 * MIB))
        sending.result()

    def test_more_stalled_readers_than_relay_buffers_slow_nobody_down_and_lose_nothing(self):
        count = 8 * MIB
        proxy, stalled = self.stall(270, lambda connection: streams.send(connection, count))
        self.assertLess(proxy.memory_kib() * 1024, 600 * MIB)
        expected = streams.digest(count)
        for connection in stalled:
            self.assertEqual(streams.receive(connection, count), expected)

    def test_stalled_readers_beyond_their_memory_are_cut_and_slow_nobody_down(self):
        def flood(connection):
            while True:
                connection.sendall(bytes(backends.BLOCK))

        proxy, _ = self.stall(270, flood, limits={"relay_memory": "1MiB"})
        ends = {line["end"] for line in proxy.access(1)}
        self.assertEqual(ends, {"relay_memory"})


if __name__ == "__main__":
    main()
