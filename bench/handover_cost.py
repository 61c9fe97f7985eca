#!/usr/bin/env python3
"""What a hand-over to the packet plane costs the proxy, and after how many messages it is saved.

    bench/handover_cost.py build/release/sni-proxy [--connections 400] [--messages 40] [--rounds 5]

Opens connections through one worker in network namespaces, as root, and sends 64-byte messages that
the backend echoes on one after the other. Measures the proxy's CPU time in rounds that alternate
between a proxy that hands every connection over at once and one that never does. Prints a line of
JSON.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import planes_apart  # noqa: E402
from support import backends, network, proxy, tls  # noqa: E402

MESSAGE = bytes(64)
PLANES = {
    "handed over": {"mode": "packet", "packet_after": "0s", "packet_after_bytes": "0B"},
    "relayed": {"mode": "packet", "packet_after": "1h", "packet_after_bytes": "1TiB"},
}


def cpu_us(pid):
    """CPU time of all threads (sched-stats.rst: nanoseconds on a CPU come first)."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1000


def exchange(connection, payload):
    connection.sendall(payload)
    backends.read_exactly(connection, len(payload))


def one_round(started, lab, options):
    """(CPU of the first messages, CPU of the further ones), in microseconds."""
    hello = tls.client_hello("one.example")

    def run():
        connections = []
        for _ in range(options.connections):
            connections.append(socket.create_connection(
                (network.Network.proxy_address, started.port), timeout=20))
            exchange(connections[-1], hello)
        marks = [cpu_us(started.pid)]
        for messages in (4, options.messages):  # A connection asks for its hand-over as bytes move.
            for _ in range(messages):
                for each in connections:
                    exchange(each, MESSAGE)
            time.sleep(0.3)
            marks.append(cpu_us(started.pid))
        for each in connections:
            each.close()
        return marks[1] - marks[0], marks[2] - marks[1]

    return network.within(lab.client, run)


def measure(options, lab, directory):
    backend = network.within(lab.client, lambda: backends.SocketBackend(
        backends.echo, host=network.Network.client_address))
    started, costs = {}, {name: [] for name in PLANES}
    try:
        planes_apart.start(started, PLANES, lab, backend, directory, log={"level": "warning"})
        for _ in range(options.rounds):
            for name, each in started.items():
                costs[name].append(one_round(each, lab, options))
    finally:
        for each in started.values():
            each.end()
        backend.end()
    return {name: [statistics.median(column) for column in zip(*rounds)]
            for name, rounds in costs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--connections", type=int, default=400)
    parser.add_argument("--messages", type=int, default=40, help="of each connection")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    proxy.BINARY = os.path.abspath(options.binary)
    lab = network.Network()
    try:
        with tempfile.TemporaryDirectory() as directory:
            costs = measure(options, lab, directory)
    finally:
        lab.end()
    first = {name: cost[0] / options.connections for name, cost in costs.items()}
    later = {name: cost[1] / options.connections / options.messages for name, cost in costs.items()}
    handover = first["handed over"] - first["relayed"]
    saved = later["relayed"] - later["handed over"]
    print(json.dumps({"handover_us": round(handover, 1),
                      "message_us": {name: round(cost, 2) for name, cost in later.items()},
                      "saved_after_messages": round(handover / saved, 1)}))


if __name__ == "__main__":
    main()
