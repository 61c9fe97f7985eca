#!/usr/bin/env python3
"""Each wait has an end. Limits are short here and assertions generous: only order is tested."""

import os
import socket
import time
import unittest

from support import backends, dns, processes, streams, tls
from support.case import SANITIZED, ProxyTest, main
from support.network import Network, within
from support.proxy import listener


class Timeouts(ProxyTest):
    def ends(self, connection, seconds=15):
        """Waits for the end, whether FIN or RST; returns the bytes before it."""
        connection.settimeout(seconds)
        try:
            return backends.read_to_end(connection)
        except ConnectionResetError:
            return b""

    def test_a_client_that_says_nothing_or_too_little_is_closed(self):
        proxy = self.relay(timeouts={"hello": "500ms"})
        hello = tls.client_hello("one.example")
        for sent in (b"", hello[:1], hello[:5], hello[:-1]):
            with self.subTest(length=len(sent)):
                connection = self.connect(proxy)
                connection.sendall(sent)
                self.assertEqual(self.ends(connection), b"")

    def test_a_client_that_dribbles_does_not_win_time(self):
        proxy = self.relay(timeouts={"hello": "1s"})
        connection = self.connect(proxy)
        started = time.monotonic()
        with self.assertRaises(OSError):
            for byte in tls.client_hello("one.example"):
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        self.assertLess(time.monotonic() - started, 15)

    def test_a_route_has_an_idle_timeout_of_its_own_and_so_has_a_listener(self):
        backend = self.backend()
        short = listener("short") | {"idle": "1s"}
        proxy = self.proxy({"listener": [listener("usual"), short], "route": [
            {"names": ["quick.example"], "backend": backend.address, "idle": "1s"},
            {"names": ["slow.example"], "backend": backend.address, "idle": "1m"},
            {"names": ["*"], "backend": backend.address}]})
        stays = [self.connect_hello(proxy, "slow.example", listener="short"),
                 self.connect_hello(proxy, "other.example", listener="usual")]
        for name, where in (("quick.example", "usual"), ("other.example", "short")):
            connection, hello = self.connect_hello(proxy, name, listener=where)
            self.assertEqual(self.ends(connection), hello)
        self.assertEqual([line["end"] for line in proxy.access(2)], ["idle_timeout"] * 2)
        for connection, hello in stays:
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
            connection.sendall(b"still here")
            self.assertEqual(backends.read_exactly(connection, 10), b"still here")

    def test_a_half_closed_connection_has_a_timeout_of_its_own(self):
        def keep(connection):
            while connection.recv(4096):
                pass
            self.kept.append(connection.dup())

        self.kept = []
        self.addCleanup(lambda: [connection.close() for connection in self.kept])
        proxy = self.relay(keep, timeouts={"half_closed": "1s", "idle": "10m"})
        stays, _ = self.connect_hello(proxy)
        half, _ = self.connect_hello(proxy)
        half.shutdown(socket.SHUT_WR)
        line = proxy.access(1)[0]
        self.assertEqual(line["end"], "half_closed_timeout")
        self.assertLess(line["duration_ms"], 15_000)
        stays.sendall(b"x")

    def test_an_address_that_does_not_answer_leads_to_the_next(self):
        blackhole = backends.Blackhole()
        self.addCleanup(blackhole.end)
        backend = self.backend(backends.say(b"next"))
        proxy = self.proxy({"timeouts": {"connect": "500ms"}, "route": [
            {"names": ["*"], "backend": [blackhole.address, backend.address]}]})
        connection, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(connection, 4), b"next")

    def test_a_client_gets_the_alert_when_no_address_answers(self):
        blackhole = backends.Blackhole()
        self.addCleanup(blackhole.end)
        proxy = self.proxy({"timeouts": {"connect": "500ms"}, "route": [
            {"names": ["*"], "backend": blackhole.address}]})
        connection, _ = self.connect_hello(proxy)
        self.assertTrue(tls.is_fatal_alert(self.ends(connection), tls.INTERNAL_ERROR))

    def test_a_route_has_a_time_to_connect_of_its_own(self):
        blackhole = backends.Blackhole()
        self.addCleanup(blackhole.end)
        proxy = self.proxy({"timeouts": {"connect": "30s"}, "route": [
            {"names": ["quick.example"], "backend": blackhole.address, "connect": "300ms"},
            {"names": ["*"], "backend": blackhole.address}]})
        waits, _ = self.connect_hello(proxy)
        quick, _ = self.connect_hello(proxy, "quick.example")
        self.assertTrue(tls.is_fatal_alert(self.ends(quick), tls.INTERNAL_ERROR))
        quick.close()
        self.assertGreaterEqual(proxy.access(1)[0]["connect_ms"], 300)
        self.assertEqual(proxy.access(1)[0]["end"], "connect_timeout")
        waits.setblocking(False)
        with self.assertRaises(BlockingIOError):
            waits.recv(1)

    def test_http_clients_get_504_then(self):
        blackhole = backends.Blackhole()
        self.addCleanup(blackhole.end)
        proxy = self.proxy({"timeouts": {"connect": "500ms"}, "listener": [listener("web", "http")],
                            "route": [{"names": ["*"], "backend": blackhole.address,
                                       "listeners": ["web"]}]})
        connection = self.connect(proxy)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n")
        self.assertTrue(self.ends(connection).startswith(b"HTTP/1.1 504 "))

    def test_clients_that_leave_while_we_wait_for_their_backend_leave_nothing_behind(self):
        blackhole, silent = backends.Blackhole(), dns.DnsServer({})
        silent.silent = True
        self.addCleanup(blackhole.end)
        self.addCleanup(silent.end)
        proxy = self.proxy({
            "timeouts": {"connect": "2s"},
            "dns": {"servers": [silent.address], "timeout": "2s", "tries": 1},
            "route": [{"names": ["connecting.example"], "backend": blackhole.address},
                      {"names": ["resolving.example"], "backend": "nowhere.test:443"}]})
        before = proxy.descriptors()
        leave = (backends.reset, lambda connection: connection.close(),
                 lambda connection: connection.shutdown(socket.SHUT_WR))
        for name in ("connecting.example", "resolving.example"):
            for action in leave * 5:
                connection, _ = self.connect_hello(proxy, name)
                processes.wait_read(connection)
                action(connection)
        proxy.access(30)
        # The resolver may keep its own socket.
        processes.wait_until(lambda: proxy.descriptors() <= before + 2, "all to be closed")

    def half_closed_while_connecting(self, abort_on_close, connect):
        """The access line of a client that sends its FIN while its backend does not answer, and the
        seconds from the one to the other."""
        blackhole = backends.Blackhole()
        self.addCleanup(blackhole.end)
        proxy = self.proxy({"server": {"abort_on_close": abort_on_close},
                            "timeouts": {"connect": connect},
                            "route": [{"names": ["*"], "backend": blackhole.address}]})
        connection, _ = self.connect_hello(proxy)
        processes.wait_read(connection)
        connection.shutdown(socket.SHUT_WR)
        sent = time.monotonic()
        line, = proxy.access(1)
        return line, time.monotonic() - sent

    def test_with_abort_on_close_a_fin_before_the_backend_ends_the_connection_at_once(self):
        line, seconds = self.half_closed_while_connecting(True, connect="30s")
        self.assertEqual(line["end"], "client_left")
        self.assertLess(seconds, 0.2 if not SANITIZED else 5)

    def test_without_it_the_client_is_waited_for(self):
        line, seconds = self.half_closed_while_connecting(False, connect="1s")
        self.assertEqual(line["end"], "connect_timeout")
        self.assertGreater(seconds, 0.5)

    def test_an_idle_connection_is_closed_on_both_sides(self):
        ended = []

        def handler(connection):
            backends.read_to_end(connection)
            ended.append(True)

        proxy = self.relay(handler, timeouts={"idle": "1s"})
        connection, _ = self.connect_hello(proxy)
        self.assertEqual(self.ends(connection), b"")
        processes.wait_until(lambda: ended, "the backend's end", 10)

    def test_bytes_in_one_direction_keep_both_open(self):
        def handler(connection):
            connection.recv(4096)
            for _ in range(12):
                connection.sendall(b".")
                time.sleep(0.25)
            connection.sendall(b"end")

        proxy = self.relay(handler, timeouts={"idle": "1s"})
        connection, _ = self.connect_hello(proxy)
        try:
            self.assertEqual(backends.read_exactly(connection, 15), b"." * 12 + b"end")
        except ConnectionResetError:
            self.fail("cut though bytes were moving")

    def test_a_stalled_reader_does_not_live_for_ever(self):
        def handler(connection):
            try:
                streams.send(connection, 1 << 30)
            except OSError:
                ended.append(True)

        ended = []
        proxy = self.relay(handler, timeouts={"idle": "1s"})
        self.connect_hello(proxy)
        processes.wait_until(lambda: ended, "the writer to be freed of its stalled reader", 15)
        self.assertEqual(proxy.access(1)[0]["end"], "idle_timeout")


@unittest.skipIf(os.geteuid() != 0, "needs root")
class Keepalive(ProxyTest):
    def test_a_client_that_has_vanished_is_found_whatever_idle_is(self):
        network = Network()
        self.addCleanup(network.end)
        backend = within(network.proxy, self.backend)
        proxy = self.proxy(
            {"listener": [listener(host=network.proxy_address, port=4433)],
             "route": [{"names": ["one.example"], "backend": backend.address}],
             "timeouts": {"idle": "24h"},
             "tcp": {"keepalive_idle": "1s", "keepalive_interval": "1s", "keepalive_probes": 2}},
            command=network.command)
        client, hello = within(network.client, lambda: self.connect_hello(
            proxy, host=network.proxy_address))
        self.assertEqual(backends.read_exactly(client, len(hello)), hello)
        network.part()
        self.assertEqual(proxy.access(1)[0]["end"], "client_lost")


if __name__ == "__main__":
    main()
