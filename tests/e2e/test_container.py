#!/usr/bin/env python3
"""Restrictions of containers and units: seccomp profiles and capabilities."""

import os
import pathlib
import re
import signal
import subprocess
import unittest

from support import backends, dns, proxy, seccomp, tls
from support.case import ProxyTest, main
from support.proxy import listener

PROFILE = pathlib.Path(__file__).resolve().parents[2] / "contrib/seccomp.json"
# LeakSanitizer needs ptrace, which the profile refuses.
ENVIRONMENT = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}


class Seccomp(ProxyTest):
    def test_without_io_uring_it_does_not_start_and_says_what_refused_it(self):
        refusing = seccomp.without_io_uring()
        started = self.proxy({}, wait=False, preexec_fn=refusing.install)
        self.assertEqual(started.wait(15), 1)
        self.assertRegex(started.log(), r"io_uring.*(seccomp|kernel\.io_uring_disabled)")

    def test_the_profile_that_we_ship_allows_all_that_the_proxy_does(self):
        """Every kind of listener and backend, names, a refusal, a reload, an end."""
        resolver = dns.DnsServer({"backend.test": ["127.0.0.1"]})
        self.addCleanup(resolver.end)
        tcp, local = self.backend(), self.backend(path=str(self.directory / "backend.sock"))
        config = {
            "listener": [listener("https"), listener("both", host="::"), listener("web", "http")],
            "dns": {"servers": [resolver.address]},
            "route": [{"names": ["tcp.example"], "backend": tcp.address},
                      {"names": ["unix.example"], "backend": local.address},
                      {"names": ["name.example"], "backend": f"backend.test:{tcp.port}"}],
        }
        started = self.proxy(config, preexec_fn=seccomp.from_profile(PROFILE).install,
                             env=ENVIRONMENT)
        for _ in range(2):
            for name in ("tcp.example", "unix.example", "name.example"):
                connection, hello = self.connect_hello(started, name)
                self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
                connection.close()
            connection, _ = self.connect_hello(started, "three.example")
            self.assertTrue(tls.is_fatal_alert(backends.read_to_end(connection),
                                               tls.UNRECOGNIZED_NAME))
            connection.close()
            started.reload(config)
            started.wait_log("reloaded")
        self.assertNotIn('"level":"warning"', started.log())
        started.signal(signal.SIGTERM)
        self.assertEqual(started.wait(15), 0)

    @unittest.skipIf(os.geteuid(), "only root may load BPF programs")
    def test_with_the_capability_it_allows_the_kernel_planes_too(self):
        def planes(**options):
            done = subprocess.run([proxy.BINARY, "probe"], capture_output=True, text=True,
                                  timeout=120, env=ENVIRONMENT, **options)
            # The SOCKHASH's verdict on remote backends depends on how busy the host is.
            return re.findall(r"^(packet plane|sockhash, same host|XDP[^:]*): (yes|no)", done.stdout,
                              re.M)

        usual = planes()
        self.assertTrue(usual)
        self.assertEqual(planes(preexec_fn=seccomp.from_profile(PROFILE, {"CAP_BPF"}).install), usual)


class Capabilities(ProxyTest):
    @unittest.skipIf(os.geteuid(), "only root has capabilities to give up")
    def test_without_any_capability_it_serves(self):
        without = ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--")
        started = self.relay(process={"command": without})
        status = pathlib.Path(f"/proc/{started.pid}/status").read_text()
        self.assertRegex(status, r"CapEff:\s+0+\n")
        connection, hello = self.connect_hello(started)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)


if __name__ == "__main__":
    main()
