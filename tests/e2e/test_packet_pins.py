#!/usr/bin/env python3
"""Connections of the packet plane that outlive the proxy (fast_path.pin)."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess

from support import backends, mounts, packet, processes, tls
from support.case import main


class Pinned(packet.Packet):
    def setUp(self):
        super().setUp()
        file_system = mounts.detached_bpf_fs()
        self.addCleanup(os.close, file_system)
        self.pins = pathlib.Path(f"/proc/{os.getpid()}/fd/{file_system}/sni-proxy")

    def first(self, place="remote", **fast_path):
        return self.started(place, backends.echo, {"pin": str(self.pins)} | fast_path)

    def next(self, before, fast_path=None, **options):
        """The next process with the same configuration, or with other keys of [fast_path]."""
        config = before.config | {"fast_path": before.config["fast_path"] | (fast_path or {})}
        return self.proxy(config, command=self.lab.command, **options)

    def connections(self, started):
        return self.command(started, "connections")

    def exchange(self, connection, sent, payload=b"carried"):
        connection.sendall(payload)
        self.assertEqual(backends.read_exactly(connection, len(payload)), payload)
        return sent + len(payload)

    def killed(self, started):
        started.signal(signal.SIGKILL)
        self.assertEqual(started.wait(), -signal.SIGKILL)
        started.process.returncode = 0  # The harness treats SIGKILL as a crash.

    def assert_nothing_is_left(self):
        self.assertEqual(list(self.pins.iterdir()), [])
        for device in ("near", "lo"):
            shown = subprocess.run([*self.lab.command, "bpftool", "net", "show", "dev", device],
                                   capture_output=True, text=True, check=True).stdout
            self.assertNotIn("packet_splice", shown)


class Crash(Pinned):
    def test_connections_outlive_a_crash_and_the_next_process_has_their_lines(self):
        for place in ("remote", "container, IPv6", "loopback", "mixed"):
            with self.subTest(place=place):
                first = self.first(place)
                connection, sent = self.handed_over(first)
                before, = self.connections(first)
                self.killed(first)
                sent = self.exchange(connection, sent)  # There is no process.
                second = self.next(first)
                second.wait_log("took over 1 spliced connection")
                after, = self.connections(second)
                for key in ("client", "server_name", "route", "backend", "listener", "plane"):
                    self.assertEqual(after[key], before[key], key)
                sent = self.exchange(connection, sent, b"x" * 200_000)
                self.killed(second)  # And once more.
                third = self.next(first)
                sent = self.exchange(connection, sent)
                connection.close()
                line = self.line(third)
                self.assertEqual((line["client_bytes"], line["server_bytes"]), (sent, sent))
                self.assertEqual((line["server_name"], line["backend"]),
                                 ("one.example", before["backend"]))
                third.stop()

    def test_one_that_has_ended_meanwhile_gets_its_line_from_the_next_process(self):
        first = self.first()
        connection, sent = self.handed_over(first)
        other, _ = self.handed_over(first, 2)
        self.killed(first)
        connection.close()
        backends.reset(other)
        second = self.next(first)
        lines = second.access(2, seconds=40)
        self.assertEqual(sorted(line["end"] for line in lines), ["client_reset", "done"])
        self.assertEqual([line["client_bytes"] for line in lines if line["end"] == "done"], [sent])

    def test_the_next_process_kills_and_bounds_what_it_took_over(self):
        first = self.first()
        connection, _ = self.handed_over(first)
        self.killed(first)
        second = self.next(first)
        found, = self.connections(second)
        self.command(second, "kill", found["id"])
        self.assertTrue(backends.is_reset(connection))
        self.line(second, end="killed")

    def test_flows_taken_over_count_for_the_limits_of_their_backend_and_route(self):
        for bounds, end in (({"queue": 0}, "queue_full"), ({"connections": 1}, "route_full")):
            first = self.first()
            connection, _ = self.handed_over(first)
            self.killed(first)
            route = first.config["route"][0] | bounds
            if "queue" in bounds:
                route["backend"] = {"address": route["backend"], "max_connections": 1}
            second = self.proxy(first.config | {"route": [route]}, command=self.lab.command)
            second.wait_log("took over 1 spliced connection")
            refused = self.connect(second)
            refused.sendall(tls.client_hello("one.example"))
            backends.read_to_end(refused)
            refused.close()
            self.assertEqual(second.access(1)[0]["end"], end)
            connection.close()
            second.access(2)
            served, _ = self.handed_over(second)
            served.close()
            second.access(3)
            second.stop()

    def test_a_crash_at_any_step_of_the_hand_over_corrupts_nothing(self):
        """Each connection goes on with the right bytes, or ends."""
        went_on = 0
        for turn in range(6):
            first = self.first()
            connections = []
            for _ in range(8):
                connection = self.connect(first)
                hello = tls.client_hello("one.example")
                connection.sendall(hello)
                connections.append((bytearray(hello), connection))

            def some_handed_over(first=first, some=turn, connections=connections):
                for expected, connection in connections:
                    connection.sendall(b"ping")
                    expected += b"ping"
                return first.log().count(packet.HANDED_OVER) >= some
            # They are handed over together: some are in the middle when the first are done.
            processes.wait_until(some_handed_over, "some hand-overs")
            self.killed(first)
            second = self.next(first)
            for expected, connection in connections:
                expected += (last := bytes(range(256)) * 20)
                got = b""
                with contextlib.suppress(ConnectionError):
                    connection.sendall(last)
                    while len(got) < len(expected) and (more := connection.recv(65536)):
                        got += more
                self.assertTrue(expected.startswith(got))
                went_on += got == expected
                connection.close()
            second.stop()
        self.assertGreater(went_on, 0)

    def test_connections_in_the_relay_end_with_the_process_and_leave_nothing(self):
        first = self.first(packet_after="1h", packet_after_bytes="1GiB")
        connection = self.connect(first)
        hello = tls.client_hello("one.example")
        connection.sendall(hello)
        backends.read_exactly(connection, len(hello))
        self.killed(first)
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(connection.recv(1), b"")
        second = self.next(first)
        self.assertEqual(self.connections(second), [])
        second.stop()
        self.assert_nothing_is_left()

    def test_a_process_without_pins_ends_what_it_had_spliced(self):
        first = self.first(pin="")
        connection, _ = self.handed_over(first)
        self.killed(first)
        connection.settimeout(20)
        with self.assertRaises(ConnectionResetError):
            for _ in range(100):
                connection.sendall(b"?")
                connection.recv(1)


class End(Pinned):
    def test_sigterm_can_leave_connections_to_the_next_process(self):
        first = self.first(drain_spliced=False)
        connection, sent = self.handed_over(first)
        first.signal(signal.SIGTERM)
        self.assertEqual(first.wait(), 0)
        self.assertRegex(first.log(), "draining: no connection is left")
        self.assertRegex(first.log(), "left 1 spliced connection to the next process")
        self.assertEqual([record for record in first.records() if "end" in record], [])
        sent = self.exchange(connection, sent)
        second = self.next(first)
        sent = self.exchange(connection, sent)
        connection.close()
        self.assertEqual(self.line(second)["client_bytes"], sent)
        # Retransmissions of its last packets are still translated, which the next process does not
        # need.
        second.signal(signal.SIGTERM)
        self.assertEqual(second.wait(), 0)
        self.assert_nothing_is_left()

    def test_as_a_rule_they_are_drained_and_then_reset(self):
        first = self.first()
        connection, _ = self.handed_over(first)
        first.signal(signal.SIGTERM)
        first.wait_log("draining: 1 connection has up to")
        first.signal(signal.SIGTERM)
        self.assertEqual(first.wait(), 0)
        self.assertTrue(backends.is_reset(connection))
        self.line(first, end="cut")
        self.assert_nothing_is_left()


class Refused(Pinned):
    def test_pins_of_another_version_are_refused(self):
        (self.pins / "v1" / "map").mkdir(parents=True)
        refused = self.started("remote", backends.echo, {"pin": str(self.pins)}, wait=False)
        self.assertNotEqual(refused.wait(), 0)
        self.assertRegex(refused.log(), "holds flows of another version .v1, this program has v")

    def test_two_processes_cannot_have_the_same_pins(self):
        first = self.first()
        config = first.config | {"listener": [first.config["listener"][0] | {
            "address": f"{self.front}:{processes.free_port()}"}], "control": {
                "socket": str(self.directory / "second.sock")}}
        second = self.proxy(config, command=self.lab.command, wait=False)
        self.assertNotEqual(second.wait(), 0)
        self.assertRegex(second.log(), "another process uses it")


if __name__ == "__main__":
    main()
