#!/usr/bin/env python3
"""The system's settings: /etc/hosts and /etc/resolv.conf, read again at SIGHUP, and its
addresses."""

import os
import subprocess
import unittest

from support import backends, dns, processes
from support.case import SANITIZED, ProxyTest, main
from support.network import Network, ip, within
from support.proxy import listener

# A separate address on loopback, since resolv.conf has no ports.
RESOLVER = "127.0.53.77"


@unittest.skipIf(os.geteuid(), "a mount namespace needs root")
class SystemNames(ProxyTest):
    """The proxy runs in a mount namespace where the two files are ours."""

    def start(self, hosts, resolv_conf, backend):
        files = {"hosts": hosts, "resolv.conf": resolv_conf}
        mounts = []
        for name, text in files.items():
            (self.directory / name).write_text(text)
            target = os.path.realpath(f"/etc/{name}")
            mounts.append(f"mount --bind {self.directory / name} {target}")
        self.routes = [{"names": ["*"], "backend": backend}]
        script = " && ".join([*mounts, 'exec "$@"'])
        return self.proxy({"route": self.routes},
                          command=("unshare", "--mount", "sh", "-c", script, "sh"))

    def answer(self, proxy):
        connection, _ = self.connect_hello(proxy)
        with connection:
            return backends.read_to_end(connection)

    def rewrite(self, name, text):
        """Written in place, since a new file would not be visible through the mount."""
        with open(self.directory / name, "w", encoding="utf-8") as file:
            file.write(text)

    def test_hosts_is_respected_and_read_again(self):
        first = self.backend(backends.say(b"first"), host="127.0.0.1")
        proxy = self.start("127.0.0.1 backend.internal\n", "nameserver 127.0.0.1\n",
                           f"backend.internal:{first.port}")
        self.assertEqual(self.answer(proxy), b"first")
        second = backends.socket.create_server(("127.0.0.2", first.port))
        self.addCleanup(second.close)
        self.rewrite("hosts", "127.0.0.2 backend.internal\n")
        proxy.reload({"route": self.routes})
        proxy.wait_log("reloaded")
        self.connect_hello(proxy)
        second.settimeout(20)
        second.accept()[0].close()

    def test_both_files_are_read_again_when_they_change(self):
        backend = self.backend(backends.say(b"here"))
        server = dns.DnsServer({"named.test": ["127.0.0.1"]}, address=(RESOLVER, 53))
        self.addCleanup(server.end)
        proxy = self.start("", "nameserver 127.0.53.78\noptions timeout:1 attempts:1\n",
                           f"named.test:{backend.port}")
        self.assertEqual(len(self.answer(proxy)), 7)
        self.rewrite("resolv.conf", f"nameserver {RESOLVER}\n")
        processes.wait_until(lambda: self.answer(proxy) == b"here", "the new resolver to be asked")
        self.rewrite("hosts", "127.0.0.9 named.test\n")
        processes.wait_until(lambda: len(self.answer(proxy)) == 7, "the new hosts file to count")
        processes.wait_until(
            lambda: any(line.get("error") == "connection refused" for line in proxy.records()),
            "the line of a connection to the address of the hosts file")

    def test_a_line_of_resolv_conf_that_is_not_used_is_warned_about(self):
        backend = self.backend(backends.say(b"here"))
        proxy = self.start("127.0.0.1 a.test\n", "nameserver fe80::1%nowhere0\nnameserver dns.test\n",
                           f"a.test:{backend.port}")
        proxy.wait_log("nameserver fe80::1%nowhere0 is not an address of a network interface")
        proxy.wait_log("nameserver dns.test is not an address")
        self.assertEqual(self.answer(proxy), b"here")

    def test_an_absolute_name_is_not_completed_by_the_search_list(self):
        right = self.backend(backends.say(b"right"))
        self.backend(backends.say(b"wrong"), host="127.0.0.2", port=right.port)
        server = dns.DnsServer({"db.example.com": ["127.0.0.1"],
                                "db.example.com.cluster.local": ["127.0.0.2"]},
                               address=(RESOLVER, 53))
        self.addCleanup(server.end)
        conf = f"search cluster.local\nnameserver {RESOLVER}\noptions ndots:5\n"
        proxy = self.start("", conf, f"db.example.com.:{right.port}")
        self.assertEqual(self.answer(proxy), b"right")
        self.assertEqual({name for name, _ in server.questions}, {"db.example.com"})

    def test_resolv_conf_is_respected_and_read_again(self):
        backend = self.backend(backends.say(b"here"))
        server = dns.DnsServer({"backend.search.test": ["127.0.0.1"]}, address=(RESOLVER, 53))
        self.addCleanup(server.end)
        proxy = self.start("", "nameserver 127.0.53.78\noptions timeout:1 attempts:1\n",
                           f"backend:{backend.port}")
        self.assertEqual(len(self.answer(proxy)), 7)
        self.rewrite("resolv.conf", f"nameserver {RESOLVER}\nsearch search.test\n")
        proxy.reload({"route": self.routes})
        processes.wait_until(lambda: self.answer(proxy) == b"here", "the new resolver to be asked")


