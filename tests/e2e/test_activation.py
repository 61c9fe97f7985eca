#!/usr/bin/env python3
"""Sockets that the service manager passes (LISTEN_FDS): served, and kept over reloads and restarts."""

import shutil
import signal
import socket
import unittest

from support import backends, processes, tls
from support.case import ProxyTest, main
from support.proxy import listener

ACTIVATE = shutil.which("systemd-socket-activate")
# The work of a service manager between fork and exec.
PASS = 'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES="$1"; shift; exec "$@" {moved}'


class Activation(ProxyTest):
    def setUp(self):
        super().setUp()
        self.passed = socket.create_server(("127.0.0.1", 0))  # Without SO_REUSEPORT.
        self.addCleanup(self.passed.close)
        self.port = self.passed.getsockname()[1]

    def activated(self, name="https", *, port=None, wait=True):
        fd = self.passed.fileno()
        moved = "" if fd == 3 else f"3<&{fd} {fd}<&-"
        return self.relay(
            listener=[listener(port=port or self.port)],
            process={"command": ("sh", "-c", PASS.format(moved=moved), "sh", name),
                     "pass_fds": (fd,), "wait": wait})

    def served(self, connection):
        hello = tls.client_hello("one.example")
        connection.sendall(hello)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)

    def test_a_listener_takes_the_socket_of_its_name_or_address(self):
        for name in ("https", "sni-proxy.socket"):
            with self.subTest(name=name):
                started = self.activated(name)
                for _ in range(4):
                    self.served(self.connect(started))
                started.end()

    def test_clients_wait_in_the_queue_over_a_restart(self):
        first = self.activated()
        self.served(self.connect(first))
        first.signal(signal.SIGTERM)
        first.wait(20)
        waiting = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.addCleanup(waiting.close)
        self.activated()
        self.served(waiting)

    def test_a_passed_socket_that_does_not_fit_is_refused_or_reported(self):
        other = listener()
        started = self.activated(port=int(other["address"].rsplit(":", 1)[1]), wait=False)
        self.assertEqual(started.wait(20), 1)
        self.assertIn(f"listens on 127.0.0.1:{self.port}, and its listener's address is",
                      started.log())
        started = self.activated("none", port=int(other["address"].rsplit(":", 1)[1]))
        started.wait_log("no listener takes the socket 'none' of the service manager; it is closed")
        self.passed.close()

        def refused():
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
            except ConnectionRefusedError:
                return True
            return False
        processes.wait_until(refused, "the socket to be closed")

    def test_a_listener_that_a_reload_takes_away_finds_its_socket_again(self):
        started = self.activated()
        mine, other = started.config["listener"][0], listener("other")
        started.reload({**started.config, "listener": [other]})
        started.wait_log("no longer listening on")
        self.served(self.connect(started))
        started.reload({**started.config, "listener": [mine, other]})
        processes.wait_until(lambda: started.log().count("reloaded: ") == 2, "the second reload")
        self.served(self.connect(started, "https"))

    @unittest.skipUnless(ACTIVATE, "needs systemd-socket-activate")
    def test_it_takes_what_systemd_passes(self):
        self.passed.close()
        started = self.relay(listener=[listener(port=self.port)], process={
            "command": (ACTIVATE, "--fdname=https", f"--listen=127.0.0.1:{self.port}"),
            "wait": False})
        started.wait_for_ports(self.port)
        self.served(self.connect(started))  # It starts the proxy at the first client.
        started.wait_log("listening on ")
        self.assertNotIn("no listener takes", started.log())


if __name__ == "__main__":
    main()
