"""Network namespaces of a test: a client's and a proxy's, joined by veth."""

import ctypes
import json
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def execute(namespace, *command):
    """The output of a command in the namespace."""
    done = subprocess.run(["ip", "netns", "exec", namespace, *command], capture_output=True,
                          text=True, timeout=20)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def use_congestion_control(namespace, algorithm):
    """Whether the kernel has it."""
    key = "net.ipv4.tcp_{}congestion_control"
    if algorithm not in execute(namespace, "sysctl", "-n", key.format("available_")).split():
        return False
    execute(namespace, "sysctl", "-q", f"{key.format('')}={algorithm}")
    return True


def nstat(namespace, name):
    """A counter of the namespace's stack."""
    return int(execute(namespace, "nstat", "-asz", name).split()[2])


def nft_packets(namespace):
    """The packets of each named counter of nftables."""
    listed = json.loads(execute(namespace, "nft", "-j", "list", "counters"))["nftables"]
    counters = [each["counter"] for each in listed if "counter" in each]
    return {each["name"]: each["packets"] for each in counters}


class Network:
    """Client and proxy share a /24 of 198.18.0.0/15 and a /64 of 2001:db8::/32."""

    proxy_address = "198.18.0.1"
    client_address = "198.18.0.2"
    other_address = "198.18.0.3"  # The client's too.

    def __init__(self):
        mark = f"sni-e2e-{os.getpid()}"
        self.client, self.proxy = f"{mark}-client", f"{mark}-proxy"
        for namespace in (self.client, self.proxy):
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        self.join()

    def wire(self):
        ip("link", "add", "near", "netns", self.proxy, "type", "veth",
           "peer", "name", "far", "netns", self.client)

    def join(self):
        self.wire()
        ip("-n", self.proxy, "address", "add", f"{self.proxy_address}/24", "dev", "near")
        for address in (self.client_address, self.other_address):
            ip("-n", self.client, "address", "add", f"{address}/24", "dev", "far")
        ip("-n", self.proxy, "link", "set", "near", "up")
        ip("-n", self.client, "link", "set", "far", "up")

    def part(self):
        ip("-n", self.proxy, "link", "delete", "near")

    def end(self):
        for namespace in (self.client, self.proxy):
            ip("netns", "delete", namespace)

    def has_program(self):
        """Whether an XDP program is on the proxy's interface."""
        links = json.loads(ip("-n", self.proxy, "-json", "link", "show", "dev", "near"))
        return "xdp" in links[0]

    @property
    def command(self):
        """The command prefix that starts a process in the proxy's namespace."""
        return ("ip", "netns", "exec", self.proxy)


def within(namespace, function):
    """The result of function(), called in a thread that has entered the namespace."""
    outcome = {}

    def run():
        try:
            with open(f"/run/netns/{namespace}") as handle:
                if LIBC.setns(handle.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            outcome["value"] = function()
        except BaseException as error:  # Handed to the caller below.
            outcome["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
