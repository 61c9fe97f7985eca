#!/usr/bin/env python3
"""The command line: subcommands, exit statuses, and messages that help."""

import os
import pathlib
import subprocess
import threading
import unittest

from support import backends, proxy
from support.case import ProxyTest, main

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "config.toml.example"

GOOD = """
[[listener]]
name = "https"
address = "127.0.0.1:44300"

[[route]]
names = ["one.example"]
backend = "127.0.0.1:9"
"""

BAD = """[[listener]]
name = "https"
address = "127.0.0.1"

[[route]]
names = ["one.example"]
backend = "127.0.0.1:9"
listener = ["https"]

[timeouts]
hello = 5
idel = "10m"

[fast_path]
mode = "sockhsh"
"""


class CommandLine(ProxyTest):
    def call(self, *arguments, **options):
        done = subprocess.run([proxy.BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20, text=True, **options)
        return done.returncode, done.stdout, done.stderr

    def file(self, text, name="config.toml"):
        path = self.directory / name
        path.write_text(text)
        return path

    def test_check_accepts_a_good_file_and_the_example(self):
        for path in (self.file(GOOD), EXAMPLE):
            status, output, errors = self.call("check", "--config", path)
            self.assertEqual(status, 0, output + errors)

    def test_check_prints_every_mistake_with_its_place_and_a_suggestion(self):
        path = self.file(BAD)
        status, output, errors = self.call("check", "--config", path)
        self.assertEqual(status, 2)
        for place in (":3:", ":8:", ":11:", ":12:", ":15:"):
            self.assertIn(f"{path}{place}", output + errors)
        for suggestion in ("listeners", "idle", "sockhash"):
            self.assertIn(suggestion, output + errors)

    def test_a_syntax_error_has_its_place(self):
        path = self.file("[[route]]\nnames = [\n")
        status, output, errors = self.call("check", "--config", path)
        self.assertEqual(status, 2)
        self.assertRegex(output + errors, rf"{path}:\d+:\d+: ")

    def test_an_empty_file_lacks_what_every_file_needs(self):
        status, output, errors = self.call("check", "--config", self.file(""))
        self.assertEqual(status, 2)
        self.assertIn("listener", output + errors)
        self.assertIn("route", output + errors)

    def test_a_file_without_an_end_is_refused(self):
        status, output, errors = self.call("check", "--config", "/dev/zero")
        self.assertEqual(status, 2)
        self.assertIn("longer than", output + errors)

    def test_a_configuration_can_come_through_a_pipe(self):
        reading, writing = os.pipe()
        writer = threading.Timer(0.3, lambda: (os.write(writing, GOOD.encode()), os.close(writing)))
        writer.start()
        done = subprocess.run([proxy.BINARY, "check", "--config", f"/dev/fd/{reading}"],
                              pass_fds=[reading], capture_output=True, text=True, timeout=20)
        writer.join()
        os.close(reading)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_check_opens_no_socket(self):
        with backends.socket.create_server(("127.0.0.1", 0)) as taken:
            text = GOOD.replace("44300", str(taken.getsockname()[1]))
            self.assertEqual(self.call("check", "--config", self.file(text))[0], 0)

    def test_a_start_with_mistakes_is_refused_with_all_of_them(self):
        path = self.file(BAD)
        status, output, errors = self.call("--config", path)
        self.assertNotEqual(status, 0)
        for place in (":3:", ":8:", ":12:"):
            self.assertIn(f"{path}{place}", output + errors)

    def test_a_file_that_is_not_there_is_named(self):
        missing = self.directory / "missing.toml"
        for arguments in (("--config", missing), ("check", "--config", missing)):
            status, output, errors = self.call(*arguments)
            self.assertNotEqual(status, 0)
            self.assertIn(str(missing), output + errors)

    def test_help_names_every_subcommand_and_flag(self):
        status, output, _ = self.call("--help")
        self.assertEqual(status, 0)
        for word in ("--config", "check"):
            self.assertIn(word, output)
        status, output, _ = self.call("check", "--help")
        self.assertEqual(status, 0)
        self.assertIn("--config", output)

    def test_unknown_flags_and_subcommands_are_errors(self):
        path = self.file(GOOD)
        for arguments in (("--confg", path), ("chekc",), ("check", "--config", path, "--verbos"),
                          ("--config", path, "extra"), ("check",), ()):
            with self.subTest(arguments=arguments):
                status, output, errors = self.call(*arguments)
                self.assertNotEqual(status, 0)
                self.assertTrue(output + errors)


if __name__ == "__main__":
    main()
