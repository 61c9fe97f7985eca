#!/usr/bin/env python3
"""Access lines are complete and exact, and nothing from the network can write into the log."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

from support import backends, network as namespaces, processes, tls
from support.case import ProxyTest, main
from support.proxy import BINARY, listener


def with_alpn(protocols):
    """A hello that offers these protocols, including ones that no client library would send."""
    listed = b"".join(bytes([len(protocol)]) + protocol for protocol in protocols)
    stand_in = "p" * (len(listed) - 1)
    hello = tls.client_hello("one.example", alpn=[stand_in])
    return hello.replace(bytes([len(stand_in)]) + stand_in.encode(), listed)


def with_name(name):
    """A hello whose server name is these bytes."""
    stand_in = b"n" * len(name)
    return tls.client_hello(stand_in.decode()).replace(stand_in, name)


class AccessLine(ProxyTest):
    def exchange(self, proxy, hello, sent=b"x" * 1000, answer=5000):
        connection = self.connect(proxy)
        connection.sendall(hello + sent)
        backends.read_exactly(connection, answer)
        connection.shutdown(backends.socket.SHUT_WR)
        self.assertEqual(backends.read_to_end(connection), b"")
        return connection

    def start(self, hello, **config):
        def handler(connection):
            backends.read_exactly(connection, len(hello) + 1000)
            connection.sendall(bytes(5000))
            backends.read_to_end(connection)

        self.server = self.backend(handler)
        return self.proxy({"route": [{"names": ["*.example"], "backend": self.server.address}],
                           **config})

    def test_json_lines_say_who_where_and_how_much(self):
        hello = tls.client_hello("one.example", alpn=["h2", "http/1.1"])
        proxy = self.start(hello)
        client = self.exchange(proxy, hello)
        line = proxy.access(1)[0]
        self.assertEqual(line["client"], "127.0.0.1:%d" % client.getsockname()[1])
        self.assertEqual(line["listener"], "https")
        self.assertEqual(line["server_name"], "one.example")
        self.assertIn("h2", line["alpn"])
        self.assertEqual(line["route"], "*.example")
        self.assertEqual(line["backend"], self.server.address)
        self.assertEqual(line["client_bytes"], len(hello) + 1000)
        self.assertEqual(line["server_bytes"], 5000)
        self.assertEqual(line["plane"], "userspace")
        self.assertEqual(line["end"], "done")
        self.assertGreaterEqual(line["duration_ms"], 0)

    def test_text_lines_say_the_same(self):
        hello = tls.client_hello("one.example")
        proxy = self.start(hello, log={"format": "text"})
        client = self.exchange(proxy, hello)
        port = client.getsockname()[1]
        line = proxy.wait_log(rf".*127\.0\.0\.1:{port}.*").group()
        for part in ("https", "one.example", "*.example", self.server.address,
                     str(len(hello) + 1000), "5000", "userspace", "done"):
            self.assertIn(part, line)

    def test_every_line_of_the_json_log_is_json(self):
        hello = tls.client_hello("one.example")
        proxy = self.start(hello)
        self.exchange(proxy, hello)
        proxy.access(1)
        proxy.end()
        for line in proxy.log().splitlines():
            self.assertIn("level", json.loads(line), line)

    def test_there_is_one_line_for_each_connection(self):
        proxy = self.relay()
        for _ in range(50):
            self.poke(proxy, tls.client_hello("one.example"))
        proxy.access(50)
        proxy.settle()
        self.assertEqual(len(proxy.access(50)), 50)

    def test_a_probe_that_sends_nothing_is_counted_and_shown_at_debug_alone(self):
        for level in ("debug", "info"):
            proxy = self.relay(log={"level": level})
            self.connect(proxy).close()
            backends.reset(self.connect(proxy))
            self.poke(proxy, tls.client_hello("one.example"))
            ends = [line["end"] for line in proxy.access(3 if level == "debug" else 1)]
            self.assertEqual(ends.count("nothing_sent"), 2 if level == "debug" else 0, ends)
            proxy.settle()
            self.assertEqual(proxy.log().count("nothing_sent"), 2 if level == "debug" else 0)

    def test_an_ech_extension_is_said_to_be_there_whatever_is_in_it(self):
        proxy = self.relay()
        message = tls.padded_hello("one.example", 200)
        self.poke(proxy, message.replace(b"\xff\x77", b"\xfe\x0d", 1))
        self.poke(proxy, message)
        self.assertEqual([line["ech"] for line in proxy.access(2)], ["offered", "no"])

    def test_the_level_silences(self):
        proxy = self.relay(log={"level": "error"})
        self.poke(proxy, tls.client_hello("one.example"))
        proxy.settle()
        proxy.end()
        self.assertEqual(proxy.log(), "")


class RefusedStart(ProxyTest):
    """What keeps the proxy from starting is in the format of the log, as far as that is known."""

    GOOD = ('[log]\nformat = "json"\n[[listener]]\nname = "https"\naddress = "127.0.0.1:%d"\n'
            '[[route]]\nnames = ["one.example"]\nbackend = "127.0.0.1:9"\n')

    def errors(self, text):
        path = self.directory / "config.toml"
        path.write_text(text)
        done = subprocess.run([BINARY, "--config", str(path)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        return str(path), done.stderr.splitlines()

    def test_mistakes_are_json_lines_with_their_places(self):
        text = self.GOOD % 44300 + '[timeouts]\nidel = "1m"\nhello = 5\n'
        path, lines = self.errors(text)
        records = [json.loads(line) for line in lines]
        self.assertEqual([(each["level"], each["file"], each["line"], each["column"])
                          for each in records], [("error", path, 10, 1), ("error", path, 11, 9)])
        for record, part in zip(records, ("'idel'", "'hello'")):
            self.assertRegex(record["message"], rf"^{path}:{record['line']}:\d+: .*{part}")
            self.assertIn("time", record)

    def test_so_are_mistakes_in_other_files_that_it_names(self):
        entries = self.directory / "list"
        entries.write_text("192.0.2.1\nnonsense\n")
        _, lines = self.errors(self.GOOD % 44300 + f'[access]\nblock_file = "{entries}"\n')
        self.assertEqual([(each["file"], each["line"]) for each in map(json.loads, lines)],
                         [(str(entries), 2)])
        path, lines = self.errors('include = ["none.toml"]\n' + self.GOOD % 44300)
        self.assertEqual([each["file"] for each in map(json.loads, lines)], [path])

    def test_so_is_everything_that_fails_later(self):
        with backends.socket.create_server(("127.0.0.1", 0)) as taken:
            _, lines = self.errors(self.GOOD % taken.getsockname()[1])
        self.assertIn("cannot listen on", json.loads(lines[-1])["message"])
        for line in lines:
            json.loads(line)

    def test_a_file_that_cannot_be_parsed_or_asks_for_text_has_mistakes_as_text(self):
        for text in (self.GOOD % 44300 + "a = = b\n",
                     (self.GOOD % 44300).replace("json", "text") + "[timeouts]\nidel = 5\n"):
            path, lines = self.errors(text)
            self.assertEqual(len(lines), 1)
            self.assertRegex(lines[0], rf"^{path}:\d+:\d+: ")

    def test_a_warning_is_a_line_of_the_log_where_the_proxy_starts(self):
        entries = self.directory / "list"
        entries.write_text("nonsense\n")
        for format_, line in (("json", r'"level":"warning".*"line":1,"message":"\S+list:1:1: '),
                              ("text", r"(?m)^\d+-\S+ warning \S+list:1:1: ")):
            proxy = self.relay(log={"format": format_}, access={
                "block_file": str(entries), "block_file_errors": "skip"})
            self.assertRegex(proxy.log(), line)
            proxy.end()


class Journal(ProxyTest):
    def test_lines_for_the_journal_begin_with_their_priority(self):
        reader, writer = os.pipe()
        status = os.fstat(writer)
        stream = f"{status.st_dev}:{status.st_ino}"
        started = self.relay(process={"stderr": writer, "env": os.environ | {"JOURNAL_STREAM": stream}})
        os.close(writer)
        started.signal(signal.SIGTERM)
        with os.fdopen(reader) as lines:
            found = lines.read().splitlines()
        self.assertTrue(found)
        for line in found:
            self.assertRegex(line, r'^<[3467]>\{"time":')

    def test_so_do_the_reasons_why_it_does_not_start(self):
        for name, text in (("mistake", "[timeouts]\nidel = 5\n"), ("none", None)):
            path = self.directory / f"{name}.toml"
            if text:
                path.write_text(text)
            with open(self.directory / "log", "w+b") as log:
                status = os.fstat(log.fileno())
                environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
                done = subprocess.run([BINARY, "--config", str(path)], stdin=subprocess.DEVNULL,
                                      stderr=log, env=environment, timeout=20)
                log.seek(0)
                lines = log.read().decode().splitlines()
            self.assertEqual(done.returncode, 1)
            self.assertTrue(lines)
            for line in lines:
                self.assertRegex(line, rf"^<3>\S+ error .*{path}")


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class LinkLocal(ProxyTest):
    def test_addresses_have_the_names_of_their_interfaces(self):
        network = namespaces.Network()
        self.addCleanup(network.end)
        for namespace, link, address in ((network.proxy, "near", "fe80::51"),
                                         (network.client, "far", "fe80::52")):
            namespaces.ip("-n", namespace, "address", "add", f"{address}/64", "dev", link, "nodad")
        started = self.proxy({"listener": [listener(host="fe80::51%near", port=44300)]},
                             command=network.command)
        started.wait_log(re.escape("listening on [fe80::51%near]:44300"))

        def call():
            far = backends.socket.if_nametoindex("far")
            connection = backends.socket.socket(backends.socket.AF_INET6)
            connection.bind(("fe80::52", 0, 0, far))
            connection.settimeout(20)
            connection.connect(("fe80::51", 44300, 0, far))
            connection.sendall(tls.client_hello("one.example"))
            backends.drain(connection)
            connection.close()

        namespaces.within(network.client, call)
        self.assertRegex(started.access()[0]["client"], r"^\[fe80::52%near\]:\d+$")


class SlowLog(ProxyTest):
    def test_an_unread_log_costs_lines_and_no_connection(self):
        """stderr is a full pipe; when it is read again, the log says how many lines are missing."""
        reader, writer = os.pipe()
        proxy = self.relay(log={"format": "text"}, process={"stderr": writer})
        os.close(writer)
        for _ in range(12_000):
            connection, hello = self.connect_hello(proxy)
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
            connection.close()
        os.set_blocking(reader, False)
        text = b""

        def said():
            nonlocal text
            try:
                text += os.read(reader, 1 << 20)
            except BlockingIOError:
                pass
            return re.search(rb"[0-9]+ log lines were dropped", text)

        processes.wait_until(said, "the log to say how many lines were dropped")
        os.close(reader)

    def test_a_log_that_nobody_reads_does_not_hold_up_the_end(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while os.write(writer, b"full\n" * 1000):
                pass
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
        proxy = self.relay(process={"stderr": writer})
        os.close(writer)
        connection, hello = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        proxy.signal(signal.SIGTERM)
        processes.wait_until(lambda: not processes.listening_ports(proxy.pid), "the drain")
        proxy.signal(signal.SIGTERM)
        proxy.wait(15)


class Injection(ProxyTest):
    HOSTILE = [b"a\nb", b"a\r\nINFO forged", b"\x1b[2Jclear", b"\x07", b"nul\x00", b"\xff\xfe",
               b"quote\"}", b"\x9b31m", "\u202eevil".encode(), b"back\\slash"]

    def assert_clean(self, proxy):
        proxy.settle()
        raw = proxy.log_path.read_bytes()
        self.assertIsNone(re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw), raw[-2000:])
        raw.decode("utf-8")
        self.assertNotRegex(raw, rb"(?m)^INFO forged")

    def test_alpn_and_names_cannot_write_into_the_log(self):
        for format_ in ("text", "json"):
            proxy = self.relay(names=["*"], log={"format": format_})
            for hostile in self.HOSTILE:
                for hello in (with_alpn([hostile, b"h2"]), with_name(hostile + b".example")):
                    self.poke(proxy, hello)
            self.assert_clean(proxy)
            if format_ == "json":
                for line in proxy.log().splitlines():
                    json.loads(line)

    def test_http_hosts_cannot_either(self):
        web = listener("web", "http")
        backend = self.backend()
        for format_ in ("text", "json"):
            proxy = self.proxy({"listener": [web], "log": {"format": format_}, "route": [
                {"names": ["*"], "backend": backend.address, "listeners": ["web"]}]})
            for hostile in self.HOSTILE:
                self.poke(proxy, b"GET / HTTP/1.1\r\nHost: " + hostile + b"\r\n\r\n")
            self.assert_clean(proxy)
            proxy.end()


if __name__ == "__main__":
    main()
