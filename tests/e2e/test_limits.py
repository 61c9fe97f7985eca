#!/usr/bin/env python3
"""At a limit the newest connection is refused, and there is a place again when one ends."""

import resource
import socket
import threading
import time
import unittest

from support import backends, processes, streams, tls
from support.case import ProxyTest, main


class Limited(ProxyTest):
    def try_echo(self, proxy, source="127.0.0.1", name="one.example"):
        """An established connection, or None if it is refused."""
        connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=20,
                                              source_address=(source, 0))
        self.addCleanup(connection.close)
        try:
            connection.sendall(tls.client_hello(name))
            return connection if connection.recv(1) else None
        except ConnectionError:
            return None


class Limits(Limited):
    def assert_limit(self, proxy, count, source="127.0.0.1"):
        """Exactly `count` at once, again and again."""
        idle = proxy.descriptors()
        for _ in range(2):
            opened = [self.try_echo(proxy, source) for _ in range(count)]
            self.assertNotIn(None, opened)
            for _ in range(3):
                self.assertIsNone(self.try_echo(proxy, source))
            opened.pop().close()
            processes.wait_until(lambda: self.replaced(proxy, opened, source), "a place again")
            self.assertIsNone(self.try_echo(proxy, source))
            for connection in opened:
                connection.close()
            # The next round needs every place.
            processes.wait_until(lambda: proxy.descriptors() <= idle, "every place again")

    def replaced(self, proxy, opened, source):
        connection = self.try_echo(proxy, source)
        if connection:
            opened.append(connection)
        return connection

    def test_connections_in_total(self):
        self.assert_limit(self.relay(limits={"connections": 5}), 5)

    def test_connections_of_one_source(self):
        proxy = self.relay(limits={"connections_per_source": 3})
        others = [self.try_echo(proxy, f"127.0.0.{last}") for last in (2, 3, 2, 3)]
        self.assertNotIn(None, others)
        self.assert_limit(proxy, 3)

    def test_pending_hellos(self):
        proxy = self.relay(limits={"pending_hellos": 4}, timeouts={"hello": "2s"})
        silent = [self.connect(proxy) for _ in range(4)]
        for connection in silent:
            processes.wait_read(connection)  # Accepted.
        self.assertIsNone(self.try_echo(proxy))
        for connection in silent:
            connection.close()
        processes.wait_until(lambda: self.try_echo(proxy), "a place again")
        # Established connections are not pending ones.
        self.assertNotIn(None, [self.try_echo(proxy) for _ in range(10)])

    def test_refusals_are_rate_limited_in_the_log(self):
        proxy = self.relay(limits={"connections": 1})
        held = self.try_echo(proxy)
        for _ in range(500):
            self.try_echo(proxy)
        proxy.settle()
        self.assertLess(len(proxy.log().splitlines()), 200)
        self.assertRegex(proxy.log(), "(?i)refused|limit")
        # Reported even if nothing else happens.
        proxy.wait_log(r"\d+ more lines about refused", 5)
        held.close()


