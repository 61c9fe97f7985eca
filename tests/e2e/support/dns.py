"""A DNS server for tests: A, AAAA and SRV over UDP, a record of its questions, and faults on
demand."""

import ipaddress
import socket
import struct
import threading
import time

A, AAAA, SRV = 1, 28, 33
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def _question(query):
    """(name, type, the question's bytes)"""
    labels, position = [], 12
    while query[position]:
        length = query[position]
        labels.append(query[position + 1:position + 1 + length].decode("ascii", "replace"))
        position += 1 + length
    kind, _ = struct.unpack_from("!HH", query, position + 1)
    return ".".join(labels).lower(), kind, query[12:position + 5]


def _packed(record):
    """(type, data) of an address, or of a target: (priority, weight, port, host)."""
    if isinstance(record, tuple):
        host = b"".join(bytes([len(label)]) + label.encode()
                        for label in record[3].split(".") if label)
        return SRV, struct.pack("!HHH", *record[:3]) + host + b"\0"
    address = ipaddress.ip_address(record)
    return A if address.version == 4 else AAAA, address.packed


class DnsServer:
    """`records` maps a name to its addresses, and that of a service to its targets; other names do
    not exist."""

    def __init__(self, records, *, ttl=60, address=("127.0.0.1", 0)):
        self.records = records
        self.ttl = ttl
        self.delay = 0.0      # Seconds before each answer.
        self.silent = False   # Answers nothing.
        self.failing = False  # Answers SERVFAIL.
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.address = "%s:%d" % self.socket.getsockname()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def asked(self, name, kind=A):
        return self.questions.count((name, kind))

    def _run(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            threading.Thread(target=self._answer, args=(query, client), daemon=True).start()

    def _answer(self, query, client):
        name, kind, question = _question(query)
        self.questions.append((name, kind))
        time.sleep(self.delay)
        if self.silent:
            return
        known = self.records.get(name)
        status = SERVFAIL if self.failing else NOERROR if known is not None else NXDOMAIN
        records = map(_packed, known or ()) if not status else []
        answers = [data for each, data in records if each == kind]
        # QR, RD copied, RA; one question, no authority, no additional records.
        header = query[:2] + struct.pack("!HHHHH", 0x8180 | status, 1, len(answers), 0, 0)
        body = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl, len(packed)) + packed
                        for packed in answers)
        try:
            self.socket.sendto(header + question + body, client)
        except OSError:
            pass  # The test has ended.

    def end(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()
