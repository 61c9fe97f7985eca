"""Certificates, ClientHellos of real clients, and the answers."""

import functools
import pathlib
import ssl
import struct
import subprocess

HANDSHAKE = 22
ALERT = 21
UNRECOGNIZED_NAME = 112  # RFC 6066, section 3.
# RFC 8446, section 6.2.
UNEXPECTED_MESSAGE = 10
RECORD_OVERFLOW = 22
DECODE_ERROR = 50
INTERNAL_ERROR = 80
MISSING_EXTENSION = 109


@functools.cache
def certificate(directory, name):
    """(certificate, key) files of a self-signed certificate for `name`."""
    base = pathlib.Path(directory)
    files = base / f"{name.replace('*', '_')}.pem", base / f"{name.replace('*', '_')}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-out", str(files[0]), "-keyout", str(files[1])],
        check=True, capture_output=True)
    return files


def client_hello(name, *, alpn=(), highest=ssl.TLSVersion.TLSv1_3):
    """The first flight of OpenSSL's client, with its record header; name None: no SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = highest
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def padded_hello(name, extra):
    """A hello with `extra` bytes more: a private-use extension at least as large as a post-quantum
    key share."""
    message = bytearray(client_hello(name)[5:])
    position = 4 + 2 + 32                                 # Header, version, random.
    position += 1 + message[position]                     # Session.
    position += 2 + struct.unpack_from("!H", message, position)[0]  # Cipher suites.
    position += 1 + message[position]                     # Compression methods.
    length = struct.unpack_from("!H", message, position)[0]
    extension = struct.pack("!HH", 0xFF77, extra - 4) + bytes(extra - 4)
    struct.pack_into("!H", message, position, length + extra)
    message += extension
    message[1:4] = (len(message) - 4).to_bytes(3, "big")
    return records(bytes(message), [len(message)])


def named_hello(name):
    """A small TLS 1.3 hello with these bytes as its name, which OpenSSL would not send; None: an
    empty server_name extension."""
    entry = b"" if name is None else struct.pack("!HBH", len(name) + 3, 0, len(name)) + name
    extensions = (struct.pack("!HH", 0, len(entry)) + entry +
                  struct.pack("!HHBH", 43, 3, 2, 0x0304))
    body = (b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" +
            struct.pack("!H", len(extensions)) + extensions)
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return records(message, [len(message)])


def records(message, sizes):
    """The handshake message in records of these payload sizes, the rest in one more."""
    out, position = b"", 0
    for size in [*sizes, len(message)]:
        piece = message[position:position + size]
        if piece:
            out += struct.pack("!BHH", HANDSHAKE, 0x0301, len(piece)) + piece
        position += len(piece)
    return out



def is_fatal_alert(answer, description):
    return len(answer) == 7 and answer[0] == ALERT and answer[3:] == bytes([0, 2, 2, description])


def s_client(port, *arguments, host="127.0.0.1", name=None, send=b"", seconds=20):
    """openssl s_client: its whole output. name None: no SNI."""
    naming = ["-servername", name] if name else ["-noservername"]
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", *naming, *arguments],
        input=send, capture_output=True, timeout=seconds)
    return (done.stdout + done.stderr).decode(errors="replace")


def curl(port, url, *arguments, host="127.0.0.1", certificates=None, seconds=60):
    """curl through the proxy, whatever the URL's host: (exit status, body, stderr)."""
    trust = ["--cacert", str(certificates)] if certificates else []
    done = subprocess.run(
        ["curl", "--noproxy", "*", "--silent", "--show-error", "--max-time", str(seconds),
         "--connect-to", f"::{host}:{port}", *trust, *arguments, url],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds + 10)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")
