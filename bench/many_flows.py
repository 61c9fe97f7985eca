#!/usr/bin/env python3
"""More connections in the packet plane than the proxy has descriptors.

    bench/many_flows.py build/release/sni-proxy [--flows 50000] [--mode auto] [--descriptors 20000]

Opens so many connections through one proxy with so many descriptors, in its own network namespaces,
as root. Each of them is handed over; then it sends on every one and compares the echo. Clients and
backends are several processes, each with the same number of descriptors. Prints a line of JSON.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))
from support import network, proxy, tls  # noqa: E402

CLIENTS = 4
PORTS = 3  # Of each backend process, of which there are as many as clients.
PAYLOAD = b"carried, 32 bytes of one client."


def enter(namespace):
    with open(f"/run/netns/{namespace}") as handle:
        if network.LIBC.setns(handle.fileno(), network.CLONE_NEWNET) != 0:
            raise OSError("cannot enter a network namespace")


def serve(namespace, ports, ready):
    """Echoes on all connections."""
    enter(namespace)
    poller = select.epoll()
    sockets = {}
    for port in ports:
        listening = socket.create_server((network.Network.client_address, port), backlog=4096)
        sockets[listening.fileno()] = listening
        poller.register(listening, select.EPOLLIN)
    listeners = set(sockets)
    ready.set()
    while True:
        for fd, _ in poller.poll():
            if fd in listeners:
                connection, _ = sockets[fd].accept()
                sockets[connection.fileno()] = connection
                poller.register(connection, select.EPOLLIN)
                continue
            data = sockets[fd].recv(65536)
            if data:
                sockets[fd].sendall(data)
            else:
                poller.unregister(fd)
                sockets.pop(fd).close()


def exchange(connection, payload):
    connection.sendall(payload)
    got = b""
    while len(got) < len(payload):
        more = connection.recv(len(payload) - len(got))
        if not more:
            return False
        got += more
    return got == payload


def hold(namespace, source, names, count, in_relay, pipe):
    """Opens `count` connections from an address, with about `in_relay` of them not handed over at
    any time, and sends on each when told. A connection is handed over when it is 200 ms old and
    bytes move."""
    enter(namespace)
    hellos = [tls.client_hello(name) for name in names]
    connections = []
    wrong = 0
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0, begin + number * 0.3 / in_relay - time.monotonic()))
        connection = socket.create_connection(
            (network.Network.proxy_address, 443), timeout=60, source_address=(source, 0))
        wrong += not exchange(connection, hellos[number % len(hellos)])
        connections.append(connection)
        for quarters in (4, 5, 6, 7):
            earlier = number - in_relay * quarters // 4
            if earlier >= 0:
                wrong += not exchange(connections[earlier], PAYLOAD)
        if number + 1 == count // 2:
            pipe.send("half")
    pipe.send(wrong)
    while (order := pipe.recv()) == "send":
        pipe.send(sum(not exchange(each, PAYLOAD) for each in connections))


def ask(started, command):
    """The answer to a command, and its time in milliseconds, including the start of the process."""
    begin = time.monotonic()
    done = subprocess.run([str(proxy.BINARY), command, "--json", "--socket",
                           started.config["control"]["socket"]],
                          capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout), round((time.monotonic() - begin) * 1000, 1)


def status_ms(started):
    """How long the control socket takes to answer a command."""
    begin = time.monotonic()
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(started.config["control"]["socket"])
        control.sendall(b'{"version": 1, "command": "status"}\n')
        with control.makefile() as answers:
            json.loads(answers.readline())
    return round((time.monotonic() - begin) * 1000, 1)


def answer_times(started):
    """How long `status` and `sni-proxy connections` take, several times, while all connections
    send."""
    status = [status_ms(started) for _ in range(10)]
    listed = [ask(started, "connections") for _ in range(3)]
    return {"status_ms": status, "connections_ms": [took for _, took in listed],
            "listed": [len(answer) for answer, _ in listed]}


def flow_table_kib(pid):
    """Kernel memory of the table of flows, which grows with them."""
    total = 0
    for entry in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/fdinfo/{entry}") as lines:
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            # BPF_MAP_TYPE_HASH: PACKET_FLOWS is by far the largest.
            if fields.get("map_type", "").strip() == "1":
                total = max(total, int(fields["memlock"]))
    return total // 1024


def memory(started):
    """Of proxy and table, while all buffers that the connections need until their hand-over may
    have been used; so the difference between two such measurements is the flows'."""
    status, _ = ask(started, "status")
    return {"flows": status["connections"] - status["relayed"],
            "proxy_memory_kib": started.memory_kib(), "flow_table_kib": flow_table_kib(started.pid)}


