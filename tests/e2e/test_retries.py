#!/usr/bin/env python3
"""A backend that accepts the connection and ends before it sends a byte: who gets the flight then."""

import collections
import re
import socket
import threading
import time

from support import backends, processes
from support.case import ProxyTest, main
from support.proxy import listener


class Retries(ProxyTest):
    """A backend that accepts the connection and ends before it sends a byte."""

    def two(self, handler, **route):
        """A proxy whose first backend has this handler, and whose second one reports what it
        got."""
        self.got = []

        def second(connection):
            self.got.append(connection.recv(65536))
            connection.sendall(b"second")
        self.first, self.second = self.backend(handler), self.backend(second)
        return self.proxy({"route": [{"names": ["*"], "backend": [
            self.first.address, self.second.address]} | route]})

    def test_one_that_resets_leads_to_the_next_which_gets_the_whole_flight(self):
        def refuse(connection):
            connection.recv(65536)
            backends.reset(connection)
        proxy = self.two(refuse)
        client, hello = self.connect_hello(proxy)
        self.assertEqual(backends.read_to_end(client), b"second")
        client.close()
        self.assertEqual(self.got, [hello])
        proxy.wait_log(re.escape(f"backend {self.first.address} is out: connection reset"))
        line, = proxy.access(1)
        self.assertEqual((line["backend"], line["attempts"], line["end"], line["server_bytes"]),
                         (self.second.address, 2, "done", 6))
        self.assertNotIn("error", line)

    def test_one_that_closes_leads_to_the_next_and_stays_the_first_choice(self):
        proxy = self.two(lambda connection: connection.recv(65536))
        for _ in range(2):
            client, _ = self.connect_hello(proxy)
            self.assertEqual(backends.read_to_end(client), b"second")
            client.close()
        self.assertEqual(self.first.accepted, 2)
        self.assertEqual([line["attempts"] for line in proxy.access(2)], [2, 2])

    def test_the_client_sees_what_the_last_backend_does(self):
        closing = [self.backend(lambda connection: connection.recv(65536)) for _ in range(3)]
        proxy = self.proxy({"route": [{"names": ["*"], "retries": 1,
                                       "backend": [each.address for each in closing]}]})
        client, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_to_end(client), b"")
        client.close()
        self.assertEqual([each.accepted for each in closing], [1, 1, 0])
        line, = proxy.access(1)
        self.assertEqual((line["attempts"], line["end"]), (2, "done"))

    def test_without_retries_the_first_one_has_the_last_word(self):
        proxy = self.two(lambda connection: connection.recv(65536), retries=0)
        client, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_to_end(client), b"")
        self.assertEqual(self.second.accepted, 0)

    def test_an_end_after_the_time_for_the_set_up_is_the_clients(self):
        def late(ending):
            def handler(connection):
                connection.recv(65536)
                time.sleep(0.6)
                ending(connection)
            return handler
        for ending, end in ((lambda connection: None, "done"), (backends.reset, "backend_reset")):
            proxy = self.two(late(ending))
            config = proxy.config | {"timeouts": {"setup": "300ms"}}
            proxy = self.proxy({key: config[key] for key in ("route", "timeouts")})
            client, _ = self.connect_hello(proxy)
            if end == "done":
                self.assertEqual(backends.read_to_end(client), b"")
            else:
                self.assertTrue(backends.is_reset(client))
            client.close()
            self.assertEqual(self.second.accepted, 0)
            line, = proxy.access(1)
            self.assertEqual((line["end"], line["attempts"], line["backend"]),
                             (end, 1, self.first.address))

    def test_a_client_that_has_sent_more_than_its_flight_is_not_moved(self):
        seen, told = threading.Event(), threading.Event()

        def take_more(connection):
            connection.recv(65536)
            seen.set()
            told.wait(20)
            if connection.recv(65536) == b"more":
                backends.reset(connection)
        proxy = self.two(take_more)
        client, _ = self.connect_hello(proxy)
        self.assertTrue(seen.wait(20))
        client.sendall(b"more")
        told.set()
        self.assertTrue(backends.is_reset(client))
        self.assertEqual(self.second.accepted, 0)
        self.assertEqual(proxy.access(1)[0]["end"], "backend_reset")

    def test_a_backend_that_has_sent_a_byte_is_the_last(self):
        def speak(connection):
            connection.recv(65536)
            connection.sendall(b"1")
            told.wait(20)
            backends.reset(connection)
        told = threading.Event()
        proxy = self.two(speak)
        client, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(client, 1), b"1")
        told.set()
        self.assertTrue(backends.is_reset(client))
        self.assertEqual(self.second.accepted, 0)

    def test_no_request_fails_that_a_second_backend_could_have_served(self):
        steady, port = self.backend(backends.say(b"ok")), processes.free_port()
        proxy = self.proxy({"route": [{"names": ["*"], "balance": "round_robin", "backend": [
            f"127.0.0.1:{port}", steady.address]}], "log": {"level": "info"}})
        ended, failures, served = threading.Event(), [], collections.Counter()

        def load():
            while not ended.is_set():
                try:
                    connection, _ = self.connect_hello(proxy)
                    with connection:
                        answer = backends.read_to_end(connection)
                except OSError as error:
                    answer = error
                served["all"] += 1
                if answer != b"ok":
                    failures.append(answer)
        clients = [threading.Thread(target=load) for _ in range(4)]
        for client in clients:
            client.start()
        for _ in range(6):
            flapping = backends.SocketBackend(backends.say(b"ok"), port=port)
            before = flapping.accepted
            processes.wait_until(lambda: flapping.accepted > before + 5, "the backend to be used")
            flapping.stop_accepting()
            flapping.end()
        ended.set()
        for client in clients:
            client.join(30)
        self.assertEqual(failures, [])
        self.assertGreater(served["all"], 50)
        self.assertIn(f"backend 127.0.0.1:{port} is back", proxy.log())

    def test_a_request_that_may_have_been_executed_is_sent_once(self):
        # An end by FIN: it stays the first choice.
        proxy = self.two(lambda connection: connection.recv(65536))
        route = proxy.config["route"][0] | {"listeners": ["http"]}
        proxy = self.proxy({"listener": [listener("http", protocol="http")], "route": [route]})
        for method, answer in (("POST", b""), ("PATCH", b""), ("LOCK", b""), ("GET", b"second"),
                               ("PUT", b"second"), ("DELETE", b"second")):
            with self.subTest(method=method), self.connect(proxy) as client:
                self.got.clear()
                request = f"{method} /pay HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"
                client.sendall(request.encode())
                self.assertEqual(backends.read_to_end(client), answer)
                self.assertEqual(len(self.got), 1 if answer else 0)

    def test_a_reset_counts_where_the_connection_cannot_be_moved_too(self):
        def refuse(connection):
            connection.recv(65536)
            backends.reset(connection)
        proxy = self.two(refuse, retries=0)
        client, _ = self.connect_hello(proxy)
        with client, self.assertRaises(ConnectionResetError):
            backends.read_to_end(client)
        proxy.wait_log(re.escape(f"backend {self.first.address} is out: connection reset"))
        client, _ = self.connect_hello(proxy)
        with client:
            self.assertEqual(backends.read_to_end(client), b"second")
        self.assertEqual(self.first.accepted, 1)

    def test_a_half_closed_client_is_moved_from_a_reset_and_stays_half_closed(self):
        def refuse(connection):
            backends.read_to_end(connection)
            backends.reset(connection)
        proxy = self.two(refuse)
        client, hello = self.connect_hello(proxy)
        with client:
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(backends.read_to_end(client), b"second")
        self.assertEqual(self.got, [hello])
        line, = proxy.access(1)
        self.assertEqual((line["attempts"], line["end"]), (2, "done"))

    def test_backends_that_all_reset_do_not_flood_the_log(self):
        def refuse(connection):
            connection.recv(65536)
            backends.reset(connection)
        both = [self.backend(refuse).address for _ in range(2)]
        proxy = self.proxy({"server": {"workers": 1},
                            "route": [{"names": ["*"], "backend": both}]})
        begin = time.monotonic()
        for _ in range(200):
            client, _ = self.connect_hello(proxy)
            with client, self.assertRaises(ConnectionResetError):
                backends.read_to_end(client)
        lines = len(re.findall("backend [^ ]* is (?:out|back)", proxy.log()))
        self.assertGreater(lines, 2)
        self.assertLessEqual(lines, 20 * (time.monotonic() - begin + 2))

    def held_flights(self):
        """Bytes of first flights that the proxy holds, by its metrics."""
        with socket.socket(socket.AF_UNIX) as metrics:
            metrics.connect(f"{self.directory}/metrics")
            metrics.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = backends.read_to_end(metrics).decode()
        return float(re.search(r"^sni_proxy_hello_memory_bytes (\S+)$", text, re.MULTILINE).group(1))

    def test_a_flight_is_kept_no_longer_than_another_backend_may_be_tried(self):
        def silent(connection):
            connection.recv(65536)
            self.over.wait(60)
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        first, second = self.backend(silent), self.backend(silent)
        proxy = self.proxy({"timeouts": {"setup": "1s"},
                            "metrics": {"listen": f"unix:{self.directory}/metrics"},
                            "route": [{"names": ["*"], "backend": [first.address, second.address]}]})
        clients = [self.connect_hello(proxy)[0] for _ in range(5)]
        processes.wait_until(lambda: first.accepted == 5, "five connections")
        self.assertGreater(self.held_flights(), 0)
        processes.wait_until(lambda: self.held_flights() == 0, "no flight is kept")
        self.over.set()
        for client in clients:
            self.assertEqual(backends.read_to_end(client), b"")
            client.close()
        self.assertEqual(second.accepted, 0)


if __name__ == "__main__":
    main()
