#!/usr/bin/env python3
"""Arrows point one way only: main -> net -> bpf -> core, and bench -> net.

A file may include headers of its own layer and of those below it. The proxy includes nothing of the
bench, which is a separate program. core is pure, so it also includes no headers for system calls,
threads and logs.
"""

import re

import sources

# Lowest first. Files in no layer (tests) may include everything.
LAYERS = ["core", "bpf", "net", "main", "bench"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# sys/socket.h and netinet/in.h give core the sockaddr types, unistd.h lets unique_fd.h close, and
# mutex guards counts that all workers share.
PERFORMING = re.compile(r"^(liburing|spdlog/|ares|sys/(epoll|mman|wait|ioctl|uio)|poll\.h|thread$|"
                        r"condition_variable$|fcntl\.h|signal\.h|bpf/|linux/bpf)")


def layer_of(path):
    parts = path.parts
    if parts[0] == "bench":
        return "bench"
    if parts[0] != "src":
        return None
    return parts[1] if len(parts) > 2 else "main"


def complaints_about(path, text):
    layer = layer_of(path)
    if layer is None:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        if quote == '"' and "/" in target and target.split("/")[0] in LAYERS:
            above = target.split("/")[0]
            if LAYERS.index(above) > LAYERS.index(layer):
                yield path, number, f"{layer} must not include {target}: {above} stands above it"
        elif quote == '"' and not target.endswith(".skel.h") and "/" not in target:
            yield path, number, f'"{target}" does not name its layer; write "{layer}/{target}"'
        elif layer == "core" and PERFORMING.match(target):
            yield path, number, f"core decides and never performs: <{target}> belongs into bpf or net"


def main():
    complaints = []
    for path in sources.files(*sources.CPP_SUFFIXES):
        complaints.extend(complaints_about(path, sources.read(path)))
    sources.finish(complaints)


if __name__ == "__main__":
    main()