def bytes_of_a_flow(half, whole):
    """Between two measurements; None in userspace, where there are no flows."""
    grown = whole["flows"] - half["flows"]
    if grown == 0:
        return None
    return {key: round((whole[key] - half[key]) * 1024 / grown)
            for key in ("proxy_memory_kib", "flow_table_kib")}


def run(options, lab, directory):
    ports = [30000 + i for i in range(CLIENTS * PORTS)]
    routes = [{"names": [f"n{port}.example"],
               "backend": f"{network.Network.client_address}:{port}"} for port in ports]
    ready, workers, pipes = [], [], []
    for i in range(CLIENTS):
        ready.append(multiprocessing.Event())
        workers.append(multiprocessing.Process(
            target=serve, args=(lab.client, ports[i::CLIENTS], ready[-1]), daemon=True))
    for each in workers:
        each.start()
    for each in ready:
        each.wait(30)
    started = proxy.Proxy(
        {"server": {"workers": 1}, "route": routes, "log": {"level": "warning"},
         "fast_path": {"mode": options.mode},
         "listener": [proxy.listener(host=network.Network.proxy_address, port=443)]},
        directory, command=[*lab.command, "prlimit", f"--nofile={options.descriptors}"])
    try:
        begin = time.monotonic()
        empty = memory(started)
        for i in range(CLIENTS):
            network.ip("-n", lab.client, "address", "add", f"198.18.0.{10 + i}/24", "dev", "far")
            here, there = multiprocessing.Pipe()
            names = [route["names"][0] for route in routes]
            workers.append(multiprocessing.Process(
                target=hold, daemon=True, args=(lab.client, f"198.18.0.{10 + i}", names,
                                                options.flows // CLIENTS,
                                                options.descriptors // 40, there)))
            workers[-1].start()
            pipes.append(here)
        for pipe in pipes:
            pipe.recv()
        half = memory(started)
        wrong = sum(pipe.recv() for pipe in pipes)
        for _ in range(10):  # Until the last ones are handed over.
            for pipe in pipes:
                pipe.send("send")
            wrong += sum(pipe.recv() for pipe in pipes)
            status, _ = ask(started, "status")
            if status["relayed"] == 0 or options.mode == "userspace":
                break
        whole = memory(started)  # Before answers with lists need more.
        for pipe in pipes:
            pipe.send("send")
        answers = answer_times(started)
        wrong += sum(pipe.recv() for pipe in pipes)
        print(json.dumps({
            "connections": status["connections"], "relayed": status["relayed"], "wrong": wrong, **answers,
            "proxy_descriptors": len(os.listdir(f"/proc/{started.pid}/fd")),
            **whole, "half": half, "empty": empty,
            "bytes_of_a_flow": bytes_of_a_flow(half, whole),
            "seconds": round(time.monotonic() - begin)}))
    finally:
        for each in workers:
            each.kill()
        started.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--flows", type=int, default=50_000)
    parser.add_argument("--mode", default="auto", help="fast_path.mode")
    parser.add_argument("--descriptors", type=int, default=20_000)
    options = parser.parse_args()
    proxy.BINARY = os.path.abspath(options.binary)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    lab = network.Network()
    try:
        with tempfile.TemporaryDirectory() as directory:
            run(options, lab, directory)
    finally:
        lab.end()


if __name__ == "__main__":
    main()
