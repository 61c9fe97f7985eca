"""Connections on the SOCKHASH planes, and the counters that prove it."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from . import backends, network, processes
from .case import ProxyTest
from .proxy import BINARY, listener

# Counters of src/bpf/sockhash/sock_shared.h that show a plane's activity.
REDIRECTED_BYTES = {"local": 1, "remote": 9}
CAPTURES = 20
PLANES = ("local", "remote")  # Backends on this host; all others.
EAGER = {"after_bytes": "0B", "after": "0s"}
LOOKS = 4  # SOCK_LOOKS: answers that show that a listener's sockets do not block.
KNOWN, NEXT = b"known", b"next"


def bpftool(*arguments):
    return json.loads(subprocess.run(["bpftool", "-j", *arguments], check=True,
                                     capture_output=True).stdout)


def entries(name, least=1):
    """Dumps all maps on the host with this name and so many entries; instances may come and go."""
    for each in bpftool("map", "list"):
        if each.get("name") == name and each["max_entries"] >= least:
            with contextlib.suppress(subprocess.CalledProcessError):
                yield from (entry["formatted"] for entry in bpftool("map", "dump", "id",
                                                                    str(each["id"])))


def counters():
    """The sums of TRAFFIC_STATS over all instances on this host."""
    sums = {}
    for entry in entries("TRAFFIC_STATS", CAPTURES + 1):  # The XDP filter's has fewer.
        total = sum(value["value"] for value in entry["values"])
        sums[entry["key"]] = sums.get(entry["key"], 0) + total
    return sums


def backlog_peaks():
    """The most bytes queued behind each client's socket at once, for live pairs."""
    return [entry["value"]["backlog_peak"] for entry in entries("SLOT_STATE")
            if entry["value"]["owner"]]


def unseen():
    """Whether backends on this host cannot notice on this kernel that they are captured."""
    return "unseen by backends: yes" in subprocess.run(
        [BINARY, "probe"], check=True, capture_output=True, text=True, timeout=20).stdout


def held(kind, proxy):
    """Ids and names of the programs ("prog") or maps ("map") that a process has open; others on
    this host may have the same names."""
    ids = set()
    for info in pathlib.Path(f"/proc/{proxy.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # Closed since the listing.
            ids.update(map(int, re.findall(rf"^{kind}_id:\s+(\d+)", info.read_text(), re.M)))
    return {each["id"]: each["name"] for each in bpftool(kind, "list") if each["id"] in ids}


def wait_gone(kind, ids):
    processes.wait_until(lambda: not any(each["id"] in ids for each in bpftool(kind, "list")),
                         f"the end of each {kind}")


def event_driven(handler):
    """A handler with a nonblocking socket, like an event loop; Python waits in poll()."""
    def wrapped(connection):
        connection.settimeout(60)
        handler(connection)
    return wrapped


def after_lesson(handler):
    """The first connection answers as often as the proxy needs to know the listener."""
    accepted = []

    def wrapped(connection):
        accepted.append(connection)
        if len(accepted) > 1:
            return handler(connection)
        for _ in range(LOOKS):
            connection.recv(backends.BLOCK)
            connection.sendall(KNOWN)
        connection.recv(backends.BLOCK)
    return event_driven(wrapped)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("bpftool"), "needs root and bpftool")
class PlaneTest(ProxyTest):
    network = None

    def in_network(self):
        """Puts the proxy into one network namespace, and client and backend into another."""
        self.network = network.Network()
        self.addCleanup(self.network.end)

    def relay(self, handler=backends.echo, names=("one.example",), process=None, **config):
        if self.network is None:
            return super().relay(handler, names, process, **config)
        started = network.within(self.network.client, lambda: backends.SocketBackend(
            handler, host=self.network.client_address))
        self.addCleanup(started.end)
        return self.proxy({
            "listener": [listener(host=self.network.proxy_address, port=processes.free_port())],
            "route": [{"names": list(names), "backend": started.address}], **config,
        }, command=self.network.command, **(process or {}))

    def connect(self, started, **options):
        if self.network is None:
            return super().connect(started, **options)
        return network.within(self.network.client, lambda: super(PlaneTest, self).connect(
            started, host=self.network.proxy_address, **options))

    def on_plane(self, plane, handler, mode="sockhash", config=None, **fast_path):
        """A proxy that hands over at once. On the plane "local" the handler is an event-driven
        backend of this host that the proxy already knows; on "remote" it counts as a remote one.
        `config`: further tables."""
        options = {"mode": mode, "same_host": plane == "local", **EAGER, **fast_path}
        handler = after_lesson(handler) if plane == "local" else event_driven(handler)
        proxy = self.relay(handler, fast_path=options, **(config or {}))
        if plane == "local":
            self.teach(proxy)
        return proxy

    def teach(self, proxy, **options):
        """The client's side of after_lesson()."""
        connection, _ = self.connect_hello(proxy, **options)
        for _ in range(LOOKS):
            self.assertEqual(backends.read_exactly(connection, len(KNOWN)), KNOWN)
            connection.sendall(NEXT)
        connection.close()
        proxy.access(1)

    def assert_moved(self, plane, least=0):
        self.assertGreater(counters().get(REDIRECTED_BYTES[plane], 0), least)
