#!/usr/bin/env python3
"""Puts the figures of `sni-proxy bench --json FILE` into a Markdown file.

    bench/measured_table.py report.json docs/measured.md

The text between the two marker lines below is replaced; everything else stays.
"""

import json
import pathlib
import sys

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"

# Metric, title and how a value is written. A table each, so that pages of any width show them.
TABLES = [
    [("pingpong-64.rate", "64 B, 64 connections, /s", "count"),
     ("messages-16.rate", "4 KiB, 16 connections, /s", "count"),
     ("connections.rate", "new connections, /s", "count"),
     ("pingpong-1.p50_us", "64 B, 1 connection, p50 µs", "three"),
     ("fixed-messages.p99_us", "p99 µs at 20,000/s", "three")],
    [("down-1.gbit_s", "down, Gbit/s", "three"),
     ("up-1.gbit_s", "up, Gbit/s", "three"),
     ("both-1.gbit_s", "both ways, Gbit/s", "three"),
     ("down-16.gbit_s", "down, 16 connections", "three"),
     ("up-16.gbit_s", "up, 16 connections", "three")],
    [("connections.proxy_us", "proxy's CPU per new connection, µs", "three"),
     ("pingpong-64.proxy_us", "per 64 B, µs", "three"),
     ("messages-16.proxy_us", "per 4 KiB, µs", "three"),
     ("pingpong-64.p50_us", "64 B, 64 connections, p50 µs", "three"),
     ("pingpong-64.p99_us", "p99 µs", "three")],
    [("fixed-bulk.cpu_s_per_gb", "CPU s per GB at 5 Gbit/s", "three"),
     ("fixed-messages.cpu_s_per_100k", "CPU s per 100,000 messages", "three"),
     ("idle-memory.bytes", "memory per idle connection", "bytes"),
     ("stalled-memory.bytes", "held for a stalled reader", "bytes")],
]


def digits(value):
    """Three significant digits, without an exponent."""
    magnitude = abs(value)
    return f"{value:.0f}" if magnitude >= 100 else f"{value:.1f}" if magnitude >= 10 else (
        f"{value:.2f}" if magnitude >= 1 else f"{value:.3f}")


def written(value, style):
    if style == "count":
        return f"{value:,.0f}" if value < 10_000 else f"{value / 1000:,.1f}k"
    if style == "bytes":
        for unit in ("B", "KiB", "MiB"):
            if abs(value) < 1000:
                return f"{digits(value)} {unit}"
            value /= 1024
        return f"{digits(value)} GiB"
    return digits(value)


def cell(row, metric, style):
    figure = row["figures"].get(metric)
    if not figure or figure["median"] is None:
        return "-"
    text = written(figure["median"], style)
    if figure["ratio"] is not None and row["id"] != row["base"]:
        text += f" ({figure['ratio']:.2f}x)"
    return text


def table(report, columns):
    titles = " | ".join(title for _, title, _ in columns)
    lines = [f"| | {titles} |", "|---" + "|---:" * len(columns) + "|"]
    for row in report["rows"]:
        cells = [cell(row, metric, style) for metric, _, style in columns]
        if any(text != "-" for text in cells):
            invalid = " (invalid)" if row["faults"] else ""
            lines.append(f"| {row['id']}{invalid} | " + " | ".join(cells) + " |")
    return lines


def section(report):
    machine, settings = report["machine"], report["settings"]
    versions = sorted({f"{row['title']} {row['version']}" for row in report["rows"]
                       if row["version"]})
    lines = [f"Measured {report['started'][:10]} on {machine['cpu']}, {machine['cpus']} CPUs, Linux "
             f"{machine['kernel'].split()[0]}: medians of {settings['rounds']:.0f} rounds, in brackets "
             "the ratio to the userspace relay in the same place.",
             ("Peers: " + "; ".join(versions) + ".") if versions else "", ""]
    shown = {row["id"].rpartition("/")[0] for row in report["rows"]}
    for title in report["groups"].items():
        if title[0].rstrip("/") not in shown:
            continue
        name = title[0] + "*" if title[0] else "without a prefix"
        lines.append(f"- rows {name}: {title[1]}")
    for columns in TABLES:
        lines += ["", *table(report, columns)]
    if report.get("expectations"):
        lines += ["", "Expected of a kernel fast path at the project's start, and the best plane's "
                  "ratio to the userspace relay as measured:", ""]
        for each in report["expectations"]:
            found = (f"{each['ratio']:.2f}x ({each['best_row']})" if each["best_row"]
                     else "no other plane ran")
            lines.append(f"- {each['what']}: expected {each['expected']}; measured: {found}")
    return "\n".join(lines)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    report = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    target = pathlib.Path(sys.argv[2])
    text = target.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{target}: needs the lines '{BEGIN}' and '{END}', once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    target.write_text(f"{before}{BEGIN}\n{section(report)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
