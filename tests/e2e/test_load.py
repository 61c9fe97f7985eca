#!/usr/bin/env python3
"""Many connections at once, and stalled ones beside one that moves."""

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

    def test_stalled_readers_do_not_slow_down_the_others(self):
        """More of them than relay buffers: the smallest budget, and 256 readers that never read."""
        def handler(connection):
            request = backends.read_exactly(connection, 1000)
            if request.endswith(b"flood"):
                while True:
                    connection.sendall(bytes(backends.BLOCK))
            backends.echo(connection)

        backend = self.backend(handler)
        proxy = self.proxy({"server": {"workers": 1}, "limits": {"relay_memory": "1MiB"},
                            "route": [{"names": ["*"], "backend": backend.address}]})

        def open_with(request):
            connection, hello = self.connect_hello(proxy, seconds=60)
            connection.sendall(bytes(1000 - len(hello) - len(request)) + request)
            return connection

        moving = open_with(b"echo")
        for _ in range(256):
            stalled = open_with(b"flood")
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        time.sleep(2)
        for _ in range(100):
            moving.sendall(b"ping")
            self.assertEqual(backends.read_exactly(moving, 4), b"ping")
        sending = streams.Task(streams.send, moving, 32 * MIB)
        self.assertEqual(streams.receive(moving, 32 * MIB), streams.digest(32 * MIB))
        sending.result()
        late = open_with(b"echo")
        late.sendall(b"pong")
        self.assertEqual(backends.read_exactly(late, 4), b"pong")


if __name__ == "__main__":
    main()
