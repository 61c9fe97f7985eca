"""Proxies that differ in their relay plane alone, for the benchmarks that compare two."""

import pathlib

from support import network, proxy


def start(started, planes, lab, backend, directory, **config):
    """Puts one proxy for each [fast_path] of `planes` into `started`, by its name, on ports from 443
    on. Each has one worker and passes everything to the backend."""
    for port, (name, plane) in enumerate(planes.items(), start=443):
        home = pathlib.Path(directory) / str(port)
        home.mkdir()
        started[name] = proxy.Proxy(
            {"server": {"workers": 1}, "fast_path": plane,
             "route": [{"names": ["*"], "backend": backend.address}],
             "listener": [proxy.listener(host=network.Network.proxy_address, port=port)], **config},
            home, command=lab.command)
