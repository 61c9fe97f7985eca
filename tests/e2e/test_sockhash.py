#!/usr/bin/env python3
"""The SOCKHASH planes: the same bytes and the same ends as in userspace, and counters that prove
that the kernel moved them."""

import hashlib
import json
import os
import queue
import random
import shutil
import socket
import subprocess
import time
import unittest

from support import backends, streams, tls
from support.case import ProxyTest, main

MIB = 1 << 20
# Counters of src/bpf/sock_shared.h that show a plane at work.
REDIRECT_MSG_BYTES = 1
REDIRECT_SKB_BYTES = 9
PLANES = ("local", "remote")  # Backends on this host; all others.
EAGER = {"after_bytes": "0B", "after": "0s"}


def bpftool(*arguments):
    return json.loads(subprocess.run(["bpftool", "-j", *arguments], check=True,
                                     capture_output=True).stdout)


def counters():
    """The sums of TRAFFIC_STATS over all instances on this host."""
    sums = {}
    for each in bpftool("map", "list"):
        if each.get("name") != "TRAFFIC_STATS" or each["bytes_value"] != 8:
            continue
        for entry in bpftool("map", "dump", "id", str(each["id"])):
            key = entry["formatted"]["key"] if "formatted" in entry else None
            for value in entry["formatted"]["values"]:
                sums[key] = sums.get(key, 0) + value["value"]
    return sums


def event_driven(handler):
    """A handler whose socket is nonblocking, as an event loop's; Python waits in poll()."""
    def wrapped(connection):
        connection.settimeout(60)
        handler(connection)
    return wrapped


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("bpftool"), "needs root and bpftool")
class Planes(ProxyTest):
    def on_plane(self, plane, handler, **fast_path):
        """A proxy that hands over at once. On the plane "local" the handler counts as a backend of this
        host; on "remote" as a remote one, because a first connection has shown that it
        accepts blocking sockets."""
        if plane == "local":
            return self.relay(event_driven(handler), fast_path={"mode": "sockhash", **EAGER, **fast_path})
        accepted = []

        def known_handler(connection):
            accepted.append(connection)
            if len(accepted) == 1:
                connection.recv(backends.BLOCK)
                connection.sendall(b"known")
            else:
                handler(connection)

        proxy = self.relay(known_handler, fast_path={"mode": "sockhash", **EAGER, **fast_path})
        connection, _ = self.connect_hello(proxy)
        self.assertEqual(backends.read_to_end(connection), b"known")
        connection.close()
        proxy.access(1)
        return proxy

    def assert_moved(self, plane, least):
        moved = counters()[REDIRECT_MSG_BYTES if plane == "local" else REDIRECT_SKB_BYTES]
        self.assertGreater(moved, least)

    def test_a_fin_comes_after_all_bytes_however_slow_the_reader(self):
        def handler(connection):
            backends.read_exactly(connection, 10)
            streams.send(connection, 64 * MIB)
            connection.shutdown(socket.SHUT_WR)
            backends.read_to_end(connection)

        for plane in PLANES:
            proxy = self.on_plane(plane, handler)
            connection, _ = self.connect_hello(proxy, seconds=60)
            time.sleep(1)
            self.assertEqual(streams.receive(connection, 64 * MIB), streams.digest(64 * MIB))
            self.assertEqual(connection.recv(1), b"")
            connection.close()
            self.assert_moved(plane, 0)
            proxy.end()

    def test_resets_are_carried_over_both_ways(self):
        resets = queue.Queue()

        def answer_and_wait(connection):
            backends.read_exactly(connection, 10)
            connection.sendall(b"ready")
            resets.put(backends.is_reset(connection))

        def answer_and_reset(connection):
            backends.read_exactly(connection, 10)
            connection.sendall(b"ready")
            time.sleep(0.3)
            backends.reset(connection)

        for plane in PLANES:
            proxy = self.on_plane(plane, answer_and_wait)
            connection, _ = self.connect_hello(proxy)
            self.assertEqual(backends.read_exactly(connection, 5), b"ready")
            backends.reset(connection)
            self.assertTrue(resets.get(timeout=20))
            proxy.end()
            proxy = self.on_plane(plane, answer_and_reset)
            connection, _ = self.connect_hello(proxy)
            self.assertEqual(backends.read_exactly(connection, 5), b"ready")
            self.assertTrue(backends.is_reset(connection))
            proxy.end()

    def test_a_stalled_reader_stops_its_writer(self):
        sent = [0]

        def handler(connection):
            backends.read_exactly(connection, 10)
            try:
                for block in streams.blocks(streams.GIB):
                    connection.sendall(block)
                    sent[0] += len(block)
            except OSError:
                pass

        for plane in PLANES:
            sent[0] = 0
            proxy = self.on_plane(plane, handler, backlog="1MiB")
            connection, _ = self.connect_hello(proxy)
            time.sleep(3)
            stopped = sent[0]
            time.sleep(1)
            self.assertEqual(sent[0], stopped)
            # Socket buffers at both sides of the proxy, and the bound.
            self.assertLess(stopped, 64 * MIB)
            connection.close()
            proxy.end()

    def test_hundreds_of_connections_with_random_stalls_keep_every_byte(self):
        sizes = [random.randrange(1, 3 * MIB) for _ in range(200)]

        def handler(connection):
            hello = backends.read_exactly(connection, len(tls.client_hello("one.example")))
            index = int.from_bytes(backends.read_exactly(connection, 4), "big")
            del hello
            streams.send(connection, sizes[index])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

        def client(index):
            connection, _ = self.connect_hello(proxy, seconds=60)
            connection.sendall(index.to_bytes(4, "big"))
            if index % 7 == 0:
                connection.shutdown(socket.SHUT_WR)
            whole, left = hashlib.sha256(), sizes[index]
            while left:
                piece = connection.recv(min(left, 200_000))
                self.assertTrue(piece, f"connection {index} ended with {left} bytes missing")
                whole.update(piece)
                left -= len(piece)
                if random.random() < 0.05:
                    time.sleep(random.random() / 20)
            self.assertEqual(connection.recv(1), b"")
            connection.close()
            return whole.hexdigest()

        for plane in PLANES:
            proxy = self.on_plane(plane, handler)
            tasks = [streams.Task(client, index) for index in range(len(sizes))]
            for index, task in enumerate(tasks):
                self.assertEqual(task.result(), streams.digest(sizes[index]), index)
            self.assert_moved(plane, MIB)
            proxy.end()

    def test_programs_and_maps_have_their_names_and_end_with_the_process(self):
        def names(kind):
            return {each.get("name") for each in bpftool(kind, "list")}

        proxy = self.relay(fast_path={"mode": "sockhash"})
        self.assertLessEqual({"redirect_msg", "redirect_skb", "capture_backend"}, names("prog"))
        self.assertLessEqual({"SOCK_MAP", "SOURCE_MAP", "LOCAL_MAP", "DNS_CACHE",
                              "TRAFFIC_STATS"}, names("map"))
        proxy.end()
        deadline = time.monotonic() + 10
        while "redirect_msg" in names("prog") and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertNotIn("redirect_msg", names("prog"))


if __name__ == "__main__":
    main()
