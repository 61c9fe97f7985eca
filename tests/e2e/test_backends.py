#!/usr/bin/env python3
"""The kinds of backend addresses, and arrays of them."""

import os
import re
import socket
import time
import unittest

from support import backends, processes, tls
from support.case import ProxyTest, main


class Backends(ProxyTest):
    def marked(self, mark, **options):
        """A backend that sends its mark."""
        return self.backend(backends.say(mark), **options)

    def reached(self, proxy):
        connection, _ = self.connect_hello(proxy)
        with connection:
            return backends.read_to_end(connection)

    def route_to(self, *addresses, **config):
        return self.proxy({"route": [{"names": ["*"], "backend": list(addresses)}], **config})

    def refused(self, host="127.0.0.1"):
        port = processes.free_port(host)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def test_ipv4_ipv6_and_unix_sockets_are_backends(self):
        path = str(self.directory / "backend.sock")
        for backend in (self.marked(b"four"), self.marked(b"six", host="::1"),
                        self.marked(b"unix", path=path)):
            with self.subTest(backend=backend.address):
                proxy = self.route_to(backend.address)
                self.assertEqual(self.reached(proxy), {"1": b"four", "[": b"six", "u": b"unix"}[
                    backend.address[0]])
                self.assertEqual(proxy.access(1)[0]["backend"], backend.address)

    def test_large_transfers_work_over_unix_sockets_too(self):
        path = str(self.directory / "backend.sock")
        backend = self.backend(path=path)
        connection, hello = self.connect_hello(self.route_to(backend.address))
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        sending = backends.threading.Thread(target=connection.sendall, args=(b"u" * 20_000_000,))
        sending.start()
        self.assertEqual(backends.read_exactly(connection, 20_000_000), b"u" * 20_000_000)
        sending.join()

    def test_a_refused_address_leads_to_the_next(self):
        last = self.marked(b"last")
        proxy = self.route_to(self.refused(), self.refused("::1"),
                              f"unix:{self.directory}/nobody.sock", last.address)
        for _ in range(5):
            self.assertEqual(self.reached(proxy), b"last")

    def test_an_address_that_did_not_answer_is_tried_last_from_then_on(self):
        silent, last = backends.Blackhole(), self.marked(b"last")
        self.addCleanup(silent.end)
        proxy = self.route_to(silent.address, last.address, server={"workers": 1},
                              timeouts={"connect": "2s", "attempt_delay": "1s"})
        for _ in range(5):
            self.assertEqual(self.reached(proxy), b"last")
        proxy.wait_log(f"backend {silent.address} is out: no answer in time")
        first, *others = proxy.access(5)
        self.assertGreaterEqual(first["connect_ms"], 1000)
        self.assertEqual(first["attempts"], 2)
        self.assertLess(min(each["connect_ms"] for each in others), 1000)

    def test_the_first_address_that_answers_is_used(self):
        first, second = self.marked(b"first"), self.marked(b"second")
        self.assertEqual(self.reached(self.route_to(first.address, second.address)), b"first")
        self.assertEqual(second.accepted, 0)

    def test_a_unix_backend_that_accepts_nobody_costs_a_bounded_number_of_threads(self):
        path = str(self.directory / "stuck.sock")
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.bind(path)
            stuck.listen(0)
            proxy = self.proxy({"route": [{"names": ["*"], "backend": f"unix:{path}"}],
                                "server": {"workers": 1}, "timeouts": {"connect": "2s"}})
            before = proxy.descriptors()
            clients = [self.connect_hello(proxy)[0] for _ in range(100)]
            # Each has a socket for its backend too, so that its connect has begun.
            processes.wait_until(lambda: proxy.descriptors() >= before + 195, "the connects")
            self.assertLess(len(os.listdir(f"/proc/{proxy.pid}/task")), 40)
            self.assertTrue(tls.is_fatal_alert(backends.read_to_end(clients[-1]),
                                               tls.INTERNAL_ERROR))
            for client in clients:
                client.close()
            self.assertEqual({line["end"] for line in proxy.access(10)}, {"connect_timeout"})

    def test_a_client_gets_the_alert_when_all_backends_refuse(self):
        proxy = self.route_to(self.refused(), self.refused("::1"), f"unix:{self.directory}/x.sock")
        self.assertTrue(tls.is_fatal_alert(self.reached(proxy), tls.INTERNAL_ERROR))

    def test_the_access_line_says_what_the_backend_that_it_names_failed_of(self):
        refused = self.refused()
        missing = f"unix:{self.directory}/none.sock"
        for addresses, expected in (((refused,), (refused, "connection refused")),
                                    ((refused, missing), (missing, "no such file")),
                                    ((missing, refused), (refused, "connection refused"))):
            with self.subTest(backends=addresses):
                proxy = self.route_to(*addresses)
                self.reached(proxy)
                line, = proxy.access(1)
                self.assertEqual((line["backend"], line["error"], line["end"]),
                                 (*expected, "unreachable"))

    def test_every_attempt_is_logged_at_debug_and_a_failed_first_choice_as_a_warning(self):
        refused, last = self.refused(), self.marked(b"last")
        proxy = self.route_to(refused, last.address, log={"level": "debug"},
                              server={"workers": 1})
        for _ in range(5):
            self.assertEqual(self.reached(proxy), b"last")
        proxy.wait_log(re.escape(f"backend {refused} of route *: connection refused"))
        proxy.wait_log(
            re.escape(f"backend {refused} failed (connection refused); {last.address} serves"))
        self.assertEqual({line.get("error", "") for line in proxy.access(5)}, {""})
        warnings = [each for each in proxy.records() if "in its place" in each.get("message", "")]
        self.assertEqual(len(warnings), 1)

    def test_a_unix_backend_that_hung_is_tried_last_from_then_on(self):
        path, last = str(self.directory / "stuck.sock"), self.marked(b"last")
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.bind(path)
            stuck.listen(0)
            full = socket.socket(socket.AF_UNIX)
            self.addCleanup(full.close)
            full.connect(path)
            proxy = self.route_to(f"unix:{path}", last.address, server={"workers": 1},
                                  timeouts={"connect": "2s", "attempt_delay": "1s"})
            for _ in range(4):
                self.assertEqual(self.reached(proxy), b"last")
            first, *others = [each["connect_ms"] for each in proxy.access(4)]
            self.assertGreaterEqual(first, 1000)
            self.assertLess(min(others), 1000)

    def test_a_backend_that_comes_back_is_used_again(self):
        address = self.refused()
        proxy = self.route_to(address)
        self.assertTrue(tls.is_fatal_alert(self.reached(proxy), tls.INTERNAL_ERROR))
        backend = self.marked(b"back")
        proxy.reload({"route": [{"names": ["*"], "backend": [address, backend.address]}]})
        processes.wait_until(lambda: self.reached(proxy) == b"back", "the backend to be reached")


if __name__ == "__main__":
    main()
