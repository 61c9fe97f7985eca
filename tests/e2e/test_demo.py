#!/usr/bin/env python3
"""The demo of `./dev run`: the printed commands work, and Ctrl-C leaves nothing behind."""

import pathlib
import re
import shlex
import signal
import subprocess
import unittest

from support import processes, proxy
from support.case import ProxyTest, main

DEMO = pathlib.Path(__file__).resolve().parents[2] / "contrib/demo"


class Demo(ProxyTest):
    def test_the_printed_commands_work_and_ctrl_c_ends_everything(self):
        demo = processes.Child([DEMO, proxy.BINARY], self.directory / "demo.log",
                               start_new_session=True)
        self.addCleanup(demo.stop)
        demo.wait_log("Ctrl-C")
        lines = re.findall(r"^  (curl [^#\n]*)", demo.log(), re.MULTILINE)
        outputs = [subprocess.run(shlex.split(line) + ["--noproxy", "*", "--show-error", "--silent"],
                                  capture_output=True, timeout=30, text=True) for line in lines]
        self.assertEqual([output.stdout for output in outputs],
                         ["This is one.example.\n", "This is two.example.\n", ""])
        self.assertIn("unrecognized name", outputs[2].stderr)
        directory = pathlib.Path(re.search(r"/tmp/sni-proxy-demo\.\w+", demo.log()).group())
        children = pathlib.Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
        self.assertEqual(len(children), 3)
        demo.signal(signal.SIGINT)
        self.assertEqual(demo.wait(20), 0)
        self.assertFalse(directory.exists())
        self.assertFalse([child for child in children if pathlib.Path(f"/proc/{child}").exists()])


if __name__ == "__main__":
    main()
