#!/usr/bin/env python3
"""SIGHUP: the new configuration for new connections, and no connection cut or lost."""

import ctypes
import os
import re
import select
import signal
import socket
import struct
import threading
import time
import unittest

from support import backends, processes, streams
from support.case import ProxyTest, main
from support.proxy import complete, listener, port_of, to_toml

# asm-generic/socket.h
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27


class Visitors:
    """Threads that make one TLS handshake after the other and record failures."""

    def __init__(self, test, proxy, count=4):
        self.test, self.proxy, self.ended = test, proxy, False
        self.successes, self.failures = 0, []
        self.lock = threading.Lock()
        self.tasks = [streams.Task(self._visit) for _ in range(count)]

    def _visit(self):
        while not self.ended:
            try:
                name = self.test.server_certificate(self.proxy, "one.example", "https")
                failure = None if name == "one.example" else f"certificate of {name}"
            except OSError as error:
                failure = repr(error)
            with self.lock:
                self.successes += not failure
                if failure:
                    self.failures.append(failure)

    def wait_more(self, count=10):
        """Waits for so many further handshakes, successful or not."""
        before = self.successes + len(self.failures)
        processes.wait_until(lambda: self.successes + len(self.failures) >= before + count,
                             f"{count} visits")

    def end(self):
        self.ended = True
        for task in self.tasks:
            task.result()


class SlowHandshake:
    """A client on loopback that does not hear the SYN-ACK until finish()."""

    IGNORE_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET: no byte of it.

    def __init__(self, port):
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.raw.settimeout(10)
        self.client = socket.socket()
        program = ctypes.create_string_buffer(self.IGNORE_ALL)
        self.client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                               struct.pack("HP", 1, ctypes.addressof(program)))
        self.client.bind(("127.0.0.1", 0))
        self.client.setblocking(False)
        self.client.connect_ex(("127.0.0.1", port))
        ports = struct.pack("!HH", port, self.client.getsockname()[1])
        while True:
            packet = self.raw.recv(4096)
            if packet[20:24] == ports:
                self.answer = packet[:36] + self.checksum(packet) + packet[38:]
                return

    @staticmethod
    def checksum(packet):
        """Of its TCP part, which the kernel leaves out on loopback."""
        segment = packet[20:36] + bytes(2) + packet[38:]
        words = packet[12:20] + struct.pack("!HH", socket.IPPROTO_TCP, len(segment)) + segment
        total = sum(struct.unpack(f"!{len(words) // 2}H", words))
        total = (total & 0xFFFF) + (total >> 16)
        return struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)

    def finish(self):
        self.client.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as again:
            again.sendto(self.answer, ("127.0.0.1", 0))
        select.select([], [self.client], [], 10)
        if error := self.client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        self.client.settimeout(20)
        return self.client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()


