#!/usr/bin/env python3
"""The metrics for Prometheus: correct, complete, as documented, and safe with hostile clients."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import unittest
import urllib.parse

from support import backends, processes
from support.case import ProxyTest, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMTOOL = shutil.which("promtool")
PROMETHEUS = shutil.which("prometheus")


def documented():
    """name -> (type, labels) of the table in docs/metrics.md."""
    text = (ROOT / "docs/metrics.md").read_text()
    table = text[text.index("<!-- metrics:begin -->"):text.index("<!-- metrics:end -->")]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\|", table, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exported(text):
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    labels = {name: set() for name in kinds}
    for name, inner in re.findall(r"^(\w+)(?:\{(.*?)\})? [0-9.]+$", text, re.MULTILINE):
        family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        labels[family] |= set(re.findall(r'(\w+)="', inner)) - {"le"}
    return {name: (kinds[name], labels[name]) for name in kinds}


def value(text, sample):
    return float(re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE).group(1))


class MetricsTest(ProxyTest):
    def observed(self, **metrics):
        self.metrics_port = processes.free_port("127.0.0.1")
        return self.relay(metrics={"listen": f"127.0.0.1:{self.metrics_port}"} | metrics)

    def get(self, path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=20)
        self.addCleanup(connection.close)
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def scrape(self):
        status, text = self.get("/metrics")
        self.assertEqual(status, 200)
        return text

    def serve_one(self, started):
        connection, hello = self.connect_hello(started)
        backends.read_exactly(connection, len(hello))
        connection.close()
        started.access()
        return len(hello)


class Metrics(MetricsTest):
    def test_every_metric_is_documented_with_its_type_and_labels(self):
        self.serve_one(self.observed(names=5, sources=5))  # Labels appear with traffic.
        self.assertEqual(exported(self.scrape()), documented())

    def test_connections_and_bytes_are_counted(self):
        started = self.observed()
        bytes = self.serve_one(started)
        held, hello = self.connect_hello(started)
        backends.read_exactly(held, len(hello))
        text = self.scrape()
        for sample, expected in (
                ("sni_proxy_accepted_total", 2), ('sni_proxy_ended_total{end="done"}', 1),
                ("sni_proxy_client_bytes_total", bytes), ("sni_proxy_server_bytes_total", bytes),
                ("sni_proxy_connections", 1), ("sni_proxy_ready", 1), ("sni_proxy_workers", 2),
                ("sni_proxy_hello_seconds_count", 2), ("sni_proxy_connect_seconds_count", 2),
                ("sni_proxy_connection_seconds_count", 1),
                ('sni_proxy_connection_seconds_bucket{le="+Inf"}', 1),
                ("sni_proxy_resolve_seconds_count", 0), ("sni_proxy_workers_silent", 0),
                ('sni_proxy_listener_connections_total{listener="https"}', 2),
                ('sni_proxy_route_bytes_total{route="one.example",direction="up"}', 2 * bytes),
                ('sni_proxy_backend_bytes_total{backend="%s",direction="down"}' %
                 started.config["route"][0]["backend"], 2 * bytes),
                ('sni_proxy_plane_connections_total{plane="userspace"}', 2),
                ('sni_proxy_xdp_dropped_packets_total{reason="banned"}', 0)):
            with self.subTest(sample):
                self.assertEqual(value(text, sample), expected)
        counted = value(text, "sni_proxy_descriptors")
        self.assertAlmostEqual(counted, started.held().total(), delta=4)

    def test_names_and_sources_have_labels_only_on_request_and_only_so_many(self):
        started = self.observed()
        self.serve_one(started)
        self.assertNotIn("sni_proxy_name", self.scrape())
        started.reload({**started.config, "metrics": started.config["metrics"] | {"names": 1}})
        processes.wait_until(lambda: "sni_proxy_name_" in self.scrape(), "the reload")
        self.assertIn('sni_proxy_name_connections_total{name="one.example"} 1', self.scrape())
        self.assertNotIn("sni_proxy_source", self.scrape())

    def test_a_reload_with_mistakes_is_counted(self):
        started = self.observed()
        started.reload("nonsense")
        processes.wait_until(
            lambda: value(self.scrape(), "sni_proxy_reloads_failed_total") == 1, "the count")

    def test_health_and_readiness(self):
        started = self.observed()
        self.assertEqual(self.get("/healthz"), (200, "ok\n"))
        self.assertEqual(self.get("/readyz"), (200, "ready\n"))
        self.assertEqual(self.get("/readyz", "HEAD"), (200, ""))
        self.assertEqual(self.get("/other")[0], 404)
        self.assertEqual(self.get("/metrics", "DELETE")[0], 405)
        held, hello = self.connect_hello(started)
        backends.read_exactly(held, len(hello))
        started.signal(15)
        processes.wait_until(lambda: self.get("/readyz") == (503, "draining\n"), "the drain")
        self.assertEqual(self.get("/healthz")[0], 200)

    def test_a_scraper_may_keep_its_connection(self):
        self.observed()
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=20)
        self.addCleanup(connection.close)
        for _ in range(20):
            connection.request("GET", "/metrics?x=1")
            self.assertIn("sni_proxy_accepted_total 0", connection.getresponse().read().decode())

    def test_a_unix_socket_serves_too_and_goes_with_the_proxy(self):
        path = self.directory / "metrics.sock"
        started = self.relay(metrics={"listen": f"unix:{path}"})
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(path))
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            self.assertIn(b"200 OK", backends.read_to_end(client))
        started.end()
        self.assertFalse(path.exists())

    def test_an_address_that_is_taken_is_an_error_at_start(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            started = self.proxy({"metrics": {"listen": address}}, wait=False)
            self.assertEqual(started.wait(20), 1)
        self.assertIn(f"cannot serve metrics on {address}", started.log())

    def test_hostile_clients_keep_nobody_from_scraping(self):
        started = self.observed()
        for sent in (b"", b"G", b"\0" * 5_000, b"x" * 20_000, b"GET /metrics HTTP/1.1\r\n" * 500,
                     b"GET /metrics HTTP/1.1\r\n\r\n" * 300, b"GET  HTTP/9\r\n\r\n",
                     b"POST /metrics HTTP/1.1\r\nContent-Length: 9999\r\n\r\n") * 8:
            client = socket.create_connection(("127.0.0.1", self.metrics_port), timeout=20)
            self.addCleanup(client.close)
            client.setblocking(False)
            try:
                client.send(sent)
            except OSError:
                pass
        for _ in range(3):
            self.scrape()
            connection, hello = self.connect_hello(started)
            backends.read_exactly(connection, len(hello))

    @unittest.skipUnless(PROMTOOL, "needs promtool, of Debian's package prometheus")
    def test_promtool_finds_nothing_to_complain_of(self):
        started = self.observed()
        self.serve_one(started)
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=self.scrape(), text=True,
                              capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        rules = subprocess.run([PROMTOOL, "check", "rules", str(ROOT / "contrib/alerts.yml")],
                               text=True, capture_output=True, timeout=60)
        self.assertEqual(rules.returncode, 0, rules.stdout + rules.stderr)

    @unittest.skipUnless(PROMTOOL, "needs promtool, of Debian's package prometheus")
    def test_the_expressions_of_the_dashboard_are_right(self):
        dashboard = json.loads((ROOT / "contrib/grafana.json").read_text())
        expressions = [target["expr"].replace("$__rate_interval", "1m")
                       for panel in dashboard["panels"] for target in panel["targets"]]
        # JSON is YAML.
        rules = self.directory / "rules.yml"
        rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
            {"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]}]}))
        done = subprocess.run([PROMTOOL, "check", "rules", str(rules)], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


@unittest.skipUnless(PROMETHEUS, "needs prometheus")
class Scraped(MetricsTest):
    SECONDS = 30  # For the first scrapes and evaluations, one a second.

    def prometheus(self):
        """A Prometheus that scrapes the proxy every second and evaluates the alert rules."""
        self.api_port = processes.free_port("127.0.0.1")
        configuration = self.directory / "prometheus.yml"
        # JSON is YAML.
        configuration.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "contrib/alerts.yml")],
            "scrape_configs": [{"job_name": "sni-proxy", "static_configs": [
                {"targets": [f"127.0.0.1:{self.metrics_port}"]}]}]}))
        started = processes.Child(
            [PROMETHEUS, f"--config.file={configuration}",
             f"--storage.tsdb.path={self.directory / 'prometheus'}",
             f"--web.listen-address=127.0.0.1:{self.api_port}"], self.directory / "prometheus.log")
        self.addCleanup(started.stop)
        started.wait_for_ports(self.api_port)

    def api(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/v1/{path}")
            answer = connection.getresponse()
            # 503 until it has read its data.
            return json.loads(answer.read())["data"] if answer.status == 200 else None

    def await_value(self, query, expected):
        def reached():
            data = self.api("query?" + urllib.parse.urlencode({"query": query}))
            return data and [float(each["value"][1]) for each in data["result"]] == [expected]
        processes.wait_until(reached, f"{query} to be {expected}", self.SECONDS)

    def test_a_prometheus_scrapes_the_proxy_and_evaluates_the_alerts(self):
        started = self.observed()
        bytes = self.serve_one(started)
        self.prometheus()
        self.await_value('up{job="sni-proxy"}', 1)
        self.await_value("sni_proxy_accepted_total", 1)
        self.await_value("sni_proxy_client_bytes_total", bytes)
        self.serve_one(started)
        self.await_value("sni_proxy_accepted_total", 2)

        def evaluated():
            rules = [rule for group in self.api("rules")["groups"] for rule in group["rules"]]
            self.assertEqual([rule for rule in rules if rule["health"] == "err"], [])
            return rules and all(rule["health"] == "ok" for rule in rules)
        processes.wait_until(evaluated, "the alert rules to be evaluated", self.SECONDS)


class Contributed(unittest.TestCase):
    def test_dashboard_and_alerts_use_metrics_that_are_there(self):
        known = set(documented())
        dashboard = json.loads((ROOT / "contrib/grafana.json").read_text())
        used = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        self.assertGreater(len(used), 10)
        used.append((ROOT / "contrib/alerts.yml").read_text())
        for expression in used:
            for name in re.findall(r"\bsni_proxy_\w+", expression):
                self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), known, expression)

    def test_the_dashboard_shows_every_metric(self):
        dashboard = (ROOT / "contrib/grafana.json").read_text()
        unseen = [name for name in documented() if name not in dashboard]
        self.assertEqual(unseen, [])


if __name__ == "__main__":
    main()
