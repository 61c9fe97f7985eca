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
    def test_standard_descriptors_that_are_closed_are_not_given_to_sockets(self):
        proxy = self.proxy({"log": {"level": "warning"},
                            "route": [{"names": ["*"], "refuse": "close"}]},
                           command=("sh", "-c", 'exec "$@" <&- 2>&-', "sh"))
        for number in (0, 2):
            self.assertEqual(os.readlink(f"/proc/{proxy.pid}/fd/{number}"), "/dev/null")

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

    def test_check_says_what_is_right_and_takes_the_path_alone(self):
        path = self.file(GOOD + '[[route]]\nnames = ["two.example"]\nbackend = "127.0.0.1:9"\n')
        for arguments in (("check", path), ("check", "--config", path)):
            status, output, errors = self.call(*arguments)
            self.assertEqual((status, output), (0, f"{path}: OK (1 listener, 2 routes)\n"), errors)

    def test_check_explains_what_becomes_of_a_client(self):
        path = self.file(GOOD + '[access]\nblock = ["192.0.2.0/24"]\n')
        status, output, errors = self.call("check", path, "--explain", "one.example")
        self.assertEqual((status, errors), (0, ""))
        self.assertRegex(output, r"\nroute one.example, by its name one.example\nbackend \S+\n$")
        for arguments, last in ((["--explain", "other.example"], "no route takes it"),
                                (["--explain", "one.example", "--source", "192.0.2.1"],
                                 "source 192.0.2.1: blocked by 192.0.2.0/24 in access.block")):
            status, output, errors = self.call("check", path, *arguments)
            self.assertEqual((status, errors), (1, ""))
            self.assertEqual(output.splitlines()[-1], last)
        for arguments, error in ((["--explain", "a b"], "'a b'"), (["--alpn", "h2"], "--explain"),
                                 (["--explain", "a", "--source", "x"], "'x' is not an address")):
            status, _, errors = self.call("check", path, *arguments)
            self.assertEqual(status, 1)
            self.assertIn(error, errors)

    def test_check_says_what_to_write_instead_of_what_other_programs_take(self):
        def address(text):
            return GOOD.replace('"127.0.0.1:44300"', text)

        def backend(text):
            return GOOD.replace('"127.0.0.1:9"', text)

        for text, hints in {
            address('":443"'): ('"[::]:443"', '"0.0.0.0:443"'),
            address('"443"'): ('"[::]:443"',),
            address("443"): ('"[::]:443"',),
            address('"*:443"'): ('"[::]:443"',),
            address('"0.0.0.0:70000"'): ("65535",),
            address('"::1:443"'): ("'[::1]:443'",),
            address("0.0.0.0:443"): ('address = "0.0.0.0:443"',),
            backend('"https://10.0.0.1"'): ("URL", "'10.0.0.1:443'"),
            GOOD + '[log]\nlevel = "warn"\n': ("'warning'",),
            GOOD + '[log]\nformat = "JSON"\n': ("'json'",),
            GOOD + 'default = "10.0.0.1:443"\n': ('"*"',),
            GOOD + 'proxy_protocol = true\n': ("PROXY protocol",),
            GOOD + 'server = "10.0.0.1:443"\n': ("'backend'",),
        }.items():
            with self.subTest(text=text[-120:]):
                status, output, errors = self.call("check", self.file(text))
                self.assertEqual(status, 2)
                self.assertEqual(len(errors.splitlines()), 1, errors)
                for hint in hints:
                    self.assertIn(hint, errors)
        status, output, errors = self.call(
            "check", self.file(GOOD + '[limits]\nrelay_memory = "256MB"\n'))
        self.assertEqual(status, 0, errors)

    def test_a_bad_line_of_a_block_file_is_a_mistake_or_is_skipped(self):
        entries = self.file("192.0.2.1\n<html>\n192.0.2.2\nnot found\n", "blocklist")
        text = GOOD + f'[access]\nblock_file = "{entries}"\n'
        status, _, errors = self.call("check", self.file(text))
        self.assertEqual(status, 2)
        self.assertIn(f"{entries}:2:1: ", errors)
        self.assertIn(f"{entries}:4:1: ", errors)
        status, output, errors = self.call(
            "check", self.file(text + 'block_file_errors = "skip"\n'))
        self.assertEqual(status, 0, errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        self.assertIn(f"{entries}:2:1: warning: ", errors)
        self.assertIn("this and 1 more line are left out", errors)

    def test_a_block_file_that_is_missing_is_a_mistake_of_the_key(self):
        path = self.file(GOOD + '[access]\nblock_file = "/nonexistent/list"\n')
        line = path.read_text().splitlines().index('block_file = "/nonexistent/list"') + 1
        for arguments in (("check", path), ("--config", path)):
            status, output, errors = self.call(*arguments)
            self.assertNotEqual(status, 0)
            self.assertIn(f"{path}:{line}:14: 'block_file' in [access]: cannot open", errors)

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

    def test_output_that_is_not_all_written_is_a_failure(self):
        path = str(self.directory / "good.toml")
        pathlib.Path(path).write_text(GOOD)
        for arguments in (["config", "--show", path], ["check", path], ["--version"], ["--help"]):
            with self.subTest(arguments), open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([proxy.BINARY, *arguments], stdout=full, text=True,
                                      stderr=subprocess.PIPE, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (
                    1, "sni-proxy: cannot write to standard output: No space left on device\n"))

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
