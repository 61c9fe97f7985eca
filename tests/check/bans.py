#!/usr/bin/env python3
"""Constructs that this project bans, each with its replacement."""

import re

import sources

PRODUCT = ("src/", "bench/")
RELAY = ("src/core/", "src/bpf/", "src/net/")
# The byte path: set-up and control may allocate.
BYTES = ("src/bpf/", "src/net/loop/", "src/net/flow/", "src/net/connect/", "src/net/relay/",
         "src/net/planes/")
ALL = ("src/", "bench/", "tests/")

# (pattern in code, where it is banned, what it is, what to use instead)
BANS = [
    (r"(?:=|\breturn)\s*new\b", PRODUCT, "an unowned new", "std::make_unique or a container"),
    (r"(?<!=)\s\bdelete\b(?!\s*;)", PRODUCT, "delete", "std::unique_ptr or a container"),
    (r"\b(?:m|c|re)alloc\(", PRODUCT, "malloc", "a container"),
    (r"\b(?:strcpy|strcat|sprintf|vsprintf|strtok|gets)\(", ALL, "an unbounded string function",
     "std::format, std::string or std::span"),
    (r"\b(?:atoi|atol|atof|strtol|strtoul|strtod|sscanf)\(", ALL, "a lenient number parser",
     "std::from_chars"),
    (r"\bstd::(?:cout|cerr)\b|\bprintf\(|\bputs\(", RELAY, "output to a standard stream",
     "spdlog in net, an Error elsewhere"),
    (r"\bstd::endl\b", ALL, "std::endl", "'\\n'"),
    (r"\busing namespace\b(?!.*literals)", PRODUCT, "using namespace", "the qualified name"),
    (r"\bNULL\b", ALL, "NULL", "nullptr"),
    (r"#\s*ifndef\s+\w+_H_?\b", ALL, "an include guard", "#pragma once"),
    (r"\bs?rand\(", ALL, "rand()", "a seeded std::mt19937_64"),
    (r"\b(?:getaddrinfo|gethostbyname)\(", PRODUCT, "a blocking resolver", "net/dns/resolver"),
    (r"\b(?:usleep|sleep|sleep_for)\(", RELAY, "sleeping", "a deadline or a ring timeout"),
    (r"\bgoto\b", PRODUCT, "goto", "a function that returns, or an owner that cleans up"),
    (r"\bthrow\b", RELAY, "throw", "Result<T>"),
    (r"\bdynamic_cast\b|\btypeid\b", PRODUCT, "run-time type information", "an enum and a switch"),
    (r"\bstd::regex\b", PRODUCT, "std::regex", "a hand-written bounded parser"),
    (r"\bstd::function\b", BYTES, "std::function (it may allocate)", "a template or an interface"),
    (r"\bsystem\(|\bpopen\(", ALL, "the shell", "posix_spawn with an argument vector"),
    (r"\bvolatile\b", ("src/core/", "src/net/"), "volatile", "std::atomic or std::atomic_ref"),
    (r"\bconst_cast\b", PRODUCT, "const_cast", "a type that says what is written"),
]
# In comments too.
BANS_IN_TEXT = [
    (r"\b(?:TODO|FIXME|XXX|HACK)\b", ALL, "a note to finish later", "finished code"),
    (r"\bNOLINT(?:NEXTLINE|BEGIN)?\b(?:\([^)]*\))?\s*(?:\*/)?\s*$", ALL, "NOLINT without its reason",
     "NOLINT(check): reason"),
    (r"\b(?:pkill|killall)\s", ALL + ("contrib/",), "ending processes by name", "the pid that you started"),
]
# server.cpp is the main thread, which has no connections to keep waiting.
EXCEPTIONS = {("src/net/server/server.cpp", "sleeping")}
# C, which has no nullptr and no alternative for BPF and shared memory.
C_ONLY_EXCEPTIONS = {"NULL", "volatile", "goto"}


def complaints_about(path, text):
    place = path.as_posix()
    is_c = path.suffix == ".c" or place.startswith("src/bpf/") and path.suffix == ".h"
    code = sources.without_noise(text).splitlines() if path.suffix in sources.CPP_SUFFIXES else []
    for bans, lines in ((BANS, code), (BANS_IN_TEXT, text.splitlines())):
        for number, line in enumerate(lines, start=1):
            for pattern, where, name, instead in bans:
                if is_c and name in C_ONLY_EXCEPTIONS or (place, name) in EXCEPTIONS:
                    continue
                if place.startswith(where) and re.search(pattern, line):
                    yield path, number, f"{name} is banned here; use {instead}"


def main():
    complaints = []
    for path in sources.files(*sources.CPP_SUFFIXES, ".py", ".sh", ""):
        if path.parts[:2] != ("tests", "check") and "corpus" not in path.parts:
            complaints.extend(complaints_about(path, sources.read(path)))
    sources.finish(complaints)


if __name__ == "__main__":
    main()
