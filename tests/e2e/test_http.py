#!/usr/bin/env python3
"""Listeners with protocol "http" route by the Host of the first request."""

import contextlib
import unittest

from support import backends, processes
from support.case import ProxyTest, main
from support.proxy import listener


class Http(ProxyTest):
    def start(self, **config):
        server = self.nginx("one.example", "two.example", plain=True)
        web = {"listeners": ["web"]}
        return self.proxy({"listener": [listener("web", "http")], "route": [
            {"names": ["one.example", "*.one.example"], "backend": server.backend("one.example")} | web,
            {"names": ["two.example"], "backend": server.backend("two.example")} | web,
            {"names": ["down.example"], "backend": f"127.0.0.1:{processes.free_port()}"} | web,
        ], **config})

    def exchange(self, proxy, request):
        """The whole answer; the request asks for the close itself, or is refused."""
        connection = self.connect(proxy)
        connection.sendall(request)
        return backends.read_to_end(connection)

    def get(self, proxy, host, target="/x", version="1.1", extra=""):
        return self.exchange(proxy, (f"GET {target} HTTP/{version}\r\nHost: {host}\r\n{extra}"
                                     "Connection: close\r\n\r\n").encode())

    def test_the_host_chooses_the_backend(self):
        proxy = self.start()
        expected = {"one.example": "one", "ONE.example": "one", "a.one.example": "one",
                    "one.example:8080": "one", "one.example.": "one", "two.example": "two"}
        for host, backend in expected.items():
            with self.subTest(host=host):
                answer = self.get(proxy, host)
                self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer)
                self.assertTrue(answer.endswith(f"{backend}.example /x\n".encode()), answer)

    def test_the_host_of_an_absolute_target_wins(self):
        answer = self.get(self.start(), "one.example", "http://two.example/y")
        self.assertIn(b"two.example", answer)

    def test_a_head_in_pieces_is_joined(self):
        proxy = self.start()
        connection = self.connect(proxy)
        for byte in b"GET /x HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n":
            connection.sendall(bytes([byte]))
        self.assertTrue(backends.read_to_end(connection).endswith(b"two.example /x\n"))

    def assert_answer(self, answer, *statuses):
        self.assertIn(int(answer.split()[1]), statuses, answer)
        head, body = answer.split(b"\r\n\r\n", 1)
        self.assertIn(f"content-length: {len(body)}".encode(), head.lower())
        self.assertIn(b"connection: close", head.lower())

    def test_an_unknown_host_gets_a_4xx(self):
        self.assert_answer(self.get(self.start(), "three.example"), 404, 421)

    def test_a_backend_that_is_down_gets_502(self):
        self.assert_answer(self.get(self.start(), "down.example"), 502)

    def test_a_body_in_flight_does_not_destroy_the_answer(self):
        request = b"POST / HTTP/1.1\r\nHost: three.example\r\nContent-Length: 50000\r\n\r\n"
        self.assert_answer(self.exchange(self.start(), request + bytes(50_000)), 404, 421)

    def test_requests_that_are_not_http_or_contradict_themselves_reach_no_backend(self):
        proxy = self.start()
        for request in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: one.example\r\n folded\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: one.example\x00.two.example\r\n\r\n"):
            with self.subTest(request=request[:40]):
                try:
                    answer = self.exchange(proxy, request)
                except ConnectionResetError:
                    answer = b""
                self.assertNotIn(b" 200 ", answer[:16])

    def test_a_wrong_request_head_gets_an_error(self):
        proxy = self.start()
        for request, status in (
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.0\n\n", 400),
            (b"GET /\r\n", 400),  # HTTP/0.9, whose client sends nothing more.
            (b"GET /\n", 400),
            (b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: one.example\r\n\r\n", 400),
            (b"\n\nGET / HTTP/1.1\r\nHost: one.example\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: b\xc3\xbccher.example\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n", 400),
            (b"GET /a b HTTP/1.1\r\nHost: one.example\r\n\r\n", 400),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nCookie: " + b"c" * 17_000 + b"\r\n\r\n", 431),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ):
            with self.subTest(request=request[:60]):
                self.assert_answer(self.exchange(proxy, request), status)

    def test_the_log_shows_a_host_that_cannot_be_used_and_why(self):
        proxy = self.start()
        hosts = (("10.0.0.1", "no_route", "the name is an address"),
                 ("[::1]:80", "no_route", "the name is an address"),
                 ("b\xfccher.example", "malformed", "the name is not ASCII"),
                 ("one example", "malformed", "the name is not a host name"))
        for count, (host, end, error) in enumerate(hosts, start=1):
            with self.subTest(host):
                self.exchange(proxy, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
                record = proxy.access(count)[-1]
                self.assertEqual((record["end"], record["error"]), (end, error))
                self.assertTrue(record["server_name"])

    def test_an_answer_to_a_head_request_has_no_body(self):
        proxy = self.start()
        for request, status in ((b"HEAD /x HTTP/1.1\r\nHost: three.example\r\n\r\n", 421),
                                (b"HEAD /x HTTP/1.1\r\nHost: down.example\r\n\r\n", 502),
                                (b"HEAD /x HTTP/1.0\r\n\r\n", 404),
                                (b"HEAD /x HTTP/1.1\r\n\r\n", 400),
                                (b"\r\nHEAD /x\r\n", 400)):
            with self.subTest(request=request):
                head, body = self.exchange(proxy, request).split(b"\r\n\r\n", 1)
                self.assertEqual(int(head.split()[1]), status, head)
                self.assertRegex(head.decode(), r"(?i)\r\ncontent-length: [1-9]")
                self.assertEqual(body, b"")

    def test_a_head_that_is_not_whole_in_time_gets_408_and_silence_gets_none(self):
        proxy = self.start(timeouts={"hello": "300ms"})
        begun = [b"G", b"\r\n", b"GET /x HTTP/1.1\r\nHost: two.exa"]
        for sent in begun:
            self.assert_answer(self.exchange(proxy, sent), 408)
        head = self.exchange(proxy, b"HEAD /x HTTP/1.1\r\nHost: two.exa")
        self.assertTrue(head.startswith(b"HTTP/1.1 408 ") and head.endswith(b"\r\n\r\n"), head)
        self.assertEqual(self.exchange(proxy, b""), b"")
        self.assertEqual([line["end"] for line in proxy.access(5)], ["hello_timeout"] * 5)
        # What still comes is read, so that the answer is not lost in an RST.
        dribbling = self.connect(proxy)
        dribbling.sendall(b"GET /x HTTP/1.1\r\n")
        seen = b""
        while b"\r\n\r\n408 Request Timeout\n" not in seen:
            dribbling.sendall(b"x: y\r\n")
            dribbling.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                piece = dribbling.recv(backends.BLOCK)
                self.assertNotEqual(piece, b"", seen)
                seen += piece
        behind = self.proxy({"listener": [listener("web", "http") |
                                          {"accept_proxy_from": ["127.0.0.1"]}],
                             "route": proxy.config["route"], "timeouts": {"hello": "300ms"}})
        self.assertEqual(self.exchange(behind, b"PROXY TCP4 192.0.2.7"), b"", "no head has begun")

    def test_an_empty_line_before_the_request_is_passed_over(self):
        request = b"\r\nGET /x HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n"
        self.assertTrue(self.exchange(self.start(), request).endswith(b"two.example /x\n"))

    def test_a_route_redirects_to_https_but_for_acme(self):
        server = self.nginx("one.example", plain=True)
        web = {"listeners": ["web"], "redirect": "https"}
        proxy = self.proxy({"listener": [listener("web", "http")], "route": [
            {"names": ["one.example"], "backend": server.backend("one.example"),
             "redirect_except_acme": True} | web,
            {"names": ["*"]} | web]})
        head = self.get(proxy, "One.example:80", "/a?b=c").decode()
        self.assertTrue(head.startswith("HTTP/1.1 308 "), head)
        self.assertIn("\r\nLocation: https://one.example/a?b=c\r\n", head)
        acme = "/.well-known/acme-challenge/token"
        self.assertTrue(self.get(proxy, "one.example", acme).startswith(b"HTTP/1.1 200 "))
        self.assertIn(f"https://two.example{acme}\r\n", self.get(proxy, "two.example", acme).decode())
        self.assertIn(f"https://one.example{acme}/../x\r\n",
                      self.get(proxy, "one.example", acme + "/../x").decode())
        self.assert_answer(self.exchange(proxy, b"GET / HTTP/1.0\r\n\r\n"), 400)
        # The backend's client keeps its side open, so its line is not written yet.
        self.assertEqual(sorted(line["end"] for line in proxy.access(4)),
                         ["malformed", "redirected", "redirected", "redirected"])

    def test_targets_that_are_not_resources_are_not_redirected(self):
        proxy = self.proxy({"listener": [listener("web", "http")], "route": [
            {"names": ["*"], "listeners": ["web"], "redirect": "https"}]})
        for request in (b"OPTIONS * HTTP/1.1\r\nHost: one.example\r\n\r\n",
                        b"CONNECT one.example:443 HTTP/1.1\r\nHost: one.example:443\r\n\r\n"):
            answer = self.exchange(proxy, request)
            self.assert_answer(answer, 405)
            self.assertIn(b"\r\nAllow:", answer)
        self.assertEqual({(line["end"], line["error"]) for line in proxy.access(2)},
                         {("refused", "the target cannot be redirected")})

    def test_a_route_that_refuses_answers_closes_or_says_nothing(self):
        web = {"listeners": ["web"]}
        proxy = self.proxy({"listener": [listener("web", "http")], "route": [
            {"names": ["alert.example"], "refuse": "alert"} | web,
            {"names": ["close.example"], "refuse": "close"} | web]})
        self.assert_answer(self.get(proxy, "alert.example"), 421)
        self.assertEqual(self.get(proxy, "close.example"), b"")

    def test_later_requests_of_a_connection_stay_with_their_backend(self):
        proxy = self.start()
        connection = self.connect(proxy)
        connection.sendall(b"GET /1 HTTP/1.1\r\nHost: one.example\r\n\r\n"
                           b"GET /2 HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n")
        answer = backends.read_to_end(connection)
        self.assertIn(b"one.example /1\n", answer)
        self.assertTrue(answer.endswith(b"one.example /2\n"))


if __name__ == "__main__":
    main()
