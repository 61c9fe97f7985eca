#!/usr/bin/env python3
"""Routes, neighbours and interfaces that change while spliced connections live."""

import json
import threading

from support import backends, network, processes, streams
from support.case import main
from support.packet import Packet
from support.path import Router

BLOCK = bytes(range(256)) * 64
MOVED = 64  # Blocks that prove that a connection goes on.
NEW_MAC = "02:00:5e:10:00:01"  # No interface has it yet.


class Going:
    """A connection whose bytes go on, and are compared, until end()."""

    def __init__(self, connection):
        self.connection = connection
        self.done = 0
        self.stopped = threading.Event()
        self.task = streams.Task(self.run)

    def run(self):
        self.connection.settimeout(30)
        while not self.stopped.is_set():
            block = self.done.to_bytes(8, "big") + BLOCK
            self.connection.sendall(block)
            if backends.read_exactly(self.connection, len(block)) != block:
                raise AssertionError("other bytes came than were sent")
            self.done += 1

    def wait_on(self):
        """Waits until it has gone on for a while from here."""
        until = self.done + MOVED
        processes.wait_until(lambda: self.done >= until or not self.task.is_alive(),
                             "the bytes to go on", 40)

    def end(self):
        """The bytes each way."""
        self.stopped.set()
        self.task.result(40)
        self.connection.close()
        return self.done * (8 + len(BLOCK))


class Moved(Packet):
    def going(self, started):
        connection, self.sent = self.handed_over(started)
        going = Going(connection)
        going.wait_on()
        return going

    def check_end(self, started, going, lines=1):
        going.wait_on()
        count = self.sent + going.end()
        record = self.line(started, count=lines)
        self.assertEqual((record["client_bytes"], record["server_bytes"]), (count, count))


class Neighbours(Moved):
    def change_mac(self, place, device="eth0"):
        """The backend's end of the link gets another address and says so."""
        container = self.lab.container
        for key in ("ipv4.conf.eth0.arp_notify", "ipv6.conf.eth0.ndisc_notify"):
            network.execute(container, "sysctl", "-qw", f"net.{key}=1")
        started = self.started(place, backends.echo)
        going = self.going(started)
        network.ip("-n", container, "link", "set", device, "address", NEW_MAC)
        self.check_end(started, going)
        shown = network.ip("-n", self.lab.proxy, "neighbour", "show", "dev", "br0")
        self.assertIn(NEW_MAC, shown)

    def test_a_backend_may_get_another_mac(self):
        self.change_mac("container")

    def test_a_backend_may_get_another_mac_by_ipv6(self):
        self.change_mac("container, IPv6")


class TwoLinks(Router):
    """The router has a second link to the proxy: near2 - inner2."""

    def __init__(self):
        super().__init__()
        network.ip("link", "add", "near2", "netns", self.proxy, "type", "veth",
                   "peer", "name", "inner2", "netns", self.middle)
        for namespace, device, address in ((self.proxy, "near2", "198.18.4.1/24"),
                                           (self.middle, "inner2", "198.18.4.254/24")):
            network.ip("-n", namespace, "link", "set", device, "up")
            network.ip("-n", namespace, "address", "add", address, "dev", device)


class Routes(Moved):
    def make_lab(self):
        return TwoLinks()

    def test_the_default_route_may_move_to_another_gateway(self):
        old = json.loads(network.ip("-n", self.lab.middle, "-json", "link", "show", "inner"))
        for gateway, mac in (("198.18.0.254", old[0]["address"]), ("198.18.0.253", NEW_MAC)):
            network.ip("-n", self.lab.proxy, "neighbour", "replace", gateway, "lladdr", mac,
                       "dev", "near", "nud", "permanent")
        started = self.started("container", backends.echo)
        going = self.going(started)
        # From here on nobody is at the old gateway's address.
        network.ip("-n", self.lab.middle, "link", "set", "inner", "address", NEW_MAC)
        network.ip("-n", self.lab.proxy, "route", "replace", "default", "via", "198.18.0.253")
        self.check_end(started, going)

    def test_the_default_route_may_move_to_another_interface(self):
        started = self.started("container", backends.echo)
        going = self.going(started)
        network.ip("-n", self.lab.proxy, "route", "replace", "default", "via", "198.18.4.254")
        started.wait_log("attached to near2")
        # And so do the client's packets, once they are expected there.
        network.ip("-n", self.lab.middle, "route", "add", "198.18.0.1/32", "via", "198.18.4.1")
        going.wait_on()
        network.ip("-n", self.lab.proxy, "link", "set", "near", "down")
        self.check_end(started, going)


    def test_the_packets_of_an_end_may_begin_to_arrive_on_another_interface(self):
        """No route of the proxy's host changes."""
        started = self.started("container", backends.echo)
        going = self.going(started)
        started.wait_log("attached to near2")
        before = self.arrived()
        network.ip("-n", self.lab.middle, "route", "add", "198.18.0.1/32", "via", "198.18.4.1")
        self.check_end(started, going)
        self.assertGreater(self.arrived(), before + MOVED)

    def arrived(self):
        shown = network.ip("-n", self.lab.proxy, "-json", "-s", "link", "show", "near2")
        return json.loads(shown)[0]["stats64"]["rx"]["packets"]

    def test_interfaces_that_are_not_named_get_no_program(self):
        started = self.started("container", backends.echo,
                               fast_path={"interfaces": ["near", "br0"]})
        going = self.going(started)
        self.check_end(started, going)
        self.assertNotIn("near2", started.log())


class Interfaces(Moved):
    def test_an_interface_that_comes_later_gets_a_program_once_it_has_an_address(self):
        started = self.started("container", backends.echo)
        going = self.going(started)
        network.ip("-n", self.lab.proxy, "link", "add", "later", "type", "veth",
                   "peer", "name", "end")
        network.ip("-n", self.lab.proxy, "link", "set", "later", "up")
        network.ip("-n", self.lab.proxy, "address", "add", "198.18.9.1/24", "dev", "later")
        started.wait_log("attached to later")
        self.check_end(started, going)
        self.assertNotIn("attached to port", started.log())  # A port of br0.

    def test_an_interface_that_goes_and_comes_back_is_used_again(self):
        """By a connection that was quiet meanwhile, and by a new one."""
        started = self.started("container", backends.echo)
        connection, self.sent = self.handed_over(started)
        self.lab.part()
        self.lab.join()
        processes.wait_until(lambda: started.log().count("attached to near ") == 2,
                             "the second attachment")
        other, sent = self.handed_over(started, count=2)
        other.close()
        self.assertEqual(self.line(started)["client_bytes"], sent)
        self.check_end(started, Going(connection), lines=2)


if __name__ == "__main__":
    main()
