#!/usr/bin/env python3
"""connections, kill, stats, reload, drain, backends and log-level on a running proxy."""

import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

from support import backends, processes, proxy, tls
from support.case import SANITIZED, ProxyTest, allow_descriptors, main

MANY = 1_000 if SANITIZED else 9_000


class Operate(ProxyTest):
    def call(self, started, *arguments):
        done = subprocess.run(
            [proxy.BINARY, *arguments, "--socket", started.config["control"]["socket"]],
            capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def listed(self, started, *arguments):
        status, out, errors = self.call(started, "connections", "--json", *arguments)
        self.assertEqual((status, errors), (0, ""))
        return json.loads(out)

    def served(self, started, name="one.example"):
        connection, hello = self.connect_hello(started, name)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        return connection, len(hello)

    def two_names(self):
        return self.relay(names=("one.example", "*.two.example"))

    def test_connections_tells_of_each_what_it_does(self):
        started = self.two_names()
        connection, hello = self.served(started)
        connection.sendall(b"12345")
        backends.read_exactly(connection, 5)
        found, = self.listed(started)
        host, port = connection.getsockname()
        self.assertRegex(found.pop("id"), r"^[01]-\d+$")
        self.assertLessEqual(found.pop("idle_ms"), found.pop("age_ms"))
        self.assertGreater(found.pop("rate"), 0)
        self.assertEqual(found, {
            "client": f"{host}:{port}", "listener": "https", "server_name": "one.example",
            "route": "one.example", "backend": started.config["route"][0]["backend"],
            "state": "relaying", "plane": "userspace", "client_bytes": hello + 5,
            "server_bytes": hello + 5})
        status, out, errors = self.call(started, "connections")
        self.assertEqual((status, errors), (0, ""))
        title, line = out.splitlines()
        self.assertRegex(title, "^ID +CLIENT +NAME +ROUTE +BACKEND +STATE +PLANE +UP +DOWN +RATE/s +AGE +IDLE$")
        self.assertIn(f" {host}:{port}  one.example  one.example  ", line)

    def test_a_name_that_is_none_reaches_no_terminal(self):
        started = self.two_names()
        hello = tls.client_hello("one.example").replace(b"one.example", b"o\x1b[2J\xff.ex")
        held = self.connect(started)
        held.sendall(hello[:60])
        processes.wait_until(lambda: self.listed(started), "the connection")
        held.sendall(hello[60:])
        backends.drain(held)
        self.assertNotIn("\x1b", self.call(started, "connections")[1])

    def test_filters_choose_by_name_source_and_backend(self):
        started = self.two_names()
        one, _ = self.served(started)
        two, _ = self.served(started, "a.two.example")
        backend = started.config["route"][0]["backend"]
        for arguments, count in ((["--name", "one.example"], 1), (["--name", "*.two.example"], 1),
                                 (["--name", ""], 0), (["--source", "127.0.0.0/8"], 2),
                                 (["--source", "192.0.2.1"], 0), (["--backend", backend], 2),
                                 (["--name", "one.example", "--source", "192.0.2.1"], 0)):
            with self.subTest(arguments):
                self.assertEqual(len(self.listed(started, *arguments)), count)
        id = self.listed(started, "--name", "one.example")[0]["id"]
        self.assertEqual([each["id"] for each in self.listed(started, id)], [id])
        self.assertEqual(self.listed(started, "700-1"), [])

    def test_kill_ends_what_it_names_and_nothing_else(self):
        started = self.two_names()
        one, _ = self.served(started)
        two, _ = self.served(started, "a.two.example")
        three, _ = self.served(started, "b.two.example")
        id = self.listed(started, "--name", "one.example")[0]["id"]
        self.assertEqual(self.call(started, "kill", id), (0, "killed 1\n", ""))
        with self.assertRaises(ConnectionResetError):
            one.recv(1)
        self.assertEqual(self.call(started, "kill", id),
                         (1, "killed 0\n", "sni-proxy: no such connection\n"))
        two.sendall(b"still here")
        backends.read_exactly(two, 10)
        status, out, _ = self.call(started, "kill", "--name", "*.two.example", "--json")
        self.assertEqual((status, json.loads(out)), (0, {"killed": 2}))
        for each in (two, three):
            with self.assertRaises(ConnectionResetError):
                each.recv(1)
        self.assertEqual([record["end"] for record in started.access(3)], ["killed"] * 3)

    def test_kill_without_a_choice_is_refused(self):
        started = self.two_names()
        held, _ = self.served(started)
        self.assertEqual(self.call(started, "kill"),
                         (1, "", "sni-proxy: say which: id, name, source or backend\n"))
        self.assertEqual(len(self.listed(started)), 1)

    def test_stats_counts(self):
        started = self.two_names()
        self.served(started)
        status, out, errors = self.call(started, "stats", "--json")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(json.loads(out)["accepted"], 1)
        self.assertRegex(self.call(started, "stats")[1], r"(?m)^ +1  accepted$")

    def test_reload_answers_with_the_mistakes(self):
        started = self.two_names()
        good = started.config_path.read_text()
        self.assertEqual(self.call(started, "reload"), (0, "", ""))
        started.write(good.replace("[timeouts]", "[timeouts]\nhelo = 1\nidle = 'x'"))
        status, out, errors = self.call(started, "reload")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(errors, r"config.toml:\d+:1: unknown key 'helo' in \[timeouts\]")
        self.assertRegex(errors, r"config.toml:\d+:8: 'idle' in \[timeouts\]: 'x' is not a duration")
        self.assertTrue(errors.endswith(
            "sni-proxy: the configuration has mistakes; nothing is changed\n"), errors)
        status, out, _ = self.call(started, "reload", "--json")
        self.assertEqual((status, json.loads(out)["reloaded"], len(json.loads(out)["messages"])),
                         (1, False, 2))
        self.served(started)

    def test_commands_are_answered_while_a_reload_reads_its_files(self):
        started = self.two_names()
        pipe = self.directory / "blocklist"
        os.mkfifo(pipe)
        writer = os.open(pipe, os.O_RDWR)  # A reader waits for its bytes.
        started.reload(started.config | {"access": {"block_file": str(pipe)}})
        began = time.monotonic()
        again = {}
        waiting = threading.Thread(target=lambda: again.update(done=self.call(started, "reload")))
        for _ in range(20):
            self.assertEqual(self.call(started, "status")[0], 0)
            if not waiting.ident:
                waiting.start()
        self.served(started)
        self.assertNotIn("reloaded: ", started.log())
        self.assertNotIn("done", again)
        # The reader would give up after 10 s; sanitizers make the command itself slow.
        self.assertLess(time.monotonic() - began, 9)
        os.write(writer, b"192.0.2.7\n")
        os.close(writer)
        started.wait_log("guard: 1 address and 0 prefixes listed")
        # What was asked for meanwhile reads everything again; the pipe is empty by now.
        waiting.join(20)
        self.assertEqual(again["done"], (0, "", ""))
        processes.wait_until(lambda: started.log().count("0 addresses and 0 prefixes listed") == 2,
                             "the lists of the start again")
        self.assertEqual(started.log().count("reloaded: "), 2)

    def test_a_reload_that_is_under_way_does_not_keep_the_process_from_ending(self):
        started = self.two_names()
        pipe = self.directory / "blocklist"
        os.mkfifo(pipe)
        writer = os.open(pipe, os.O_RDWR)
        started.reload(started.config | {"access": {"block_file": str(pipe)}})
        self.assertEqual(self.call(started, "status")[0], 0)
        started.signal(signal.SIGTERM)
        started.wait_log("draining: no connection is left")
        os.close(writer)
        self.assertEqual(started.wait(20), 0)
        self.assertNotIn("reloaded: ", started.log())

    def test_a_group_that_is_not_there_is_a_mistake(self):
        started = self.two_names()
        text = started.config_path.read_text().replace("[control]", "[control]\ngroup = 'nosuch'")
        started.write(text)
        done = subprocess.run([proxy.BINARY, "check", "--config", str(started.config_path)],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertIn("'group' in [control]: this host has no group 'nosuch'", done.stderr)

    def test_drain_ends_with_the_last_connection(self):
        started = self.two_names()
        held, _ = self.served(started)
        self.assertEqual(self.call(started, "drain"), (0, "draining, connections left: 1\n", ""))
        # A second one cuts nothing, unlike a second SIGTERM.
        self.assertEqual(self.call(started, "drain"), (0, "draining, connections left: 1\n", ""))
        self.assertEqual(self.call(started, "reload"),
                         (1, "", "sni-proxy: the proxy is draining\n"))
        held.sendall(b"still here")
        backends.read_exactly(held, 10)
        held.close()
        self.assertEqual(started.wait(20), 0)
        self.assertEqual(started.access()[0]["end"], "done")

    def test_a_disabled_backend_keeps_its_connections_and_gets_no_new_ones(self):
        first, second = (self.backend(backends.echo) for _ in range(2))
        started = self.proxy({"route": [{"names": ["*"],
                                         "backend": [first.address, second.address]}]})
        held, _ = self.served(started)
        self.assertEqual(self.call(started, "backends", "--disable", first.address),
                         (0, "disabled\n", ""))
        self.assertEqual(self.call(started, "backends", "--disable", first.address)[1],
                         "already disabled\n")
        started.wait_log("is disabled by command")
        started.reload({"route": [{"names": ["*"], "idle": "5m",
                                   "backend": [first.address, second.address]}]})
        started.wait_log("reloaded: ")
        self.served(started)
        held.sendall(b"still")
        self.assertEqual(backends.read_exactly(held, 5), b"still")
        status, out, errors = self.call(started, "backends")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual([line.split() for line in out.splitlines()], [
            ["BACKEND", "STATE", "CONNECTIONS", "MAX", "QUEUED", "HEALTH"],
            [first.address, "disabled", "1", "-", "0", "-"],
            [second.address, "up", "1", "-", "0", "-"]])
        self.assertEqual(self.call(started, "backends", "--enable", first.address)[:2],
                         (0, "enabled\n"))
        self.served(started)
        self.assertEqual((first.accepted, second.accepted), (2, 1))
        answer = json.loads(self.call(started, "backends", "--json")[1])
        self.assertEqual([each["state"] for each in answer["backends"]], ["up", "up"])
        status, _, errors = self.call(started, "backends", "--disable", "10.0.0.1:1")
        self.assertEqual(status, 1)
        self.assertIn("no route has the backend '10.0.0.1:1'", errors)

    def test_log_level_holds_until_the_next_reload(self):
        started = self.relay(log={"level": "debug"})
        self.assertEqual(self.call(started, "log-level"), (0, "debug\n", ""))
        self.assertEqual(self.call(started, "log-level", "warning"), (0, "warning\n", ""))
        quiet, _ = self.served(started)
        quiet.close()
        processes.wait_until(lambda: not self.listed(started), "its end")
        self.assertEqual(self.call(started, "reload")[0], 0)
        self.assertEqual(self.call(started, "log-level"), (0, "debug\n", ""))
        loud, _ = self.served(started)
        loud.close()
        self.assertEqual(len(started.access()), 1)
        status, _, errors = self.call(started, "log-level", "loud")
        self.assertEqual(status, 1)
        self.assertIn("'loud' is not one of", errors)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_the_socket_belongs_to_the_group_of_the_configuration(self):
        started = self.relay(control={"group": "daemon", "mode": "0660"})
        path = started.config["control"]["socket"]
        found = os.stat(path)
        self.assertEqual((stat.S_IMODE(found.st_mode), found.st_gid), (0o660, 1))

    def test_many_connections_are_listed_fast_while_others_are_served(self):
        allow_descriptors(MANY + 500)
        started = self.relay(server={"workers": 2}, limits={"pending_hellos": 20_000},
                             timeouts={"hello": "5m"})
        held = [self.connect(started) for _ in range(MANY)]
        probe, _ = self.served(started)
        processes.wait_until(lambda: len(self.listed(started)) == MANY + 1, "all connections")
        slowest = 0
        stop = threading.Event()

        def ping():
            nonlocal slowest
            while not stop.is_set():
                begun = time.monotonic()
                probe.sendall(b"ping")
                backends.read_exactly(probe, 4)
                slowest = max(slowest, time.monotonic() - begun)
        pinging = threading.Thread(target=ping)
        pinging.start()
        try:
            begun = time.monotonic()
            ids = {each["id"] for each in self.listed(started)}
            took = time.monotonic() - begun
        finally:
            stop.set()
            pinging.join()
        print(f"{len(ids)} connections listed in {took:.3f} s, slowest round trip {slowest:.3f} s")
        self.assertEqual(len(ids), MANY + 1)
        if not SANITIZED:
            # A second on an idle machine; other programs may be running here.
            self.assertLess(took, 5)
            self.assertLess(slowest, 1)
        self.assertEqual(self.call(started, "kill", "--name", "")[:2], (0, f"killed {MANY}\n"))
        probe.sendall(b"ping")
        backends.read_exactly(probe, 4)
        for each in held:
            each.close()

    def test_a_hostile_client_of_the_socket_stalls_nobody(self):
        started = self.two_names()
        path = started.config["control"]["socket"]
        hostile = []
        for bytes in (b"", b"x", b'{"version":1,"command":"status"}\n' * 2_000, b"[" * 70_000,
                      b'{"version":1,"command":"kill","name":7}\n',
                      b'{"version":1,"command":"connections","from":18446744073709551615}\n',
                      b"\xff\x00\n" * 1_000):
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            client.setblocking(False)
            try:
                client.send(bytes)
            except BlockingIOError:
                pass
            hostile.append(client)
            self.addCleanup(client.close)
        for _ in range(3):
            self.assertEqual(self.call(started, "connections", "--json")[0], 0)
            self.served(started)


if __name__ == "__main__":
    main()
