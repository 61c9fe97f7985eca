#!/usr/bin/env python3
"""How a route spreads its connections, and how it handles failing backends. Distributions are
judged by chi-square with a chance of one in ten thousand to fail by accident."""

import collections
import concurrent.futures
import contextlib
import os
import re
import socket
import time
import unittest

from support import backends, dns, processes, tls
from support.case import SANITIZED, ProxyTest, main
from support.network import Network, within
from support.proxy import listener

CONNECTIONS = 1000 if SANITIZED else 10_000
# The 99.99th percentile of chi-square by degrees of freedom.
LIMITS = {1: 15.1, 3: 21.1, 7: 29.9}
BALANCED = ("round_robin", "least_connections", "random_two", "source_hash")
HELLO = tls.client_hello("one.example")


def chi_square(counts, weights):
    total, whole = sum(counts), sum(weights)
    expected = [total * weight / whole for weight in weights]
    return sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected))


class Balance(ProxyTest):
    def marked(self, count, **options):
        """Backends that send their number."""
        return [self.backend(backends.say(b"%d" % number), **options) for number in range(count)]

    def route(self, balance, addresses, *, reload=None, **config):
        whole = {"route": [{"names": ["*"], "balance": balance, "backend": addresses}], **config}
        if reload:
            reload.reload(whole)
            return reload
        return self.proxy({"log": {"level": "info"}} | whole)

    def ask(self, proxy, source=None):
        """What a client gets; `source` is an address of the loopback network."""
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20,
                                      source_address=(source, 0) if source else None) as client:
            client.sendall(HELLO)
            return backends.read_to_end(client)

    def numbered(self, count):
        server, addresses = backends.numbered(count)
        self.addCleanup(server.join)
        self.addCleanup(server.kill)
        return addresses

    def spread(self, proxy, count, connections=CONNECTIONS):
        """How many connections each of `count` backends got, from as many sources."""
        def some(first):
            return collections.Counter(
                self.ask(proxy, f"127.1.{number // 250}.{number % 250 + 1}")
                for number in range(first, connections, 4))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = sum(pool.map(some, range(4)), collections.Counter())
        self.assertEqual(sum(answers.values()), connections)
        return [answers[b"%d" % number] for number in range(count)]

    def test_every_policy_spreads_connections_evenly_over_eight_backends(self):
        addresses = self.numbered(8)
        for balance in BALANCED:
            with self.subTest(balance=balance):
                counts = self.spread(self.route(balance, addresses), 8)
                self.assertLess(chi_square(counts, [1] * 8), LIMITS[7], counts)

    def test_weights_are_shares_and_a_backup_gets_nothing(self):
        weights = [1, 2, 3, 4]
        *served, backup = self.numbered(5)
        addresses = [{"address": address, "weight": weight}
                     for address, weight in zip(served, weights)]
        addresses.insert(0, {"address": backup, "backup": True})
        for balance in ("round_robin", "source_hash"):
            with self.subTest(balance=balance):
                counts = self.spread(self.route(balance, addresses), 5, 1000)
                self.assertEqual(counts[4], 0)
                self.assertLess(chi_square(counts[:4], weights), LIMITS[3], counts)

    def test_a_backup_serves_where_no_other_backend_can_be_reached(self):
        dead = [{"address": f"127.0.0.1:{processes.free_port()}"} for _ in range(2)]
        backup, = self.marked(1)
        for balance in ("first", *BALANCED):
            with self.subTest(balance=balance):
                proxy = self.route(balance, [{"address": backup.address, "backup": True}, *dead])
                self.assertEqual([self.ask(proxy) for _ in range(3)], [b"0"] * 3)

    def test_the_same_source_gets_the_same_backend_and_one_that_leaves_moves_its_own_alone(self):
        addresses = [each.address for each in self.marked(8)]
        sources = [f"127.2.{number // 250}.{number % 250 + 1}" for number in range(400)]
        proxy = self.route("source_hash", addresses, server={"workers": 2})
        before = {source: self.ask(proxy, source) for source in sources}
        self.assertEqual(before, {source: self.ask(proxy, source) for source in sources})
        self.route("source_hash", addresses[1:], reload=proxy)
        processes.wait_until(lambda: b"0" not in {self.ask(proxy, each) for each in sources[:50]},
                             "the reload")
        after = {source: self.ask(proxy, source) for source in sources}
        moved = [source for source in sources if before[source] != after[source]]
        self.assertEqual({before[source] for source in moved}, {b"0"})
        self.assertLessEqual(len(moved), 1.25 / 8 * len(sources) + 3 * (len(sources) / 8) ** 0.5)
        self.assertGreater(len({after[source] for source in moved}), 3)

    def hold(self, proxy, count):
        """Connections that stay open, each answered by a backend."""
        held = []
        for _ in range(count):
            connection, hello = self.connect_hello(proxy)
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
            held.append(connection)
        return held

    def test_least_connections_counts_those_of_all_workers(self):
        four = [self.backend() for _ in range(4)]
        proxy = self.route("least_connections", [each.address for each in four],
                           server={"workers": 4})
        held = self.hold(proxy, 40)
        self.assertEqual([each.accepted for each in four], [10] * 4)
        # Ended connections no longer count.
        for client in held:
            client.close()
        proxy.access(40)
        self.hold(proxy, 12)
        self.assertEqual([each.accepted for each in four], [13] * 4)

    def test_the_addresses_of_a_name_are_spread_by_the_policy_too(self):
        port = processes.free_port("127.0.0.2")
        hosts = [f"127.0.0.{number}" for number in range(2, 6)]
        each = [self.backend(host=host, port=port) for host in hosts]
        server = dns.DnsServer({"app.example": hosts})
        self.addCleanup(server.end)
        for balance in ("least_connections", "round_robin"):
            with self.subTest(balance=balance):
                proxy = self.route(balance, f"app.example:{port}", dns={"servers": [server.address]})
                before = [backend.accepted for backend in each]
                self.hold(proxy, 20)
                got = [backend.accepted - start for backend, start in zip(each, before)]
                self.assertEqual(got, [5] * 4)


