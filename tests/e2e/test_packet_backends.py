#!/usr/bin/env python3
"""The packet plane with more than the client's bytes to the backend."""

from support import backends, proxied
from support.case import main
from support.packet import Packet

MIB = 1 << 20


class Backends(Packet):
    def test_proxy_headers_do_not_count_as_bytes_of_the_client(self):
        def handler(connection):
            header = bytearray()
            while not header.endswith(b"\r\n"):
                header += backends.read_exactly(connection, 1)
            headers.append(bytes(header))
            backends.echo(connection)

        headers = []
        started = self.started("remote", handler, route_keys={"send_proxy": "v1"},
                               listen={"accept_proxy_from": ["198.18.0.0/15"]})
        connection = self.connect(started)
        connection.sendall(proxied.v2("192.0.2.7", "198.51.100.1"))
        connection, sent = self.handed_over(started, connection=connection)
        connection.sendall(bytes(MIB))
        self.assertEqual(backends.read_exactly(connection, MIB), bytes(MIB))
        connection.close()
        record = self.line(started)
        self.assertEqual(headers, [proxied.v1("192.0.2.7", "198.51.100.1")])
        self.assertEqual(record["client"], "192.0.2.7:50123")
        self.assertEqual((record["client_bytes"], record["server_bytes"]),
                         (sent + MIB, sent + MIB))


if __name__ == "__main__":
    main()
