#!/usr/bin/env python3
"""fast_path.mode = "auto": the packet plane if the host and the pair allow it, else the relay."""

import contextlib
import pathlib
import socket

from support import backends, network, packet, processes, tls
from support.case import main

RIGHTS = ("sys_admin", "bpf", "net_admin", "perfmon")
AUTO = {"mode": "auto", "packet_after": "200ms", "packet_after_bytes": "64KiB"}


def without(*capabilities):
    dropped = ",".join(f"-{each}" for each in capabilities)
    return ["setpriv", "--bounding-set", dropped]


class Automatic(packet.Packet):
    def test_connections_that_last_are_handed_over_and_short_ones_are_not(self):
        started = self.started("remote", backends.echo, fast_path=AUTO)
        self.assertRegex(started.log(), "sni-proxy .*, packet plane")
        connection, sent = self.handed_over(started)
        connection.close()
        self.assertEqual(self.line(started)["client_bytes"], sent)
        self.short_connection(started)
        self.assertEqual(started.access(2)[-1]["plane"], "userspace")

    def test_without_the_right_to_make_namespaces_the_self_test_runs_on_loopback(self):
        started = self.started("remote", backends.echo, fast_path=AUTO,
                               wrapper=without("sys_admin"))
        connection, _ = self.handed_over(started)
        connection.close()
        self.line(started)

    def test_without_rights_everything_is_relayed_and_nobody_is_warned(self):
        started = self.started("remote", backends.echo, fast_path=AUTO,
                               wrapper=without(*RIGHTS))
        self.assertRegex(started.log(), '"debug","message":"packet: not possible ')
        self.assertRegex(started.log(), "sni-proxy .*, relaying in userspace")
        self.assertNotIn('"level":"warn', started.log())
        self.short_connection(started)
        self.assertEqual(started.access(1)[0]["plane"], "userspace")

    def test_the_plane_by_name_without_rights_is_an_error_at_start(self):
        refused = self.started("remote", backends.echo, wrapper=without(*RIGHTS), wait=False)
        self.assertEqual(refused.wait(), 1)
        self.assertRegex(refused.log(), r'fast_path.mode is \\?"packet\\?", which is not possible here: ')

    def test_a_kernel_that_does_not_describe_its_types_loses_nothing(self):
        """No BTF: a program that looked into the kernel's structures could not be loaded."""
        started = self.started("remote", backends.echo, fast_path=AUTO, wrapper=[
            "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"])
        types = pathlib.Path(f"/proc/{started.pid}/root/sys/kernel/btf/vmlinux")
        self.assertFalse(types.exists())
        connection, _ = self.handed_over(started)
        connection.close()
        self.line(started)


class Descriptors(packet.Packet):
    def test_more_flows_live_than_there_are_descriptors(self):
        """Three backends share the held ports."""
        limit, each = 160, 30
        ports = [processes.free_port() for _ in range(3)]
        routes = []
        for index, port in enumerate(ports):
            backend = network.within(self.lab.client, lambda port=port: backends.SocketBackend(
                backends.echo, host=packet.Lab.client_address, port=port))
            self.addCleanup(backend.end)
            routes.append({"names": [f"n{index}.example"], "backend": backend.address})
        started = self.started("remote", backends.echo, route=routes, server={"workers": 1},
                               wrapper=["prlimit", f"--nofile={limit}"])
        connections = []
        for turn in range(each * len(ports)):
            connection = self.connect(started)
            hello = tls.client_hello(f"n{turn % len(ports)}.example")
            connection.sendall(hello)
            backends.read_exactly(connection, len(hello))

            def over(connection=connection, count=turn + 1):
                connection.sendall(b"ping")
                backends.read_exactly(connection, 4)
                return started.log().count(packet.HANDED_OVER) >= count
            processes.wait_until(over, "the hand-over", 20)
            connections.append(connection)
        held = sum(started.held().values())
        self.assertLess(held, limit)
        for connection in connections:
            connection.sendall(b"still")
            self.assertEqual(backends.read_exactly(connection, 5), b"still")
        for connection in connections:
            connection.close()
        for record in started.access(len(connections)):
            self.assertEqual((record["plane"], record["end"]), ("packet", "done"), record)

    def test_a_shared_port_that_another_program_uses_with_that_backend_is_done_without(self):
        ports = set()

        def note_port(connection):
            ports.add(connection.getpeername()[1])
            backends.echo(connection)
        first, second = (self.place_backend("remote", handler)
                         for handler in (note_port, backends.echo))
        started = self.started(
            "remote", backends.echo, server={"workers": 1}, wrapper=["prlimit", "--nofile=160"],
            route=[{"names": ["one.example"], "backend": first.address},
                   {"names": ["two.example"], "backend": second.address}])
        for count in range(1, 25):  # From 20 on, an eighth of the limit, held ports are shared.
            self.handed_over(started, count)
        host, port = second.address.rsplit(":", 1)
        for each in ports:
            with contextlib.suppress(OSError):  # A port that is shared by now.
                taken = network.within(self.lab.proxy, socket.socket)
                self.addCleanup(taken.close)
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                taken.bind((packet.Lab.proxy_address, each))
                taken.connect((host, int(port)))
        connection = self.connect(started)
        connection.sendall(hello := tls.client_hello("two.example"))
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.sendall(b"and on")
        self.assertEqual(backends.read_exactly(connection, 6), b"and on")
        connection.close()
        self.assertEqual(started.access(1)[0]["plane"], "userspace")


if __name__ == "__main__":
    main()
