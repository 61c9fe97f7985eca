#!/usr/bin/env python3
"""log.access_file: access lines in a file of their own, through rotations and full disks."""

import json
import os
import pathlib
import socket
import re
import shutil
import signal
import subprocess
import unittest

from support import backends, processes
from support.case import ProxyTest, main
from support.proxy import BINARY

LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/sbin:/usr/bin:/bin")
EXAMPLE = pathlib.Path(__file__).parents[2] / "contrib" / "logrotate"


class AccessFile(ProxyTest):
    def setUp(self):
        super().setUp()
        self.file = pathlib.Path(self.directory) / "access.log"

    def started(self, **log):
        return self.relay(log={"format": "json", "access_file": str(self.file)} | log)

    def visit(self, started):
        connection, hello = self.connect_hello(started)
        backends.read_exactly(connection, len(hello))
        connection.close()

    def lines(self, file, count):
        """The JSON lines of the file, once there are so many."""
        found = processes.wait_until(
            lambda: file.exists() and len(file.read_text().splitlines()) >= count
            and file.read_text().splitlines(), f"{count} lines in {file}")
        return [json.loads(line) for line in found]

    def command(self, started):
        return subprocess.run(
            [BINARY, "reopen", "--socket", started.config["control"]["socket"]],
            capture_output=True, text=True, timeout=60)

    def test_lines_of_connections_go_there_and_all_others_to_stderr(self):
        started = self.started(level="warning")
        self.visit(started)
        line, = self.lines(self.file, 1)
        self.assertEqual((line["server_name"], line["end"]), ("one.example", "done"))
        self.assertNotIn("server_name", started.log())
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o640)

    def test_a_file_that_was_moved_away_is_replaced_at_sigusr1_and_by_command(self):
        started = self.started()
        moved = [self.file.with_suffix(f".{number}") for number in range(2)]
        self.visit(started)
        self.lines(self.file, 1)
        self.file.rename(moved[0])
        self.visit(started)  # Goes to the present place of the file.
        self.lines(moved[0], 2)
        started.signal(signal.SIGUSR1)
        processes.wait_until(self.file.exists, "the new file")
        self.visit(started)
        self.lines(self.file, 1)
        self.file.rename(moved[1])
        done = self.command(started)
        self.assertEqual((done.returncode, done.stdout), (0, f"opened {self.file}\n"))
        self.visit(started)
        self.assertEqual([len(self.lines(file, 1)) for file in (*moved, self.file)], [2, 1, 1])

    def test_no_line_is_lost_under_traffic_while_files_change(self):
        started = self.started()
        files = []
        for number in range(20):
            for _ in range(10):
                self.visit(started)
            files.append(self.file.with_suffix(f".{number}"))
            self.file.rename(files[-1])
            started.signal(signal.SIGUSR1)
            processes.wait_until(self.file.exists, "the new file")
        started.signal(signal.SIGTERM)
        self.assertEqual(started.wait(20), 0)
        found = [json.loads(line) for file in (*files, self.file)
                 for line in file.read_text().splitlines()]
        self.assertEqual(len(found), 200)

    def test_a_reload_changes_the_file_and_one_that_cannot_be_opened_changes_nothing(self):
        started = self.started()
        self.visit(started)
        self.lines(self.file, 1)
        second = self.file.with_suffix(".second")
        started.config["log"]["access_file"] = str(second)
        started.reload(started.config)
        processes.wait_until(second.exists, "the second file")
        self.visit(started)
        self.lines(second, 1)
        taken = self.file.with_suffix(".socket")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(taken))
        started.config["log"]["access_file"] = str(taken)
        started.reload(started.config)
        started.wait_log(
            "cannot open log.access_file .*: No such device or address; nothing is changed")
        self.visit(started)
        self.lines(second, 2)

    def test_a_fifo_that_nobody_reads_holds_nothing_up(self):
        os.mkfifo(self.file)
        started = self.proxy({"log": {"access_file": str(self.file)},
                              "route": [{"names": ["*"], "backend": "127.0.0.1:9"}]}, wait=False)
        self.assertEqual(started.wait(20), 1)
        self.assertIn("no process reads this FIFO", started.log())
        reader = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK)
        started = self.started()
        self.visit(started)
        os.set_blocking(reader, True)
        self.assertIn(b'"client":', os.read(reader, 4096))
        os.close(reader)
        started.reload(started.config)
        started.wait_log("no process reads this FIFO; nothing is changed")
        started.signal(signal.SIGTERM)
        self.assertEqual(started.wait(20), 0)

    def test_a_full_disk_costs_lines_that_are_counted_and_no_connection(self):
        self.file = pathlib.Path("/dev/full")
        started = self.started()
        for _ in range(3):
            self.visit(started)
        started.wait_log(r"access lines were dropped: /dev/full cannot be written "
                         r"\(No space left on device\)")

    def test_a_start_without_the_file_s_directory_says_so(self):
        self.file = self.file / "missing"
        started = self.proxy({"log": {"access_file": str(self.file)},
                              "route": [{"names": ["*"], "backend": "127.0.0.1:9"}]}, wait=False)
        self.assertEqual(started.wait(20), 1)
        self.assertRegex(started.log(), "'access_file' in .log.: .* is not a directory of this host")

    @unittest.skipUnless(LOGROTATE, "needs logrotate")
    def test_the_logrotate_example_rotates(self):
        started = self.started()
        self.visit(started)
        self.lines(self.file, 1)
        text = EXAMPLE.read_text()
        text = text.replace("/var/log/sni-proxy/*.log /var/log/sni-proxy/*/*.log", str(self.file))
        text = text.replace("create 0640 sni-proxy sni-proxy", "create 0640 root root")
        text = re.sub("systemctl kill .*", f"kill -USR1 {started.pid}", text)
        config = pathlib.Path(self.directory) / "logrotate.conf"
        config.write_text(text)
        config.chmod(0o644)
        done = subprocess.run(
            [LOGROTATE, "--force", "--state", str(config.with_suffix(".state")), str(config)],
            capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.visit(started)
        processes.wait_until(lambda: self.file.exists() and self.file.stat().st_size, "a new line")
        self.assertEqual(len(self.lines(self.file.with_suffix(".log.1"), 1)), 1)


if __name__ == "__main__":
    main()
