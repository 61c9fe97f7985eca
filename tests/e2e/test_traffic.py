#!/usr/bin/env python3
"""stats --by and connections --follow on a running proxy: which keys move the bytes."""

import json
import select
import socket
import subprocess
import threading
import unittest

from support import backends, processes, proxy
from support.case import ProxyTest, main


class Traffic(ProxyTest):
    def call(self, started, *arguments):
        done = subprocess.run(
            [proxy.BINARY, *arguments, "--socket", started.config["control"]["socket"]],
            capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def by(self, started, kind, *arguments):
        status, out, errors = self.call(started, "stats", "--by", kind, "--json", *arguments)
        self.assertEqual((status, errors), (0, ""))
        return json.loads(out)

    def served(self, started, name, extra=b""):
        connection, hello = self.connect_hello(started, name)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.sendall(extra)
        backends.read_exactly(connection, len(extra))
        return connection, len(hello) + len(extra)

    def test_traffic_of_every_kind_is_reported_during_connections_and_after_them(self):
        started = self.relay(names=("one.example", "*.two.example"))
        heavy, heavy_bytes = self.served(started, "a.two.example", b"x" * 5_000)
        light, light_bytes = self.served(started, "one.example")
        both = heavy_bytes + light_bytes
        for turn in range(2):
            names = self.by(started, "name")
            self.assertEqual(names["by"], "name")
            self.assertEqual(names["rows"], [
                {"key": name, "connections": 1, "client_bytes": bytes, "server_bytes": bytes}
                for name, bytes in (("a.two.example", heavy_bytes), ("one.example", light_bytes))])
            for kind, key in (("source", "127.0.0.1"), ("listener", "https"), ("route", "one.example"),
                              ("backend", started.config["route"][0]["backend"]),
                              ("plane", "userspace")):
                with self.subTest(kind=kind, turn=turn):
                    self.assertEqual(self.by(started, kind)["rows"], [
                        {"key": key, "connections": 2, "client_bytes": both, "server_bytes": both}])
            heavy.close()
            light.close()
            started.access(2)
        top = self.by(started, "name", "--top", "1")
        self.assertEqual([row["key"] for row in top["rows"]], ["a.two.example"])
        self.assertEqual(top["other"], {"connections": 1, "client_bytes": light_bytes,
                                        "server_bytes": light_bytes})
        status, out, errors = self.call(started, "stats", "--by", "name", "--top", "1")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual([line.split()[:2] for line in out.splitlines()],
                         [["NAME", "CONNECTIONS"], ["a.two.example", "1"], ["(other)", "1"]])

    def test_names_that_nobody_knows_cannot_push_out_the_heavy_ones(self):
        started = self.relay(names=("*",))
        heavy, bytes = self.served(started, "heavy.example", b"x" * 30_000)
        for i in range(30):
            self.served(started, f"n{i}.example")[0].close()
        found = self.by(started, "name", "--top", "1")
        self.assertEqual([row["key"] for row in found["rows"]], ["heavy.example"])
        self.assertEqual(found["other"]["connections"], 30)

    def test_a_file_keeps_traffic_over_a_restart_and_a_broken_one_is_put_aside(self):
        path = self.directory / "stats.json"
        settings = {"file": str(path), "interval": "1s"}
        started = self.relay(stats=settings)
        held, bytes = self.served(started, "one.example")
        # While it is open, and before the end.
        processes.wait_until(lambda: path.exists() and
                             json.loads(path.read_text())["name"]["rows"].get("one.example") ==
                             [1, bytes, bytes], "the file")
        since = self.by(started, "name")["since"]
        held.sendall(b"12345")
        backends.read_exactly(held, 5)
        started.end()
        again = self.relay(stats=settings)
        self.served(again, "one.example")
        found = self.by(again, "name")
        self.assertEqual(found["since"], since)
        self.assertEqual(found["rows"], [{"key": "one.example", "connections": 2,
                                          "client_bytes": 2 * bytes + 5,
                                          "server_bytes": 2 * bytes + 5}])
        again.end()
        path.write_text("nonsense")
        third = self.relay(stats=settings)
        third.wait_log("it holds no traffic; counting begins again")
        self.assertEqual((self.directory / "stats.json.broken").read_text(), "nonsense")
        self.assertEqual(self.by(third, "name")["rows"], [])

    def test_a_reload_that_shortens_the_interval_takes_effect_at_once(self):
        path = self.directory / "stats.json"
        started = self.relay(stats={"file": str(path), "interval": "24h"})
        self.served(started, "one.example")
        started.reload(started.config | {"stats": {"file": str(path), "interval": "1s"}})
        processes.wait_until(path.exists, "the file")

    def test_of_connections_that_ended_well_a_sample_is_logged_and_of_others_each(self):
        started = self.relay(server={"workers": 1}, log={"access_sample": 5})
        for _ in range(10):
            self.served(started, "one.example")[0].close()
        for _ in range(3):
            connection, _ = self.connect_hello(started, "unknown.example")
            backends.drain(connection)
        started.wait_log("no_route")
        processes.wait_until(
            lambda: json.loads(self.call(started, "stats", "--json")[1])["ended"]["done"] == 10,
            "the ends")
        started.end()
        ends = [record["end"] for record in started.access()]
        self.assertEqual((ends.count("done"), len(ends)), (2, 5))

    def test_wrong_requests_are_refused(self):
        started = self.relay()
        for arguments in (["--by", "colour"], ["--by", "name", "--top", "0"], ["--top", "3"]):
            with self.subTest(arguments):
                self.assertEqual(self.call(started, "stats", *arguments)[0], 1)

    def test_connections_are_followed_as_they_begin_and_end(self):
        started = self.relay(names=("one.example", "*.two.example"))
        socket_option = ["--socket", started.config["control"]["socket"]]
        for options in (["--json"], []):
            with self.subTest(options):
                follower = subprocess.Popen(
                    [proxy.BINARY, "connections", "--follow", "--name", "one.example", *options,
                     *socket_option], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE)
                self.addCleanup(follower.communicate)
                self.addCleanup(follower.kill)
                # Connections come and go until one is reported.
                lines = []
                reader = threading.Thread(target=lambda: lines.extend(follower.stdout))
                reader.start()

                def one():
                    self.served(started, "a.two.example")[0].close()
                    connection, bytes = self.served(started, "one.example")
                    connection.close()
                    return lines_of(lines, options, bytes)
                begin, end = processes.wait_until(one, "a begin and an end")
                follower.kill()
                reader.join()
                for line in (begin, end):
                    self.assertIn("one.example", str(line))
                self.assertNotIn("a.two.example", str(lines))

    def test_a_follower_that_does_not_read_is_cut_and_stalls_nobody(self):
        started = self.relay()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(started.config["control"]["socket"])
            client.sendall(b'{"version":1,"command":"follow"}\n')
            self.assertIn(b"following", client.recv(4096))
            for _ in range(50):
                self.served(started, "one.example")[0].close()
            self.assertEqual(self.call(started, "status")[0], 0)
        self.served(started, "one.example")[0].close()

    def test_following_ends_with_the_proxy(self):
        started = self.relay()
        follower = subprocess.Popen(
            [proxy.BINARY, "connections", "--follow", "--socket",
             started.config["control"]["socket"]],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(follower.kill)

        def told():
            self.served(started, "one.example")[0].close()
            return select.select([follower.stdout], [], [], 0.1)[0]
        processes.wait_until(told, "the follower")
        started.end()
        _, errors = follower.communicate(timeout=20)
        self.assertEqual(follower.returncode, 1)
        self.assertIn("sni-proxy: ", errors)


def lines_of(lines, options, bytes):
    """The first begin and the end of the same connection, once both have arrived."""
    if options:
        events = [json.loads(line) for line in list(lines)]
        begun = [event for event in events if event["event"] == "begin"]
        ended = [event for event in events if event["event"] == "end" and event["end"] == "done" and
                 event["connection"]["client_bytes"] == bytes]
        return (begun[0], ended[0]) if begun and ended else None
    begun = [line for line in list(lines) if line.startswith("begin  ")]
    ended = [line for line in list(lines) if line.startswith("end    ") and line.endswith("  done\n")]
    return (begun[0], ended[0]) if begun and ended else None


if __name__ == "__main__":
    main()