@unittest.skipIf(os.geteuid(), "a network namespace needs root")
class OwnAddresses(ProxyTest):
    """The proxy runs in a network namespace of its own."""

    def inside(self, proxy, *command):
        return subprocess.run(["nsenter", "--net", f"--target={proxy.pid}", *command],
                              input=b"", capture_output=True, timeout=20).stdout.decode()

    def test_an_address_added_later_does_not_lead_back_into_the_proxy(self):
        port, late = processes.free_port(), "198.18.77.1"
        proxy = self.proxy(
            {"listener": [listener(host="0.0.0.0", port=port)],
             "route": [{"names": ["*"], "backend": f"{late}:{port}"}]},
            command=("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"),
            wait=False)
        proxy.wait_log("listening")
        self.inside(proxy, "ip", "address", "add", f"{late}/32", "dev", "lo")
        proxy.wait_log("addresses of this host have changed")
        self.inside(proxy, "openssl", "s_client", "-connect", f"127.0.0.1:{port}")
        line, = proxy.access(1)
        self.assertEqual((line["client"].split(":")[0], line["end"]), ("127.0.0.1", "forbidden"))

    def test_an_interface_that_is_made_again_is_used_under_its_new_index(self):
        """A VPN that reconnects: the listener's and the backend's addresses name the interface."""
        port = processes.free_port()
        make = ("ip link add near type veth peer name far && ip link set near up && "
                "ip link set far up && ip address add fe80::1/64 dev far nodad && "
                "ip address add fe80::2/64 dev near nodad")
        proxy = self.proxy(
            {"listener": [{"name": "https", "address": f"[fe80::2%near]:{port}"}],
             "route": [{"names": ["*"], "backend": "[fe80::1%near]:1"}]},
            command=("unshare", "--net", "sh", "-c", f'ip link set lo up && {make} && exec "$@"', "sh"),
            wait=False)
        proxy.wait_log("listening")
        for lines in (1, 2):
            self.inside(proxy, "openssl", "s_client", "-connect", f"[fe80::2%near]:{port}")
            line = proxy.access(lines)[-1]
            self.assertEqual((line["end"], line["error"]), ("unreachable", "connection refused"))
            if lines == 1:
                self.inside(proxy, "sh", "-c", f"ip link delete near && {make}")
                proxy.wait_log("an interface was made again")

    def test_changes_of_addresses_ask_no_resolver_and_keep_nothing(self):
        """Each one leads to another snapshot of the configuration, and connections outlive theirs."""
        network = Network()
        self.addCleanup(network.end)
        server = within(network.proxy, lambda: dns.DnsServer({"named.test": ["127.0.0.1"]}, ttl=3600))
        self.addCleanup(within, network.proxy, server.end)
        backend = within(network.proxy, self.backend)
        many = [{"names": [f"{i}.example"], "backend": f"named.test:{backend.port}"}
                for i in range(1_000 if SANITIZED else 5_000)]
        proxy = self.proxy(
            {"listener": [listener(host=network.proxy_address, port=4433)], "route": many,
             "server": {"workers": 1}, "dns": {"servers": [server.address], "timeout": "30s"}},
            command=network.command)

        def served(name):
            connection, hello = within(network.client, lambda: self.connect_hello(
                proxy, name, host=network.proxy_address))
            self.assertEqual(backends.read_exactly(connection, len(hello)), hello)

        def snapshots():
            return proxy.log().count("addresses of this host have changed")

        def ten_changes(first):
            before = snapshots()
            for i in range(first, first + 10):
                ip("-n", network.proxy, "address", "add", f"198.18.77.{i}/32", "dev", "lo")
            processes.wait_until(lambda: snapshots() > before, "the addresses to count")

        for i in range(0, 20, 10):  # Until the allocator has what it needs, and the cache the name.
            served(f"{i}.example")
            ten_changes(i)
        asked, memory = len(server.questions), proxy.memory_kib()
        for i in range(20, 120, 10):
            served(f"{i}.example")
            ten_changes(i)
        self.assertEqual(len(server.questions), asked)
        if not SANITIZED:  # AddressSanitizer keeps what was freed.
            self.assertLess(proxy.memory_kib() - memory, 2048)


if __name__ == "__main__":
    main()
