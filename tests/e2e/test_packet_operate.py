#!/usr/bin/env python3
"""Commands about connections that have left the proxy by the packet plane."""

from support import backends, packet, processes
from support.case import main


class Operated(packet.Packet):
    def test_a_connection_that_has_left_is_listed_with_its_bytes_and_killed(self):
        started = self.started("remote", backends.echo)
        connection, sent = self.handed_over(started)
        def listed():
            found, = self.command(started, "connections", "--name", "one.example")
            return found if (found["client_bytes"], found["server_bytes"]) == (sent, sent) else None

        # The programs count what is acknowledged, which may take a moment.
        found = processes.wait_until(listed, "both directions to be counted")
        self.assertEqual((found["plane"], found["state"]), ("packet", "relaying"))
        connection.sendall(b"more")
        backends.read_exactly(connection, 4)
        self.assertEqual(self.command(started, "kill", found["id"]), {"killed": 1})
        self.assertTrue(backends.is_reset(connection))
        record = self.line(started, end="killed")
        self.assertEqual((record["client_bytes"], record["server_bytes"]), (sent + 4, sent + 4))
        self.assertEqual(self.command(started, "connections"), [])

    def test_traffic_has_the_bytes_of_a_connection_that_has_left_while_it_lives(self):
        started = self.started("remote", backends.echo)
        connection, sent = self.handed_over(started)
        connection.sendall(b"x" * 50_000)
        backends.read_exactly(connection, 50_000)
        sent += 50_000

        def rows(kind):
            return {row["key"]: row for row in self.command(started, "stats", "--by", kind)["rows"]}

        def counted():
            one = rows("name")["one.example"]
            return (one["client_bytes"], one["server_bytes"]) == (sent, sent)
        processes.wait_until(counted, "both directions to be counted")
        by_plane = rows("plane")
        self.assertEqual(by_plane["packet"]["connections"], 1)
        self.assertGreaterEqual(by_plane["packet"]["client_bytes"], 50_000)
        self.assertEqual(sum(row["server_bytes"] for row in by_plane.values()), sent)
        connection.close()
        record = self.line(started, end="done")
        self.assertEqual((record["client_bytes"], record["server_bytes"]), (sent, sent))
        self.assertTrue(counted())

    def test_a_proxy_without_root_resets_both_ends_of_a_killed_connection(self):
        seen = []
        self.directory.chmod(0o755)
        sockets = self.directory / "run"  # The proxy makes it.
        started = self.started("remote", backends.echo_until_reset(seen), server={"user": "nobody"},
                               control={"socket": str(sockets / "control.sock")})
        connection, _ = self.handed_over(started)
        found, = self.command(started, "connections")
        self.command(started, "kill", found["id"])
        processes.wait_until(lambda: seen, "the backend to be reset")
        self.assertTrue(backends.is_reset(connection))


def ends(started):
    return [(record["plane"], record["end"]) for record in started.access(1)]


class Blocked(packet.Packet):
    def check_cut(self, block, **config):
        """Both ends of a connection are reset after block(started). Returns how many bytes were
        answered until then."""
        seen, answered = [], 0
        started = self.started("container", backends.echo_until_reset(seen), **config)
        connection, _ = self.handed_over(started)
        block(started)
        with self.assertRaises(ConnectionResetError):
            connection.sendall(b"more")
            while piece := connection.recv(4):
                answered += len(piece)
        processes.wait_until(lambda: seen, "the backend to be reset")
        # Those who were refused have lines too.
        processes.wait_until(lambda: ("packet", "cut") in ends(started), "the line of the flow")
        return answered

    def block(self, started):
        self.command(started, "block", f"{self.lab.client_address}/32")

    def test_a_block_ends_connections_that_have_left(self):
        self.check_cut(self.block)

    def test_with_xdp_not_even_the_next_packet_passes(self):
        answered = self.check_cut(self.block, xdp={"interfaces": ["near"]})
        self.assertEqual(answered, 0)

    def test_a_ban_ends_connections_that_have_left(self):
        def misbehave(started):
            for _ in range(4):
                with self.connect(started) as rubbish:
                    rubbish.sendall(b"rubbish\r\n\r\n")
                    rubbish.recv(1)
            started.wait_log(f"banned {self.lab.client_address} for ")
        self.check_cut(misbehave, bans={"bad_hellos_per_minute": 3})


if __name__ == "__main__":
    main()
