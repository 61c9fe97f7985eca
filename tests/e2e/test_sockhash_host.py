#!/usr/bin/env python3
"""The SOCKHASH planes and other processes of the host: nginx as a backend, a second instance, the
end of the proxy, and which threads redirected bytes wake."""

import hashlib
import http.client
import os
import pathlib
import signal
import socket
import time

from support import backends, planes, processes, streams
from support.case import main
from support.planes import LOOKS, PLANES, PlaneTest
from support.proxy import listener

MIB = 1 << 20
HEADERS = {"Host": "one.example"}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(pid):
    """How often threads of the process went to sleep."""
    return sum(int(line.split()[1])
               for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status")
               for line in status.read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


class Nginx(PlaneTest):
    def before_nginx(self, mode):
        """nginx, a proxy in front of it, and a connection that makes its listener known."""
        nginx = self.nginx("one.example", plain=True)
        proxy = self.proxy({
            "listener": [listener("web", "http")],
            "route": [{"names": ["*"], "listeners": ["web"],
                       "backend": nginx.backend("one.example")}],
            "fast_path": {"mode": mode, **planes.EAGER}})
        connection = self.client(proxy)
        for _ in range(LOOKS + 1):
            self.request(connection, "GET", "/")
        connection.close()
        proxy.access(1)
        return nginx, proxy

    def client(self, proxy):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
        self.addCleanup(connection.close)
        return connection

    def request(self, connection, *arguments):
        connection.request(*arguments, headers=HEADERS)
        response = connection.getresponse()
        return response.status, response.read()

    def test_sendfile_to_a_slow_client_neither_stalls_nor_spins(self):
        nginx, proxy = self.before_nginx("sockhash")
        content = os.urandom(4 * MIB)
        (nginx.directory / "files/large").write_bytes(content)
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
        connection.sock = socket.socket()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.sock.connect(("127.0.0.1", proxy.port))
        before = cpu_seconds(nginx.pid)
        connection.request("GET", "/files/large", headers=HEADERS)
        response = connection.getresponse()
        whole, start, got = hashlib.sha256(), time.monotonic(), 0
        while piece := response.read(16 * 1024):
            whole.update(piece)
            got += len(piece)
            time.sleep(max(0, start + got / 1.25e6 - time.monotonic()))  # 10 Mbit/s
        connection.close()
        self.assertEqual(whole.hexdigest(), hashlib.sha256(content).hexdigest())
        self.assertLess(cpu_seconds(nginx.pid) - before, 0.5)  # A spin would take over 3.
        self.assertEqual(proxy.access(2)[-1]["plane"], "sockhash")
        self.assert_moved("local", 1000)

    def test_in_mode_auto_uploads_arrive_whatever_the_kernel_tells_nginx(self):
        nginx, proxy = self.before_nginx("auto")
        for turn in range(3):
            connection = self.client(proxy)
            self.request(connection, "GET", "/")
            for size in (3_000, 100_000, 4 * MIB):
                content = os.urandom(size)
                path = f"/files/{turn}-{size}"
                self.assertIn(self.request(connection, "PUT", path, content)[0], (201, 204))
                self.assertEqual((nginx.directory / path[1:]).read_bytes(), content)
            connection.close()


class Ends(PlaneTest):
    def exchange(self, connection, hello, turns=3):
        for _ in range(turns):
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
            connection.sendall(hello)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.sendall(hello)

    def test_sigterm_lets_redirected_transfers_complete(self):
        count = 16 * MIB

        def handler(connection):
            connection.recv(4096)
            for block in streams.blocks(count):
                connection.sendall(block)
                time.sleep(0.01)

        for plane in PLANES:
            proxy = self.on_plane(plane, handler, config={"timeouts": {"drain": "30s"}})
            programs = planes.held("prog", proxy)
            connections = [self.connect_hello(proxy)[0] for _ in range(4)]
            for connection in connections:
                connection.recv(1, socket.MSG_PEEK)
            proxy.signal(signal.SIGTERM)
            receiving = [streams.Task(streams.receive, each, count) for each in connections]
            for task, connection in zip(receiving, connections):
                self.assertEqual(task.result(), streams.digest(count))
                self.assert_moved(plane)
                self.assertEqual(connection.recv(1), b"")
                connection.close()
            self.assertEqual(proxy.wait(), 0)
            planes.wait_gone("prog", programs)

    def test_a_second_sigterm_cuts_redirected_transfers(self):
        for plane in PLANES:
            proxy = self.on_plane(plane, lambda each: streams.send(each, streams.GIB),
                                  config={"timeouts": {"drain": "30s"}})
            programs = planes.held("prog", proxy)
            connection, _ = self.connect_hello(proxy)
            streams.receive(connection, MIB)
            proxy.signal(signal.SIGTERM)
            proxy.wait_log("drain")
            proxy.signal(signal.SIGTERM)
            proxy.wait()
            connection.close()
            planes.wait_gone("prog", programs)

    def test_a_second_instance_outlives_the_first(self):
        first, second = (self.on_plane("local", backends.echo) for _ in range(2))
        self.exchange(*self.connect_hello(first))
        other, hello = self.connect_hello(second)
        self.exchange(other, hello)
        first.end()
        self.exchange(other, hello, 20)
        other.shutdown(socket.SHUT_WR)
        backends.read_to_end(other)
        self.assertEqual(second.access(2)[-1]["plane"], "sockhash")
        self.assert_moved("local", 20 * len(hello))
        programs = planes.held("prog", second)
        second.end()
        planes.wait_gone("prog", programs)

    def test_redirected_answers_of_a_remote_backend_do_not_wake_the_proxy(self):
        count = 2000

        def handler(connection):
            connection.recv(4096)
            for _ in range(count):
                connection.sendall(b"tick")
                time.sleep(0.0005)
            connection.recv(1)

        proxy = self.on_plane("remote", handler)
        connection, _ = self.connect_hello(proxy)
        backends.read_exactly(connection, 4)
        before = switches(proxy.pid)
        backends.read_exactly(connection, 4 * (count - 1))
        self.assertLess(switches(proxy.pid) - before, count / 4)
        self.assert_moved("remote", 2 * count)


if __name__ == "__main__":
    main()
