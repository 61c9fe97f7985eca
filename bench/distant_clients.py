#!/usr/bin/env python3
"""What a hand-over to the packet plane does to the download of a client that is far away.

    bench/distant_clients.py build/release/sni-proxy [--round-trips 10,120] [--mib 8] [--rounds 3]

The client is behind a cable that delays each frame, the backend in a container near the proxy, and
its congestion control is reno or BBR (if the kernel has it). As root. Prints the median time of a
download in seconds, as a line of JSON for each round trip and algorithm.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import planes_apart  # noqa: E402
from support import backends, network, path, proxy, streams, tls  # noqa: E402

PLANES = {
    "packet": {"mode": "packet", "packet_far_clients": "always"},
    "userspace": {"mode": "userspace"},
}


def download(lab, started, size):
    hello = tls.client_hello("one.example")
    connection = network.within(lab.client, lambda: backends.socket.create_connection(
        (network.Network.proxy_address, started.port), timeout=120))
    with connection:
        begin = time.monotonic()
        connection.sendall(hello)
        if streams.receive(connection, size) != streams.digest(size):
            raise AssertionError("other bytes came than were sent")
        return time.monotonic() - begin


def measure(lab, options, directory):
    """Seconds by plane, and how many of the packet plane's downloads it carried."""
    size = options.mib << 20

    def serve(connection):
        backends.read_exactly(connection, len(tls.client_hello("one.example")))
        streams.send(connection, size)
    backend = network.within(lab.container, lambda: backends.SocketBackend(
        serve, host=lab.container_address))
    seconds = {name: [] for name in PLANES}
    started = {}
    try:
        planes_apart.start(started, PLANES, lab, backend, directory)
        for _ in range(options.rounds):
            for name, each in started.items():
                seconds[name].append(download(lab, each, size))
        planes = [line["plane"] for line in started["packet"].access(options.rounds)]
    finally:
        for each in started.values():
            each.end()
        backend.end()
    return {**{name: round(statistics.median(each), 2) for name, each in seconds.items()},
            "handed_over": planes.count("packet")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--round-trips", default="10,120", help="in ms")
    parser.add_argument("--mib", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    proxy.BINARY = os.path.abspath(options.binary)
    for round_trip in map(float, options.round_trips.split(",")):
        for algorithm in ("reno", "bbr"):
            lab = path.LongCable(round_trip / 2000)
            try:
                if not network.use_congestion_control(lab.container, algorithm):
                    continue
                network.use_congestion_control(lab.proxy, "reno")
                with tempfile.TemporaryDirectory() as directory:
                    print(json.dumps({"round_trip_ms": round_trip, "backend": algorithm,
                                      **measure(lab, options, directory)}), flush=True)
            finally:
                lab.end()


if __name__ == "__main__":
    main()