class Reload(ProxyTest):
    def setUp(self):
        super().setUp()
        self.servers = self.nginx("one.example", "two.example")
        self.https = listener("https")

    def route(self, name, backend=None, **more):
        return {"names": [name], "backend": self.servers.backend(backend or name), **more}

    def test_no_request_fails_while_routes_and_listeners_come_and_go(self):
        routes = [self.route("one.example")]
        extra = listener("extra")
        proxy = self.proxy({"listener": [self.https], "route": routes})
        visitors = Visitors(self, proxy)
        self.addCleanup(visitors.end)
        for number in range(20):
            odd = number % 2
            proxy.reload({
                "listener": [self.https, extra] if odd else [self.https],
                "route": routes + ([self.route("two.example")] if odd else []),
            })
            processes.wait_until(
                lambda: (port_of(extra) in processes.listening_ports(proxy.pid)) == bool(odd),
                f"the listener to be {'there' if odd else 'gone'}")
            if odd:
                self.assertEqual(self.server_certificate(proxy, "two.example", "extra"),
                                 "two.example")
            visitors.wait_more()
        visitors.end()
        self.assertEqual(visitors.failures, [])
        self.assertGreater(visitors.successes, 50)
        proxy.reload({"listener": [self.https], "route": routes})
        proxy.wait_log("no longer listening on " + re.escape(extra["address"]) + r" \(extra, tls\)")

    def test_new_connections_take_the_new_route_and_old_ones_stay(self):
        old, new = (self.backend(lambda c, mark=mark: self.echo_with(c, mark))
                    for mark in (b"old", b"new"))
        proxy = self.proxy({"route": [{"names": ["*"], "backend": old.address}]})
        before, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(before, 3), b"old")
        proxy.reload({"route": [{"names": ["*"], "backend": new.address}]})

        def renewed():
            connection, _ = self.connect_hello(proxy)
            return backends.read_exactly(connection, 3) == b"new"

        processes.wait_until(renewed, "the new route")
        before.sendall(b"still here")
        self.assertEqual(backends.read_exactly(before, 10), b"still here")

    @staticmethod
    def echo_with(connection, mark):
        connection.sendall(mark)
        connection.recv(4096)  # The hello.
        backends.echo(connection)

    def test_a_transfer_goes_on_over_many_reloads(self):
        backend = self.backend(lambda connection: (connection.recv(4096),
                                                   streams.send(connection, 256 << 20)))
        routes = [{"names": ["*"], "backend": backend.address}]
        proxy = self.proxy({"route": routes})
        connection, _ = self.connect_hello(proxy)
        receiving = streams.Task(streams.receive, connection, 256 << 20)
        while receiving.is_alive():
            done = proxy.log().count('"reloaded')
            proxy.reload({"route": routes})
            processes.wait_until(lambda: proxy.log().count('"reloaded') > done, "the reload")
        self.assertEqual(receiving.result(), streams.digest(256 << 20))

    def test_a_reload_with_mistakes_changes_nothing_and_names_them_all(self):
        proxy = self.proxy({"listener": [self.https], "route": [self.route("one.example")]})
        for text in ("[[route]]\nnames = \n",
                     proxy.config_path.read_text() + "\n[timeuots]\nidle = '1s'\n[limits]\nconnections = -1\n"):
            seen = len(proxy.log())
            proxy.reload(text)
            processes.wait_until(lambda: "config.toml:" in proxy.log()[seen:], "the mistakes in the log")
            self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")
        proxy.settle()
        self.assertIn("timeuots", proxy.log())
        self.assertIn("connections", proxy.log()[seen:])
        proxy.config_path.unlink()
        proxy.signal(signal.SIGHUP)
        proxy.wait_log("cannot open .*config.toml")
        self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")

    def test_a_new_listener_that_cannot_be_had_changes_nothing(self):
        proxy = self.proxy({"listener": [self.https], "route": [self.route("one.example")]})
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            proxy.write(complete({"listener": [self.https, listener("taken", port=port)],
                                  "route": [self.route("one.example", "two.example")]},
                                 self.directory))
            proxy.signal(signal.SIGHUP)
            proxy.wait_log(rf"127\.0\.0\.1:{port}.*nothing is changed")
        self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")

    def test_a_listener_can_come_back_at_once(self):
        extra = listener("extra")
        routes = [self.route("one.example")]
        proxy = self.proxy({"listener": [self.https, extra], "route": routes})
        visitors = Visitors(self, proxy)  # They keep the workers busy.
        self.addCleanup(visitors.end)
        staged = proxy.config_path.with_suffix(".new")
        for number in range(200):
            listeners = [self.https, extra] if number % 2 else [self.https]
            staged.write_text(to_toml(complete({"listener": listeners, "route": routes},
                                               staged.parent)))
            staged.rename(proxy.config_path)
            proxy.signal(signal.SIGHUP)
            time.sleep(number % 7 / 1000)
        visitors.end()
        proxy.wait_ready()
        proxy.settle()
        self.assertNotIn("nothing is changed", proxy.log())
        self.assertEqual(self.server_certificate(proxy, "one.example", "extra"), "one.example")

    def test_a_listener_can_go_over_to_every_address_of_its_port(self):
        routes = [self.route("one.example")]
        port = port_of(self.https)
        proxy = self.proxy({"listener": [self.https], "route": routes})
        visitors = Visitors(self, proxy)
        self.addCleanup(visitors.end)
        for host in ("0.0.0.0", "::", "127.0.0.1"):
            proxy.reload({"listener": [listener(host=host, port=port)], "route": routes})
            proxy.wait_log("listening on " + re.escape(listener(host=host, port=port)["address"]))
            visitors.wait_more(50)
        visitors.end()
        self.assertEqual(visitors.failures, [])
        self.assertNotIn("nothing is changed", proxy.log())

    def test_a_listener_can_change_its_name_and_protocol(self):
        proxy = self.proxy({"listener": [self.https], "route": [self.route("one.example")]})
        web = {"name": "web", "address": self.https["address"], "protocol": "http"}
        proxy.reload({"listener": [web], "route": [self.route("one.example", listeners=["web"])]})
        proxy.wait_log("reloaded")

        def speaks_http():
            with self.connect(proxy) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\nHost: nobody.example\r\n\r\n")
                return backends.read_to_end(connection).startswith(b"HTTP/1.")

        processes.wait_until(speaks_http, "the listener to speak HTTP")
        line = [line for line in proxy.access(1) if line["server_name"] == "nobody.example"][-1]
        self.assertEqual(line["listener"], "web")

    def test_reloads_in_quick_succession_end_in_the_last_configuration(self):
        """Listeners are removed and come back before the workers have released them."""
        many = [listener(f"extra{number}") for number in range(20)]
        routes = [self.route("one.example")]
        proxy = self.proxy({"server": {"workers": 8}, "listener": many, "route": routes})
        for number in range(20):
            for listeners in (many[:10], many):
                proxy.reload({"listener": listeners, "route": routes})
                time.sleep(0.002 * (number % 6))
        processes.wait_until(lambda: set(map(port_of, many)) <=
                             set(processes.listening_ports(proxy.pid)), "every listener")
        proxy.settle()
        self.assertNotIn("cannot listen", proxy.log())
        for each in many:
            self.assertEqual(self.server_certificate(proxy, "one.example", each["name"]),
                             "one.example")

    def test_sighups_during_a_drain_are_harmless(self):
        backend = self.backend()
        routes = [{"names": ["*"], "backend": backend.address}]
        proxy = self.proxy({"route": routes, "timeouts": {"drain": "60s"}})
        connection, hello = self.connect_hello(proxy)
        backends.read_exactly(connection, len(hello))
        proxy.signal(signal.SIGTERM)
        for _ in range(5):
            proxy.signal(signal.SIGHUP)
            time.sleep(0.05)
        connection.sendall(b"still here")
        self.assertEqual(backends.read_exactly(connection, 10), b"still here")
        connection.close()
        self.assertEqual(proxy.wait(15), 0)

    def test_timeouts_limits_and_access_lists_change(self):
        proxy = self.proxy({"listener": [self.https], "route": [self.route("one.example")]})
        self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")
        proxy.reload({"listener": [self.https], "route": [self.route("one.example")],
                      "access": {"block": ["127.0.0.0/8"]}})

        def blocked():
            try:
                return self.server_certificate(proxy, "one.example") is None
            except OSError:
                return True

        processes.wait_until(blocked, "the access list")
        proxy.reload({"listener": [self.https], "route": [self.route("one.example")],
                      "timeouts": {"hello": "200ms", "drain": "1s"}})
        processes.wait_until(lambda: not blocked(), "the access list to be gone")
        silent = self.connect(proxy)
        self.assertEqual(silent.recv(1), b"")  # hello is 200ms now; it was 5s.

    def test_a_longer_idle_timeout_holds_for_readers_that_stall_too(self):
        """The system has its own timeout for them, which accepted sockets inherit."""
        backend = self.backend(lambda connection: streams.send(connection, 1 << 30))
        config = {"route": [{"names": ["*"], "backend": backend.address}]}
        proxy = self.proxy(config | {"timeouts": {"idle": "1s"}})
        proxy.reload(config | {"timeouts": {"idle": "1h"}})
        proxy.wait_log("reloaded")
        stalled, _ = self.connect_hello(proxy)
        time.sleep(6)  # The system's own timeout was 3 s: twice the idle timeout and a second.
        self.assertEqual([each for each in proxy.records() if "end" in each], [])
        self.assertGreater(len(stalled.recv(1 << 16)), 0)

    def test_a_reload_names_the_keys_that_it_cannot_change(self):
        config = {"listener": [self.https], "route": [self.route("one.example")]}
        proxy = self.proxy(config | {"server": {"workers": 1}})
        proxy.reload(config | {"server": {"workers": 2}})
        proxy.wait_log(r"workers takes effect at the next start")
        self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")

    def test_a_client_that_connects_while_its_listener_goes_away_is_served(self):
        """The system accepted it before the reload, so its handshake succeeds."""
        extra = listener("extra")
        routes = [self.route("one.example")]
        proxy = self.proxy({"listener": [self.https, extra], "route": routes})
        for _ in range(5):
            waiting = [socket.create_connection(("127.0.0.1", port_of(extra)), timeout=20)
                       for _ in range(20)]
            proxy.reload({"listener": [self.https], "route": routes})
            for connection in waiting:
                self.addCleanup(connection.close)
                self.assertEqual(self.handshake(connection, "one.example"), "one.example")
            processes.wait_until(lambda: port_of(extra) not in processes.listening_ports(proxy.pid),
                                 "the listener to be gone")
            proxy.reload({"listener": [self.https, extra], "route": routes})
            proxy.wait_ready()

    @unittest.skipUnless(os.geteuid() == 0, "needs root for raw sockets")
    def test_a_handshake_that_is_under_way_when_its_listener_goes_away_is_finished(self):
        extra = listener("extra")
        routes = [self.route("one.example")]
        proxy = self.proxy({"listener": [self.https, extra], "route": routes})
        for _ in range(10):
            with SlowHandshake(port_of(extra)) as handshake:
                begun = time.monotonic()
                proxy.reload({"listener": [self.https], "route": routes})
                time.sleep(0.05)
                client = handshake.finish()
                in_time = time.monotonic() - begun < 0.2  # Worker's handshake_grace_ms is 250.
                self.addCleanup(client.close)
                if in_time:
                    self.assertEqual(self.handshake(client, "one.example"), "one.example")
                    return
            proxy.wait_log("no longer listening")
            proxy.reload({"listener": [self.https, extra], "route": routes})
            proxy.wait_ready()
        self.fail("this machine is too slow to finish a handshake within 200 ms")


if __name__ == "__main__":
    main()
