#!/usr/bin/env python3
"""Messages to a service manager (sd_notify): readiness, reloads, watchdog, the end."""

import os
import pathlib
import signal
import socket
import time
import unittest

from support import backends, processes, trace
from support.case import ProxyTest, main


class Service(ProxyTest):
    def managed(self, watchdog_us=0, **config):
        path = self.directory / "notify"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(path))
        self.manager.settimeout(20)
        env = os.environ | {"NOTIFY_SOCKET": str(path)}
        if watchdog_us:
            env["WATCHDOG_USEC"] = str(watchdog_us)
        return self.relay(process={"env": env}, **config)

    def heard(self):
        return self.manager.recv(4096).decode()

    def test_readiness_reload_and_end_are_reported_in_order(self):
        started = self.managed()
        self.assertEqual(self.heard(), "READY=1\nSTATUS=serving 1 listener, 1 route")
        started.signal(signal.SIGHUP)
        self.assertRegex(self.heard(), r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.assertEqual(self.heard(), "READY=1\nSTATUS=serving 1 listener, 1 route")
        started.reload("nonsense")
        self.assertTrue(self.heard().startswith("RELOADING=1\n"))
        self.assertEqual(self.heard(), "READY=1\nSTATUS=serving 1 listener, 1 route; "
                                       "the last reload found mistakes")
        held, hello = self.connect_hello(started)
        backends.read_exactly(held, len(hello))
        started.signal(signal.SIGTERM)
        self.assertEqual(self.heard(), "STOPPING=1\nSTATUS=draining 1 connection")

    def test_it_is_ready_only_when_clients_can_connect(self):
        started = self.managed()
        self.assertTrue(self.heard().startswith("READY=1\n"))
        self.connect(started).close()

    def test_the_watchdog_hears_while_workers_answer(self):
        self.managed(watchdog_us=200_000)
        self.assertTrue(self.heard().startswith("READY=1\n"))
        for _ in range(5):
            self.assertEqual(self.heard(), "WATCHDOG=1")

    def falls_silent(self):
        """Whether nothing is sent for a second, which is ten times the interval."""
        self.manager.settimeout(1)
        deadline = time.monotonic() + 10
        try:
            while time.monotonic() < deadline:
                self.heard()
        except TimeoutError:
            return True
        finally:
            self.manager.settimeout(20)
        return False

    def test_one_worker_that_does_not_answer_silences_the_watchdog(self):
        started = self.managed(watchdog_us=200_000, server={"workers": 2})
        self.assertTrue(self.heard().startswith("READY=1\n"))
        threads = {task.joinpath("comm").read_text().strip(): int(task.name)
                   for task in pathlib.Path(f"/proc/{started.pid}/task").iterdir()}
        for worker in ("worker-0", "worker-1"):
            with self.subTest(worker):
                self.assertEqual(self.heard(), "WATCHDOG=1")
                with trace.stopped(threads[worker]):
                    self.assertTrue(self.falls_silent())
                self.assertEqual(self.heard(), "WATCHDOG=1")


if __name__ == "__main__":
    main()
