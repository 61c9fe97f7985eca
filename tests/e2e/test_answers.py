#!/usr/bin/env python3
"""Clients that cannot be connected get a TLS alert that arrives, or a plain close."""

import os
import time
import unittest

from support import backends, processes, tls
from support.case import ProxyTest, main
from support.proxy import listener


class Answers(ProxyTest):
    def start(self, **config):
        """one.example is served, down.example refuses, and no other name has a route."""
        server = self.nginx("one.example")
        return self.proxy({"route": [
            {"names": ["one.example"], "backend": server.backend("one.example")},
            {"names": ["down.example"], "backend": f"127.0.0.1:{processes.free_port()}"},
        ], **config})

    def answer_to(self, proxy, sent):
        """Everything that the proxy sends, up to its FIN; an RST raises."""
        connection = self.connect(proxy)
        connection.sendall(sent)
        return backends.read_to_end(connection)

    def test_a_name_without_a_route_gets_unrecognized_name(self):
        proxy = self.start()
        answer = self.answer_to(proxy, tls.client_hello("three.example"))
        self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), answer)
        self.assertIn("SSL alert number 112", tls.s_client(proxy.port, name="three.example"))

    def test_a_tls_1_3_client_without_a_name_gets_missing_extension(self):
        proxy = self.start()
        answer = self.answer_to(proxy, tls.client_hello(None))
        self.assertTrue(tls.is_fatal_alert(answer, tls.MISSING_EXTENSION), answer)
        self.assertIn("SSL alert number 109", tls.s_client(proxy.port))
        self.assertIn("SSL alert number 112", tls.s_client(proxy.port, "-tls1_2"))

    def test_a_hello_that_is_tls_and_of_no_use_gets_the_alert_that_fits(self):
        proxy = self.start()
        silent = self.start(answers={"alerts": False})
        message = tls.client_hello("one.example")[5:]
        broken = bytearray(message)
        broken[4 + 2 + 32 + 1 + 32 + 1] ^= 1  # The length of the cipher suites is odd.
        hellos = {
            "odd cipher suites": (tls.records(bytes(broken), [len(broken)]), tls.DECODE_ERROR),
            "an empty record": (b"\x16\x03\x01\x00\x00" * 2, tls.DECODE_ERROR),
            "a hello that is too long": (
                tls.records(b"\x01\xff\xff\xff" + bytes(64), [68]), tls.DECODE_ERROR),
            "too many records": (
                tls.records(tls.padded_hello("one.example", 4000)[5:], [1] * 4000),
                tls.DECODE_ERROR),
            "a record that is too long": (
                b"\x16\x03\x01\xff\xff" + bytes(64), tls.RECORD_OVERFLOW),
            "a server hello": (
                tls.records(b"\x02" + message[1:], [len(message)]), tls.UNEXPECTED_MESSAGE),
            "an alert within the hello": (
                tls.records(message, [20])[:25] + b"\x15\x03\x03\x00\x02\x02\x28",
                tls.UNEXPECTED_MESSAGE),
        }
        for what, (sent, alert) in hellos.items():
            with self.subTest(what):
                answer = self.answer_to(proxy, sent)
                self.assertTrue(tls.is_fatal_alert(answer, alert), answer)
                self.assertEqual(self.ends_without_answer(silent, sent), b"")
        self.assertEqual(self.server_certificate(proxy, "one.example"), "one.example")

    def ends_without_answer(self, proxy, sent):
        connection = self.connect(proxy)
        try:
            connection.sendall(sent)
            return backends.read_to_end(connection)
        except ConnectionError:
            return b""  # It has not read all that we sent, so the system sends an RST.

    def test_invalid_host_names_are_logged_and_answered(self):
        proxy = self.start()
        for name, shown, why in (
            (b"one.example:443", "one.example:443", "has a port"),
            ("b\u00fccher.example".encode(), "b\u00c3\u00bccher.example", "is not ASCII"),
            (b"a b", "a b", "is not a host name"),
            (b"a\0b", "a\0b", "is not a host name"),
            (b"[2001:db8::1]", "[2001:db8::1]", "is an address"),
            (b"a" * 64 + b".example", "a" * 64 + ".example", "is too long"),
            (b"", "", "is empty"),
            (None, "", "is empty"),
        ):
            with self.subTest(name=name):
                before = len(self.lines(proxy))
                answer = self.answer_to(proxy, tls.named_hello(name))
                self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), answer)
                line = proxy.access(before + 1)[-1]
                self.assertEqual((line["server_name"], line["end"]), (shown, "malformed"))
                self.assertEqual(line["error"], f"the name {why}")

    def lines(self, proxy):
        proxy.settle()
        return [record for record in proxy.records() if "end" in record]

    def test_an_address_as_name_is_shown_and_counts_as_no_name(self):
        proxy = self.start()
        for name, why in (("192.0.2.1", "is an address"), ("1.2.3.4.5", "ends in a number")):
            before = len(self.lines(proxy))
            answer = self.answer_to(proxy, tls.named_hello(name.encode()))
            self.assertTrue(tls.is_fatal_alert(answer, tls.UNRECOGNIZED_NAME), answer)
            line = proxy.access(before + 1)[-1]
            self.assertEqual((line["server_name"], line["end"], line["error"]),
                             (name, "no_route", f"the name {why}"))

    def test_a_port_behind_the_name_is_taken_off_where_that_is_wanted(self):
        proxy = self.start(listener=[listener() | {"strip_port": True}])
        backend_closes = self.answer_to(proxy, tls.named_hello(b"down.example:443"))
        self.assertTrue(tls.is_fatal_alert(backend_closes, tls.INTERNAL_ERROR), backend_closes)

    def test_long_hellos_are_taken_up_to_the_key(self):
        hello = tls.padded_hello("down.example", 16_100)
        message = hello[5:]
        for size, alert in (("16KiB", tls.DECODE_ERROR), ("64KiB", tls.INTERNAL_ERROR)):
            proxy = self.start(limits={"hello_bytes": size})
            answer = self.answer_to(proxy, tls.records(message, [16_384]))
            self.assertTrue(tls.is_fatal_alert(answer, alert), answer)

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
        self.assertEqual(len(proxy.access(1)), 1)  # It has ended although we hold our side open.

    def test_a_client_that_never_stops_sending_is_cut(self):
        proxy = self.start()
        connection = self.connect(proxy)
        connection.sendall(tls.client_hello("three.example"))
        with self.assertRaises(OSError):
            while True:
                connection.sendall(bytes(4096))
                time.sleep(0.002)
        proxy.access(1)

    def test_anything_but_tls_is_closed_without_an_answer(self):
        proxy = self.start()
        garbage = {
            "http": b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n",
            "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
            "zeros": bytes(64),
            "no TLS version": b"\x17\x02\x03\x00\x05hello",
            "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
        }
        for what, sent in garbage.items():
            with self.subTest(what):
                connection = self.connect(proxy)
                connection.sendall(sent)
                try:
                    self.assertEqual(backends.read_to_end(connection), b"")
                except ConnectionResetError:
                    pass  # It has not read all that we sent, so the system sends an RST.
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
