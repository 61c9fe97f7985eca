#!/usr/bin/env python3
"""The PROXY protocol, to backends and from proxies before this one."""

import contextlib
import re
import socket
import time

from support import backends, processes, proxied, tls
from support.case import ProxyTest, main
from support.proxy import listener

NAME = "one.example"
CLIENT, FRONT = "192.0.2.7", "198.51.100.1"
TRUSTED = "127.0.0.2"  # Other clients of the tests come from 127.0.0.1.


def connect_from(source, port):
    return socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))


class ToBackends(ProxyTest):
    def start(self, route, handler=None, listen=None, **options):
        self.received = []

        def keep(connection):
            self.received.append(connection.recv(backends.BLOCK))
            connection.sendall(b"!")
            connection.recv(1)
        backend = self.backend(handler or keep, **options)
        route = {"names": [NAME], "backend": backend.address} | route
        return self.proxy({"route": [route], "listener": [listen or listener()]})

    def exchange(self, proxy, host="127.0.0.1", hello=None):
        """The backend's first read, the hello, the client's end, and the access line."""
        hello = hello or tls.client_hello(NAME)
        with socket.create_connection((host, proxy.port), timeout=20) as connection:
            connection.sendall(hello)
            self.assertEqual(connection.recv(1), b"!")
            name = connection.getsockname()
        return self.received[-1], hello, name, proxy.access(len(self.received))[-1]

    def test_version_1_comes_before_the_hello_in_one_piece(self):
        proxy = self.start({"send_proxy": "v1"})
        got, hello, client, line = self.exchange(proxy)
        expected = proxied.v1("127.0.0.1", "127.0.0.1", client[1], proxy.port)
        self.assertEqual(got, expected + hello)
        self.assertEqual(line["client_bytes"], len(hello))
        self.assertEqual(line["server_bytes"], 1)
        self.assertNotIn("unique_id", line)

    def test_version_2_tells_the_fields_that_are_asked_for(self):
        proxy = self.start({"send_proxy": "v2",
                            "send_proxy_fields": ["alpn", "authority", "unique_id", "crc32c"]})
        got, hello, client, line = self.exchange(proxy, hello=tls.client_hello(NAME, alpn=["h2"]))
        source, destination, fields, size = proxied.read_v2(got)
        self.assertEqual((source, destination), (client[:2], ("127.0.0.1", proxy.port)))
        self.assertEqual(got[size:], hello)
        self.assertEqual(fields[proxied.ALPN], b"h2")
        self.assertEqual(fields[proxied.AUTHORITY], NAME.encode())
        self.assertEqual(fields[proxied.UNIQUE_ID].decode(), line["unique_id"])
        self.assertEqual(len(fields[proxied.CRC32C]), 4)
        self.assertEqual(line["client_bytes"], len(hello))
        second = self.exchange(proxy)
        self.assertNotEqual(second[3]["unique_id"], line["unique_id"])

    def test_ipv6_clients_and_ipv4_clients_of_the_same_listener_are_what_they_are(self):
        listen = listener(host="::1")
        listen["address"] = listen["address"].replace("::1", "::")
        proxy = self.start({"send_proxy": "v2"}, listen=listen)
        for host in ("::1", "127.0.0.1"):
            got, hello, client, _ = self.exchange(proxy, host)
            source, destination, fields, size = proxied.read_v2(got)
            self.assertEqual((source, destination), (client[:2], (host, proxy.port)))
            self.assertEqual((got[size:], fields), (hello, {}))

    def test_a_backend_at_a_unix_socket_gets_the_header_too(self):
        proxy = self.start({"send_proxy": "v1"}, path=str(self.directory / "backend.sock"))
        got, hello, client, _ = self.exchange(proxy)
        self.assertEqual(got, proxied.v1("127.0.0.1", "127.0.0.1", client[1], proxy.port) + hello)

    def test_the_next_backend_gets_one_header_too(self):
        refused = f"127.0.0.1:{processes.free_port()}"
        proxy = self.start({"send_proxy": "v1"})
        route = dict(proxy.config["route"][0])
        route["backend"] = [refused, route["backend"]]
        proxy = self.proxy({"route": [route]})
        got, hello, client, _ = self.exchange(proxy)
        self.assertEqual(got, proxied.v1("127.0.0.1", "127.0.0.1", client[1], proxy.port) + hello)

    def test_each_backend_gets_its_own_form_of_the_header_and_so_does_its_stand_in(self):
        closing = self.backend(lambda connection: connection.recv(backends.BLOCK))
        proxy = self.start({"send_proxy": "v2"})
        address = proxy.config["route"][0]["backend"]
        for version, header in (("v1", proxied.v1), ("no", lambda *_: b"")):
            told = self.proxy({"route": [{
                "names": [NAME], "send_proxy": "v2",
                "backend": [closing.address, {"address": address, "send_proxy": version}]}]})
            self.received.clear()
            got, hello, client, _ = self.exchange(told)
            expected = header("127.0.0.1", "127.0.0.1", client[1], told.port)
            self.assertEqual(got, expected + hello, version)

    def nginx_backend(self):
        pem, key = tls.certificate(str(self.directory), NAME)
        nginx = proxied.Nginx(f"""http {{ access_log off; server {{
            listen 127.0.0.1:{{port}} ssl proxy_protocol;
            ssl_certificate {pem}; ssl_certificate_key {key};
            location / {{ return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr"; }}
            }} }}""", self.directory)
        self.addCleanup(nginx.end)
        return nginx

    def haproxy_backend(self):
        pem = proxied.combined_certificate(self.directory, NAME)
        haproxy = proxied.HaProxy(
            f"frontend f\n  mode http\n  bind 127.0.0.1:{{port}} accept-proxy ssl crt {pem}\n"
            '  http-request return status 200 content-type text/plain lf-string'
            ' "%[src]:%[src_port] %[dst] %[fc_pp_authority] %[fc_pp_unique_id]"\n', self.directory)
        self.addCleanup(haproxy.end)
        return haproxy

    def test_nginx_and_haproxy_understand_both_versions(self):
        fields = ["alpn", "authority", "unique_id", "crc32c"]
        for program in (self.nginx_backend(), self.haproxy_backend()):
            for form in ({"send_proxy": "v1"}, {"send_proxy": "v2"},
                         {"send_proxy": "v2", "send_proxy_fields": fields}):
                with self.subTest(program=type(program).__name__, **form):
                    proxy = self.proxy({"route": [
                        {"names": [NAME], "backend": f"127.0.0.1:{program.port}"} | form]})
                    status, body, error = tls.curl(
                        proxy.port, f"https://{NAME}/", "--interface", "127.0.0.5",
                        certificates=self.certificate(NAME))
                    self.assertEqual(status, 0, error)
                    line = proxy.access()[0]
                    told = body.decode().split(" ")
                    self.assertEqual(told[:2], [line["client"], "127.0.0.1"])
                    self.assertTrue(told[0].startswith("127.0.0.5:"), told)
                    if "send_proxy_fields" in form and len(told) == 4:
                        self.assertEqual(told[2:], [NAME, line["unique_id"]])


