#!/usr/bin/env python3
"""Signals from images and logrotate files made for other proxies, and the log lines of a start and
an end."""

import re
import signal
import socket

from support import backends, processes
from support.case import ProxyTest, main


class Signals(ProxyTest):
    def test_sigquit_drains(self):
        proxy = self.relay(timeouts={"drain": "60s"})
        held, hello = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(held, len(hello)), hello)
        proxy.signal(signal.SIGQUIT)
        proxy.wait_log("draining: 1 connection has up to 1m to end")
        self.assertTrue(proxy.alive())
        held.close()
        self.assertEqual(proxy.wait(20), 0)

    def test_signals_for_logs_and_upgrades_change_nothing(self):
        proxy = self.relay()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            proxy.signal(number)
        held, hello = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(held, len(hello)), hello)
        held.close()
        proxy.signal(signal.SIGTERM)  # Read after the others.
        self.assertEqual(proxy.wait(20), 0)

    def test_a_sighup_before_the_start_is_over_waits(self):
        routes = [{"names": [f"{number}.example"], "backend": "127.0.0.1:9"}
                  for number in range(5000)]
        proxy = self.proxy({"route": routes}, wait=False)
        processes.wait_until(lambda: self.blocks_sighup(proxy), "the signal to be blocked")
        proxy.signal(signal.SIGHUP)
        proxy.wait_log("reloaded: 1 listener, 5000 routes")
        self.assertTrue(proxy.alive())

    @staticmethod
    def blocks_sighup(proxy):
        with open(f"/proc/{proxy.pid}/status", encoding="ascii") as status:
            blocked = re.search(r"^SigBlk:\s*([0-9a-f]+)", status.read(), re.MULTILINE)
        return int(blocked.group(1), 16) >> (signal.SIGHUP - 1) & 1


class Lines(ProxyTest):
    def test_a_healthy_default_start_takes_three_lines_and_warns_of_nothing(self):
        proxy = self.relay(log={"level": "info"})
        proxy.settle()
        levels = [record["level"] for record in proxy.records()]
        self.assertEqual(levels, ["info"] * 3, proxy.log())
        messages = [record["message"] for record in proxy.records()]
        self.assertRegex(messages[0], r"^sni-proxy \S+ on Linux \S+: 2 workers, at most \d+ connections, ")
        seen = len(proxy.log())
        proxy.signal(signal.SIGHUP)
        proxy.wait_log("reloaded: 1 listener, 1 route\"")
        self.assertNotIn("warn", proxy.log()[seen:])
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(20), 0)
        proxy.wait_log("draining: no connection is left")

    def test_a_reload_with_workers_left_to_the_machine_warns_of_nothing(self):
        proxy = self.relay(server={"workers": 0})
        proxy.signal(signal.SIGHUP)
        proxy.wait_log("reloaded: ")
        self.assertNotIn("takes effect at the next start", proxy.log())

    def test_a_start_that_fails_says_so_in_the_configured_format(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            tables = {"listener": [{"name": "https", "address": address}]}
            failed = self.proxy(tables, wait=False)
            self.assertEqual(failed.wait(20), 1)
        last = failed.records()[-1]
        self.assertEqual(last["level"], "error")
        self.assertIn(f"cannot listen on {address}", last["message"])
        self.assertTrue(all(line.startswith("{") for line in failed.log().splitlines()), failed.log())

    def test_a_limit_that_the_descriptors_lower_is_a_warning_once(self):
        proxy = self.relay(limits={"connections": 10_000_000})
        proxy.wait_log("limits.connections is 10000000, but the limit of open files allows")
        proxy.signal(signal.SIGHUP)
        proxy.wait_log("reloaded: ")
        self.assertEqual(proxy.log().count("but the limit of open files allows"), 1)


if __name__ == "__main__":
    main()
