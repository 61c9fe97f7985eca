"""The path between a client and the proxy: a namespace with two veth ends in the middle, either a
router or a cable that loses, repeats, reorders and damages frames."""

import collections
import os
import random
import select
import socket
import subprocess
import threading
import time

from . import network
from .packet import Lab

ETH_P_ALL = 3
ETHERNET, TCP = 14, 6


class Middle(Lab):
    """near - inner | outer - far, where subclasses define |."""

    def wire(self):
        self.middle = f"sni-e2e-{os.getpid()}-middle"
        network.ip("netns", "add", self.middle)
        for here, device, end in ((self.proxy, "near", "inner"), (self.client, "far", "outer")):
            network.ip("link", "add", device, "netns", here, "type", "veth",
                       "peer", "name", end, "netns", self.middle)
            network.ip("-n", self.middle, "link", "set", end, "up")

    def end(self):
        super().end()
        network.ip("netns", "delete", self.middle)


class Router(Middle):
    """The client is in a network of its own. Its addresses in `client_side` must be reachable."""

    client_side = {"outer": ("198.18.2.1/24", "2001:db8:2::1/64"),
                   "far": ("198.18.2.2/24", "2001:db8:2::2/64")}

    def __init__(self):
        super().__init__()
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            subprocess.run(["ip", "netns", "exec", self.middle, "sysctl", "-q", f"{key}=1"],
                           check=True, timeout=20)
        network.ip("-n", self.client, "address", "flush", "dev", "far")
        for namespace, device, addresses in (
                (self.middle, "inner", ("198.18.0.254/24", "2001:db8::fe/64")),
                (self.middle, "outer", self.client_side["outer"]),
                (self.client, "far", self.client_side["far"])):
            network.ip("-n", namespace, "address", "add", addresses[0], "dev", device)
            network.ip("-n", namespace, "address", "add", addresses[1], "dev", device, "nodad")
        for namespace, v4, v6 in ((self.proxy, "198.18.0.254", "2001:db8::fe"),
                                  (self.client, "198.18.2.1", "2001:db8:2::1")):
            network.ip("-n", namespace, "route", "add", "default", "via", v4)
            network.ip("-n", namespace, "-6", "route", "add", "default", "via", v6)


class Cable(Middle):
    """Copies frames both ways, from begin() on with these faults, each a share of all frames."""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.faults = {}
        self.done = {"lost": 0, "twice": 0, "late": 0, "damaged": 0}
        for namespace, device in ((self.proxy, "near"), (self.client, "far"),
                                  (self.middle, "inner"), (self.middle, "outer")):
            subprocess.run(["ip", "netns", "exec", namespace, "ethtool", "-K", device, "tx", "off",
                            "rx", "off", "tso", "off", "gso", "off", "gro", "off"],
                           check=True, capture_output=True, timeout=20)
        self.ends = network.within(self.middle, lambda: [self.open("inner"), self.open("outer")])
        self.late = {end: collections.deque() for end in self.ends}
        self.stopped, self.stop = socket.socketpair()
        self.thread = threading.Thread(target=self.copy, daemon=True)
        self.thread.start()

    @staticmethod
    def open(device):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        end.bind((device, ETH_P_ALL))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        return end

    def begin(self, **faults):
        self.faults = faults

    def copy(self):
        while True:
            ready, _, _ = select.select([*self.ends, self.stopped], [], [], self.due())
            if self.stopped in ready:
                return
            for end, other in zip(self.ends, reversed(self.ends)):
                if end in ready:
                    frame, address = end.recvfrom(65536)
                    if address[2] != socket.PACKET_OUTGOING:
                        self.pass_on(frame, other)
                else:
                    self.idle(other)

    def due(self):
        """In how many seconds copying goes on though no frame comes."""
        return 0.02

    def idle(self, other):
        """No frame has come for that end."""
        if self.late[other]:
            self.send(other, self.late[other].popleft())

    def pass_on(self, frame, other):
        if self.happens("lost"):
            return
        if self.happens("damaged"):
            at = self.random.randrange(ETHERNET, len(frame))
            frame = frame[:at] + bytes([frame[at] ^ 1 << self.random.randrange(8)]) + frame[at + 1:]
        if self.happens("late"):
            self.late[other].append(frame)
            return
        self.send(other, frame)
        if self.happens("twice"):
            self.send(other, frame)
        if self.late[other] and self.random.random() < 0.3:  # A few frames after it arrived.
            self.send(other, self.late[other].popleft())

    def happens(self, fault):
        if self.random.random() >= self.faults.get(fault, 0):
            return False
        self.done[fault] += 1
        return True

    @staticmethod
    def send(end, frame):
        try:
            end.send(frame)
        except OSError:
            pass  # The queue is full: one more is lost.

    def end(self):
        self.stop.send(b"x")
        self.thread.join()
        for each in (*self.ends, self.stopped, self.stop):
            each.close()
        super().end()


class LongCable(Cable):
    """Each frame is on its way for `one_way` seconds."""

    def __init__(self, one_way=0.06):
        self.one_way = one_way
        super().__init__(seed=0)

    def due(self):
        now, pause = time.monotonic(), self.one_way
        for end, frames in self.late.items():
            while frames and frames[0][0] <= now:
                self.send(end, frames.popleft()[1])
            if frames:
                pause = min(pause, frames[0][0] - now)
        return pause

    def idle(self, other):
        pass

    def pass_on(self, frame, other):
        self.late[other].append((time.monotonic() + self.one_way, frame))
