#!/usr/bin/env python3
"""DNS_CACHE, the map of answers that workers share: pinned, found again, or not to be had."""

import os
import pathlib
import signal
import time
import unittest

from support import backends, mounts, planes
from support.case import main
from support.dns_case import DnsTest


@unittest.skipIf(os.geteuid() != 0, "needs root")
class SharedAnswers(DnsTest):
    """DNS_CACHE: the answers of one worker are known to the others and the next process."""

    def setUp(self):
        super().setUp()
        file_system = mounts.detached_bpf_fs()
        self.addCleanup(os.close, file_system)
        self.pins = pathlib.Path(f"/proc/{os.getpid()}/fd/{file_system}/pins")
        self.backend_here = self.backend(backends.say(b"here"))

    def shared(self, server, **fast_path):
        return self.start(server, f"backend.test:{self.backend_here.port}",
                          fast_path={"dns_pin": str(self.pins)} | fast_path)

    def restart(self, started, number):
        started.signal(number)
        started.wait()
        started.process.returncode = 0  # The harness treats SIGKILL as a crash.

    def test_a_restart_with_a_pin_answers_while_the_dns_server_is_down(self):
        server = self.server({"backend.test": ["127.0.0.1"]})
        first = self.shared(server)
        first.wait_log("DNS_CACHE: map ready, pinned in")
        self.assertEqual(self.answer(first), b"here")
        server.silent = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.restart(first, number)
            first = self.shared(server)
            first.wait_log("DNS_CACHE: map ready, found pinned in")
            self.assertEqual(self.answer(first), b"here")
        self.assertEqual(server.asked("backend.test"), 1)
        self.restart(first, signal.SIGTERM)
        self.assert_alert(self.answer(self.shared(server, dns_pin="")))

    def test_an_answer_that_has_expired_is_not_used_after_a_restart(self):
        server = self.server({"backend.test": ["127.0.0.1"]}, ttl=1)
        first = self.shared(server)
        self.assertEqual(self.answer(first), b"here")
        self.restart(first, signal.SIGTERM)
        time.sleep(1.2)  # Its TTL.
        server.silent = True
        self.assert_alert(self.answer(self.shared(server)))

    def test_workers_ask_once_between_them(self):
        server = self.server({"backend.test": ["127.0.0.1"]})
        started = self.start(server, f"backend.test:{self.backend_here.port}", server={"workers": 4},
                             dns={"timeout": "10s"})  # A question that is late is not asked again.
        for _ in range(40):  # The kernel spreads them over the workers.
            self.assertEqual(self.answer(started), b"here")
        self.assertEqual(server.asked("backend.test"), 1)

    def test_the_map_is_there_in_every_mode_but_userspace_and_goes_with_the_proxy(self):
        server = self.server({})
        for mode, there in (("auto", True), ("userspace", False)):
            with self.subTest(mode=mode):
                started = self.shared(server, mode=mode, dns_pin="")
                maps = planes.held("map", started)
                self.assertEqual("DNS_CACHE" in maps.values(), there)
                self.restart(started, signal.SIGKILL)
                planes.wait_gone("map", maps)

    def test_without_bpf_each_worker_s_own_cache_serves(self):
        server = self.server({"backend.test": ["127.0.0.1"]})
        started = self.proxy(
            {"dns": {"servers": [server.address]}, "server": {"workers": 1},
             "fast_path": {"dns_pin": str(self.pins)},
             "route": [{"names": ["*"], "backend": f"backend.test:{self.backend_here.port}"}]},
            command=["setpriv", "--bounding-set", "-bpf,-sys_admin"])
        started.wait_log(r"DNS_CACHE: .*; each worker has only its own answers")
        for _ in range(2):
            self.assertEqual(self.answer(started), b"here")
        self.assertEqual(server.asked("backend.test"), 1)

    def test_a_pin_that_is_not_ours_alone_is_refused_and_the_proxy_serves(self):
        server = self.server({"backend.test": ["127.0.0.1"]})
        self.pins.mkdir(mode=0o700)
        self.pins.chmod(0o777)
        started = self.shared(server)
        started.wait_log(f"the pin directory {self.pins} belongs to another user, or others may "
                         "write to it; it is not kept over a restart")
        self.assertEqual(self.answer(started), b"here")
        self.assertEqual(list(self.pins.iterdir()), [])


if __name__ == "__main__":
    main()
