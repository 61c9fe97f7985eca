#!/usr/bin/env python3
"""Health checks: a backend that is down gets no clients, and one that is back does."""

import json
import re
import subprocess
import unittest

from support import backends, dns, processes, proxy, tls
from support.case import ProxyTest, main

OFTEN = {"name": "often", "interval": "100ms", "timeout": "2s", "rise": 2, "fall": 2}


class Health(ProxyTest):
    def checked(self, addresses, check="tcp", **route):
        return self.proxy({
            "route": [{"names": ["one.example"], "backend": addresses, "health": "often", **route}],
            "health": [{**OFTEN, "check": check}]})

    def reached(self, started):
        connection, _ = self.connect_hello(started)
        with connection:
            return backends.read_to_end(connection)

    def listed(self, started):
        done = subprocess.run([proxy.BINARY, "backends", "--json", "--socket",
                               started.config["control"]["socket"]],
                              capture_output=True, text=True, timeout=60, check=True)
        return {each["backend"]: each for each in json.loads(done.stdout)["backends"]}

    def test_a_backend_that_is_down_gets_no_client_and_is_back_after_some_passes(self):
        port = processes.free_port()
        down, spare = f"127.0.0.1:{port}", self.backend(backends.say(b"spare"))
        started = self.checked([down, spare.address])
        started.wait_log(re.escape(f"backend {down} is down: 2 of health check often in a row "
                                   "failed: Connection refused"))
        for _ in range(3):
            self.assertEqual(self.reached(started), b"spare")
        self.assertEqual({line["attempts"] for line in started.access(3)}, {1})
        listed = self.listed(started)
        self.assertEqual(listed[down]["state"], "down")
        self.assertEqual(listed[down]["health"],
                         {"check": "often", "up": 0, "known": 1, "reason": "Connection refused"})
        self.assertEqual(listed[spare.address]["health"]["up"], 1)
        self.backend(backends.say(b"back"), port=port)
        started.wait_log(re.escape(f"backend {down} is up: 2 of health check often in a row"))
        self.assertEqual(self.reached(started), b"back")

    def test_unhealthy_backends_are_tried_when_no_other_is_left(self):
        refuses = backends.say(bytes([21, 3, 1, 0, 2, 2, tls.INTERNAL_ERROR]))
        first, second = self.backend(refuses), self.backend(refuses)
        started = self.checked([first.address, second.address], check="tls")
        for each in (first, second):
            started.wait_log(re.escape(f"backend {each.address} is down") +
                             ".*it answers with a TLS alert")
        self.assertTrue(tls.is_fatal_alert(self.reached(started), tls.INTERNAL_ERROR))
        started.wait_log("every backend of route one.example is out; they are still tried")
        # A served client does not override the check.
        self.assertEqual(self.listed(started)[first.address]["state"], "down")

    def test_a_tls_check_is_answered_by_a_real_server_and_a_reload_keeps_what_is_known(self):
        nginx = self.nginx("one.example")
        silent = backends.Blackhole()
        self.addCleanup(silent.end)
        addresses = [silent.address, nginx.backend("one.example")]
        started = self.checked(addresses, check="tls")
        started.wait_log(re.escape(f"backend {silent.address} is down") + ".*no answer in time")
        self.assertEqual(self.server_certificate(started, "one.example"), "one.example")
        self.assertEqual(self.listed(started)[addresses[1]]["health"],
                         {"check": "often", "up": 1, "known": 1, "reason": ""})
        started.reload({key: started.config[key] for key in ("route", "health")})
        started.wait_log("reloaded")
        self.assertEqual(self.listed(started)[silent.address]["state"], "down")

    def test_the_targets_of_a_service_are_checked_as_dns_gives_them_and_listed(self):
        service = "_https._tcp.example.internal"
        down, first, second = (self.backend(backends.say(mark), host=host) for mark, host in (
            (b"down", "127.0.0.1"), (b"first", "127.0.0.2"), (b"second", "127.0.0.3")))
        down.stop_accepting()
        records = {service: [(1, 1, down.port, "a.internal"), (2, 1, first.port, "b.internal")],
                   "a.internal": ["127.0.0.1"], "b.internal": ["127.0.0.2"],
                   "c.internal": ["127.0.0.3"]}
        server = dns.DnsServer(records, ttl=1)
        self.addCleanup(server.end)
        backend = f"srv:{service}"
        started = self.proxy({
            "dns": {"servers": [server.address]}, "health": [OFTEN],
            "route": [{"names": [name], "backend": backend, "health": "often"}
                      for name in ("one.example", "two.example")]})
        started.wait_log(re.escape(f"backend {backend} ({down.address}) is down: 2 of health check "
                                   "often in a row failed: Connection refused"))
        self.assertEqual(self.reached(started), b"first")
        self.assertEqual(started.access(1)[0]["attempts"], 1)

        def states():
            return {each["address"]: each["state"]
                    for each in self.listed(started)[backend]["addresses"]}
        processes.wait_until(lambda: states() == {down.address: "down", first.address: "up"},
                             "both targets")
        records[service] = [(1, 1, second.port, "c.internal")]
        processes.wait_until(lambda: states() == {second.address: "up"}, "the new target")
        table = subprocess.run([proxy.BINARY, "backends", "--socket",
                                started.config["control"]["socket"]],
                               capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertRegex(table, re.escape(f"\n  {second.address}") + r" +up\b")


if __name__ == "__main__":
    main()
