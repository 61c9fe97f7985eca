#!/usr/bin/env python3
"""sni-proxy top in a terminal of three sizes, with and without colours, to every end."""

import os
import pty
import shlex
import shutil
import subprocess
import sys
import unittest

from support import backends, processes, proxy
from support.case import SKIP_STATUS, ProxyTest, main

TMUX = shutil.which("tmux")


class Top(ProxyTest):
    def command(self, started):
        return [proxy.BINARY, "top", "--interval", "200ms", "--socket",
                started.config["control"]["socket"]]

    def tmux(self, *arguments):
        return subprocess.run([TMUX, "-S", str(self.directory / "tmux.sock"), "-f", "/dev/null",
                               *arguments], capture_output=True, text=True, timeout=20)

    def terminal(self, started, width, height, **environment):
        """top in a terminal of this size; its status is in the file `status` when it has ended."""
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        line = f"env {settings} {shlex.join(self.command(started))} 2>errors; echo $? >status; sleep 60"
        done = self.tmux("new-session", "-d", "-x", str(width), "-y", str(height),
                         "-c", str(self.directory), line)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.tmux, "kill-server")

    def screen(self):
        return self.tmux("capture-pane", "-p").stdout

    def wait_for(self, *parts):
        def found():
            screen = self.screen()
            return screen if all(part in screen for part in parts) else None
        return processes.wait_until(found, f"{parts} on the screen")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def status(self):
        path = self.directory / "status"
        return processes.wait_until(lambda: path.exists() and path.read_text().strip() or None, "its end")

    def served(self, started, name):
        connection, hello = self.connect_hello(started, name)
        backends.read_exactly(connection, len(hello))
        return connection

    def two_connections(self):
        started = self.relay(names=("one.example", "*.two.example"))
        return started, self.served(started, "one.example"), self.served(started, "a.two.example")

    def test_three_sizes_show_what_fits_and_a_resize_is_followed(self):
        started, *_ = self.two_connections()
        backend = started.config["route"][0]["backend"]
        self.terminal(started, 80, 24)
        screen = self.wait_for("2 connections", "[1 connections]", "a.two.example", "q quit")
        self.assertNotIn("PLANE", screen)
        self.tmux("resize-window", "-x", "132", "-y", "43")
        self.wait_for("PLANE", "userspace", backend)
        self.tmux("resize-window", "-x", "40", "-y", "10")
        small = self.wait_for("one.example", "a.two.example")
        self.assertNotIn("PLANE", small)
        self.assertLessEqual(max(map(len, small.splitlines())), 40)
        self.keys("q")
        self.assertEqual(self.status(), "0")

    def test_views_filters_and_kills(self):
        started, one, two = self.two_connections()
        self.terminal(started, 80, 24)
        self.wait_for("one.example", "a.two.example")
        for key, title, row in (("2", "[2 names]", "a.two.example"), ("3", "[3 sources]", "127.0.0.1"),
                                ("4", "[4 backends]", started.config["route"][0]["backend"]),
                                ("5", "[5 routes]", "one.example"), ("2", "[2 names]", "one.example")):
            self.keys(key)
            self.wait_for(title, row)
        self.keys("/", "t", "w", "o", "Enter")
        processes.wait_until(lambda: "one.example" not in self.screen(), "the filter")
        self.keys("k")
        self.wait_for("kill all connections of name a.two.example? y/n")
        self.keys("y")
        self.wait_for("killed 1")
        backends.drain(two)
        one.sendall(b"still")
        self.assertEqual(backends.read_exactly(one, 5), b"still")
        self.keys("q")
        self.assertEqual(self.status(), "0")

    def test_a_terminal_without_colours_and_unicode_serves(self):
        started, *_ = self.two_connections()
        self.terminal(started, 80, 24, TERM="vt100", NO_COLOR="1", LC_ALL="C")
        self.wait_for("one.example", "[1 connections]")
        self.keys("C-c")
        self.assertEqual(self.status(), "0")

    def test_a_proxy_that_ends_ends_it_and_the_screen_is_given_back(self):
        started, *_ = self.two_connections()
        self.terminal(started, 80, 24)
        self.wait_for("one.example")
        started.end()
        self.assertEqual(self.status(), "1")
        self.assertIn("cannot reach the proxy", (self.directory / "errors").read_text())
        self.assertNotIn("[1 connections]", self.screen())

    def test_a_terminal_that_goes_away_ends_it(self):
        started, *_ = self.two_connections()
        master, slave = pty.openpty()
        child = subprocess.Popen(self.command(started), stdin=slave, stdout=slave,
                                 stderr=subprocess.PIPE, env=os.environ | {"TERM": "xterm"})
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        os.close(slave)
        self.assertTrue(os.read(master, 100))
        os.close(master)
        child.wait(20)

    def test_without_a_terminal_or_a_proxy_it_says_so(self):
        started = self.relay()
        for command, reason in ((self.command(started), "top needs a terminal"),
                                ([proxy.BINARY, "top", "--socket", "/nonexistent"], "is it running?"),
                                ([proxy.BINARY, "top", "--interval", "1ms"], "200ms to 1m")):
            done = subprocess.run(command, capture_output=True, text=True, timeout=20,
                                  stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stderr)


if __name__ == "__main__":
    if TMUX is None:
        print("skipped: tmux is missing")
        sys.exit(SKIP_STATUS)
    main()
