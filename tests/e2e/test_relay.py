#!/usr/bin/env python3
"""Established connections: every byte, each end, and no more memory than a slow reader's window."""

import contextlib
import hashlib
import queue
import select
import socket
import subprocess
import threading
import time
import unittest

from support import backends, processes, streams, tls
from support.case import SANITIZED, ProxyTest, main

MIB = 1 << 20


class Gibibyte(ProxyTest):
    """1 GiB each way between curl and nginx."""

    def setUp(self):
        super().setUp()
        self.server = self.nginx("one.example")
        self.file = self.directory / "nginx/files/gibibyte"
        self.started = self.proxy({"route": [
            {"names": ["one.example"], "backend": self.server.backend("one.example")}]})
        self.trust = ["--noproxy", "*", "--cacert", str(self.certificate("one.example")),
                      "--connect-to", f"::127.0.0.1:{self.started.port}", "--silent",
                      "--show-error", "--fail", "--http1.1", "--max-time", "120"]

    def write(self, path):
        with open(path, "wb") as file:
            for block in streams.blocks(streams.GIB):
                file.write(block)

    def test_a_download_of_1_gib_arrives_intact(self):
        self.write(self.file)
        whole = hashlib.sha256()
        with subprocess.Popen(["curl", *self.trust, "https://one.example/files/gibibyte"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
            while block := client.stdout.read(backends.BLOCK):
                whole.update(block)
        self.assertEqual(client.returncode, 0)
        self.assertEqual(whole.hexdigest(), streams.digest(streams.GIB))
        line = self.started.access(1)[0]
        self.assertGreater(line["server_bytes"], streams.GIB)

    def test_an_upload_of_1_gib_arrives_intact(self):
        source = self.directory / "source"
        self.write(source)
        subprocess.run(["curl", *self.trust, "--upload-file", source,
                        "https://one.example/files/gibibyte"], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL)
        with open(self.file, "rb") as file:
            self.assertEqual(hashlib.file_digest(file, "sha256").hexdigest(),
                             streams.digest(streams.GIB))
        line = self.started.access(1)[0]
        self.assertGreater(line["client_bytes"], streams.GIB)


class Bytes(ProxyTest):
    def test_both_directions_at_once_arrive_intact(self):
        count = 256 * MIB
        hashes = queue.Queue()
        hello_length = len(tls.client_hello("one.example"))

        def handler(connection):
            backends.read_exactly(connection, hello_length)
            sending = streams.Task(streams.send, connection, count)
            hashes.put(streams.receive(connection, count))
            sending.result()

        proxy = self.relay(handler)
        connection, _ = self.connect_hello(proxy)
        sending = streams.Task(streams.send, connection, count)
        self.assertEqual(streams.receive(connection, count), streams.digest(count))
        sending.result()
        self.assertEqual(hashes.get(timeout=60), streams.digest(count))
        connection.close()
        line = proxy.access(1)[0]
        self.assertEqual((line["client_bytes"], line["server_bytes"]),
                         (count + hello_length, count))

    def test_single_bytes_keep_their_order_and_are_not_held_back(self):
        connection, hello = self.connect_hello(self.relay())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        for value in range(500):
            connection.sendall(bytes([value % 251]))
            self.assertEqual(connection.recv(10), bytes([value % 251]))


class Ends(ProxyTest):
    """The other side sees how one side ends."""

    def test_a_client_that_shuts_down_its_write_side_still_gets_the_whole_answer(self):
        answer = streams.digest(0).encode() * 50_000

        def handler(connection):
            request = backends.read_to_end(connection)
            connection.sendall(request[-7:] + answer)

        connection, _ = self.connect_hello(self.relay(handler))
        connection.sendall(b"request")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(backends.read_to_end(connection), b"request" + answer)

    def test_a_backend_that_shuts_down_its_write_side_still_gets_the_whole_request(self):
        requests = queue.Queue()

        def handler(connection):
            connection.sendall(b"all I say")
            connection.shutdown(socket.SHUT_WR)
            requests.put(backends.read_to_end(connection))

        connection, hello = self.connect_hello(self.relay(handler))
        self.assertEqual(backends.read_to_end(connection), b"all I say")
        connection.sendall(b"x" * 3_000_000)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(requests.get(timeout=20), hello + b"x" * 3_000_000)

    def test_a_fin_comes_after_the_bytes_before_it_however_slow_the_reader(self):
        def handler(connection):
            streams.send(connection, 64 * MIB)
            connection.shutdown(socket.SHUT_WR)
            backends.read_to_end(connection)

        connection, _ = self.connect_hello(self.relay(handler))
        streams.wait_stalled(connection)
        self.assertEqual(streams.receive(connection, 64 * MIB), streams.digest(64 * MIB))
        self.assertEqual(connection.recv(1), b"")

    def test_a_client_that_ends_right_after_its_hello_is_served(self):
        """Its FIN arrives before the backend is connected."""
        def handler(connection):
            connection.sendall(backends.read_to_end(connection))

        proxy = self.relay(handler)
        for _ in range(20):
            connection, hello = self.connect_hello(proxy)
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(backends.read_to_end(connection), hello)

    def test_a_backend_that_closes_at_once_closes_the_client(self):
        proxy = self.relay(lambda connection: connection.recv(4096))
        for _ in range(20):
            connection, _ = self.connect_hello(proxy)
            self.assertEqual(backends.read_to_end(connection), b"")

    def test_unix_backends_half_close_and_reset_too(self):
        def handler(connection):
            connection.sendall(backends.read_to_end(connection))

        path = str(self.directory / "backend.sock")
        backend = self.backend(handler, path=path)
        proxy = self.proxy({"route": [{"names": ["*"], "backend": backend.address}]})
        connection, hello = self.connect_hello(proxy)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(backends.read_to_end(connection), hello)
        connection, _ = self.connect_hello(proxy)
        processes.wait_until(lambda: backend.open, "the backend connection")
        backends.reset(connection)
        processes.wait_until(lambda: not backend.open, "the backend connection to be closed")

    def test_a_reset_by_the_client_resets_the_backend(self):
        resets = queue.Queue()

        def handler(connection):
            connection.sendall(b"ready")
            resets.put(backends.is_reset(connection))

        proxy = self.relay(handler)
        connection, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_exactly(connection, 5), b"ready")
        backends.reset(connection)
        self.assertTrue(resets.get(timeout=20))
        proxy.access(1)

    def test_a_reset_by_the_backend_resets_the_client(self):
        heard = threading.Event()

        def handler(connection):
            backends.read_exactly(connection, 300)
            connection.sendall(b"ready")
            heard.wait(20)
            backends.reset(connection)

        connection, _ = self.connect_hello(self.relay(handler))
        connection.sendall(bytes(300))
        self.assertEqual(backends.read_exactly(connection, 5), b"ready")
        heard.set()
        self.assertTrue(backends.is_reset(connection))

    def test_a_reset_after_half_a_close_is_still_carried_over(self):
        resets = queue.Queue()

        def handler(connection):
            connection.sendall(b"ready")
            connection.shutdown(socket.SHUT_WR)
            resets.put(backends.is_reset(connection))

        connection, _ = self.connect_hello(self.relay(handler))
        self.assertEqual(backends.read_to_end(connection), b"ready")
        backends.reset(connection)
        self.assertTrue(resets.get(timeout=20))

    def test_a_reset_long_after_half_a_close_is_carried_over_too(self):
        ended, resets = threading.Event(), queue.Queue()

        def handler(connection):
            backends.read_to_end(connection)
            ended.set()
            poller = select.poll()
            poller.register(connection, select.POLLHUP)
            poller.poll(60_000)
            resets.put(time.monotonic())

        connection, _ = self.connect_hello(self.relay(handler, fast_path={"mode": "userspace"}))
        connection.shutdown(socket.SHUT_WR)
        self.assertTrue(ended.wait(20))
        time.sleep(2.2)
        begin = time.monotonic()
        backends.reset(connection)
        self.assertLess(resets.get(timeout=70) - begin, 5)

    def test_a_reset_reaches_a_side_that_has_stopped_reading(self):
        """The backend writes into a full pipe while the client, which reads nothing, resets."""
        resets = queue.Queue()

        def handler(connection):
            try:
                while True:
                    connection.sendall(bytes(backends.BLOCK))
            except ConnectionError:
                resets.put(True)

        connection, _ = self.connect_hello(self.relay(handler))
        streams.wait_stalled(connection)
        backends.reset(connection)
        self.assertTrue(resets.get(timeout=20))

    def test_a_reset_that_meets_an_answer_on_its_way_is_not_lost(self):
        """The backend reads nothing and sends small answers: sometimes a send finds the reset
        first."""
        def handler(connection):
            with contextlib.suppress(ConnectionError):
                while True:
                    connection.sendall(bytes(100))
                    time.sleep(0.0007)

        proxy = self.relay(handler, server={"workers": 1}, fast_path={"mode": "userspace"})
        clients = [self.connect_hello(proxy)[0] for _ in range(60)]
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            for client in clients:
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.send(bytes(backends.BLOCK))
                with contextlib.suppress(BlockingIOError):
                    client.recv(backends.BLOCK)
        for client in clients:
            backends.reset(client)
            time.sleep(0.002)
        self.assertEqual(len(proxy.access(len(clients))), len(clients))


class SlowReader(ProxyTest):
    def test_it_stops_its_writer_and_costs_the_proxy_no_memory(self):
        count = 256 * MIB
        progress = [0]
        hello_length = len(tls.client_hello("one.example"))

        def handler(connection):
            # A close over unread input sends an RST.
            backends.read_exactly(connection, hello_length)
            for block in streams.blocks(count):
                connection.sendall(block)
                progress[0] += len(block)

        proxy = self.relay(handler)
        warm, _ = self.connect_hello(proxy)
        streams.receive(warm, 32 * MIB)
        backends.reset(warm)
        progress[0] = 0
        before = proxy.memory_kib()
        connection, _ = self.connect_hello(proxy)
        processes.wait_still(lambda: progress[0], "the writer to be stopped by the window", still=1)
        # Four socket buffers of at most 6 MiB (tcp_rmem, tcp_wmem) and one relay buffer.
        self.assertLess(progress[0], 40 * MIB)
        grown = proxy.memory_kib() - before
        self.assertEqual(streams.receive(connection, count), streams.digest(count))
        if not SANITIZED:  # Their shadow memory grows with use.
            self.assertLess(grown, 8 * 1024)
            self.assertLess(proxy.memory_kib() - before, 8 * 1024)

    def writing(self, count, step):
        """A relaying proxy whose backend writes so many bytes in such steps."""
        hello_length = len(tls.client_hello("one.example"))

        def handler(connection):
            backends.read_exactly(connection, hello_length)
            with contextlib.suppress(ConnectionError):
                for block in streams.blocks(count):
                    for start in range(0, len(block), step):
                        connection.sendall(block[start:start + step])

        return self.relay(handler, server={"workers": 1}, fast_path={"mode": "userspace"})

    def test_half_closed_ones_that_stall_keep_no_other_from_reading(self):
        count = 4 * MIB
        proxy = self.writing(count, 1000)  # Too small for splicing.
        clients = [self.connect_hello(proxy)[0] for _ in range(30)]
        for each in clients:
            each.shutdown(socket.SHUT_WR)
        streams.wait_stalled(*clients)
        self.assertEqual(streams.receive(clients.pop(), count), streams.digest(count))
        for each in clients:
            backends.reset(each)

    def test_half_closed_ones_cost_no_cpu(self):
        proxy = self.writing(256 * MIB, backends.BLOCK)
        clients = [self.connect_hello(proxy)[0] for _ in range(4)]
        for each in clients:
            streams.receive(each, 8 * MIB)  # The bytes are spliced by then.
        streams.wait_stalled(*clients)
        for each in clients:
            each.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        before = proxy.cpu_seconds()
        time.sleep(1)
        self.assertLess(proxy.cpu_seconds() - before, 0.3)
        for each in clients:
            backends.reset(each)


if __name__ == "__main__":
    main()