class Health(ProxyTest):
    def reached(self, proxy):
        connection, _ = self.connect_hello(proxy)
        with connection:
            return backends.read_to_end(connection)

    def test_a_backend_going_out_and_coming_back_is_logged_once_with_the_reason(self):
        port, spare = processes.free_port(), self.backend(backends.say(b"spare"))
        proxy = self.proxy({"route": [
            {"names": ["*"], "backend": [f"127.0.0.1:{port}", spare.address]}]})
        for _ in range(6):
            self.assertEqual(self.reached(proxy), b"spare")
        out = f"backend 127.0.0.1:{port} is out: connection refused"
        proxy.wait_log(re.escape(out))
        self.backend(backends.say(b"first"), port=port)
        processes.wait_until(lambda: self.reached(proxy) == b"first", "the backend to be tried")
        proxy.wait_log(re.escape(f"backend 127.0.0.1:{port} is back"))
        self.assertEqual([self.reached(proxy) for _ in range(6)], [b"first"] * 6)
        self.assertEqual(proxy.log().count(out), 1)
        # A failed backend costs only one connection a try while it is out, not each.
        tried = [line["attempts"] for line in proxy.access(13)]
        self.assertLess(sum(tried), len(tried) + 6)

    def test_workers_share_what_is_out_and_a_reload_keeps_it(self):
        silent, spare = backends.Blackhole(), self.backend(backends.say(b"spare"))
        self.addCleanup(silent.end)
        config = {"route": [{"names": ["*"], "backend": [silent.address, spare.address]}],
                  "server": {"workers": 4}, "timeouts": {"attempt_delay": "500ms"}}
        proxy = self.proxy(config)
        self.reached(proxy)
        proxy.wait_log("is out: no answer in time")
        proxy.reload(config | {"route": [config["route"][0] | {"idle": "5m"}]})
        proxy.wait_log("reloaded: ")
        for _ in range(8):
            self.assertEqual(self.reached(proxy), b"spare")
        self.assertLess(sum(line["attempts"] > 1 for line in proxy.access(9)), 4)

    def test_all_backends_are_tried_when_all_are_out_and_the_log_says_so(self):
        ports = [processes.free_port() for _ in range(2)]
        proxy = self.proxy({"route": [
            {"names": ["*"], "backend": [f"127.0.0.1:{port}" for port in ports]}]})
        for _ in range(2):
            self.assertTrue(tls.is_fatal_alert(self.reached(proxy), tls.INTERNAL_ERROR))
        proxy.wait_log("every backend of route \\* is out; they are still tried")
        self.backend(backends.say(b"back"), port=ports[1])
        self.assertEqual(self.reached(proxy), b"back")


class Eyeballs(ProxyTest):
    @unittest.skipIf(os.geteuid() != 0, "needs root for namespaces")
    def test_an_address_without_an_answer_costs_a_quarter_of_a_second(self):
        network = Network()
        self.addCleanup(network.end)
        live = within(network.client, lambda: backends.SocketBackend(
            backends.say(b"live"), host=network.client_address, port=8443))
        self.addCleanup(live.end)
        # No host has these addresses, so nothing answers.
        routes = [{"names": [f"r{number}.example"],
                   "backend": [f"198.18.0.{number}:8443", live.address]} for number in (71, 72, 73)]
        proxy = self.proxy({"listener": [listener(host=network.proxy_address, port=443)],
                            "route": routes}, command=network.command, wait=False)
        proxy.wait_log("listening on ")
        took = []
        for number in (71, 72, 73):
            began = time.monotonic()
            def ask():
                return socket.create_connection((network.proxy_address, 443), timeout=20)
            with within(network.client, ask) as client:
                client.sendall(tls.client_hello(f"r{number}.example"))
                self.assertEqual(backends.read_to_end(client), b"live")
            took.append(time.monotonic() - began)
        # The machine's load must not decide: one of three is enough.
        self.assertLess(min(took), 0.4)
        self.assertGreater(min(took), 0.25)
        self.assertEqual([line["attempts"] for line in proxy.access(3)], [2] * 3)

    def test_clients_that_leave_while_connects_are_under_way_leave_nothing_open(self):
        silent = [backends.Blackhole() for _ in range(10)]
        for each in silent:
            self.addCleanup(each.end)
        proxy = self.proxy({"route": [{"names": ["*"],
                                       "backend": [each.address for each in silent]}],
                            "timeouts": {"attempt_delay": "10ms", "connect": "30s"}})
        before = proxy.held()
        for _ in range(3):
            clients = [self.connect_hello(proxy)[0] for _ in range(20)]
            processes.wait_until(lambda: proxy.descriptors() >= before.total() - before["pipe"] + 170,
                                 "eight connects of each")
            for client in clients:
                with contextlib.suppress(OSError):
                    backends.reset(client)
        proxy.wait_given_back(before, pipes=0)
        lines = proxy.access(20)  # The log has so many failed connections a second.
        self.assertEqual({line["end"] for line in lines}, {"client_left"})
        self.assertEqual(max(line["attempts"] for line in lines), 8)


if __name__ == "__main__":
    main()
