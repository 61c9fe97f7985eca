#!/usr/bin/env python3
"""Reports how well two runs of `sni-proxy bench --json FILE` agree.

    bench/agreement.py first.json second.json

Compares every ratio of throughput and CPU to the userspace relay, prints those that differ by more
than 15 %, and ends with status 1 if there are any.
"""

import json
import pathlib
import sys

ALLOWED = 0.15
# Latencies and memory are not compared: latencies vary by nature, memory does not.
COMPARED = (".rate", ".gbit_s", ".cpu_s_per_gb", ".cpu_s_per_100k", ".proxy_us")


def ratios(path):
    report = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    return {(row["id"], metric): figure["ratio"]
            for row in report["rows"] if row["id"] != row["base"]
            for metric, figure in row["figures"].items()
            if metric.endswith(COMPARED) and figure["ratio"] is not None}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    first, second = (ratios(path) for path in sys.argv[1:])
    common = sorted(first.keys() & second.keys())
    apart = []
    for key in common:
        difference = abs(first[key] / second[key] - 1)
        if difference > ALLOWED:
            apart.append((difference, key))
    for difference, (row, metric) in sorted(apart, reverse=True):
        print(f"{row:20} {metric:32} {first[row, metric]:6.2f}x {second[row, metric]:6.2f}x "
              f"{100 * difference:4.0f} %")
    print(f"{len(common) - len(apart)} of {len(common)} ratios agree within {100 * ALLOWED:.0f} %")
    sys.exit(1 if apart or not common else 0)


if __name__ == "__main__":
    main()
