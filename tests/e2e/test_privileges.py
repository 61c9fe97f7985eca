#!/usr/bin/env python3
"""Started as root, the proxy switches to [server] user, and a reload can do what the start did."""

import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import unittest

from support import backends, proxy, processes
from support.case import ProxyTest, main
from support.proxy import BINARY, listener

USER = "nobody"
# NET_BIND_SERVICE, NET_ADMIN, NET_RAW, PERFMON, BPF
KEPT = sum(1 << number for number in (10, 12, 13, 38, 39))
MOUNT = 'mount -t bpf bpf "$0" && exec "$@"'


def status_of(task):
    return dict(re.findall(r"^(\w+):\s*(.*)$", (task / "status").read_text(), re.MULTILINE))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Privileges(ProxyTest):
    def setUp(self):
        super().setUp()
        self.user = pwd.getpwnam(USER)
        self.directory.chmod(0o755)
        self.sockets = self.directory / "run"  # The proxy makes it.
        self.block_file = self.directory / "blocked"
        self.block_file.write_text("192.0.2.1\n")

    def dropped(self, *, server=None, process=None, **config):
        return self.relay(
            server={"user": USER} | (server or {}), process=process,
            control={"socket": str(self.sockets / "control.sock")},
            access={"block_file": str(self.block_file)},
            log={"access_file": str(self.directory / "log" / "access.log")}, **config)

    def serves(self, started, listener=None):
        connection, hello = self.connect_hello(started, listener=listener)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)
        connection.close()

    def command(self, *words):
        found = subprocess.run([BINARY, *words, "--socket", str(self.sockets / "control.sock")],
                               capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(found.returncode, 0, found.stderr)
        return found.stdout

    def test_every_thread_is_that_user_with_five_capabilities_at_most(self):
        started = self.dropped(server={"group": "daemon"})
        group = grp.getgrnam("daemon").gr_gid
        ours = int(status_of(pathlib.Path("/proc/self"))["CapPrm"], 16)
        tasks = list(pathlib.Path(f"/proc/{started.pid}/task").iterdir())
        self.assertGreater(len(tasks), 3)
        for task in tasks:
            status = status_of(task)
            self.assertEqual(status["Uid"].split(), [str(self.user.pw_uid)] * 4)
            self.assertEqual(status["Gid"].split(), [str(group)] * 4)
            groups = os.getgrouplist(USER, group)
            self.assertEqual(sorted(map(int, status["Groups"].split())), sorted(groups))
            for kind in ("CapPrm", "CapEff"):
                self.assertEqual(int(status[kind], 16), KEPT & ours)
            for kind in ("CapInh", "CapAmb", "CapBnd"):
                self.assertEqual(int(status[kind], 16), 0, kind)
            self.assertEqual(status["NoNewPrivs"], "1")

    def test_a_reload_opens_low_ports_files_and_lists_as_the_start_did(self):
        started = self.dropped()
        self.serves(started)
        self.assertEqual((self.sockets / "control.sock").stat().st_uid, self.user.pw_uid)
        log = self.directory / "log" / "access.log"
        processes.wait_until(log.read_text, "a line")
        log.rename(log.with_suffix(".1"))
        self.block_file.write_text("192.0.2.1\n192.0.2.2\n")
        low = listener("low", port=self.low_port())
        started.reload({**started.config, "listener": [*started.config["listener"], low]})
        started.wait_log("reloaded: 2 listeners")
        self.serves(started, "low")
        processes.wait_until(lambda: log.exists() and log.read_text(), "the new file")
        self.assertEqual(log.stat().st_uid, self.user.pw_uid)
        self.assertIn("192.0.2.2", self.command("blocklist"))
        self.command("reload")

    def low_port(self):
        for port in range(1023, 900, -1):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        self.fail("no port below 1024 is free")

    def test_pins_are_the_users_and_are_there_after_a_restart(self):
        mounted = self.directory / "bpf"
        mounted.mkdir()
        command = ("unshare", "-m", "sh", "-c", MOUNT, str(mounted))
        started = self.dropped(process={"command": command},
                               fast_path={"mode": "auto", "dns_pin": str(mounted / "dns")})
        place = pathlib.Path(f"/proc/{started.pid}/root{mounted}/dns")
        self.assertEqual((place.stat().st_uid, place.stat().st_mode & 0o777),
                         (self.user.pw_uid, 0o700))
        self.assertIn("DNS_CACHE", [each.name for each in place.iterdir()])
        self.serves(started)

    def test_files_that_the_user_cannot_read_again_are_reported_at_the_start(self):
        self.block_file.chmod(0o600)
        started = self.dropped()
        started.wait_log(f"user 'nobody' cannot read {self.block_file}, so that no reload will")
        self.serves(started)

    def test_users_and_groups_that_are_not_there_are_mistakes(self):
        path = self.directory / "config.toml"
        config = proxy.complete({}, self.directory)
        for server, mistake in (
                ({"user": "no-such-user"}, "'user' in [server]: this host has no user 'no-such-user'"),
                ({"user": USER, "group": "no-such-group"},
                 "'group' in [server]: this host has no group 'no-such-group'"),
                ({"group": "daemon"}, "'group' in [server] is the group of 'user', which is not set")):
            path.write_text(proxy.to_toml(config | {"server": server}))
            found = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True,
                                   timeout=20, check=False)
            self.assertEqual(found.returncode, 2)
            self.assertIn(mistake, found.stderr)

    def test_a_proxy_without_root_keeps_its_user_and_says_so(self):
        binary = self.directory / "sni-proxy"
        shutil.copy(BINARY, binary)  # Its own directory may be inaccessible to others.
        self.sockets.mkdir()
        os.chown(self.sockets, self.user.pw_uid, -1)
        log = self.directory / "log"
        log.mkdir()
        os.chown(log, self.user.pw_uid, -1)
        started = self.dropped(server={"user": "daemon"}, process={
            "command": ("setpriv", f"--reuid={USER}", "--clear-groups", "sh", "-c",
                        'binary=$0; shift; exec "$binary" "$@"', str(binary))})
        started.wait_log("server.user is not taken, since the proxy was not started by root")
        self.serves(started)
        started.signal(signal.SIGTERM)
        self.assertEqual(started.wait(20), 0)


if __name__ == "__main__":
    main()
