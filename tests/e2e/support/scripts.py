"""Both sides of hundreds of connections write, stall, half-close and reset at random.

Each side receives a prefix of what the other sent, and all of it if neither reset. Every connection
leaves one access line with exact counts, and nothing stays open in the proxy.
"""

import hashlib
import random
import re
import socket
import struct
import threading
import time

from . import backends, processes, streams, tls
from .case import ProxyTest, allow_descriptors
from .proxy import is_access

SIZES = (0, 1, 500, 16_000, 300_000, 3_000_000)
WORKERS = 40
SCRIPTED = re.compile(r"c\d+\.example$")


class Script:
    """The script of one side: how much it writes, how it pauses, and how it ends."""

    def __init__(self, rng):
        self.count = rng.choice(SIZES)
        self.write_pause = rng.choice((0, 0, 0, 0.002))
        self.read_pause = rng.choice((0, 0, 0, 0.002))
        self.read_delay = rng.choice((0, 0, 0, 0.2, 0.6))
        self.end = rng.choices(("fin", "fin early", "reset"), (6, 3, 1))[0]
        self.step = rng.choice((1000, 65_536, 262_144))


def pattern(seed, count):
    return random.Random(seed).randbytes(count)


def scripted_lines(proxy):
    """The access lines of connections with a script, by name."""
    return {line["server_name"]: line for line in proxy.records()
            if is_access(line) and SCRIPTED.match(line["server_name"])}


class Side:
    """Runs a script over a connection; afterwards `received` has the bytes, and `reset` tells how
    it ended."""

    def __init__(self, connection, script, data, patience_s):
        self.connection, self.script, self.data = connection, script, data
        self.received, self.reset, self.sent, self.over = bytearray(), False, 0, False
        self.patience_s = patience_s
        connection.settimeout(patience_s)

    def run(self):
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        self._write()
        reader.join(self.patience_s)
        if reader.is_alive():
            raise AssertionError(f"no end after {len(self.received)} bytes")
        self.connection.close()
        self.over = True

    def _write(self):
        try:
            for start in range(0, len(self.data), self.script.step):
                piece = self.data[start:start + self.script.step]
                self.connection.sendall(piece)
                self.sent += len(piece)
                time.sleep(self.script.write_pause)
            if self.script.end == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.reset = True
                self.connection.shutdown(socket.SHUT_RD)  # Wakes the reader; the close follows.
            else:
                self.connection.shutdown(socket.SHUT_WR)
        except OSError:
            self.reset = True

    def _read(self):
        time.sleep(self.script.read_delay)
        try:
            while piece := self.connection.recv(self.script.step):
                self.received += piece
                time.sleep(self.script.read_pause)
        except OSError:
            self.reset = True


class ScriptedTest(ProxyTest):
    # How long a side may wait for the other one; with hundreds at once that is its own slowness.
    patience_s = 60

    def visit(self, proxy, seed):
        """Runs one connection; returns both sides once they have ended."""
        rng = random.Random(seed)
        scripts = Script(rng), Script(rng)
        connection = self.connect(proxy, seconds=self.patience_s)
        connection.sendall(tls.client_hello(f"c{seed}.example"))
        client = Side(connection, scripts[0], pattern(2 * seed, scripts[0].count),
                      self.patience_s)
        client.run()
        return client

    def run_scripts(self, start, count, lingering=0, *, first=1000, at_once=WORKERS):
        """`start` makes a proxy before a backend with the given handler. `lingering`: seconds for
        which descriptors are held after the end of a connection. `first`: the first one's seed, of
        four digits."""
        allow_descriptors(8000)
        hello_length = len(tls.client_hello("c1000.example"))
        served = {}

        def handler(connection):
            hello = backends.read_exactly(connection, hello_length)
            seed = int(hello[hello.index(b".example") - 4:hello.index(b".example")])
            rng = random.Random(seed)
            _, script = Script(rng), Script(rng)
            served[seed] = Side(connection, script, pattern(2 * seed + 1, script.count),
                                self.patience_s)
            served[seed].run()

        proxy = start(handler)
        before = proxy.held()
        visited, pending = {}, list(range(first, first + count))
        lock = threading.Lock()

        def work():
            while True:
                with lock:
                    if not pending:
                        return
                    seed = pending.pop()
                visited[seed] = self.visit(proxy, seed)

        for task in [streams.Task(work) for _ in range(at_once)]:
            task.result(4 * self.patience_s)
        processes.wait_until(lambda: len(scripted_lines(proxy)) >= count, "access lines",
                             self.patience_s)
        lines = scripted_lines(proxy)
        processes.wait_until(lambda: all(side.over for side in served.values()),
                             "the backends to read to the end", self.patience_s)
        # Both directions of all concurrent connections may have had a pipe.
        proxy.wait_given_back(before, pipes=2 * at_once,
                              seconds=lingering + processes.WAIT_LIMIT_S)
        self.assertEqual(len(lines), count)
        for seed, client in visited.items():
            with self.subTest(seed=seed):
                self.compare(client, served[seed], lines[f"c{seed}.example"], hello_length)
        return proxy, lines

    def compare(self, client, server, line, hello_length):
        for reader, writer in ((client, server), (server, client)):
            got, sent = bytes(reader.received), writer.data
            self.assertEqual(hashlib.sha256(got).digest(),
                             hashlib.sha256(sent[:len(got)]).digest(), "not a prefix")
        if not client.reset and not server.reset:
            self.assertEqual(len(client.received), len(server.data))
            self.assertEqual(len(server.received), len(client.data))
            self.assertEqual(line["end"], "done")
            self.assertEqual((line["client_bytes"], line["server_bytes"]),
                             (len(client.data) + hello_length, len(server.data)))