class FromProxies(ProxyTest):
    def start(self, route=None, listen=None, handler=backends.echo, **config):
        listen = listener() | {"accept_proxy_from": [f"{TRUSTED}/32"]} | (listen or {})
        backend = self.backend(handler)
        route = {"names": ["*"], "backend": backend.address, "listeners": ["https"]} | (route or {})
        return self.proxy({"listener": [listen], "route": [route], **config})

    def told(self, proxy, *pieces, source=TRUSTED, pause=0):
        """A connection with the pieces sent."""
        connection = connect_from(source, proxy.port)
        self.addCleanup(connection.close)
        for piece in pieces:
            connection.sendall(piece)
            if pause:
                time.sleep(pause)
        return connection

    def served(self, proxy, header, source=TRUSTED):
        hello = tls.client_hello(NAME)
        with contextlib.suppress(ConnectionError):
            connection = self.told(proxy, header + hello, source=source)
            answer = connection.recv(backends.BLOCK)
            connection.close()
            return answer == hello
        return False

    def test_the_client_is_the_one_that_the_header_tells(self):
        proxy = self.start()
        headers = [proxied.v1(CLIENT, FRONT), proxied.v2(CLIENT, FRONT),
                   proxied.v1("2001:db8::7", "2001:db8::1"),
                   proxied.v2("2001:db8::7", "2001:db8::1", fields=proxied.field(0xEE, b"x" * 900))]
        clients = [f"{CLIENT}:50123"] * 2 + ["[2001:db8::7]:50123"] * 2
        for count, (header, client) in enumerate(zip(headers, clients), 1):
            self.assertTrue(self.served(proxy, header))
            line = proxy.access(count)[-1]
            self.assertEqual(line["client"], client)
            self.assertTrue(line["proxy"].startswith(f"{TRUSTED}:"), line)
            self.assertEqual(line["client_bytes"], line["server_bytes"])

    def test_connections_of_the_proxy_itself_keep_their_ends(self):
        proxy = self.start(access={"default": "deny"})
        headers = [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2 3 4\r\n",
                   proxied.raw_v2(proxied.LOCAL, 0), proxied.raw_v2(proxied.LOCAL, 0x11, bytes(30)),
                   proxied.raw_v2(proxied.PROXY, 0), proxied.raw_v2(proxied.PROXY, 0x31, bytes(216))]
        for count, header in enumerate(headers, 1):
            self.assertTrue(self.served(proxy, header), header)
            line = proxy.access(count)[-1]
            self.assertEqual(line["client"], line["proxy"])

    def test_a_header_may_be_split_anywhere(self):
        proxy = self.start()
        hello = tls.client_hello(NAME)
        for header in (proxied.v1(CLIENT, FRONT), proxied.v2(CLIENT, FRONT, fields=b"\4\0\0")):
            whole = header + hello
            cuts = [1, 5, 6, 12, 13, 15, 16, len(header) - 1, len(header), len(header) + 1]
            for cut in cuts:
                connection = self.told(proxy, whole[:cut], whole[cut:], pause=0.005)
                self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
                connection.close()
            bytewise = [bytes([byte]) for byte in whole[:len(header) + 10]]
            connection = self.told(proxy, *bytewise, whole[len(header) + 10:], pause=0.001)
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
            connection.close()
        lines = proxy.access(22)
        self.assertEqual({line["client"] for line in lines}, {f"{CLIENT}:50123"})

    def test_no_backend_sees_a_connection_before_its_header_is_whole(self):
        reached = []
        proxy = self.start(handler=reached.append)
        v1, v2 = proxied.v1(CLIENT, FRONT), proxied.v2(CLIENT, FRONT, fields=b"\4\0\0")
        parts = [v1[:-1], v2[:12], v2[:16], v2[:-1]]
        for count, part in enumerate(parts, 1):
            connection = self.told(proxy, part)
            connection.shutdown(socket.SHUT_WR)  # There will be no more.
            self.assertEqual(backends.read_to_end(connection), b"")
            self.assertEqual(proxy.access(count)[-1]["end"], "client_left")
        # A hello inside the header's length is a part of the header.
        hello = tls.client_hello(NAME)
        swallowed = proxied.raw_v2(proxied.LOCAL, 0, hello)
        connection = self.told(proxy, swallowed[:-1])
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(backends.read_to_end(connection), b"")
        self.assertEqual(reached, [])

    def test_the_log_says_what_is_wrong_with_a_header(self):
        proxy = self.start()
        hello = tls.client_hello(NAME)
        spoilt = bytearray(proxied.v2(CLIENT, FRONT, fields=proxied.field(3, b"\1\2\3\4")))
        wrong = {
            hello: "no PROXY header came first",
            b"PROXY TCP4 1.2.3.4\r\n": "the PROXY header is malformed",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n": "the PROXY header is malformed",
            b"PROXY UNKNOWN " + b"x" * 100: "the PROXY header is too long",
            proxied.raw_v2(0x22, 0x11, bytes(12)): "the PROXY header is malformed",
            proxied.raw_v2(proxied.PROXY, 0x11, bytes(11)): "the PROXY header is malformed",
            proxied.SIGNATURE + b"\x21\x11\xff\xff": "the PROXY header is too long",
            bytes(spoilt): "the checksum of the PROXY header is wrong",
        }
        for count, (sent, error) in enumerate(wrong.items(), 1):
            backends.drain(self.told(proxy, sent))
            line = proxy.access(count)[-1]
            self.assertEqual((line["end"], line["error"]), ("proxy_header", error))
        self.assertTrue(self.served(proxy, proxied.v1(CLIENT, FRONT) ))
        self.assertFalse(self.served(proxy, proxied.v1(CLIENT, FRONT) * 2), "one header alone")

    def test_others_must_not_send_one(self):
        proxy = self.start()
        plain = self.proxy({"listener": [listener("web", "http")], "route": [
            {"names": ["*"], "listeners": ["web"], "backend": self.backend().address}]})
        for started in (proxy, plain):
            for count, header in enumerate([proxied.v1(CLIENT, FRONT), proxied.v2(CLIENT, FRONT)], 1):
                self.assertFalse(self.served(started, header, source="127.0.0.1"))
                line = started.access(count)[-1]
                self.assertEqual((line["end"], line["error"]), (
                    "proxy_header", "a PROXY header came from a source that must not send one"))
                self.assertTrue(line["client"].startswith("127.0.0.1:"), line)
        self.assertTrue(self.served(proxy, b"", source="127.0.0.1"))

    def test_header_and_hello_have_one_deadline(self):
        proxy = self.start(timeouts={"hello": "300ms"})
        header = proxied.v1(CLIENT, FRONT)
        for sent in (b"", header[:20], header, header + tls.client_hello(NAME)[:50]):
            backends.drain(self.told(proxy, sent))
        lines = proxy.access(4)
        self.assertEqual({line["end"] for line in lines}, {"hello_timeout"})
        self.assertEqual(sum(line["client"] == f"{CLIENT}:50123" for line in lines), 2)

    def test_lists_hold_for_the_client_and_not_for_the_proxy(self):
        proxy = self.start(access={"default": "deny", "allow": ["192.0.2.0/24"],
                                   "block": ["192.0.2.9/32"]})
        self.assertTrue(self.served(proxy, proxied.v1(CLIENT, FRONT)))
        self.assertTrue(self.served(proxy, proxied.v2("192.0.2.9", FRONT)), "allow wins")
        self.assertFalse(self.served(proxy, proxied.v1("203.0.113.1", FRONT)))
        self.assertFalse(self.served(proxy, b"", source="127.0.0.1"))
        line, = (each for each in proxy.access(3) if each["end"] != "done")
        self.assertEqual((line["client"], line["end"], line["error"]),
                         ("203.0.113.1:50123", "shut_out", "not_allowed"))

    def test_the_access_of_a_route_holds_for_the_client_and_not_for_the_proxy(self):
        backend = self.backend().address
        proxy = self.proxy({
            "listener": [listener() | {"accept_proxy_from": [TRUSTED]}],
            "route": [{"names": [NAME], "backend": backend,
                       "access": {"allow": [CLIENT], "default": "deny"}}]})
        self.assertTrue(self.served(proxy, proxied.v1(CLIENT, FRONT)))
        self.assertFalse(self.served(proxy, proxied.v1("192.0.2.8", FRONT)))
        self.assertTrue(self.served(proxy, b"PROXY UNKNOWN\r\n"))

    def test_the_limit_per_source_counts_clients(self):
        proxy = self.start(limits={"connections_per_source": 2})
        hello = tls.client_hello(NAME)
        held = []
        for client in (CLIENT, CLIENT, "192.0.2.8", "192.0.2.8"):
            held.append(self.told(proxy, proxied.v1(client, FRONT) + hello))
            self.assertEqual(backends.read_exactly(held[-1], len(hello)), hello)
        self.assertFalse(self.served(proxy, proxied.v1(CLIENT, FRONT)))
        self.assertEqual(proxy.access()[-1]["error"], "limits.connections_per_source")
        held[0].close()
        processes.wait_until(lambda: self.served(proxy, proxied.v1(CLIENT, FRONT)), "a free place")

    def test_a_client_is_banned_and_its_proxy_is_not(self):
        proxy = self.start(bans={"bad_hellos_per_minute": 3, "duration": "1h"})
        for _ in range(5):  # Faults of the trusted proxy count for no client.
            backends.drain(self.told(proxy, b"nonsense"))
        bad = proxied.v1(CLIENT, FRONT) + b"nonsense"

        def banned():
            backends.drain(self.told(proxy, bad))
            return proxy.access()[-1]["end"] == "shut_out"
        processes.wait_until(banned, "the ban")
        self.assertEqual(proxy.access()[-1]["error"], "banned")
        self.assertTrue(self.served(proxy, proxied.v1("192.0.2.8", FRONT)))
        self.assertFalse(self.served(proxy, proxied.v1(CLIENT, FRONT)))

    def test_a_header_is_passed_on_with_the_ends_that_it_tells(self):
        got = []

        def keep(connection):
            got.append(connection.recv(backends.BLOCK))
        proxy = self.start({"send_proxy": "v2"}, handler=keep)
        hello = tls.client_hello(NAME)
        backends.drain(self.told(proxy, proxied.v1(CLIENT, FRONT) + hello))
        source, destination, _, size = proxied.read_v2(got[0])
        self.assertEqual((source, destination), ((CLIENT, 50123), (FRONT, 443)))
        self.assertEqual(got[0][size:], hello)

    def test_a_probe_that_sends_its_header_alone_leaves_no_line_of_note(self):
        proxy = self.start()
        self.told(proxy, proxied.raw_v2(proxied.LOCAL, 0)).close()
        self.assertEqual(proxy.access()[0]["end"], "nothing_sent")

    def test_haproxy_and_nginx_in_front_tell_of_their_clients(self):
        server = self.nginx(NAME)
        proxy = self.start({"backend": server.backend(NAME)},
                           {"accept_proxy_from": ["127.0.0.1/32"]})
        to_us = f"127.0.0.1:{proxy.port}"
        haproxy = "listen l\n  mode tcp\n  bind 127.0.0.1:{port}\n  server s " + to_us
        fronts = [
            lambda: proxied.HaProxy(f"{haproxy} send-proxy\n", self.directory),
            lambda: proxied.HaProxy(f"{haproxy} send-proxy-v2 check inter 100ms\n", self.directory),
            lambda: proxied.HaProxy(f"{haproxy} send-proxy-v2 proxy-v2-options crc32c,unique-id\n"
                                    "  unique-id-format abc-%Ts\n", self.directory),
            lambda: proxied.Nginx("stream { server { listen 127.0.0.1:{port}; proxy_protocol on; "
                                  f"proxy_pass {to_us}; }} }}", self.directory),
        ]
        for start in fronts:
            front = start()
            self.addCleanup(front.end)
            status, body, error = tls.curl(front.port, f"https://{NAME}/x", "--interface",
                                           "127.0.0.5", certificates=self.certificate(NAME))
            self.assertEqual((status, body), (0, f"{NAME} /x\n".encode()), error)
            front.end()
        lines = processes.wait_until(
            lambda: found if len(found := [line for line in proxy.access()
                                           if line["client"].startswith("127.0.0.5:")]) == 4
            else None, "four clients")
        self.assertEqual({line["end"] for line in lines}, {"done"})
        others = [line for line in proxy.access() if line not in lines]
        self.assertEqual({line["end"] for line in others}, {"nothing_sent"}, "health checks")


if __name__ == "__main__":
    main()
