#!/usr/bin/env python3
"""block, unblock and blocklist on a running proxy, without any privileges."""

import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import unittest

from support import backends, processes, proxy, tls
from support.case import ProxyTest, main

SOURCE = "127.0.0.7"


class Control(ProxyTest):
    def served(self, started, source=SOURCE):
        try:
            with socket.create_connection(("127.0.0.1", started.port), timeout=20,
                                          source_address=(source, 0)) as connection:
                hello = tls.client_hello("one.example")
                connection.sendall(hello)
                return backends.read_exactly(connection, len(hello)) == hello
        except (ConnectionError, AssertionError):
            return False

    def call(self, started, *arguments):
        done = subprocess.run(
            [proxy.BINARY, *arguments, "--socket", started.config["control"]["socket"]],
            capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def status(self, started):
        done, out, errors = self.call(started, "status", "--json")
        self.assertEqual((done, errors), (0, ""))
        return json.loads(out)

    def test_pinned_workers_keep_to_their_cpus_and_take_what_arrives_there(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        started = self.relay(server={"workers": 2, "pin_workers": True})
        pinned = {task.joinpath("comm").read_text().strip(): os.sched_getaffinity(int(task.name))
                  for task in pathlib.Path(f"/proc/{started.pid}/task").iterdir()}
        self.addCleanup(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        for worker, cpu in enumerate(cpus):
            self.assertEqual(pinned[f"worker-{worker}"], {cpu})
            # On loopback a packet arrives on the CPU that sends it.
            os.sched_setaffinity(0, {cpu})
            for _ in range(8):
                connection, hello = self.connect_hello(started)
                self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        workers = self.status(started)["workers"]
        self.assertEqual([worker["connections"] for worker in workers], [8, 8])

    def test_status_tells_what_the_proxy_does(self):
        started = self.relay(access={"block": ["127.0.0.9"]})
        self.assertFalse(self.served(started, "127.0.0.9"))
        held, hello = self.connect_hello(started)
        self.assertEqual(backends.read_exactly(held, len(hello)), hello)
        status = self.status(started)
        self.assertEqual(status["pid"], started.pid)
        self.assertEqual(status["state"], "serving")
        self.assertEqual(status["config"]["path"], str(started.config_path))
        self.assertRegex(status["config"]["loaded"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(status["listeners"], started.config["listener"])
        self.assertEqual(status["connections"], 1)
        self.assertEqual([worker["number"] for worker in status["workers"]], [0, 1])
        self.assertEqual(sum(worker["connections"] for worker in status["workers"]), 1)
        self.assertEqual(status["guard"], {
            "addresses": 1, "prefixes": 0, "bans": 0,
            "xdp": {"interfaces": [], "missing": "no interfaces are configured"}})
        self.assertAlmostEqual(status["descriptors"]["open"], started.held().total(), delta=4)
        self.assertGreater(status["descriptors"]["limit"], status["descriptors"]["open"])
        self.assertIsInstance(status["planes"]["used"], str)
        self.assertEqual(status["totals"]["accepted"], 2)
        self.assertEqual(status["totals"]["refused"]["blocked"], 1)
        held.close()
        self.await_status(started, lambda status: status["totals"]["ended"]["done"] == 1)
        done, out, errors = self.call(started, "status")
        self.assertEqual((done, errors), (0, ""))
        self.assertIn(f"serving, pid {started.pid}", out)
        self.assertIn("listening on " + started.config["listener"][0]["address"], out)
        self.assertIn("lists: 1 address, 0 prefixes, 0 bans\n"
                      "no XDP: no interfaces are configured\n", out)
        self.assertRegex(out, r"(?m)^descriptors \d+ of at most \d+$")
        self.assertRegex(out, r"connections 0 \(worker 0: 0, worker 1: 0\), of which 0 are relayed, of at most \d+")
        self.assertRegex(out, r"(?m)^ +1  refused: blocked$")

    def await_status(self, started, reached):
        processes.wait_until(lambda: reached(self.status(started)), "the status")

    def test_the_last_line_agrees_with_status(self):
        started = self.relay()
        self.assertTrue(self.served(started))
        self.await_status(started, lambda status: status["totals"]["ended"]["done"] == 1)
        started.signal(signal.SIGTERM)
        started.wait(20)
        self.assertRegex(started.log(), r"ended: accepted=1 ended\.done=1 client_bytes=\d+ server_bytes=\d+")

    def test_a_block_holds_from_its_command_on_and_is_taken_back(self):
        started = self.relay()
        self.assertTrue(self.served(started))
        self.assertEqual(self.call(started, "block", SOURCE), (0, "", ""))
        self.assertFalse(self.served(started))
        self.assertTrue(self.served(started, "127.0.0.1"))
        self.assertEqual(self.call(started, "blocklist"), (0, f"block {SOURCE}  by command\n", ""))
        self.assertEqual(self.call(started, "unblock", SOURCE), (0, "", ""))
        self.assertTrue(self.served(started))

    def test_unblock_says_what_goes_on_blocking(self):
        started = self.relay(access={"block": ["127.0.0.0/29", "127.0.0.9"]})
        self.assertEqual(self.call(started, "unblock", SOURCE),
                         (1, "still blocked by 127.0.0.0/29\n",
                          f"sni-proxy: {SOURCE} was not blocked\n"))
        self.assertEqual(
            self.call(started, "unblock", "127.0.0.9"),
            (0, "127.0.0.9 is in the configuration: a reload blocks it again\n", ""))
        self.assertTrue(self.served(started, "127.0.0.9"))
        self.assertEqual(self.call(started, "blocklist"), (0, "block 127.0.0.0/29\n", ""))

    def test_unblock_warns_of_a_configured_block_behind_that_of_a_command(self):
        path = self.directory / "blocklist"
        path.write_text(f"{SOURCE}\n")
        started = self.relay(access={"block": ["127.0.0.9"], "block_file": str(path)})
        warning = "{} is in the configuration: a reload blocks it again\n"
        for source in (SOURCE, "127.0.0.9"):
            self.assertEqual(self.call(started, "block", source, "--for", "1h"), (0, "", ""))
            self.assertEqual(self.call(started, "unblock", source), (0, warning.format(source), ""))
            self.assertTrue(self.served(started, source))
        # Commands that a reload finds in its files, and one that it does not find any more.
        self.assertEqual(self.call(started, "block", SOURCE), (0, "", ""))
        self.assertEqual(self.call(started, "block", "127.0.0.9"), (0, "", ""))
        path.write_text("")
        started.reload(started.config)
        started.wait_log("(?s)guard: 2 addresses.*guard: 2 addresses")
        self.assertEqual(self.call(started, "unblock", SOURCE), (0, "", ""))
        self.assertEqual(self.call(started, "unblock", "127.0.0.9"),
                         (0, warning.format("127.0.0.9"), ""))

    def test_commands_hold_over_a_reload_and_block_files_are_read_again(self):
        path = self.directory / "blocklist"
        path.write_text("127.0.0.8 # one\n")
        started = self.relay(access={"block_file": str(path)})
        self.assertFalse(self.served(started, "127.0.0.8"))
        self.assertEqual(self.call(started, "block", SOURCE), (0, "", ""))
        path.write_text("127.0.0.9\n")
        started.reload(started.config)
        started.wait_log("guard: 2 addresses")
        self.assertTrue(self.served(started, "127.0.0.8"))
        self.assertFalse(self.served(started, "127.0.0.9"))
        self.assertFalse(self.served(started))

    def test_a_block_file_with_mistakes_changes_nothing_and_check_names_them(self):
        path = self.directory / "blocklist"
        path.write_text("127.0.0.8\n")
        started = self.relay(access={"block_file": str(path)})
        path.write_text("127.0.0.9\nnonsense\n")
        started.reload(started.config)
        started.wait_log("nothing is changed")
        self.assertFalse(self.served(started, "127.0.0.8"))
        self.assertTrue(self.served(started, "127.0.0.9"))
        done = subprocess.run([proxy.BINARY, "check", "--config", str(started.config_path)],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"{path}:2:1: 'nonsense' is not an address or prefix", done.stderr)

    def test_wrong_arguments_are_refused_with_a_reason(self):
        started = self.relay()
        for arguments, error in (
                (("block", "192.0.2.1/24"), "did you mean '192.0.2.0/24'?"),
                (("block", "nonsense"), "is not an address or prefix"),
                (("block", SOURCE, "--for", "soon"), "--for: write a number and a unit"),
                (("blocklist", "--hits"), "hits are counted by XDP, which is not loaded")):
            status, _, stderr = self.call(started, *arguments)
            self.assertEqual(status, 1, arguments)
            self.assertIn(error, stderr)

    def test_a_list_of_many_pages_comes_whole(self):
        path = self.directory / "blocklist"
        addresses = [f"10.0.{i // 200}.{i % 200 + 1}" for i in range(5000)]
        path.write_text("\n".join(addresses))
        started = self.relay(access={"block_file": str(path), "allow": ["192.0.2.0/24"]})
        status, listed, _ = self.call(started, "blocklist")
        self.assertEqual(status, 0)
        self.assertEqual(listed.splitlines(),
                         [f"block {address}" for address in addresses] + ["allow 192.0.2.0/24"])

    def test_the_socket_is_the_owners_and_goes_with_the_proxy(self):
        started = self.relay()
        path = self.directory / "proxy1" / "control.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        started.end()
        self.assertFalse(path.exists())
        status, _, stderr = self.call(started, "blocklist")
        self.assertEqual(status, 1)
        self.assertIn("is it running?", stderr)


if __name__ == "__main__":
    main()
