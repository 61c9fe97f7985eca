#!/usr/bin/env python3
"""The files of `cmake --install`: complete, and valid for the tools that read them."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

from support import proxy
from support.case import ProxyTest, main

DEBIAN = pathlib.Path(__file__).resolve().parents[2] / "contrib/debian"
BUILD = pathlib.Path(proxy.BINARY).parent
COMMANDS = re.compile(r"^  ([a-z-]+) {2,}\S", re.MULTILINE)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@unittest.skipUnless((BUILD / "cmake_install.cmake").exists() and shutil.which("cmake"),
                     "needs cmake and the tree that the program was built in")
class Install(ProxyTest):
    def setUp(self):
        super().setUp()
        self.prefix = self.directory / "usr"
        built = run("cmake", "--build", str(BUILD), "--target", "man")
        self.assertEqual(built.returncode, 0, built.stdout + built.stderr)
        done = run("cmake", "--install", str(BUILD), "--prefix", str(self.prefix),
                   "--component", "Unspecified")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def subcommands(self):
        text = run(str(self.prefix / "bin/sni-proxy"), "--help").stdout
        found = COMMANDS.findall(text[text.index("Subcommands:"):])
        self.assertIn("connections", found)
        return found

    def test_everything_is_there(self):
        for path in ("bin/sni-proxy", "lib/systemd/system/sni-proxy.service",
                     "lib/systemd/system/sni-proxy@.service", "share/sni-proxy/logrotate",
                     "lib/sysusers.d/sni-proxy.conf", "share/man/man1/sni-proxy.1",
                     "share/man/man5/sni-proxy.toml.5", "share/sni-proxy/config.toml.example",
                     "share/bash-completion/completions/sni-proxy",
                     "share/zsh/site-functions/_sni-proxy",
                     "share/fish/vendor_completions.d/sni-proxy.fish",
                     "share/doc/sni-proxy/README.md", "share/doc/sni-proxy/docs/operation.md"):
            with self.subTest(path):
                self.assertTrue((self.prefix / path).is_file())
        self.assertFalse((self.prefix / "etc").exists())

    def test_each_command_has_its_completions_and_its_place_in_the_manual(self):
        texts = [(self.prefix / path).read_text() for path in (
            "share/man/man1/sni-proxy.1", "share/bash-completion/completions/sni-proxy",
            "share/zsh/site-functions/_sni-proxy",
            "share/fish/vendor_completions.d/sni-proxy.fish")]
        for command in self.subcommands():
            for text in texts:
                self.assertRegex(text.replace("\\-", "-"), rf"(?m)\b{command}\b", command)

    def test_so_has_each_of_its_options(self):
        manual, *shells = [(self.prefix / path).read_text().replace("\\-", "-") for path in (
            "share/man/man1/sni-proxy.1", "share/bash-completion/completions/sni-proxy",
            "share/zsh/site-functions/_sni-proxy",
            "share/fish/vendor_completions.d/sni-proxy.fish")]
        for command in self.subcommands():
            text = run(str(self.prefix / "bin/sni-proxy"), command, "--help").stdout
            for option in set(re.findall(r"--([a-z-]+)", text)) - {"help"}:
                with self.subTest(f"{command} --{option}"):
                    if command != "bench":
                        self.assertIn(f"--{option}", manual)
                    for completions in shells:
                        self.assertRegex(completions, rf"(--|-l ){option}\b")

    @unittest.skipUnless(shutil.which("bash"), "needs bash")
    def test_bash_completes_files_where_one_is_expected(self):
        script = self.prefix / "share/bash-completion/completions/sni-proxy"
        done = run("bash", "-c", f"source {script}; compopt() {{ echo files; }}; "
                                 "COMP_WORDS=(sni-proxy check --ex) COMP_CWORD=2; "
                                 "_sni_proxy; echo ${COMPREPLY[*]}")
        self.assertEqual((done.stdout, done.stderr), ("files\n--explain\n", ""))

    @unittest.skipUnless(shutil.which("bash"), "needs bash")
    def test_bash_completes_commands(self):
        script = self.prefix / "share/bash-completion/completions/sni-proxy"
        done = run("bash", "-c", f"source {script}; COMP_WORDS=(sni-proxy co) COMP_CWORD=1; "
                                 "_sni_proxy; echo ${COMPREPLY[*]}")
        self.assertEqual((done.stdout, done.stderr), ("config connections\n", ""))

    @unittest.skipUnless(shutil.which("man"), "needs man")
    def test_manual_pages_have_no_mistakes(self):
        for page in ("man1/sni-proxy.1", "man5/sni-proxy.toml.5"):
            done = run("man", "--warnings", "-l", str(self.prefix / "share/man" / page),
                       env=os.environ | {"MANWIDTH": "120", "LC_ALL": "C.UTF-8"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertNotIn("@", done.stdout.splitlines()[-1])
        self.assertIn("keepalive_idle = \"1m\"", done.stdout)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_the_units_are_right_and_expose_little(self):
        units = self.prefix / "lib/systemd/system"
        for name, config in (("sni-proxy.service", "config"), ("sni-proxy@.service", "%i")):
            text = (units / name).read_text()
            self.assertIn(f"ExecStart={self.prefix}/bin/sni-proxy --config "
                          f"/etc/sni-proxy/{config}.toml\n", text)
            self.assertNotRegex(text, "@[A-Z]+@")
            # systemd-analyze makes an instance of the template itself.
            with self.subTest(name):
                unit = str(units / name)
                done = run("systemd-analyze", "verify", "--man=no", unit)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
                self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)

    def test_instances_share_no_directory_that_one_of_them_removes(self):
        text = (self.prefix / "lib/systemd/system/sni-proxy@.service").read_text()
        for line in ("RuntimeDirectory=sni-proxy-%i", "StateDirectory=sni-proxy/%i",
                     "LogsDirectory=sni-proxy/%i", "ReadWritePaths=-/sys/fs/bpf/sni-proxy-%i"):
            self.assertIn(line + "\n", text)


class DebianPackage(ProxyTest):
    """The additional files of `./dev package`; `./dev package-test` tests the package itself."""

    def test_its_configuration_is_right_takes_more_files_and_serves_nobody(self):
        path = self.directory / "config.toml"
        shutil.copy(DEBIAN / "config.toml", path)
        services = self.directory / "conf.d"
        services.mkdir()
        shutil.copy(DEBIAN / "conf.d.README", services / "README")
        done = run(proxy.BINARY, "check", str(path))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        explain = (proxy.BINARY, "check", str(path), "--explain", "www.example.com")
        self.assertEqual(run(*explain).returncode, 1)
        (services / "www.toml").write_text(
            '[[route]]\nnames = ["www.example.com"]\nbackend = "10.0.0.5:8443"\n')
        self.assertEqual(run(*explain).returncode, 0)

    def test_its_scripts_are_scripts(self):
        for name in ("postinst", "postrm", "prerm"):
            script = DEBIAN / name
            self.assertEqual(script.stat().st_mode & 0o777, 0o755)
            self.assertEqual(run("sh", "-n", str(script)).stderr, "")


if __name__ == "__main__":
    main()
