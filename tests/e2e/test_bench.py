#!/usr/bin/env python3
"""`sni-proxy bench` as users run it: valid figures, and nothing left behind however it ends."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support import proxy
from support.case import ProxyTest, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEASURED = ROOT / "docs" / "measured.md"
MEASURED_TABLE = ROOT / "bench" / "measured_table.py"
PREFIX = "sni-bench-"


def namespaces():
    """Network namespaces made by any bench, by name."""
    try:
        return {name for name in os.listdir("/run/netns") if name.startswith(PREFIX)}
    except FileNotFoundError:
        return set()


def directories():
    return set(pathlib.Path(tempfile.gettempdir()).glob(PREFIX + "*"))


def descendants(pid):
    """All descendants of this process."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        try:
            tasks = os.listdir(f"/proc/{current}/task")
            children = [int(child) for task in tasks for child in
                        pathlib.Path(f"/proc/{current}/task/{task}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += children
        queue += children
    return found


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class Bench(ProxyTest):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("network namespaces need root")
        self.before = namespaces(), directories()

    def run_bench(self, *arguments, **options):
        return subprocess.run([proxy.BINARY, "bench", *map(str, arguments)], timeout=150,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)

    def copy_beside(self, *names):
        """The first of these programs of the build tree, in a directory with nothing else."""
        for name in names:
            copy = self.directory / name
            shutil.copy(pathlib.Path(proxy.BINARY).parent / name, copy)
            copy.chmod(0o755)
        return self.directory / names[0]

    def check_nothing_is_left(self):
        self.assertEqual((namespaces(), directories()), self.before)

    def wait_until_measuring(self, child):
        """Waits until its first step runs; returns all its descendants."""
        lines = 0
        while lines < 2:
            line = child.stderr.readline()
            self.assertTrue(line, "the bench ended early")
            lines += "left" in line
        return descendants(child.pid)

    def test_a_quick_run_measures_every_row_and_leaves_nothing(self):
        page, data = self.directory / "report.html", self.directory / "report.json"
        done = self.run_bench("--quick", "--json", data, "--html", page)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(data.read_text())
        self.assertTrue(report["valid"])
        self.assertEqual(report["mode"], "namespaces")
        rows = {row["id"]: row for row in report["rows"]}
        self.assertLessEqual({"direct", "userspace", "bridge/direct", "bridge/userspace",
                              "local/direct", "local/userspace", "blocking/direct",
                              "blocking/userspace"}, set(rows))
        for name in ("userspace", "bridge/userspace", "local/userspace", "blocking/userspace"):
            for metric in ("pingpong-64.rate", "messages-16.rate", "down-1.gbit_s", "up-16.gbit_s",
                           "both-1.gbit_s", "connections.rate", "stalled-memory.bytes"):
                # The amount depends on the machine; at worst it was busy elsewhere all the time.
                self.assertGreaterEqual(rows[name]["figures"][metric]["median"], 0, (name, metric))
        self.assertIn("idle-memory.bytes", rows["userspace"]["figures"])
        self.assertTrue(all(len(line) <= 100 for line in done.stdout.splitlines()), done.stdout)
        self.assertIn("10 times lower", done.stdout)
        self.assertIn("<svg", page.read_text())
        self.check_document(data)
        self.check_nothing_is_left()

    def check_document(self, data):
        """The script puts the figures between the document's markers, and nothing else changes."""
        document = self.directory / "measured.md"
        text = MEASURED.read_text()
        document.write_text(text)
        for _ in range(2):  # The second time over its own work.
            subprocess.run([sys.executable, "-B", MEASURED_TABLE, data, document], check=True)
        begin, end = "<!-- bench:begin -->", "<!-- bench:end -->"
        found = document.read_text()
        self.assertEqual(found.split(begin)[0], text.split(begin)[0])
        self.assertEqual(found.split(end)[1], text.split(end)[1])
        self.assertRegex(found, r"\| userspace \| [0-9]")

    def test_only_chooses_rows_and_columns(self):
        data = self.directory / "report.json"
        done = self.run_bench("--only", "direct,down-1", "--rounds", 2, "--seconds", 0.1,
                              "--json", data)
        self.assertEqual(done.returncode, 0, done.stderr)
        samples = json.loads(data.read_text())["samples"]
        self.assertEqual([(each["row"], each["column"], each["round"]) for each in samples],
                         [("direct", "down-1", 1), ("direct", "down-1", 2)])

    def test_only_with_an_unknown_word_says_what_there_is(self):
        done = self.run_bench("--only", "dirct")
        self.assertEqual(done.returncode, 1)
        self.assertIn("'dirct'", done.stderr)
        self.assertIn("haproxy" if pathlib.Path("/usr/sbin/haproxy").exists() else "userspace",
                      done.stderr)
        self.check_nothing_is_left()

    def test_a_proxy_that_does_not_start_makes_the_run_invalid(self):
        done = self.run_bench("--proxy", "/bin/false", "--only", "direct,userspace,down-1",
                              "--rounds", 1, "--seconds", 0.1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("! userspace", done.stdout)
        self.assertIn("did not start", done.stdout)
        self.check_nothing_is_left()

    def test_it_takes_everything_down_when_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen([proxy.BINARY, "bench"], stdin=subprocess.DEVNULL, text=True,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(child.stderr.close)
            below = self.wait_until_measuring(child)
            self.assertTrue(below)
            child.send_signal(number)
            child.stderr.read()
            self.assertEqual(child.wait(timeout=20), 130)
            self.assertEqual([pid for pid in below if alive(pid)], [])
            self.check_nothing_is_left()

    def test_the_next_run_removes_what_a_killed_run_left(self):
        child = subprocess.Popen([proxy.BINARY, "bench", "--only", "userspace,direct"], text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
        self.addCleanup(child.stderr.close)
        below = self.wait_until_measuring(child)
        child.kill()
        child.wait()
        deadline = time.monotonic() + 10
        while any(map(alive, below)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual([pid for pid in below if alive(pid)], [])
        self.assertNotEqual(namespaces(), self.before[0])
        self.assertNotEqual(directories(), self.before[1])
        done = self.run_bench("--only", "direct,down-1", "--rounds", 1, "--seconds", 0.05)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_nothing_is_left()

    def test_without_privileges_it_measures_on_loopback_and_says_so(self):
        # Runs as nobody, who may not be able to read the binaries' directory, so they are copied.
        copy = self.copy_beside("sni-proxy", "sni-proxy-bench")
        self.directory.chmod(0o755)
        done = subprocess.run([copy, "bench", "--only", "direct,userspace,pingpong-64,up-1",
                               "--rounds", "1", "--seconds", "0.1"], timeout=60, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, user="nobody",
                              group="nogroup", extra_groups=[], env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("loopback", done.stderr)
        self.assertIn("loopback", done.stdout)
        self.check_nothing_is_left()

    def test_a_proxy_without_its_bench_says_what_is_missing(self):
        done = subprocess.run([self.copy_beside("sni-proxy"), "bench"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot execute {self.directory}/sni-proxy-bench: No such file", done.stderr)
        self.assertIn("target sni-proxy-bench", done.stderr)

    def test_the_configurations_are_printed_on_request(self):
        done = self.run_bench("--print-configs")
        self.assertEqual(done.returncode, 0)
        self.assertIn("[fast_path]", done.stdout)
        self.assertIn("ssl_preread on", done.stdout)
        self.assertIn("req.ssl_sni", done.stdout)


if __name__ == "__main__":
    main()
