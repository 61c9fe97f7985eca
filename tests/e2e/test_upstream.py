#!/usr/bin/env python3
"""Backends that are reached by a SOCKS5 server."""

import subprocess
import time

from support import backends, processes, proxy, socks, tls
from support.case import ProxyTest, main

NAME = "one.example"


class Upstream(ProxyTest):
    def start(self, address, backend, upstream=None, route=None, **config):
        return self.proxy({
            "upstream": [{"name": "exit", "address": address} | (upstream or {})],
            "route": [{"names": [NAME], "backend": backend, "via": "exit"} | (route or {})],
            **config})

    def scripted(self, *arguments, backend="{name}:443", route=None, config=None, **options):
        """A proxy whose upstream behaves as given to socks.server()."""
        self.requests = []
        server = self.backend(socks.server(self.requests, *arguments, **options))
        return self.start(server.address, backend, route=route, **(config or {}))

    def microsocks(self, *arguments):
        started = socks.Microsocks(self.directory, *arguments)
        self.addCleanup(started.end)
        return started

    def password(self, text="secret\n"):
        path = self.directory / "password"
        path.write_text(text)
        return str(path)

    def exchange(self, proxy):
        """Whether the client gets its hello back, and the access line."""
        connection, hello = self.connect_hello(proxy, NAME)
        echoed = backends.read_exactly(connection, len(hello)) == hello
        connection.close()
        return echoed, proxy.access()[-1]

    def failed(self, proxy):
        connection, _ = self.connect_hello(proxy, NAME)
        answer = backends.read_to_end(connection)
        self.assertTrue(tls.is_fatal_alert(answer, 80), answer)  # internal_error
        line = proxy.access()[-1]
        return line["end"], line["error"]

    def test_microsocks_reaches_backends_by_address_and_by_name(self):
        server = self.nginx(NAME)
        port = server.ports[NAME]
        for backend in (f"127.0.0.1:{port}", f"localhost:{port}"):
            proxy = self.start(self.microsocks().address, backend)
            self.assertEqual(self.server_certificate(proxy, NAME), NAME)
            line = proxy.access()[0]
            self.assertEqual((line["backend"], line["upstream"]), (backend, "exit"))
            # openssl may leave before it has read the session tickets.
            self.assertIn(line["end"], ("done", "client_reset"))

    def test_microsocks_with_a_login(self):
        server = self.nginx(NAME)
        strict = self.microsocks("-u", "alice", "-P", "secret")
        login = {"username": "alice", "password_file": self.password()}
        proxy = self.start(strict.address, server.backend(NAME), login)
        self.assertEqual(self.server_certificate(proxy, NAME), NAME)
        without = self.start(strict.address, server.backend(NAME))
        self.assertEqual(self.failed(without),
                         ("unreachable", "upstream wants another kind of login"))
        (self.directory / "password").write_text("wrong")
        wrong = self.start(strict.address, server.backend(NAME), login)
        self.assertEqual(self.failed(wrong), ("unreachable", "upstream refused the login"))
        refused = f"127.0.0.1:{processes.free_port()}"
        (self.directory / "password").write_text("secret")
        closed = self.start(strict.address, refused, login)
        self.assertEqual(self.failed(closed), ("unreachable", "upstream says: connection refused"))

    def test_names_are_the_servers_to_resolve(self):
        proxy = self.scripted()
        echoed, line = self.exchange(proxy)
        self.assertTrue(echoed)
        self.assertEqual(self.requests, [
            (b"\5\1\0", b"\5\1\0\3\x0bone.example\x01\xbb")])
        self.assertEqual((line["backend"], line["upstream"]), (f"{NAME}:443", "exit"))
        self.assertEqual(line["client_bytes"], line["server_bytes"])
        dotted = self.scripted(backend="Db.Example.:8443")
        self.assertTrue(self.exchange(dotted)[0])
        self.assertEqual(self.requests[0][1], b"\5\1\0\3\x0adb.example\x20\xfb")
        ipv6 = self.scripted(backend="[2001:db8::1]:443")
        self.assertTrue(self.exchange(ipv6)[0])
        self.assertEqual(self.requests[0][1][:5], b"\5\1\0\4\x20")

    def test_bytes_behind_the_reply_are_the_backends(self):
        def speak(connection):
            connection.sendall(b"!")
            backends.drain(connection)
        for reply in (socks.GRANTED, b"\5\0\0\3\4abcd\0\1", b"\5\0\0\4" + bytes(18)):
            proxy = self.scripted(reply + b"first", then=speak)
            connection, _ = self.connect_hello(proxy, NAME)
            self.assertEqual(backends.read_exactly(connection, 6), b"first!")
            connection.close()
            self.assertEqual(proxy.access()[0]["server_bytes"], 6)

    def test_a_server_may_answer_byte_by_byte(self):
        self.assertTrue(self.exchange(self.scripted(pause=0.005))[0])

    def test_a_refusal_of_the_server_is_reported(self):
        replies = {1: "general failure", 2: "not allowed", 3: "network unreachable",
                   4: "host unreachable", 5: "connection refused", 6: "host unreachable",
                   77: "general failure"}
        for reply, text in replies.items():
            proxy = self.scripted(bytes([5, reply]))
            self.assertEqual(self.failed(proxy), ("unreachable", f"upstream says: {text}"))
        self.assertEqual(self.failed(self.scripted(bytes([5, 8]))),
                         ("unreachable", "upstream does not support the request"))

    def test_a_server_that_breaks_the_protocol_is_reported(self):
        hostile = {b"HT": "upstream does not speak SOCKS5", b"\5\2": "upstream does not speak SOCKS5",
                   b"\5\xff": "upstream wants another kind of login", b"": None}
        for method, error in hostile.items():
            if error:
                self.assertEqual(self.failed(self.scripted(method=method)), ("unreachable", error))
        self.assertEqual(self.failed(self.scripted(b"\5\0\0\2\0\0")),
                         ("unreachable", "upstream does not speak SOCKS5"))

        def leave(connection):
            connection.recv(1)
        proxy = self.start(self.backend(leave).address, "{name}:443")
        self.assertEqual(self.failed(proxy), ("unreachable", "upstream closed the connection"))

    def test_a_silent_server_costs_no_more_than_the_time_to_connect(self):
        def dribble(connection):
            with_pause = socks.server([], pause=0.2)
            with_pause(connection)
        for handler in (backends.drain, dribble):
            proxy = self.start(self.backend(handler).address, "{name}:443",
                               timeouts={"connect": "500ms"})
            begun = time.monotonic()
            self.assertEqual(self.failed(proxy), ("connect_timeout", "no answer in time"))
            self.assertLess(time.monotonic() - begun, 5)

    def test_the_next_backend_is_asked_for_when_one_is_refused(self):
        self.requests = []
        good = socks.server(self.requests)
        bad = socks.server(self.requests, b"\5\5")

        def first_refused(connection):
            (bad if not self.requests else good)(connection)
        server = self.backend(first_refused)
        proxy = self.start(server.address, ["192.0.2.1:1", "192.0.2.2:2"])
        echoed, line = self.exchange(proxy)
        self.assertTrue(echoed)
        self.assertEqual(line["backend"], "192.0.2.2:2")
        self.assertEqual([request[1][4:8] for request in self.requests],
                         [b"\xc0\0\2\1", b"\xc0\0\2\2"])

    def test_a_backend_behind_the_server_is_out_by_itself(self):
        for reply in (b"", b"\5\5"):
            def answer(request, reply=reply):
                return reply if request[4:8] == b"\xc0\0\2\1" else socks.GRANTED
            proxy = self.scripted(answer, backend=["192.0.2.1:1", "192.0.2.2:2"],
                                  config={"timeouts": {"attempt_delay": "100ms"}})
            for _ in range(2):
                self.assertTrue(self.exchange(proxy)[0])
            self.assertEqual([(line["backend"], line["attempts"]) for line in proxy.access(2)],
                             [("192.0.2.2:2", 2), ("192.0.2.2:2", 1)])
            proxy.wait_log(r"backend 192\.0\.2\.1:1 by upstream exit \(.*\) is out")
            self.assertNotIn("upstream exit is out", proxy.log())

    def test_a_server_that_is_gone_is_out_for_all_backends_behind_it(self):
        proxy = self.start(f"127.0.0.1:{processes.free_port()}", ["192.0.2.1:1", "192.0.2.2:2"])
        self.assertEqual(self.failed(proxy), ("unreachable", "connection refused"))
        proxy.wait_log("upstream exit is out: connection refused")

    def test_listed_names_go_by_the_server_and_the_rest_directly(self):
        server = self.backend(socks.server(requests := []))
        direct = self.backend()
        proxy = self.proxy({
            "upstream": [{"name": "exit", "address": server.address}],
            "route": [{"names": [NAME], "backend": "{name}:443", "via": "exit"},
                      {"names": ["*"], "backend": direct.address}]})
        self.assertTrue(self.exchange(proxy)[0])
        connection, hello = self.connect_hello(proxy, "other.example")
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.close()
        by_server = {line["server_name"]: "upstream" in line for line in proxy.access(2)}
        self.assertEqual(by_server, {NAME: True, "other.example": False})
        self.assertEqual(len(requests), 1)

    def test_a_proxy_header_comes_after_the_dialog(self):
        got = []

        def keep(connection):
            got.append(connection.recv(backends.BLOCK))
        proxy = self.scripted(route={"send_proxy": "v1"}, then=keep)
        connection, hello = self.connect_hello(proxy, NAME)
        backends.drain(connection)
        self.assertTrue(got[0].startswith(b"PROXY TCP4 127.0.0.1 "), got)
        self.assertTrue(got[0].endswith(hello))

    def test_a_server_at_a_unix_socket(self):
        path = str(self.directory / "socks.sock")

        def handler(connection):
            methods = backends.read_exactly(connection, 3)
            self.assertEqual(methods, b"\5\1\0")
            connection.sendall(b"\5\0")
            socks.read_request(connection)
            connection.sendall(socks.GRANTED)
            backends.echo(connection)
        server = self.backend(handler, path=path)
        self.assertTrue(self.exchange(self.start(server.address, "{name}:443"))[0])

    def test_clients_that_leave_amid_the_dialog_leave_nothing_behind(self):
        server = self.backend(backends.drain)
        proxy = self.start(server.address, "{name}:443")
        before = proxy.descriptors()
        for _ in range(20):
            connection, _ = self.connect_hello(proxy, NAME)
            backends.reset(connection)
        proxy.access(20)
        processes.wait_until(lambda: proxy.descriptors() <= before, "every descriptor to be closed")

    def test_a_password_that_cannot_be_had_is_a_mistake(self):
        login = {"username": "alice"}
        for text, error in (("", "no password"), ("x" * 256, "no password"), (None, "No such file")):
            path = self.directory / "no-password"
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)
            upstream = {"name": "exit", "address": "127.0.0.1:1080", "password_file": str(path)}
            config = self.directory / "check.toml"
            config.write_text(proxy.to_toml(proxy.complete({
                "upstream": [upstream | login],
                "route": [{"names": [NAME], "backend": "{name}:443", "via": "exit"}]},
                self.directory)))
            done = subprocess.run([proxy.BINARY, "check", "--config", str(config)],
                                  capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stdout + done.stderr,
                             f"'password_file' in \\[\\[upstream\\]\\].*{error}")



if __name__ == "__main__":
    main()
