#!/usr/bin/env python3
"""How long a reload of many routes delays a live connection.

    bench/reload_stall.py build/release/sni-proxy [--routes 100000] [--reloads 4]

A client sends 64 bytes to an echo backend every half millisecond, by the userspace relay of one worker,
first undisturbed and then while SIGHUP reloads the configuration. Prints a line of JSON: the longest
round trips of both, in milliseconds.
"""

import argparse
import gc
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
from support import proxy, tls  # noqa: E402

MESSAGE = b"x" * 64
PAUSE_S = 0.0005
SPAN_S = 4  # Between two reloads; one takes about a second.


def serve(listening, hello_bytes):
    """Echoes everything after the hello."""
    connection, _ = listening.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    left = hello_bytes
    while left > 0:
        left -= len(connection.recv(left))
    while data := connection.recv(4096):
        connection.sendall(data)


def longest(connection, seconds, between=lambda: None):
    """The longest round trips within so many seconds, in ms."""
    times = []
    end = time.monotonic() + seconds
    while (begin := time.monotonic()) < end:
        connection.sendall(MESSAGE)
        left = len(MESSAGE)
        while left > 0:
            left -= len(connection.recv(left))
        times.append(time.monotonic() - begin)
        between()
        time.sleep(PAUSE_S)
    return [round(took * 1000, 1) for took in sorted(times, reverse=True)[:5]]


def measure(options, directory):
    listening = socket.create_server(("127.0.0.1", 0))
    hello = tls.client_hello("host-0.example")
    backend = multiprocessing.Process(target=serve, args=(listening, len(hello)), daemon=True)
    backend.start()
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    routes = [{"names": [f"host-{number}.example"], "backend": address}
              for number in range(options.routes)]
    started = proxy.Proxy({"server": {"workers": 1}, "fast_path": {"mode": "userspace"},
                           "log": {"level": "info"}, "route": routes}, directory)
    try:
        with socket.create_connection(("127.0.0.1", started.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(hello)
            gc.disable()
            quiet = longest(connection, SPAN_S * options.reloads)
            due = [time.monotonic() + SPAN_S * number for number in range(options.reloads)]

            def reload():
                if due and time.monotonic() > due[0]:
                    due.pop(0)
                    started.signal(signal.SIGHUP)
            reloading = longest(connection, SPAN_S * options.reloads, reload)
    finally:
        started.end()
    reloads = started.log().count("reloaded:")
    return {"routes": options.routes, "reloads": reloads, "quiet_ms": quiet, "reload_ms": reloading}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--reloads", type=int, default=4)
    options = parser.parse_args()
    proxy.BINARY = os.path.abspath(options.binary)
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(options, directory)))


if __name__ == "__main__":
    main()