class Descriptors(Limited):
    LIMIT = 80

    def limited(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.LIMIT, self.LIMIT))

    def flood(self, config):
        """300 clients for a proxy with few descriptors; then they go, and it serves again."""
        backend = self.backend()
        proxy = self.proxy({"route": [{"names": ["*"], "backend": backend.address}]} | config,
                           preexec_fn=self.limited)
        hello = tls.client_hello("one.example")
        clients = []
        for _ in range(300):
            clients.append(self.connect(proxy))
            try:
                clients[-1].sendall(hello)
            except ConnectionError:
                pass
        processes.wait_still(proxy.descriptors, "it to be full")
        before = proxy.cpu_seconds()
        time.sleep(3)  # What is measured.
        self.assertLess(proxy.cpu_seconds() - before, 1.5, "it spins")
        self.assertTrue(proxy.alive())
        for client in clients:
            client.close()

        def served():
            connection = self.connect(proxy)
            connection.settimeout(2)
            try:
                connection.sendall(hello)
                return backends.read_exactly(connection, len(hello)) == hello
            except (OSError, AssertionError):
                return False
            finally:
                connection.close()

        # Those of the 300 that are not accepted yet come first, and take places at their accept.
        processes.wait_until(lambda: all(served() for _ in range(10)), "it to serve again", 30)

    def test_by_default_there_are_as_many_connections_as_descriptors_allow(self):
        self.flood({})

    def test_a_limit_above_what_the_descriptors_allow_neither_spins_nor_stops(self):
        self.flood({"limits": {"connections": 1000}})

    def test_few_descriptors_are_promised_as_they_are_and_no_backend_is_blamed(self):
        backend = self.backend()
        for self.LIMIT, mode in ((24, "userspace"), (32, "userspace"), (48, "userspace"),
                                 (24, "auto"), (48, "auto")):
            with self.subTest(descriptors=self.LIMIT, mode=mode):
                proxy = self.proxy({"route": [{"names": ["*"], "backend": backend.address}],
                                    "fast_path": {"mode": mode}},
                                   preexec_fn=self.limited)
                promised = int(proxy.wait_log(r"at most (\d+) connections?").group(1))
                hello = tls.client_hello("one.example")
                clients = [self.connect(proxy) for _ in range(24)]
                for client in clients:
                    try:
                        client.sendall(hello)
                    except ConnectionError:
                        pass  # Refused.

                def served(client):
                    client.settimeout(1)
                    try:
                        return backends.read_exactly(client, len(hello)) == hello
                    except (OSError, AssertionError):
                        return False

                count = sum(served(client) for client in clients)
                for client in clients:
                    client.close()
                self.assertGreaterEqual(count, min(promised, len(clients)))
                proxy.settle()
                self.assertNotIn("unreachable", proxy.log())
                self.assertRegex(proxy.log(), r"refused .*limits\.connections")
                proxy.stop()

    def test_connects_that_race_leave_the_descriptors_of_others_alone(self):
        silent = [backends.Blackhole() for _ in range(8)]
        for each in silent:
            self.addCleanup(each.end)
        self.LIMIT = 160
        proxy = self.proxy({
            "route": [{"names": ["silent.example"], "backend": [each.address for each in silent]},
                      {"names": ["half.example"],
                       "backend": [silent[0].address, self.backend().address]},
                      {"names": ["*"], "backend": self.backend().address}],
            "timeouts": {"attempt_delay": "20ms"}, "server": {"workers": 1},
            "fast_path": {"mode": "userspace"}}, preexec_fn=self.limited)
        idle = proxy.descriptors()
        clients = [self.connect(proxy) for _ in range(24)]
        for client in clients:
            client.sendall(tls.client_hello("silent.example"))
        processes.wait_until(lambda: proxy.descriptors() >= idle + 2 * len(clients), "all of them")
        time.sleep(0.5)  # Eight attempts of each would have begun.
        self.assertLessEqual(proxy.descriptors(), idle + 2 * len(clients) + self.LIMIT // 32)
        self.assertIsNotNone(self.try_echo(proxy))
        for client in clients:
            backends.reset(client)
        processes.wait_until(lambda: proxy.descriptors() <= idle + 4, "them to be given back", 30)
        for _ in range(self.LIMIT // 32 + 1):
            self.assertIsNotNone(self.try_echo(proxy, name="half.example"))
        proxy.stop()
        self.assertRegex(proxy.log(), r"races_put_off=[1-9]")

    def test_a_full_proxy_says_so_and_why(self):
        for self.LIMIT, limits, why in ((24, {}, "the limit of open files allows"),
                                        (80, {"connections": 2}, "limits.connections allows")):
            proxy = self.proxy({"route": [{"names": ["*"], "backend": self.backend().address}],
                                "limits": limits, "log": {"level": "warning"},
                                "fast_path": {"mode": "userspace"}}, preexec_fn=self.limited)
            held = [self.try_echo(proxy) for _ in range(12)]
            self.assertIn(None, held)
            proxy.wait_log(rf"clients are refused: all \d+ connections are in use that {why}")
            proxy.stop()

    def test_a_limit_that_is_too_low_to_start_is_said_in_numbers(self):
        self.LIMIT = 16
        proxy = self.proxy({"fast_path": {"mode": "userspace"}, "server": {"workers": 2}},
                           preexec_fn=self.limited, wait=False)
        self.assertEqual(proxy.wait(20), 1)
        self.assertIn("2 workers with 1 listener need 24 open files, and the limit is 16 "
                      "(ulimit -n, LimitNOFILE=)", proxy.log())

    def test_connections_leave_no_descriptor_behind(self):
        backend = self.backend()
        proxy = self.proxy({"route": [
            {"names": ["one.example"], "backend": backend.address},
            {"names": ["down.example"], "backend": f"127.0.0.1:{processes.free_port()}"}]})
        hellos = [tls.client_hello(name) for name in ("one.example", "down.example", "x.example")]
        hellos.append(b"GET / HTTP/1.0\r\n\r\n")

        def visit_all():
            for hello in hellos * 10:
                self.poke(proxy, hello)

        idle = proxy.held()
        for _ in range(3):
            visit_all()
        proxy.wait_given_back(idle, pipes=0)

    def test_bulk_leaves_no_more_pipes_than_moved_at_once(self):
        """One connection at a time; some of those that are cut have bytes in their pipes."""
        def handler(connection):
            threading.Thread(target=backends.drain, args=(connection,), daemon=True).start()
            streams.send(connection, streams.GIB)

        proxy = self.relay(handler, names=["*"], server={"workers": 1},
                           fast_path={"mode": "userspace"})
        idle = proxy.held()
        for number in range(12):
            connection, _ = self.connect_hello(proxy)
            streams.send(connection, 8 << 20)
            streams.receive(connection, 8 << 20)
            if number % 3:
                streams.wait_stalled(connection)
            self.assertGreater(proxy.held()["pipe"], idle["pipe"])  # It was spliced.
            backends.reset(connection) if number % 2 else connection.close()
            proxy.access(number + 1)
        proxy.wait_given_back(idle, pipes=2)


if __name__ == "__main__":
    main()
