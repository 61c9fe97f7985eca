"""The PROXY protocol of other programs: handmade headers, HAProxy, and nginx's stream module."""

import os
import socket
import struct

from . import processes, tls

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID = 1, 2, 3, 4, 5


def v1(source, destination, source_port=50123, destination_port=443):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n".encode()


def v2(source, destination, source_port=50123, destination_port=443, fields=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    block = (socket.inet_pton(family, source) + socket.inet_pton(family, destination) +
             struct.pack("!HH", source_port, destination_port) + fields)
    return raw_v2(PROXY, 0x21 if family == socket.AF_INET6 else 0x11, block)


def raw_v2(command, family, block=b""):
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def field(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def read_v2(data):
    """((source, port), (destination, port), {type: value}, bytes of the header)."""
    command, family, length = struct.unpack("!BBH", data[12:16])
    if data[:12] != SIGNATURE or command != PROXY:
        raise AssertionError(f"no header of version 2: {data[:16]!r}")
    size, kind = (16, socket.AF_INET6) if family == 0x21 else (4, socket.AF_INET)
    block, fields = data[16:16 + length], {}
    ports = struct.unpack("!HH", block[2 * size:2 * size + 4])
    addresses = [socket.inet_ntop(kind, block[at:at + size]) for at in (0, size)]
    rest = block[2 * size + 4:]
    while rest:
        count = struct.unpack("!H", rest[1:3])[0]
        fields[rest[0]] = rest[3:3 + count]
        rest = rest[3 + count:]
    return (addresses[0], ports[0]), (addresses[1], ports[1]), fields, 16 + length


class HaProxy(processes.Child):
    """HAProxy with one frontend at `port`; `sections` follow the defaults, and may use {port}."""

    def __init__(self, sections, directory):
        self.port = processes.free_port()
        configuration = directory / f"haproxy{self.port}.cfg"
        configuration.write_text(
            "global\n  maxconn 500\ndefaults\n  timeout connect 5s\n  timeout client 20s\n"
            "  timeout server 20s\n" + sections.replace("{port}", str(self.port)))
        super().__init__(["haproxy", "-db", "-f", str(configuration)], directory / "haproxy.log",
                         env=os.environ | {"PATH": "/usr/sbin:/usr/bin"})
        self.wait_for_ports(self.port)

    def end(self):
        self.stop()


class Nginx(processes.Child):
    """nginx with these blocks of configuration, which may use {port}."""

    def __init__(self, blocks, directory):
        self.port = processes.free_port()
        home = directory / f"nginx{self.port}"
        home.mkdir()
        configuration = home / "nginx.conf"
        configuration.write_text(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
            f"daemon off; master_process off; pid {home}/pid; error_log stderr warn;\n"
            "events { worker_connections 500; }\n" + blocks.replace("{port}", str(self.port)))
        super().__init__(["nginx", "-c", str(configuration), "-e", "stderr"], home / "log",
                         env=os.environ | {"PATH": "/usr/sbin:/usr/bin"})
        self.wait_for_ports(self.port)

    def end(self):
        self.stop()


def combined_certificate(directory, name):
    """Certificate and key in one file, as HAProxy expects."""
    path = directory / f"{name}.both"
    path.write_text("".join(each.read_text() for each in tls.certificate(str(directory), name)))
    return path
