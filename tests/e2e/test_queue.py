#!/usr/bin/env python3
"""Backends with a limit of connections, and the clients that wait for a place there."""

import json
import subprocess
import unittest

from support import backends, processes, proxy, tls
from support.case import ProxyTest, main


class Queue(ProxyTest):
    def bounded(self, backend, bound=1, queue=1000, **config):
        route = {"names": ["*"], "queue": queue,
                 "backend": {"address": backend.address, "max_connections": bound}}
        return self.proxy({"route": [route], **config})

    def served(self, started):
        """A connection that the backend has answered."""
        connection, hello = self.connect_hello(started)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        return connection

    def ask(self, started, command):
        done = subprocess.run([proxy.BINARY, command, "--json", "--socket",
                               started.config["control"]["socket"]],
                              capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    def queued(self, started):
        return [each["queued"] for each in self.ask(started, "backends")["backends"]]

    def reload(self, started, config):
        """Returns when every worker has taken it."""
        started.reload(config)
        self.ask(started, "status")

    def wait_for_queue(self, started, count):
        processes.wait_until(lambda: self.queued(started) == [count], f"{count} that wait")

    def test_a_connection_waits_for_a_place_and_is_served_by_whatever_worker(self):
        backend = self.backend()
        started = self.bounded(backend, server={"workers": 2})
        for _ in range(4):
            first = self.served(started)
            waiting, hello = self.connect_hello(started)
            self.wait_for_queue(started, 1)
            self.assertEqual(len(backend.open), 1)
            first.close()
            self.assertEqual(backends.read_exactly(waiting, len(hello)), hello)
            waiting.close()
            processes.wait_until(lambda: not backend.open, "the end of both")
        lines = started.access(8)
        self.assertEqual({line["end"] for line in lines}, {"done"})
        self.assertTrue(any(line["queue_ms"] > 0 for line in lines))

    def test_a_full_queue_and_a_wait_that_is_too_long_are_refused_by_name(self):
        started = self.bounded(self.backend(), queue=1, timeouts={"queue": "1s"})
        held = self.served(started)
        waiting, _ = self.connect_hello(started)
        self.wait_for_queue(started, 1)
        refused, _ = self.connect_hello(started)
        for each in (refused, waiting):
            self.assertTrue(tls.is_fatal_alert(backends.read_to_end(each), tls.INTERNAL_ERROR))
            each.close()
        full, late = started.access(2)
        self.assertEqual((full["end"], late["end"]), ("queue_full", "queue_timeout"))
        self.assertEqual(full["queue_ms"], 0)
        self.assertGreaterEqual(late["queue_ms"], 1000)
        self.assertIn("max_connections is reached", late["error"])
        self.assertEqual(started.ended(), {"queue_full": 1, "queue_timeout": 1})
        held.close()

    def test_a_client_that_leaves_the_queue_gives_its_turn_to_the_next(self):
        started = self.bounded(self.backend())
        held = self.served(started)
        leaving, _ = self.connect_hello(started)
        self.wait_for_queue(started, 1)
        patient, hello = self.connect_hello(started)
        self.wait_for_queue(started, 2)
        backends.reset(leaving)
        self.wait_for_queue(started, 1)
        held.close()
        self.assertEqual(backends.read_exactly(patient, len(hello)), hello)

    def test_a_reload_that_raises_the_bound_serves_those_who_wait(self):
        backend = self.backend()
        started = self.bounded(backend)
        held = self.served(started)
        waiting, hello = self.connect_hello(started)
        self.wait_for_queue(started, 1)
        started.reload({"route": [{"names": ["*"], "backend": {
            "address": backend.address, "max_connections": 2}}]})
        self.assertEqual(backends.read_exactly(waiting, len(hello)), hello)
        held.close()

    def test_a_route_that_has_all_its_connections_refuses_more_also_after_a_reload(self):
        backend = self.backend()
        route = {"names": ["one.example"], "backend": backend.address, "connections": 2}
        wide = {"names": ["*"], "backend": backend.address}
        started = self.proxy({"route": [route, wide], "server": {"workers": 2}})
        held = [self.served(started) for _ in range(2)]
        refused, _ = self.connect_hello(started)
        self.assertTrue(tls.is_fatal_alert(backends.read_to_end(refused), tls.INTERNAL_ERROR))
        self.assertEqual(started.access(1)[0]["end"], "route_full")
        other, hello = self.connect_hello(started, "other.example")
        self.assertEqual(backends.read_exactly(other, len(hello)), hello)
        started.reload({"route": [route | {"connections": 1}, wide]})
        held.pop().close()
        started.access(2)
        refused, _ = self.connect_hello(started)
        self.assertTrue(backends.read_to_end(refused))
        held.pop().close()
        self.assertEqual(sorted(line["end"] for line in started.access(4)),
                         ["done", "done", "route_full", "route_full"])
        self.served(started)

    def test_connections_from_before_a_route_had_a_limit_count_once_it_has_one(self):
        backend = self.backend()
        route = {"names": ["one.example"], "backend": backend.address}
        started = self.proxy({"route": [route], "server": {"workers": 2}})
        held = [self.served(started) for _ in range(2)]
        in_hello = self.connect(started)
        hello = tls.client_hello("one.example")
        in_hello.sendall(hello[:20])
        self.reload(started, {"route": [route | {"connections": 2}]})
        in_hello.sendall(hello[20:])
        late, _ = self.connect_hello(started)
        for refused in (in_hello, late):
            self.assertTrue(tls.is_fatal_alert(backends.read_to_end(refused), tls.INTERNAL_ERROR))
        self.assertEqual({line["end"] for line in started.access(2)}, {"route_full"})
        # A limit that goes and comes back finds the places as they are.
        self.reload(started, {"route": [route]})
        held.append(self.served(started))
        held.pop(0).close()
        started.access(3)
        self.reload(started, {"route": [route | {"connections": 2}]})
        refused, _ = self.connect_hello(started)
        self.assertTrue(backends.read_to_end(refused))
        held.pop().close()
        started.access(5)
        self.served(started)


if __name__ == "__main__":
    main()
