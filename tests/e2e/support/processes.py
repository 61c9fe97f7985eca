"""Child processes and ports: each test ends exactly what it started."""

import contextlib
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

# Below the ephemeral range, so that no client socket of another test takes one of them.
PORTS = range(10_000, 32_000)


# Enough for a slow machine: a sanitizer's build beside three other tests on two cores.
WAIT_LIMIT_S = 60.0


def wait_until(condition, what, seconds=WAIT_LIMIT_S):
    """Polls condition() until it is true and returns its value; `what` describes it for the
    error."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(0.02)


def wait_still(value, what, seconds=WAIT_LIMIT_S, still=0.5):
    """Waits until value() is true and has been the same for `still` seconds; returns it."""
    since = [None, time.monotonic()]

    def stands():
        now = value()
        if now != since[0]:
            since[:] = now, time.monotonic()
        return now if now and time.monotonic() - since[1] >= still else None
    return wait_until(stands, f"{what}, last {since[0]}", seconds)


def wait_read(connection):
    """Waits until a process of this host has accepted the IPv4 connection and read all of it."""
    near, far = connection.getsockname()[1], connection.getpeername()[1]

    def empty():
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(each.rsplit(":", 1)[1], 16) for each in fields[1:3])
            if (local, remote) == (far, near):  # fields[9]: the inode, 0 until it is accepted.
                return fields[4].endswith(":00000000") and fields[9] != "0"
        return False
    wait_until(empty, f"port {far} to read what port {near} has sent")


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.choice(PORTS)
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port


def listening_ports(pid):
    """TCP ports on which the process listens, once for each socket."""
    inodes = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            if match:
                inodes.add(match.group(1))
    ports = []
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # 0A: TCP_LISTEN.
                ports.append(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


class Child:
    """A child process with stderr (and stdout) in a file."""

    def __init__(self, command, log_path, **options):
        self.log_path = pathlib.Path(log_path)
        with open(self.log_path, "wb") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(command, **streams | options)
        self.pid = self.process.pid

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="surrogateescape")

    def alive(self):
        return self.process.poll() is None

    def wait_for_ports(self, *ports):
        def ready():
            if not self.alive():
                raise AssertionError(f"ended with {self.process.returncode} at start:\n{self.log()}")
            with contextlib.suppress(FileNotFoundError):
                return set(ports) <= set(listening_ports(self.pid))
        wait_until(ready, f"process {self.pid} listening on {ports}")

    def wait_log(self, pattern, seconds=WAIT_LIMIT_S):
        return wait_until(lambda: re.search(pattern, self.log()), f"/{pattern}/ in the log", seconds)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=WAIT_LIMIT_S):
        """The exit status (negative: the signal that ended it)."""
        return self.process.wait(seconds)

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
