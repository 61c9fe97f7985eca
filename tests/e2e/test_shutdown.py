#!/usr/bin/env python3
"""SIGTERM drains, the drain deadline cuts, a second SIGTERM ends it at once."""

import pathlib
import signal
import socket
import time
import unittest

from support import backends, processes, streams, trace
from support.case import ProxyTest, main
from support.proxy import listener

MIB = 1 << 20


class Shutdown(ProxyTest):
    def refuses(self, proxy):
        try:
            socket.create_connection(("127.0.0.1", proxy.port), timeout=5).close()
        except ConnectionError:
            return True
        return False

    @staticmethod
    def receive_and_close(connection, count):
        with connection:
            return streams.receive(connection, count)

    def test_established_transfers_complete_and_no_new_ones_begin(self):
        count, transfers = 48 * MIB, 8

        def handler(connection):
            connection.recv(4096)
            for block in streams.blocks(count):
                connection.sendall(block)
                time.sleep(0.001)

        for number in (signal.SIGTERM, signal.SIGINT):
            proxy = self.relay(handler, timeouts={"drain": "60s"})
            receiving = []
            for _ in range(transfers):
                connection, _ = self.connect_hello(proxy)
                connection.recv(1, socket.MSG_PEEK)  # It is relayed by now.
                receiving.append(streams.Task(self.receive_and_close, connection, count))
            proxy.signal(number)
            processes.wait_until(lambda: self.refuses(proxy), "new connections to be refused")
            self.assertTrue(proxy.alive())
            for task in receiving:
                self.assertEqual(task.result(), streams.digest(count))
            self.assertEqual(proxy.wait(), 0)
            whole = [line for line in proxy.access(transfers) if line["server_bytes"] == count]
            self.assertEqual(len(whole), transfers)

    def test_without_connections_it_ends_at_once(self):
        proxy = self.relay(timeouts={"drain": "60s"})
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(10), 0)

    def test_the_deadline_cuts_and_the_log_says_how_many(self):
        proxy = self.relay(timeouts={"drain": "500ms"})
        for _ in range(3):
            connection, hello = self.connect_hello(proxy)
            backends.read_exactly(connection, len(hello))
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(15), 0)
        self.assertRegex(proxy.log(), r"(?i)\b3 connections?\b|connections[\"=: ]+3\b")
        self.assertEqual(len(proxy.access(3)), 3)

    def test_a_second_sigterm_ends_it_at_once(self):
        proxy = self.relay(timeouts={"drain": "10m"})
        connection, hello = self.connect_hello(proxy)
        backends.read_exactly(connection, len(hello))
        proxy.signal(signal.SIGTERM)
        processes.wait_until(lambda: self.refuses(proxy), "the drain")
        connection.sendall(b"still here")
        self.assertEqual(backends.read_exactly(connection, 10), b"still here")
        proxy.signal(signal.SIGTERM)
        proxy.wait(10)

    def test_a_worker_that_hangs_does_not_keep_the_process(self):
        proxy = self.relay(server={"workers": 2}, timeouts={"drain": "500ms"})
        tasks = pathlib.Path(f"/proc/{proxy.process.pid}/task")
        worker, = (int(each.name) for each in tasks.iterdir()
                   if (each / "comm").read_text().strip() == "worker-1")
        with trace.stopped(worker):
            proxy.signal(signal.SIGTERM)
            proxy.wait_log("worker 1 has not ended within 5s; its connections are cut", 30)
        self.assertEqual(proxy.wait(30), 1)

    def test_hellos_that_are_not_complete_do_not_hold_up_the_end(self):
        proxy = self.relay(timeouts={"drain": "60s", "hello": "1s"})
        processes.wait_read(self.connect(proxy))
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(15), 0)


class Start(ProxyTest):
    def start(self, config):
        """A proxy that is expected not to start."""
        proxy = self.proxy(config, wait=False)
        return proxy.wait(60), proxy

    def test_a_second_instance_on_the_same_port_is_refused(self):
        first = self.relay()
        status, second = self.start({"listener": first.config["listener"]})
        self.assertEqual(status, 1)
        self.assertIn(str(first.port), second.log())
        self.assertTrue(first.alive())
        connection, hello = self.connect_hello(first)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)

    def test_a_port_of_another_program_is_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            status, proxy = self.start({"listener": [listener(port=port)]})
            self.assertEqual(status, 1)
            self.assertIn(str(port), proxy.log())

    def test_an_address_that_is_not_ours_is_refused(self):
        status, proxy = self.start({"listener": [listener(host="192.0.2.1", port=443)]})
        self.assertEqual(status, 1)
        self.assertIn("192.0.2.1:443", proxy.log())

    def test_the_port_is_free_again_after_the_end(self):
        proxy = self.relay()
        config = {"listener": proxy.config["listener"]}
        for _ in range(3):
            connection, _ = self.connect_hello(proxy)
            connection.recv(1)
            proxy.end()
            proxy = self.proxy(config)

    def test_every_number_of_workers_serves(self):
        for workers in (0, 1, 3):
            proxy = self.relay(server={"workers": workers})
            for _ in range(12):
                connection, hello = self.connect_hello(proxy)
                self.assertEqual(backends.read_exactly(connection, len(hello)), hello)


if __name__ == "__main__":
    main()
