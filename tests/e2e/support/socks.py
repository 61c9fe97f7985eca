"""SOCKS5 servers: Debian's microsocks, and one whose answers the test defines."""

import socket
import time

from . import backends, processes

GRANTED = b"\5\0\0\1\0\0\0\0\0\0"


class Microsocks(processes.Child):
    def __init__(self, directory, *arguments):
        self.port = processes.free_port()
        self.address = f"127.0.0.1:{self.port}"
        super().__init__(["microsocks", "-i", "127.0.0.1", "-p", str(self.port), *arguments],
                         directory / f"microsocks{self.port}.log")
        self.wait_for_ports(self.port)

    def end(self):
        self.stop()


def read_request(connection):
    """The request after the methods, as bytes."""
    head = backends.read_exactly(connection, 5)
    rest = {1: 3 + 2, 3: head[4] + 2, 4: 15 + 2}[head[3]]
    return head + backends.read_exactly(connection, rest)


def server(requests, reply=GRANTED, *, method=b"\5\0", then=backends.echo, pause=None):
    """A handler that speaks SOCKS5 with the answers `method` and `reply`, which may be a function of
    the request, then behaves like a backend; `requests` collects the requests. With `pause` every
    answer is sent byte by byte."""
    def send(connection, data):
        for piece in [data] if pause is None else [bytes([byte]) for byte in data]:
            connection.sendall(piece)
            if pause:
                time.sleep(pause)

    def handler(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        methods = backends.read_exactly(connection, 2)
        methods += backends.read_exactly(connection, methods[1])
        send(connection, method)
        if method != b"\5\0":
            return backends.drain(connection)
        requests.append((methods, read_request(connection)))
        answer = reply(requests[-1][1]) if callable(reply) else reply
        send(connection, answer)
        if answer[:2] != b"\5\0":
            return backends.drain(connection)
        return then(connection)
    return handler
