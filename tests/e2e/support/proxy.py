"""The proxy under test: a configuration from a dict, a process, its log."""

import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from . import processes

BINARY = os.environ.get("SNI_PROXY", "")
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")


def value_of(value):
    """Uses JSON where TOML has the same syntax; inline tables differ."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {value_of(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(value_of, value)) + "]"
    return json.dumps(value)


def to_toml(config):
    """Tables, arrays of tables and plain values."""
    lines = []
    for table, content in config.items():
        for entry in content if isinstance(content, list) else [content]:
            lines.append(f"[[{table}]]" if isinstance(content, list) else f"[{table}]")
            lines += [f"{key} = {value_of(value)}" for key, value in entry.items()]
            lines.append("")
    return "\n".join(lines)


def listener(name="https", protocol="tls", host="127.0.0.1", port=0):
    port = port or processes.free_port(host)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {"name": name, "address": address, "protocol": protocol}


def port_of(listener_table):
    return int(listener_table["address"].rsplit(":", 1)[1])


def complete(config, directory):
    """Completes the configuration with what every test needs: a listener, a route, a control socket
    of its own, a short drain."""
    nobody = {"names": ["nobody.example"], "backend": "127.0.0.1:9"}
    whole = {
        "server": {"workers": 2} | config.get("server", {}),
        "listener": config.get("listener") or [listener()],
        "route": config.get("route") or [nobody],
        "timeouts": {"drain": "2s"} | config.get("timeouts", {}),
        "control": {"socket": str(pathlib.Path(directory) / "control.sock")} |
                   config.get("control", {}),
        "log": {"level": "debug", "format": "json"} | config.get("log", {}),
        "fast_path": config.get("fast_path", {"mode": os.environ.get("SNI_MODE", "auto")}),
    }
    whole.update({table: content for table, content in config.items() if table not in whole})
    return whole


class Proxy(processes.Child):
    def __init__(self, config, directory, *, command=(), wait=True, **options):
        self.config = complete(config, directory)
        self.config_path = pathlib.Path(directory) / "config.toml"
        self.write(self.config)
        super().__init__([*command, BINARY, "--config", str(self.config_path)],
                         pathlib.Path(directory) / "proxy.log", **options)
        self.logs_elsewhere = "stderr" in options
        if wait:
            self.wait_ready()

    @property
    def ports(self):
        return {table["name"]: port_of(table) for table in self.config["listener"]}

    @property
    def port(self):
        return port_of(self.config["listener"][0])

    def write(self, config):
        """A configuration as a dict, or as text, which may be invalid."""
        self.config_path.write_text(config if isinstance(config, str) else to_toml(config))

    def wait_ready(self):
        self.wait_for_ports(*self.ports.values())
        if self.config["log"]["level"] in ("debug", "info") and not self.logs_elsewhere:
            self.wait_log("listening on ")  # All workers have their descriptors.

    def reload(self, config):
        """Writes the configuration (a dict is completed, text is not) and sends SIGHUP."""
        if isinstance(config, dict):
            merged = {"listener": self.config["listener"]} | config
            config = self.config = complete(merged, self.config_path.parent)
        self.write(config)
        self.signal(signal.SIGHUP)

    def records(self):
        """Every JSON line of the log."""
        lines = (line for line in self.log().splitlines() if line.startswith("{"))
        return [json.loads(line) for line in lines if line.endswith("}")]

    def access(self, count=1, seconds=processes.WAIT_LIMIT_S):
        """At least `count` access records, in the order of the ends."""
        def enough():
            found = [record for record in self.records() if is_access(record)]
            return found if len(found) >= count else None
        return processes.wait_until(enough, f"{count} access lines", seconds)

    def ended(self):
        """How many connections have ended for each reason, as the running proxy has counted."""
        done = subprocess.run([BINARY, "stats", "--json", "--socket",
                               self.config["control"]["socket"]],
                              capture_output=True, text=True, timeout=60, check=True)
        return {reason: count for reason, count in json.loads(done.stdout)["ended"].items() if count}

    def memory_kib(self, key="VmRSS"):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE).group(1))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def held(self):
        """How many descriptors of each kind are open: "socket", "pipe" (two for each),
        "anon_inode:[eventfd]", "anon_inode:bpf-map", the path of a file."""
        directory = f"/proc/{self.pid}/fd"
        kinds = collections.Counter()
        for name in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):  # Closed since the listing.
                kinds[re.sub(r":\[\d+\]$", "", os.readlink(f"{directory}/{name}"))] += 1
        return kinds

    def descriptors(self):
        """Without pipes, some of which workers keep for splicing: see wait_given_back()."""
        kinds = self.held()
        return kinds.total() - kinds["pipe"]

    def wait_given_back(self, before, *, pipes, seconds=processes.WAIT_LIMIT_S):
        """Waits until no kind has more descriptors than in `before`. A worker keeps the pipes that
        it had in use at once, at most `pipes` in all."""
        def surplus():
            now = self.held()
            more = now - before
            more["pipe"] = max(0, now["pipe"] - 2 * pipes)
            # Belongs to a worker, which may start after `before`.
            more["anon_inode:[io_uring]"] = 0
            more["anon_inode:bpf_link"] = 0  # Attaches to an interface once a connection needs it.
            return +more
        try:
            processes.wait_until(lambda: not surplus(), "every descriptor to be closed", seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; too many: {dict(surplus())}") from None

    def settle(self):
        """Waits until the log stops growing, so that it has everything."""
        before = None
        while (size := self.log_path.stat().st_size) != before:
            before = size
            time.sleep(0.2)

    def end(self):
        """Stops it at once; raises if it had crashed or a sanitizer reported an error."""
        if self.alive():
            self.signal(signal.SIGTERM)
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.wait(0.05)
                if self.alive():
                    self.signal(signal.SIGTERM)
                self.wait(20)
            finally:
                self.stop()
        crashed = self.process.returncode not in (0, 1, -signal.SIGTERM)
        if SANITIZER.search(self.log()) or crashed:
            raise AssertionError(f"the proxy ended with {self.process.returncode}:\n{self.log()[-8000:]}")


def is_access(record):
    return "client" in record and "end" in record
