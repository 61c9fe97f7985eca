#!/usr/bin/env python3
"""Blocked sources are dropped in XDP, in network namespaces joined by veth."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from support import backends, proxied, proxy, tls
from support.case import ProxyTest, main
from support.network import Network, within
from support.processes import wait_until

BLOCKED = Network.other_address


@unittest.skipIf(os.geteuid() != 0, "needs root")
class Xdp(ProxyTest):
    def setUp(self):
        super().setUp()
        self.network = Network()
        self.addCleanup(self.network.end)

    def guarded(self, *, mode="auto", access=None, listen=None, **config):
        """A proxy in its namespace, with a backend beside it. `listen`: further keys of its
        listener."""
        backend = within(self.network.proxy, self.backend)
        listener = proxy.listener(host=self.network.proxy_address, port=4433) | (listen or {})
        return self.proxy(
            {"listener": [listener],
             "route": [{"names": ["one.example"], "backend": backend.address}],
             "access": {"block": [BLOCKED]} if access is None else access,
             "xdp": {"interfaces": ["near"], "mode": mode}} | config,
            command=self.network.command)

    def reaches(self, started, source=Network.client_address, seconds=20.0, header=b""):
        """Whether a client with this address gets its hello back from the backend; None: no answer
        at all. `header`: what it sends first."""
        def attempt():
            try:
                with socket.create_connection((self.network.proxy_address, started.port), seconds,
                                              source_address=(source, 0)) as connection:
                    hello = tls.client_hello("one.example")
                    connection.sendall(header + hello)
                    return backends.read_exactly(connection, len(hello)) == hello
            except TimeoutError:
                return None
            except (ConnectionError, AssertionError):
                return False
        return within(self.network.client, attempt)

    def assert_dropped(self, started, source=BLOCKED):
        self.assertIsNone(self.reaches(started, source, 0.5))

    def call(self, started, *arguments):
        done = subprocess.run(
            [proxy.BINARY, *arguments, "--socket", started.config["control"]["socket"]],
            capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def end(self, started):
        started.signal(signal.SIGTERM)
        self.assertEqual(started.wait(), 0)
        return started.log()

    def test_a_blocked_client_gets_nothing_and_an_allowed_one_is_served(self):
        for mode, named in (("auto", "native"), ("native", "native"), ("generic", "generic")):
            with self.subTest(mode=mode):
                started = self.guarded(mode=mode)
                started.wait_log(f"attached to near in {named} mode")
                self.assertTrue(self.reaches(started))
                self.assert_dropped(started)
                log = self.end(started)
                self.assertRegex(log, r"dropped, blocked: IPv4=[1-9]")
                self.assertNotIn("blocked=", log)  # None of them reached accept.
                self.assertFalse(self.network.has_program())

    def test_status_says_where_xdp_is_attached_and_where_not(self):
        started = self.guarded(xdp={"interfaces": ["near", "none0"], "mode": "auto"},
                               access={"block": [BLOCKED, "203.0.113.0/24"]})
        status, text = self.call(started, "status", "--json")
        self.assertEqual(status, 0, text)
        guard = json.loads(text)["guard"]
        near, none = guard["xdp"]["interfaces"]
        self.assertEqual((guard["addresses"], guard["prefixes"], guard["bans"]), (1, 1, 0))
        self.assertEqual(near, {"name": "near", "mode": "native", "reason": ""})
        self.assertEqual((none["name"], none["mode"]), ("none0", None))
        self.assertIn("none0", none["reason"])
        status, text = self.call(started, "status")
        self.assertEqual(status, 0, text)
        self.assertIn("lists: 1 address, 1 prefix, 0 bans\nXDP on near: native mode\n"
                      "XDP on none0: not attached (", text)

    def test_scope_host_drops_every_packet_and_scope_listeners_the_proxys_own_ports(self):
        def answers(source):
            command = ["ping", "-c", "1", "-W", "1", "-I", source, self.network.proxy_address]
            return within(self.network.client,
                          lambda: subprocess.run(command, capture_output=True)).returncode == 0
        started = self.guarded(access={"block": [BLOCKED], "scope": "listeners"})
        self.assertTrue(answers(BLOCKED))
        self.assert_dropped(started)
        self.end(started)
        started = self.guarded(access={"block": [BLOCKED]})
        self.assertTrue(answers(Network.client_address))
        self.assertFalse(answers(BLOCKED))

    def test_default_deny_serves_the_allowlist_and_leaves_the_host_reachable(self):
        started = self.guarded(access={"allow": [Network.client_address], "default": "deny"})
        self.assertTrue(self.reaches(started))
        self.assert_dropped(started)
        log = self.end(started)
        self.assertRegex(log, r"dropped, not allowed: IPv4=[1-9]")

    def test_commands_act_on_the_running_proxy(self):
        started = self.guarded(access={})
        self.assertTrue(self.reaches(started, BLOCKED))
        self.assertEqual(self.call(started, "block", BLOCKED, "--for", "1h"), (0, ""))
        self.assert_dropped(started)
        status, listed = self.call(started, "blocklist")
        self.assertEqual(status, 0)
        self.assertRegex(listed, rf"block {BLOCKED}  \d+[smh] left  by command")
        status, hits = self.call(started, "blocklist", "--hits")
        self.assertEqual(status, 0)
        self.assertRegex(hits, rf"[1-9]\d* block {BLOCKED}\n")
        self.assertEqual(self.call(started, "unblock", BLOCKED), (0, ""))
        self.assertTrue(self.reaches(started, BLOCKED))

    def test_a_block_ends_by_itself(self):
        started = self.guarded(access={})
        self.assertEqual(self.call(started, "block", BLOCKED, "--for", "6s"), (0, ""))
        self.assert_dropped(started)
        wait_until(lambda: self.reaches(started, BLOCKED, 0.5), "the end of the block")

    def test_no_connection_slips_through_while_reloads_swap_the_lists(self):
        started = self.guarded(access={"block": [BLOCKED]})
        access = [{"block": [BLOCKED]}, {"block": ["198.18.0.3/32", "203.0.113.0/24"]},
                  {"block": ["198.18.0.0/16"], "allow": [Network.client_address]}]
        for swap in range(9):
            def flood():
                attempts = []
                for _ in range(50):
                    attempt = socket.socket()
                    attempt.setblocking(False)
                    attempt.bind((BLOCKED, 0))
                    attempt.connect_ex((self.network.proxy_address, started.port))
                    attempts.append(attempt)
                return attempts
            started.reload(started.config | {"access": access[swap % 3]})
            attempts = []
            for _ in range(10):
                attempts += within(self.network.client, flood)
                time.sleep(0.02)
            for attempt in attempts:
                with self.assertRaises(OSError):
                    attempt.getpeername()  # Never connected.
                attempt.close()
            self.assertTrue(self.reaches(started))
        self.assertNotIn("blocked=", self.end(started))

    def test_a_foreign_program_is_left_alone_and_accept_checks_still_hold(self):
        first = self.guarded()
        second = self.proxy(
            {"listener": [proxy.listener(host=self.network.proxy_address, port=4434)],
             "access": {"block": [BLOCKED]}, "xdp": {"interfaces": ["near"]}},
            command=self.network.command)
        second.wait_log(r"program 'xdp_ip_filter' \(id \d+\) is already attached and is left alone; "
                        "blocked sources are refused at accept")
        self.end(first)
        # Its owner is gone, so the interface is free.
        second.wait_log("attached to near")
        self.assert_dropped(second)

    def test_an_interface_that_goes_and_comes_back_is_filtered_again(self):
        started = self.guarded()
        self.network.part()
        started.wait_log("near is gone")
        self.network.join()
        wait_until(lambda: started.log().count("attached to near") == 2, "the second attachment")
        self.assertTrue(self.reaches(started))
        self.assert_dropped(started)

    def test_nothing_stays_attached_after_sigkill(self):
        started = self.guarded()
        self.assertTrue(self.network.has_program())
        started.signal(signal.SIGKILL)
        started.wait()
        wait_until(lambda: not self.network.has_program(), "the end of the program")
        # The harness treats SIGKILL as a crash; here it is the test itself.
        started.process.returncode = 0

    def test_a_source_that_sends_no_hellos_is_banned(self):
        started = self.guarded(access={}, bans={"bad_hellos_per_minute": 3})
        def rubbish():
            with socket.create_connection((self.network.proxy_address, started.port), 20,
                                          source_address=(BLOCKED, 0)) as connection:
                connection.sendall(b"rubbish\r\n\r\n")
                connection.recv(1)
        for _ in range(4):
            within(self.network.client, rubbish)
        started.wait_log(f"banned {BLOCKED} for 1m: bans.bad_hellos_per_minute")
        self.assert_dropped(started)
        self.assertTrue(self.reaches(started))
        status, output = self.call(started, "unblock", BLOCKED)
        self.assertEqual((status, output), (0, f"lifted the ban of {BLOCKED}\n"))
        self.assertTrue(self.reaches(started, BLOCKED))

    def ban_behind(self, started, client, front):
        """The proxy in front sends faulty hellos of this client until the ban."""
        header = proxied.v1(client, self.network.proxy_address)

        def rubbish():
            with socket.create_connection((self.network.proxy_address, started.port), 20,
                                          source_address=(front, 0)) as connection:
                connection.sendall(header + b"rubbish\r\n\r\n")
                connection.recv(1)
        for _ in range(4):
            within(self.network.client, rubbish)
        started.wait_log(f"banned {client} for 1h: bans.bad_hellos_per_minute")

    def assert_banned_behind(self, started, client, front):
        """The client is refused and its proxy is not, nor another client of it."""
        def header(source):
            return proxied.v1(source, self.network.proxy_address)
        before = len(started.access())
        self.assertFalse(self.reaches(started, front, header=header(client)))
        line = started.access(before + 1)[-1]
        self.assertEqual((line["client"].rsplit(":", 1)[0], line["end"], line["error"]),
                         (client, "shut_out", "banned"))
        self.assertTrue(self.reaches(started, front, header=header("192.0.2.8")))
        status, hits = self.call(started, "blocklist", "--hits")
        self.assertEqual((status, hits), (0, ""), "XDP has dropped nothing")

    def test_a_ban_of_a_client_behind_a_proxy_holds_at_accept_and_does_not_reach_the_proxy(self):
        front = Network.client_address
        started = self.guarded(access={}, listen={"accept_proxy_from": [f"{front}/32"]},
                               bans={"bad_hellos_per_minute": 3, "duration": "1h"})
        self.ban_behind(started, "192.0.2.7", front)
        self.assert_banned_behind(started, "192.0.2.7", front)
        status, listed = self.call(started, "blocklist")
        self.assertEqual(status, 0)
        self.assertRegex(listed, r"\Aban +192\.0\.2\.7 [^\n]*\n\Z")
        # The new lists of a reload get the bans of the old ones.
        started.reload(started.config | {"access": {"block": [BLOCKED]}})
        started.wait_log("guard: 1 address and 0 prefixes listed")
        self.assert_banned_behind(started, "192.0.2.7", front)
        # Another client that comes directly is judged by its own address.
        self.assert_dropped(started)

    def test_a_proxy_whose_own_address_a_banned_client_has_is_not_shut_out(self):
        front = Network.client_address
        started = self.guarded(access={}, listen={"accept_proxy_from": [f"{front}/31"]},
                               bans={"bad_hellos_per_minute": 3, "duration": "1h"})
        self.ban_behind(started, front, front)
        self.assert_banned_behind(started, front, front)
        started.reload(started.config | {"access": {"block": ["203.0.113.0/24"]}})
        started.wait_log("guard: 0 addresses and 1 prefix listed")
        self.assert_banned_behind(started, front, front)

    def test_probe_says_what_each_interface_can_and_who_is_there(self):
        def probe():
            done = subprocess.run([*self.network.command, proxy.BINARY, "probe"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
        native, none = ("native yes, by its driver", r"native no \(the driver has none\)")
        if release < (6, 3):
            native = none = r"native not known \(drivers say so from Linux 6.3 on\)"
        said = probe()
        self.assertIn("per-CPU maps: yes\n", said)
        self.assertRegex(said, rf"XDP on near: {native}; generic yes, as everywhere\n")
        self.assertRegex(said, rf"XDP on lo: {none}; generic yes, as everywhere\n")
        self.assertFalse(self.network.has_program())
        self.guarded()
        self.assertRegex(probe(), r"XDP on near: .*; program 'xdp_ip_filter' \(id \d+\) is there\n")

    def test_a_mode_that_cannot_be_had_is_an_error_at_start_and_auto_serves_without(self):
        for mode, served in (("native", False), ("auto", True)):
            with self.subTest(mode=mode):
                started = self.proxy({"xdp": {"interfaces": ["lo"], "mode": mode}}, wait=served,
                                     command=self.network.command)
                if served:
                    started.wait_log("attached to lo in generic mode "
                                     r"\(native: Operation not supported\)")
                else:
                    self.assertEqual(started.wait(), 1)
                    self.assertIn("cannot attach the XDP filter to lo in native mode", started.log())


if __name__ == "__main__":
    main()
