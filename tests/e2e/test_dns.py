#!/usr/bin/env python3
"""Backends with names: resolved, cached, merged; and the addresses that a client's own name must
not reach."""

import time

from support import backends, dns, processes, streams
from support.case import main
from support.dns_case import DnsTest
from support.proxy import listener, port_of


class Groups(DnsTest):
    def test_a_group_of_the_routes_expression_leads_to_the_backend_that_it_names(self):
        one, two = (self.backend(backends.say(mark), host=host)
                    for mark, host in ((b"one", "127.0.0.1"), (b"two", "127.0.0.2")))
        ports = {"one": one.port, "two": two.port}
        server = self.server({"web.internal": ["127.0.0.1"], "db.internal": ["127.0.0.2"]})
        route = {"names": [r"/(web|db)-\d+\.apps\.example/"], "allow_private": True}
        proxy = self.start(server, rf"\1.internal:{ports['one']}", route=route)
        self.assertEqual(self.answer(proxy, "Web-1.Apps.example"), b"one")
        self.assertEqual(proxy.access(1)[0]["route"], route["names"][0])
        self.assert_refused(self.answer(proxy, "db-1.apps.example"))  # Nobody has that port there.
        self.assertEqual(server.asked("web.internal"), 1)
        self.assertEqual(server.asked("db.internal"), 1)
        self.assert_refused(self.answer(proxy, "other-1.apps.example"))
        ends = {line["server_name"].lower(): line["end"] for line in proxy.access(3)}
        self.assertEqual(ends["other-1.apps.example"], "no_route")
        proxy.reload({**proxy.config, "route": [proxy.config["route"][0] | {
            "backend": rf"\1.internal:{ports['two']}"}]})
        processes.wait_until(lambda: self.answer(proxy, "db-22.apps.example") == b"two", "a reload")

    def test_private_addresses_are_refused_unless_the_route_allows_them(self):
        server = self.server({"web.internal": ["127.0.0.1"]})
        backend = self.backend(backends.say(b"never"))
        proxy = self.start(server, rf"\1.internal:{backend.port}",
                           route={"names": [r"/([a-z]+)\.apps\.example/"]})
        self.assert_refused(self.answer(proxy, "web.apps.example"))
        line, = proxy.access(1)
        self.assertEqual((line["end"], line["backend"]), ("forbidden", f"127.0.0.1:{backend.port}"))


class Services(DnsTest):
    SERVICE = "_https._tcp.example.internal"

    def test_targets_are_tried_by_priority_with_their_ports_and_shared_by_weight(self):
        often, seldom, spare = (self.backend(backends.say(mark), host=host) for mark, host in (
            (b"often", "127.0.0.1"), (b"seldom", "127.0.0.2"), (b"spare", "127.0.0.3")))
        server = self.server({
            self.SERVICE: [(20, 9, spare.port, "c.internal."), (10, 9, often.port, "a.internal."),
                           (10, 1, seldom.port, "b.internal.")],
            "a.internal": ["127.0.0.1"], "b.internal": ["127.0.0.2"], "c.internal": ["127.0.0.3"]})
        proxy = self.start(server, f"srv:{self.SERVICE}", server={"workers": 1})
        answers = [self.answer(proxy) for _ in range(60)]
        self.assertNotIn(b"spare", answers)
        self.assertGreater(answers.count(b"often"), 40)
        self.assertGreater(answers.count(b"seldom"), 0)
        self.assertEqual(server.asked(self.SERVICE, dns.SRV), 1)
        self.assertEqual(server.asked("a.internal"), 1)
        for backend in (often, seldom):
            backend.stop_accepting()
        self.assertEqual(self.answer(proxy), b"spare")
        self.assertEqual(proxy.access(61)[-1]["backend"], spare.address)

    def test_an_answer_holds_for_its_time_and_a_reload_keeps_the_service(self):
        old, new = (self.backend(backends.say(mark)) for mark in (b"old", b"new"))
        records = {self.SERVICE: [(1, 1, old.port, "a.internal")], "a.internal": ["127.0.0.1"]}
        server = self.server(records, ttl=1)
        proxy = self.start(server, f"srv:{self.SERVICE}", server={"workers": 1})
        self.assertEqual(self.answer(proxy), b"old")
        records[self.SERVICE] = [(1, 1, new.port, "a.internal")]
        processes.wait_until(lambda: self.answer(proxy) == b"new", "the new target")
        proxy.reload(proxy.config)
        self.assertEqual(self.answer(proxy), b"new")

    def test_a_root_target_and_a_service_that_is_not_there_lead_nowhere(self):
        server = self.server({self.SERVICE: [(0, 0, 0, ".")]})
        proxy = self.start(server, f"srv:{self.SERVICE}")
        self.assert_alert(self.answer(proxy))
        other = self.start(server, "srv:_none._tcp.example.internal")
        self.assert_alert(self.answer(other))
        for started, error in ((proxy, "name has no address"), (other, "name does not exist")):
            line, = started.access(1)
            self.assertEqual((line["end"], line["error"]), ("unresolved", error))


