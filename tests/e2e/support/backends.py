"""Backends: nginx with TLS, and plain sockets whose handler a test writes."""

import contextlib
import multiprocessing
import os
import pathlib
import select
import socket
import struct
import threading
import time

from . import processes, tls

BLOCK = 256 * 1024
ESTABLISHED, SYN_SENT = 1, 2  # enum in the kernel's net/tcp_states.h.


def read_exactly(connection, count):
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise AssertionError(f"end after {len(data)} of {count} bytes")
        data += piece
    return bytes(data)


def read_to_end(connection, limit=1 << 24):
    data = bytearray()
    while len(data) <= limit:
        piece = connection.recv(BLOCK)
        if not piece:
            return bytes(data)
        data += piece
    raise AssertionError(f"more than {limit} bytes")


def reset(connection):
    """Closes with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def tcp_state(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def is_reset(connection, seconds=20):
    """Whether the connection ends in an RST; earlier input is discarded."""
    connection.settimeout(seconds)
    try:
        while connection.recv(BLOCK):
            pass
    except ConnectionResetError:
        return True
    return False


def drain(connection):
    """Reads to the end, whether FIN or RST."""
    with contextlib.suppress(OSError):
        while connection.recv(BLOCK):
            pass


def echo(connection):
    """Echoes what it reads, then closes."""
    while piece := connection.recv(BLOCK):
        connection.sendall(piece)


def echo_until_reset(resets):
    """A handler like echo that appends to `resets` when the connection is reset."""
    def handler(connection):
        with contextlib.suppress(ConnectionResetError):
            return echo(connection)
        resets.append(connection)
    return handler


def say(mark):
    """A handler that reads the hello (a close over unread input would send an RST) and sends
    `mark`."""
    def handler(connection):
        connection.recv(BLOCK)
        connection.sendall(mark)
    return handler


class SocketBackend:
    """A listening socket; `handler(connection)` runs in a thread for each connection. An exception
    in a handler makes the test fail at its end."""

    def __init__(self, handler=echo, *, host="127.0.0.1", port=0, path=None,
                 backlog=1024):
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listening = socket.socket(family)
        self.port = None if path else port or processes.free_port(host)
        if not path:
            self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(path or (host, self.port))
        self.listening.listen(backlog)
        self.address = f"unix:{path}" if path else (
            f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}")
        self.handler = handler
        self.accepted = 0
        self.failures = []
        self.open = set()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.accepted += 1
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.handler(connection)
        except (ConnectionError, BrokenPipeError):
            pass  # The other side went away; a test that cares checks what arrived.
        except Exception as failure:
            self.failures.append(failure)
        finally:
            self.open.discard(connection)
            connection.close()

    def end(self):
        self.stop_accepting()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self.failures:
            raise self.failures[0]

    def stop_accepting(self):
        """Makes further connections be refused."""
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(10)


class Blackhole:
    """An address whose SYN is not answered: a listener with a full accept queue."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = "127.0.0.1:%d" % self.listening.getsockname()[1]
        self.fill = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listening.getsockname())
            self.fill.append(filler)
        # One is in the queue, and the SYN of another found it full.
        processes.wait_until(lambda: {SYN_SENT, ESTABLISHED} <= set(map(tcp_state, self.fill)),
                             "a full accept queue")

    def end(self):
        for opened in [self.listening, *self.fill]:
            opened.close()


class Nginx(processes.Child):
    """nginx with one TLS server for each name, with its own port and certificate. It answers every
    request with "<name> <request URI>", and serves and accepts files below /files/."""

    def __init__(self, names, directory, *, protocols="TLSv1.2 TLSv1.3", plain=False):
        self.directory = pathlib.Path(directory) / "nginx"
        files = self.directory / "files"
        files.mkdir(parents=True, exist_ok=True)
        self.ports = {name: processes.free_port() for name in names}
        servers = "".join(self._server(name, directory, protocols, plain) for name in names)
        configuration = self.directory / "nginx.conf"
        configuration.write_text(f"""
            daemon off; master_process off; pid {self.directory}/pid; error_log stderr warn;
            events {{ worker_connections 20000; }}
            http {{
              access_log off; client_max_body_size 0; sendfile on; default_type text/plain;
              client_body_temp_path {self.directory}/body; proxy_temp_path {self.directory}/p;
              fastcgi_temp_path {self.directory}/f; scgi_temp_path {self.directory}/s;
              uwsgi_temp_path {self.directory}/u; keepalive_requests 1000000; {servers}
            }}""")
        super().__init__(["nginx", "-c", str(configuration), "-e", "stderr"],
                         self.directory / "log", env=os.environ | {"PATH": "/usr/sbin:/usr/bin"})
        self.wait_for_ports(*self.ports.values())

    def _server(self, name, directory, protocols, plain):
        encryption = ""
        if not plain:
            pem, key = tls.certificate(str(directory), name)
            encryption = (f"ssl_certificate {pem}; ssl_certificate_key {key};"
                          f"ssl_protocols {protocols};")
        return f"""
            server {{
              listen 127.0.0.1:{self.ports[name]} {"" if plain else "ssl http2"} backlog=8192; {encryption}
              location / {{ return 200 "{name} $request_uri\\n"; }}
              location /files/ {{ root {self.directory}; dav_methods PUT; }}
            }}"""

    def backend(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def end(self):
        self.stop()


def numbered(count):
    """A process that serves `count` backends in turn, each of which sends its number, and their
    addresses: tens of thousands of connections take seconds."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(count)]
    server = multiprocessing.Process(target=send_numbers, args=(listeners,), daemon=True)
    server.start()
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in listeners]
    for each in listeners:
        each.close()
    return server, addresses


def send_numbers(listeners):
    """Answers each hello with the number of the listener that it came to."""
    poll = select.epoll()
    for each in listeners:
        poll.register(each, select.EPOLLIN)
    by_descriptor = {each.fileno(): (each, b"%d" % number) for number, each in enumerate(listeners)}
    while True:
        for descriptor, _ in poll.poll():
            each, number = by_descriptor[descriptor]
            client, _ = each.accept()
            with client:
                client.recv(65536)
                client.sendall(number)
