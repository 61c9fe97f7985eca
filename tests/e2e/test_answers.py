#!/usr/bin/env python3
"""What a client gets that cannot be connected: a TLS alert that arrives, or a plain close."""

import os
import time
import unittest

from support import backends, processes, tls
from support.case import ProxyTest, main


class Answers(ProxyTest):
    def start(self, **config):
        """one.example is served, down.example refuses, and no other name has a route."""
        server = self.nginx("one.example")
        return self.proxy({"route": [
            {"names": ["one.example"], "backend": server.backend("one.example")},
            {"names": ["down.example"], "backend": f"127.0.0.1:{processes.free_port()}"},
        ], **config})

    def answer_to(self, proxy, sent):
        """Everything that the proxy sends, up to its FIN; a RST raises."""
        connection = self.connect(proxy)
        connection.sendall(sent)
        return backends.read_to_end(connection)

    def test_a_name_without_a_route_gets_unrecognized_name(self):
        proxy = self.start()
        for name in ("three.example", None):
            answer = self.answer_to(proxy, tls.client_hello(name))
            self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), answer)
        self.assertIn("SSL alert number 112", tls.s_client(proxy.port, name="three.example"))

    def test_a_backend_that_cannot_be_reached_gets_internal_error(self):
        proxy = self.start()
        answer = self.answer_to(proxy, tls.client_hello("down.example"))
        self.assertTrue(tls.is_fatal_alert(answer, tls.INTERNAL_ERROR), answer)
        self.assertIn("SSL alert number 80", tls.s_client(proxy.port, name="down.example"))

    def test_tls_1_2_clients_understand_the_alerts(self):
        proxy = self.start()
        self.assertIn("SSL alert number 112",
                      tls.s_client(proxy.port, "-tls1_2", name="three.example"))

    def test_curl_names_the_alert(self):
        status, _, error = tls.curl(self.start().port, "https://three.example/")
        self.assertEqual(status, 35, error)  # CURLE_SSL_CONNECT_ERROR.
        self.assertIn("unrecognized name", error)

    def test_unread_input_does_not_destroy_the_answer(self):
        proxy = self.start()
        for extra in (1, 1000, 60_000):
            connection = self.connect(proxy)
            connection.sendall(tls.client_hello("three.example") + os.urandom(extra))
            answer = backends.read_to_end(connection)
            self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), (extra, answer))

    def test_a_client_that_does_not_close_after_its_answer_is_closed(self):
        proxy = self.start()
        connection = self.connect(proxy)
        connection.sendall(tls.client_hello("three.example"))
        self.assertTrue(backends.read_to_end(connection))
        self.assertEqual(len(proxy.access(1)), 1)  # It is over though we hold our side open.

    def test_a_client_that_never_stops_sending_is_cut(self):
        proxy = self.start()
        connection = self.connect(proxy)
        connection.sendall(tls.client_hello("three.example"))
        with self.assertRaises(OSError):
            while True:
                connection.sendall(bytes(4096))
                time.sleep(0.002)
        proxy.access(1)

    def test_what_is_not_tls_is_closed_without_an_answer(self):
        proxy = self.start()
        message = tls.client_hello("one.example")[5:]
        garbage = {
            "http": b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n",
            "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
            "zeros": bytes(64),
            "application data": b"\x17\x03\x03\x00\x05hello",
            "a server hello": tls.records(b"\x02" + message[1:], [len(message)]),
            "an empty record": b"\x16\x03\x01\x00\x00" * 2,
            "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(64),
            "a hello that is too long": tls.records(b"\x01\xff\xff\xff" + bytes(64), [68]),
        }
        for what, sent in garbage.items():
            with self.subTest(what):
                connection = self.connect(proxy)
                connection.sendall(sent)
                try:
                    self.assertEqual(backends.read_to_end(connection), b"")
                except ConnectionResetError:
                    pass  # It has not read all that we sent: that is what the system makes of it.
        self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")

    def test_refused_and_malformed_connections_have_an_access_line(self):
        proxy = self.start()
        self.answer_to(proxy, tls.client_hello("three.example"))
        self.answer_to(proxy, tls.client_hello("down.example"))
        lines = proxy.access(2)
        self.assertEqual({line["server_name"]: line["end"] for line in lines},
                         {"three.example": "no_route", "down.example": "unreachable"})


if __name__ == "__main__":
    main()