class Names(DnsTest):
    def test_a_backend_name_is_resolved(self):
        backend = self.backend(backends.say(b"here"))
        server = self.server({"backend.test": ["127.0.0.1"]})
        proxy = self.start(server, f"backend.test:{backend.port}")
        self.assertEqual(self.answer(proxy), b"here")
        self.assertEqual(proxy.access(1)[0]["backend"], backend.address)

    def test_an_ipv6_address_serves_too(self):
        backend = self.backend(backends.say(b"six"), host="::1")
        server = self.server({"backend.test": ["::1"]})
        self.assertEqual(self.answer(self.start(server, f"backend.test:{backend.port}")), b"six")

    def test_refused_addresses_lead_to_the_next(self):
        backend = self.backend(backends.say(b"here"), host="127.0.0.3")
        server = self.server({"backend.test": ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"]})
        proxy = self.start(server, f"backend.test:{backend.port}")
        for _ in range(5):
            self.assertEqual(self.answer(proxy), b"here")

    def test_answers_are_cached_and_concurrent_questions_merged(self):
        backend = self.backend(backends.say(b"here"))
        server = self.server({"backend.test": ["127.0.0.1"]})
        server.delay = 0.2
        # A timeout much longer than the delay, since a second question within it could be a retry.
        proxy = self.start(server, f"backend.test:{backend.port}", server={"workers": 1},
                           dns={"timeout": "10s"})
        visits = [streams.Task(self.answer, proxy) for _ in range(40)]
        self.assertEqual({visit.result() for visit in visits}, {b"here"})
        self.assertEqual(server.asked("backend.test"), 1)
        self.assertEqual(self.answer(proxy), b"here")
        self.assertEqual(server.asked("backend.test"), 1)
        waits = [line["resolve_ms"] for line in proxy.access(41)]
        self.assertGreaterEqual(max(waits), 190)  # Milliseconds of the loop's clock.
        self.assertEqual(min(waits), 0)

    def test_an_answer_whose_time_is_over_is_asked_for_again(self):
        old, new = self.backend(backends.say(b"old"), host="127.0.0.1"), None
        server = self.server({"backend.test": ["127.0.0.1"]}, ttl=1)
        proxy = self.start(server, f"backend.test:{old.port}", server={"workers": 1})
        self.assertEqual(self.answer(proxy), b"old")
        server.records["backend.test"] = ["127.0.0.2"]
        old.stop_accepting()
        new = backends.socket.create_server(("127.0.0.2", old.port))
        self.addCleanup(new.close)
        new.settimeout(20)
        deadline = time.monotonic() + 15
        while server.asked("backend.test") < 2 and time.monotonic() < deadline:
            self.answer_or_none(proxy)
            time.sleep(0.2)
        self.assertGreaterEqual(server.asked("backend.test"), 2)
        visit = streams.Task(self.answer_or_none, proxy)
        accepted, _ = new.accept()
        accepted.close()
        visit.result()

    def answer_or_none(self, proxy):
        connection, _ = self.connect_hello(proxy)
        connection.settimeout(1)
        try:
            return backends.read_to_end(connection)
        except OSError:
            return None

    def test_a_stale_answer_serves_while_the_resolvers_fail(self):
        backend = self.backend(backends.say(b"here"))
        server = self.server({"backend.test": ["127.0.0.1"]}, ttl=1)
        proxy = self.start(server, f"backend.test:{backend.port}", server={"workers": 1})
        self.assertEqual(self.answer(proxy), b"here")
        time.sleep(1.5)  # The answer is stale once its TTL is over.
        for server.silent, server.failing in ((False, True), (True, False)):
            self.assertEqual(self.answer(proxy), b"here")

    def test_a_name_that_does_not_exist_gets_the_alert(self):
        server = self.server({})
        proxy = self.start(server, "nowhere.test:443")
        self.assert_alert(self.answer(proxy))
        asked = len(server.questions)
        self.assert_alert(self.answer(proxy))  # Failures are kept for a short time.
        self.assertLessEqual(len(server.questions), 2 * asked)

    def test_resolvers_that_are_silent_get_the_alert(self):
        server = self.server({})
        server.silent = True
        self.assert_alert(self.answer(self.start(server, "backend.test:443")))

    def test_a_silent_resolver_leads_to_the_next(self):
        backend = self.backend(backends.say(b"here"))
        silent, speaking = self.server({}), self.server({"backend.test": ["127.0.0.1"]})
        silent.silent = True
        proxy = self.start(silent, f"backend.test:{backend.port}",
                           dns={"servers": [silent.address, speaking.address]})
        self.assertEqual(self.answer(proxy), b"here")

    def test_the_access_line_says_why_a_name_was_not_resolved(self):
        server = self.server({})
        for manner, expected in ((None, "name does not exist"),
                                 ("failing", "resolver failed or refused"),
                                 ("silent", "resolver did not answer")):
            with self.subTest(manner=manner):
                server.failing, server.silent = manner == "failing", manner == "silent"
                proxy = self.start(server, ["127.0.0.1:1", "gone.test:443"])
                self.assert_alert(self.answer(proxy))
                line, = proxy.access(1)
                self.assertEqual((line["backend"], line["end"], line["error"]),
                                 ("gone.test:443", "unresolved", expected))

    def test_a_name_without_an_address_is_not_said_to_be_missing(self):
        proxy = self.start(self.server({"six.test": ["::1"]}), "six.test:443",
                           dns={"family": "ipv4"})
        self.assert_alert(self.answer(proxy))
        line, = proxy.access(1)
        self.assertEqual((line["end"], line["error"]), ("unresolved", "name has no address"))

    def test_the_families_that_the_configuration_wants_are_asked_for_and_used(self):
        four = self.backend(backends.say(b"four"))
        six = self.backend(backends.say(b"six"), host="::1", port=four.port)
        server = self.server({"both.test": ["127.0.0.1", "::1"]})
        for family, expected, kinds in (("any", b"six", {dns.A, dns.AAAA}),
                                        ("ipv4", b"four", {dns.A}),
                                        ("ipv6", b"six", {dns.AAAA}),
                                        ("prefer_ipv4", b"four", {dns.A, dns.AAAA})):
            with self.subTest(family=family):
                server.questions.clear()
                proxy = self.start(server, f"both.test:{six.port}", dns={"family": family})
                self.assertEqual(self.answer(proxy), expected)
                self.assertEqual({kind for _, kind in server.questions}, kinds)

    def test_more_than_eight_addresses_are_all_tried_and_all_come_first(self):
        port = processes.free_port()
        addresses = [f"127.0.1.{i}" for i in range(1, 21)]
        marked = {address: self.backend(backends.say(address.encode()), host=address, port=port)
                  for address in addresses[10:]}
        server = self.server({"many.test": addresses})
        proxy = self.start(server, f"many.test:{port}", server={"workers": 1})
        reached = {self.answer(proxy).decode() for _ in range(len(addresses))}
        self.assertEqual(reached, set(marked))

    def test_an_unresolved_backend_leads_to_the_next(self):
        backend = self.backend(backends.say(b"here"))
        proxy = self.start(self.server({}), ["nowhere.test:443", backend.address])
        self.assertEqual(self.answer(proxy), b"here")

    def test_a_name_that_leads_back_into_the_proxy_is_refused(self):
        own = listener()
        server = self.server({"self.test": ["127.0.0.1"]})
        proxy = self.start(server, f"self.test:{port_of(own)}", listener=[own])
        self.assert_refused(self.answer(proxy))
        self.assertEqual(len(proxy.access(1)), 1)

    def test_other_connections_move_while_a_question_is_open(self):
        server = self.server({})
        server.silent = True
        backend = self.backend()
        proxy = self.proxy({"server": {"workers": 1},
                            "dns": {"servers": [server.address], "timeout": "5s"},
                            "route": [{"names": ["slow.example"], "backend": "nowhere.test:443"},
                                      {"names": ["*"], "backend": backend.address}]})
        for _ in range(10):
            self.connect_hello(proxy, "slow.example")
        connection, hello = self.connect_hello(proxy)
        connection.settimeout(3)
        self.assertEqual(backends.read_exactly(connection, len(hello)), hello)


class RequestedNames(DnsTest):
    """backend = "{name}:port": the client chooses, within bounds."""

    def test_the_name_that_the_client_asked_for_is_resolved(self):
        backend = self.backend(backends.say(b"here"))
        server = self.server({"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"]})
        proxy = self.start(server, f"{{name}}:{backend.port}", route={"allow_private": True})
        for name in ("a.test", "B.TEST"):
            self.assertEqual(self.answer(proxy, name), b"here")
        self.assert_alert(self.answer(proxy, "c.test"))
        self.assertEqual({name for name, _ in server.questions}, {"a.test", "b.test", "c.test"})

    def test_private_and_own_addresses_are_refused(self):
        backend = self.backend()
        inside = {"loopback.test": "127.0.0.1", "loopback6.test": "::1", "private.test": "10.0.0.1",
                  "link-local.test": "169.254.169.254", "mapped.test": "::ffff:127.0.0.1",
                  "zero.test": "0.0.0.0", "unique-local.test": "fd00::1",
                  "nat64.test": "64:ff9b::7f00:1"}
        proxy = self.start(self.server({name: [address] for name, address in inside.items()}),
                           f"{{name}}:{backend.port}")
        for name in inside:
            with self.subTest(name=name):
                self.assert_refused(self.answer(proxy, name))
        self.assertEqual(backend.accepted, 0)
        self.assertEqual(len(proxy.access(len(inside))), len(inside))

    def test_the_system_s_own_names_are_refused_too(self):
        backend = self.backend()
        proxy = self.start(self.server({}), f"{{name}}:{backend.port}")
        self.assert_refused(self.answer(proxy, "localhost"))
        self.assertEqual(backend.accepted, 0)

    def test_a_client_without_a_name_gets_an_alert(self):
        proxy = self.start(self.server({}), "{name}:443", route={"allow_private": True})
        self.assert_refused(self.answer(proxy, None))

    def test_a_connection_back_into_the_proxy_is_refused(self):
        inner = listener()
        server = self.server({"self.test": ["127.0.0.1"]})
        proxy = self.start(server, f"{{name}}:{port_of(inner)}", listener=[inner],
                           route={"allow_private": True})
        before = proxy.descriptors()
        self.assert_refused(self.answer(proxy, "self.test"))
        self.assertEqual(len(proxy.access(1)), 1)
        processes.wait_until(lambda: proxy.descriptors() <= before + 4, "no loop of connections")


if __name__ == "__main__":
    main()
