#!/usr/bin/env python3
"""A configuration of several files, and the output of `config --show`."""

import re
import subprocess
import unittest

from support import proxy
from support.case import ProxyTest, main

MAIN = """\
include = ["conf.d/*.toml"]
[server]
workers = 2
[[listener]]
name = "https"
address = "127.0.0.1:44300"
[[route]]
names = ["main.example"]
backend = "127.0.0.1:9"
"""


class ConfigFiles(ProxyTest):
    def setUp(self):
        super().setUp()
        self.config = self.directory / "config.toml"
        self.config.write_text(MAIN)
        self.included = self.directory / "conf.d"
        self.included.mkdir()

    def call(self, *arguments):
        done = subprocess.run([proxy.BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=20, text=True)
        return done.returncode, done.stdout, done.stderr

    def drop(self, name, text):
        (self.included / name).write_text(text)

    def route(self, name):
        return f'[[route]]\nnames = ["{name}"]\nbackend = "10.0.0.1:443"\n'

    def test_files_that_are_dropped_are_read(self):
        self.assertEqual(self.call("check", self.config)[0], 0)
        self.drop("20-two.toml", self.route("two.example"))
        self.drop("10-one.toml", self.route("one.example") + '[timeouts]\nidle = "7m"\n')
        self.drop("one.toml~", "nonsense")
        status, shown, errors = self.call("config", "--show", self.config)
        self.assertEqual((status, errors), (0, ""))
        self.assertLess(shown.index("main.example"), shown.index("one.example"))
        self.assertLess(shown.index("one.example"), shown.index("two.example"))
        self.assertIn('idle = "7m"', shown.splitlines())

    def test_a_mistake_in_an_included_file_is_reported_with_its_name(self):
        self.drop("one.toml", "[[route]]\nnames = ['one.example']\nbakend = 'x'\n")
        for arguments in (("check", self.config), ("config", "--show", self.config)):
            status, output, errors = self.call(*arguments)
            self.assertEqual((status, output), (2, ""))
            self.assertIn(f"{self.included}/one.toml:3:1: unknown key 'bakend'", errors)

    def test_an_output_file_without_a_directory_is_a_mistake(self):
        missing = self.directory / "missing"
        self.config.write_text(f"{MAIN}[log]\naccess_file = '{missing}/access.log'\n"
                               f"[stats]\nfile = '{self.included}'\n")
        status, output, errors = self.call("check", self.config)
        self.assertEqual((status, output), (2, ""))
        self.assertIn(f"config.toml:11:15: 'access_file' in [log]: {missing} is not a directory of "
                      "this host", errors)
        self.assertIn(f"config.toml:13:8: 'file' in [stats]: {self.included} is a directory", errors)

    def test_an_output_file_is_no_other_file_of_the_configuration(self):
        same = f"{self.directory}/./{self.config.name}"
        self.config.write_text(f"{MAIN}[log]\naccess_file = '{same}'\n"
                               f"[stats]\nfile = '{self.config}'\n")
        status, output, errors = self.call("check", self.config)
        self.assertEqual((status, output), (2, ""))
        for line, key in ((11, "15: 'access_file' in [log]"), (13, "8: 'file' in [stats]")):
            self.assertRegex(errors, rf":{line}:{re.escape(key)}: .* is another file of this "
                             "configuration")

    def test_a_directory_that_is_missing_is_a_mistake(self):
        self.included.rmdir()
        status, _, errors = self.call("check", self.config)
        self.assertEqual(status, 2)
        self.assertIn(f"{self.config}:1:12: 'include' at the top level: cannot read", errors)

    def test_the_shown_configuration_is_equivalent_to_the_original(self):
        self.drop("one.toml", self.route("one.example"))
        status, shown, errors = self.call("config", "--show", self.config)
        self.assertEqual((status, errors), (0, ""))
        for line in ('idle = "10m"', 'names = ["one.example"]', "[fast_path]", "workers = 2"):
            self.assertIn(line, shown.splitlines())
        again = self.directory / "again.toml"
        again.write_text(shown)
        self.assertEqual(self.call("config", "--show", again), (0, shown, ""))
        self.assertEqual(self.call("check", again)[0], 0)

    def test_interfaces_are_shown_by_their_names(self):
        self.drop("one.toml", '[[listener]]\nname = "lo"\naddress = "[fe80::1%lo]:4433"\n'
                              '[dns]\nservers = ["fe80::5%lo"]\n'
                              '[[route]]\nnames = ["one.example"]\nbackend = "[fe80::7%lo]:1"\n')
        status, shown, errors = self.call("config", "--show", self.config)
        self.assertEqual((status, errors), (0, ""))
        for line in ('address = "[fe80::1%lo]:4433"', 'servers = ["[fe80::5%lo]:53"]',
                     'backend = "[fe80::7%lo]:1"'):
            self.assertIn(line, shown.splitlines())

    def test_a_file_that_is_not_there_is_named(self):
        status, output, errors = self.call("config", "--show", self.directory / "none")
        self.assertEqual((status, output), (2, ""))
        self.assertIn("cannot open", errors)


if __name__ == "__main__":
    main()
