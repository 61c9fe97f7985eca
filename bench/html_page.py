#!/usr/bin/python3 -B
"""Makes one page with plots and tables from what `sni-proxy bench --json FILE` wrote.

    bench/html_page.py report.json page.html

The page has no script and loads nothing, so that it can be mailed, kept and opened anywhere. Plots
are drawn by matplotlib (Debian: python3-matplotlib) as SVG inside the page, and follow a browser's
light and dark mode.
"""

import html
import io
import json
import math
import pathlib
import re
import statistics
import sys

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from measured_table import written

# After Okabe and Ito: people with any colour vision can tell these apart.
COLOURS = ["#8a9099", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#d55e00", "#56b4e9", "#b8a800"]
# Placeholders for the page's colours, which depend on the browser's mode.
INK, FAINT = "#010203", "#040506"
WIDTH, BAR_HEIGHT, CURVES_HEIGHT = 5.6, 0.24, 3.6  # Inches at 100 dots.

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #d5d9de; --soft: #f4f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --paper: #15181c; --faint: #3a4048; --soft: #1e2227; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1160px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 1.5rem; }
svg { width: 100%; max-width: 640px; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--faint); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
td small { opacity: .7; } tr.group td { background: var(--soft); font-weight: 600; }
.invalid { color: #c03a2b; }
"""

# Heading; bars (metric, title) or curves (column, title).
PLOTS = [
    ("Requests", "bars", [("pingpong-64.rate", "64-byte ping-pong, 64 connections, per second"),
                          ("messages-16.rate", "4 KiB ping-pong, 16 connections, per second"),
                          ("connections.rate", "New connections per second")]),
    ("Latency", "curves", [("pingpong-1", "Ping-pong, 1 connection"),
                           ("pingpong-64", "Ping-pong, 64 connections"),
                           ("fixed-messages", "20,000 messages/s by schedule")]),
    ("Bulk", "bars", [("down-1.gbit_s", "Down, 1 connection, Gbit/s"),
                      ("up-1.gbit_s", "Up, 1 connection, Gbit/s"),
                      ("both-16.gbit_s", "Both ways, 16 connections, Gbit/s")]),
    ("Cost", "bars", [("fixed-bulk.cpu_s_per_gb", "CPU seconds per gigabyte at 5 Gbit/s"),
                      ("fixed-messages.cpu_s_per_100k", "CPU seconds per 100,000 messages"),
                      ("idle-memory.bytes", "Memory per idle connection"),
                      ("stalled-memory.bytes", "Held for a stalled reader")]),
]
TABLES = [
    ("Requests per second", ["connections.rate", "pingpong-1.rate", "pingpong-64.rate",
                             "messages-16.rate", "connections.proxy_us",
                             "pingpong-64.proxy_us", "messages-16.proxy_us"]),
    ("Latency", [f"{column}.{value}" for column in ("pingpong-1", "pingpong-64", "fixed-messages")
                 for value in ("p50_us", "p99_us", "p999_us")]),
    ("Bulk", [f"{way}-{connections}.gbit_s" for connections in (1, 16) for way in ("down", "up", "both")]),
    ("CPU and memory", ["fixed-bulk.cpu_s_per_gb", "fixed-messages.cpu_s_per_100k",
                        "idle-memory.bytes", "stalled-memory.bytes"]),
]


def escape(text):
    return html.escape(str(text))


def number(value, unit=""):
    style = "bytes" if unit == "B" else "count" if abs(value) >= 1000 else "three"
    return written(value, style)


class Colours:
    """A candidate has the same colour in every group, by its position among all names."""

    def __init__(self, rows):
        names = dict.fromkeys(row["id"][len(row["group"]):] for row in rows)
        self.of_name = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}

    def __call__(self, row):
        return self.of_name[row["id"][len(row["group"]):]]


def inline_svg(figure, title):
    """The figure as markup for a page: no prologue, no name spaces, the page's colours."""
    matplotlib.rcParams["svg.hashsalt"] = title  # Ids of one page are unique, and the same each time.
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    for size in ("width", "height"):  # The size of the page's column; viewBox keeps the ratio.
        svg = re.sub(rf'(<svg[^>]*?)\s{size}="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def axes_of(title, height):
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK)
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(FAINT)
    return figure, axes


def bar_plot(report, colours, metric, title):
    rows, unit = report["rows"], report["metrics"][metric]["unit"]
    if not any(metric in row["figures"] for row in rows):
        return ""
    figure, axes = axes_of(title, 0.5 + BAR_HEIGHT * len(rows))
    greatest = max(max(row["figures"][metric]["samples"]) for row in rows if metric in row["figures"])
    for place, row in enumerate(rows):
        found = row["figures"].get(metric)
        if not found or found["median"] is None:
            axes.text(0, place, " -", va="center", fontsize=8, color=INK)
            continue
        bar = axes.barh(place, found["median"], height=0.6, color=colours(row))[0]
        bar.set_gid(f"bar:{metric}:{row['id']}")
        samples = found["samples"]
        axes.hlines(place, min(samples), max(samples), color=INK, linewidth=0.9)
        axes.text(max(*samples, found["median"]) + greatest * 0.02, place,
                  number(found["median"], unit), va="center", fontsize=8, color=INK)
        if place > 0 and rows[place - 1]["group"] != row["group"]:
            axes.axhline(place - 0.5, color=FAINT, linewidth=0.8)
    axes.set(xlim=(0, greatest * 1.2 or 1), ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), [row["id"] for row in rows])
    axes.xaxis.set_major_locator(NullLocator())
    axes.tick_params(axis="y", length=0)
    return inline_svg(figure, title)


def median_curve(report, row, column):
    """(nines, microseconds) at each share: the median of the rounds."""
    rounds = {}
    for sample in report["samples"]:
        if sample["row"] == row["id"] and sample["column"] == column and not sample["faults"]:
            for share, value in sample["latency_us"]:
                rounds.setdefault(share, []).append(value)
    points = ((share, statistics.median(values)) for share, values in sorted(rounds.items()))
    return [(-math.log10(max(1 - share, 1e-6)), value) for share, value in points if value > 0]


def curve_plot(report, colours, column, title, group):
    curves = [(row, median_curve(report, row, column)) for row in report["rows"] if row["group"] == group]
    curves = [(row, curve) for row, curve in curves if curve]
    if not curves:
        return ""
    title = f"{title}\n{report['groups'][group]}"
    figure, axes = axes_of(title, CURVES_HEIGHT)
    for row, curve in curves:
        line = axes.plot(*zip(*curve), color=colours(row), linewidth=1.6, label=row["id"])[0]
        line.set_gid(f"curve:{column}:{row['id']}")
    axes.set_yscale("log")
    axes.grid(True, color=FAINT, linewidth=0.6)
    nines = max(math.ceil(max(x for _, curve in curves for x, _ in curve)), 1)
    axes.xaxis.set_major_locator(FixedLocator([-math.log10(0.5), *range(1, nines + 1)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 - 100 * 10 ** -x:.6g} %"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} µs"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=3, fontsize=8, frameon=False,
                labelcolor=INK)
    return inline_svg(figure, title)


def plots(report):
    colours = Colours(report["rows"])
    for heading, kind, wanted in PLOTS:
        if kind == "bars":
            drawn = [bar_plot(report, colours, metric, title) for metric, title in wanted]
        else:
            drawn = [curve_plot(report, colours, column, title, group)
                     for column, title in wanted for group in report["groups"]]
        if any(drawn):
            yield f'<h2>{heading}</h2>\n<div class="plots">\n' + "\n".join(filter(None, drawn)) + "</div>\n"


def cell(row, metric, unit):
    found = row["figures"].get(metric)
    if not found or found["median"] is None:
        return "<td>-</td>"
    text = number(found["median"], unit)
    if len(found["samples"]) > 1 and found["spread"] is not None:
        text += f" <small>±{found['spread'] * 100:.0f}%</small>"
    if found["ratio"] is not None and row["id"] != row["base"]:
        text += f" <small>{found['ratio']:.2f}x</small>"
    return f"<td>{text}</td>"


def table(report, title, wanted):
    shown = [metric for metric in wanted if any(metric in row["figures"] for row in report["rows"])]
    if not shown:
        return
    yield f'<h2>{title}</h2>\n<div class="wide"><table><tr><th></th>'
    for metric in shown:
        about = report["metrics"][metric]
        yield f"<th>{escape(about['title'])}<br><small>{escape(about['unit'])}</small></th>"
    yield "</tr>\n"
    group = None
    for row in report["rows"]:
        if row["group"] != group:
            group = row["group"]
            heading = escape(report["groups"].get(group, group))
            yield f'<tr class="group"><td colspan="{len(shown) + 1}">{heading}</td></tr>\n'
        mark = (' class="invalid"', " (invalid)") if row["faults"] else ("", "")
        yield f"<tr><td{mark[0]}>{escape(row['id'])}{mark[1]}</td>"
        yield from (cell(row, metric, report["metrics"][metric]["unit"]) for metric in shown)
        yield "</tr>\n"
    yield "</table></div>\n"


def items(heading, lines, mark=""):
    if lines:
        yield f"<h2>{heading}</h2>\n<ul>\n"
        yield from (f"<li{mark}>{escape(line)}</li>\n" for line in lines)
        yield "</ul>\n"


def expectation(each):
    found = f"{each['ratio']:.2f} times ({each['best_row']})" if each["best_row"] else "nothing, since no other plane ran"
    return f"{each['what']}: expected {each['expected']}; measured {found}"


def facts(report):
    lines = [(row["id"], f"{row['title']}, {row['version']}") for row in report["rows"] if row["version"]]
    lines += report["machine"].items()
    lines += ((name, f"{value:g}") for name, value in report["settings"].items())
    yield '<h2>Machine and run</h2>\n<div class="wide"><table>\n'
    yield from (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>\n" for name, value in lines)
    yield "</table></div>\n"


def page(report):
    yield ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
           '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
           f"<title>sni-proxy bench</title>\n<style>{STYLE}</style></head>\n<body>\n<h1>sni-proxy bench</h1>\n"
           f"<p>{escape(report['started'])}, {escape(report['mode'])}. Medians of the rounds (where the proxy "
           "shared the client's CPU and the backend's in turn, the geometric mean of both); lines from the "
           "least to the greatest; ratios are to the userspace relay of the same group.</p>\n")
    yield from (f'<p class="invalid">{escape(each)}</p>\n' for each in report["cautions"])
    yield from items("Invalid rows", [f"{row['id']}: {fault}" for row in report["rows"] for fault in row["faults"]],
                     ' class="invalid"')
    yield from plots(report)
    for title, wanted in TABLES:
        yield from table(report, title, wanted)
    yield from items("Expected and measured", [expectation(each) for each in report.get("expectations", [])])
    yield from facts(report)
    yield "</body></html>\n"


def main():
    if sys.argv[1:] == ["--check"]:
        return  # All needed modules could be imported.
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    matplotlib.rcParams.update({"font.family": "sans-serif", "svg.fonttype": "path"})
    report = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    pathlib.Path(sys.argv[2]).write_text("".join(page(report)), encoding="utf-8")


if __name__ == "__main__":
    main()
