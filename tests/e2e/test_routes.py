#!/usr/bin/env python3
"""Every client gets the certificate of the backend that its route names."""

import os
import socket
import ssl
import unittest

from support import backends, processes, tls
from support.case import ProxyTest, main
from support.proxy import listener, port_of

ONE, TWO, FALLBACK = "one.example", "two.example", "fallback.example"


class Routes(ProxyTest):
    def setUp(self):
        super().setUp()
        self.servers = self.nginx(ONE, TWO, FALLBACK)

    def start(self, **config):
        routes = [
            {"names": [ONE, "*.one.example"], "backend": self.servers.backend(ONE)},
            {"names": [TWO], "backend": self.servers.backend(TWO)},
            {"names": ["*"], "backend": self.servers.backend(FALLBACK)},
        ]
        return self.proxy({"route": routes, **config})

    def test_exact_wildcard_and_fallback_names_reach_their_backends(self):
        proxy = self.start()
        expected = {
            "one.example": ONE, "a.one.example": ONE, "b.a.one.example": ONE,
            "two.example": TWO, "a.two.example": FALLBACK, "xone.example": FALLBACK,
            "example": FALLBACK, None: FALLBACK,
        }
        for name, server in expected.items():
            with self.subTest(name=name):
                self.assertEqual(self.server_certificate(proxy, name), server)

    def test_clients_without_a_name_have_a_route_of_their_own(self):
        proxy = self.proxy({"route": [
            {"names": ["-"], "backend": self.servers.backend(TWO)},
            {"names": ["*"], "backend": self.servers.backend(FALLBACK)}]})
        self.assertEqual(self.server_certificate(proxy, None), TWO)
        self.assertEqual(self.server_certificate(proxy, "127.0.0.1"), TWO)
        self.assertEqual(self.server_certificate(proxy, "any.example"), FALLBACK)
        only = self.proxy({"route": [{"names": ["-"], "backend": self.servers.backend(TWO)}]})
        self.assertEqual(self.server_certificate(only, None), TWO)
        self.assertIsNone(self.server_certificate(only, "any.example"))

    def test_a_route_refuses_what_a_wider_one_would_take(self):
        proxy = self.proxy({"route": [
            {"names": ["alert.example"], "refuse": "alert"},
            {"names": ["close.example"], "refuse": "close"},
            {"names": ["drop.example"], "refuse": "drop"},
            {"names": ["*"], "backend": self.servers.backend(FALLBACK)}]})
        answer = backends.read_to_end(self.connect_hello(proxy, "alert.example")[0])
        self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), answer)
        self.assertEqual(backends.read_to_end(self.connect_hello(proxy, "close.example")[0]), b"")
        dropped, _ = self.connect_hello(proxy, "drop.example")
        lines = proxy.access(3)
        self.assertEqual({(line["route"], line["end"]) for line in lines},
                         {(f"{what}.example", "refused") for what in ("alert", "close", "drop")})
        if os.geteuid() == 0:  # Otherwise the client gets an RST over lo.
            dropped.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                dropped.recv(1)
        self.assertEqual(self.server_certificate(proxy, "other.example"), FALLBACK)

    def test_a_route_serves_the_sources_of_its_access_alone_and_refuses_others_in_its_way(self):
        only = {"allow": ["127.0.0.2"], "default": "deny"}
        backend = self.servers.backend(ONE)
        proxy = self.proxy({"route": [
            {"names": ["alert.example"], "backend": backend, "access": only},
            {"names": ["close.example"], "backend": backend, "access": only, "refuse": "close"},
            {"names": ["*"], "backend": backend, "access": {"block": ["127.0.0.2"]}}]})

        def connect_from(source, name):
            connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=20,
                                                  source_address=(source, 0))
            self.addCleanup(connection.close)
            return self.handshake(connection, name) if name else connection
        for name in ("alert.example", "close.example"):
            self.assertEqual(connect_from("127.0.0.2", name), ONE)
        self.assertEqual(connect_from("127.0.0.1", "other.example"), ONE)
        self.assertIsNone(connect_from("127.0.0.2", "other.example"))
        answer = backends.read_to_end(self.connect_hello(proxy, "alert.example")[0])
        self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), answer)
        self.assertEqual(backends.read_to_end(self.connect_hello(proxy, "close.example")[0]), b"")
        refused = [line for line in proxy.access(6) if line["end"] == "refused"]
        self.assertEqual(len(refused), 3)
        self.assertEqual({line["error"] for line in refused},
                         {"access of the route refuses the source"})

    def test_case_and_a_trailing_dot_do_not_matter(self):
        proxy = self.start()
        for name in ("OnE.eXaMpLe", "one.example.", "A.ONE.EXAMPLE"):
            with self.subTest(name=name):
                output = tls.s_client(proxy.port, name=name)
                self.assertRegex(output, r"subject=CN ?= ?one\.example")

    def test_openssl_verifies_the_certificate_of_the_name(self):
        proxy = self.start()
        for name in (ONE, TWO):
            output = tls.s_client(proxy.port, "-CAfile", str(self.certificate(name)),
                                  "-verify_hostname", name, "-verify_return_error", name=name)
            self.assertIn("Verify return code: 0 (ok)", output)
        self.assertRegex(tls.s_client(proxy.port), r"subject=CN ?= ?fallback\.example")

    def test_curl_gets_the_page_of_the_name(self):
        proxy = self.start()
        for version in ("--http1.1", "--http2"):
            for name in (ONE, TWO):
                status, body, error = tls.curl(proxy.port, f"https://{name}/a?b", version,
                                               certificates=self.certificate(name))
                self.assertEqual((status, body), (0, f"{name} /a?b\n".encode()), error)

    def test_tls_1_2_and_1_3_clients_both_get_through(self):
        proxy = self.start()
        for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            output = tls.s_client(proxy.port, option, name=TWO)
            self.assertRegex(output, r"subject=CN ?= ?two\.example")
            self.assertIn(f"New, {version}, Cipher is", output)

    def test_an_openssl_server_is_served_like_any_other(self):
        pem, key = tls.certificate(str(self.directory), "s-server.example")
        port = processes.free_port()
        server = processes.Child(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(pem),
             "-key", str(key), "-www"], self.directory / "s_server.log")
        self.addCleanup(server.stop)
        server.wait_for_ports(port)
        proxy = self.proxy({"route": [{"names": ["s-server.example"],
                                       "backend": f"127.0.0.1:{port}"}]})
        status, body, error = tls.curl(proxy.port, "https://s-server.example/", certificates=pem)
        self.assertEqual(status, 0, error)
        self.assertIn(b"s_server", body)

    def test_a_route_serves_only_the_listeners_that_it_names(self):
        inner, outer = listener("inner"), listener("outer")
        routes = [
            {"names": ["*"], "backend": self.servers.backend(ONE), "listeners": ["inner"]},
            {"names": ["*"], "backend": self.servers.backend(TWO), "listeners": ["outer"]},
        ]
        proxy = self.proxy({"listener": [inner, outer], "route": routes})
        self.assertEqual(self.server_certificate(proxy, "x.example", "inner"), ONE)
        self.assertEqual(self.server_certificate(proxy, "x.example", "outer"), TWO)

    def test_alpn_narrows_a_route(self):
        challenges = self.backend(backends.say(b"challenge"))
        pages = self.backend(backends.say(b"page"))
        proxy = self.proxy({"route": [
            {"names": ["*"], "backend": challenges.address, "alpn": ["acme-tls/1"]},
            {"names": ["*"], "backend": pages.address},
        ]})
        expected = {("acme-tls/1",): b"challenge", ("h2", "acme-tls/1"): b"challenge",
                    ("h2", "http/1.1"): b"page", (): b"page"}
        for alpn, answer in expected.items():
            with self.subTest(alpn=alpn):
                connection = self.connect(proxy)
                connection.sendall(tls.client_hello(ONE, alpn=alpn))
                self.assertEqual(backends.read_exactly(connection, len(answer)), answer)

    def test_an_ipv6_listener_takes_both_families(self):
        both = listener("both", host="::")
        proxy = self.start(listener=[both])
        for host in ("127.0.0.1", "::1"):
            with self.connect(proxy, host=host) as raw:
                context = ssl._create_unverified_context()
                with context.wrap_socket(raw, server_hostname=ONE) as connection:
                    self.assertTrue(connection.version())

    def test_one_port_can_have_a_listener_for_each_family(self):
        four = listener("four")
        six = listener("six", host="::1", port=port_of(four)) | {"v6only": True}
        routes = [{"names": ["*"], "backend": self.servers.backend(ONE), "listeners": ["four"]},
                  {"names": ["*"], "backend": self.servers.backend(TWO), "listeners": ["six"]}]
        proxy = self.proxy({"listener": [four, six], "route": routes})
        for host, expected in (("127.0.0.1", ONE), ("::1", TWO)):
            raw = self.connect(proxy, host=host)
            self.assertEqual(self.handshake(raw, "x.example"), expected)

    def test_100000_names_load_and_each_leads_to_its_backend(self):
        count = 100_000
        even, odd = self.backend(backends.say(b"even")), self.backend(backends.say(b"odd"))
        names = [f"host-{number}.example" for number in range(count)]
        proxy = self.proxy({"route": [{"names": names[::2], "backend": even.address},
                                      {"names": names[1::2], "backend": odd.address}]})
        for number in (0, 1, 2, count // 2, count - 2, count - 1):
            connection, _ = self.connect_hello(proxy, names[number])
            self.assertEqual(backends.read_to_end(connection), (b"even", b"odd")[number % 2])
        connection, _ = self.connect_hello(proxy, f"host-{count}.example")
        self.assertTrue(tls.is_fatal_alert(backends.read_to_end(connection),
                                           tls.UNRECOGNIZED_NAME))


if __name__ == "__main__":
    main()
