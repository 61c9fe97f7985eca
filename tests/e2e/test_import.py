#!/usr/bin/env python3
"""`sni-proxy import`: its output serves like the other proxy."""

import subprocess
import unittest

from support import backends, processes, proxy, tls
from support.case import ProxyTest, main

SNIPROXY = """\
user daemon
listener 127.0.0.1:{port} {{
    proto tls
    table hosts
    fallback {rest}
}}
table hosts {{
    ^one\\\\.example$ {one}
    .*\\\\.two\\\\.example$ {two}
}}
"""

HAPROXY = """\
defaults
    mode tcp
    timeout connect 5s
frontend https
    bind 127.0.0.1:{port}
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req_ssl_hello_type 1 }}
    use_backend one if {{ req_ssl_sni -i one.example }}
    acl is_two req_ssl_sni -m end .two.example
    use_backend two if is_two
    default_backend rest
    stick-table type ip size 1m
backend one
    server one {one}
backend two
    server two {two}
backend rest
    server rest {rest}
"""

NGINX = """\
user www-data;
events {{ }}
stream {{
    map $ssl_preread_server_name $where {{
        hostnames;
        one.example one;
        *.two.example {two};
        default {rest};
    }}
    upstream one {{ server {one}; }}
    server {{
        listen 127.0.0.1:{port};
        ssl_preread on;
        proxy_pass $where;
        limit_conn addr 1;
    }}
}}
"""


class Import(ProxyTest):
    def call(self, *arguments, **options):
        done = subprocess.run([proxy.BINARY, *map(str, arguments)], capture_output=True,
                              timeout=20, text=True, **options)
        return done.returncode, done.stdout, done.stderr

    def serve(self, program, text):
        """Imports the text, starts the proxy with the output, and asks it for names. Returns
        stderr."""
        places = {name: self.backend(backends.say(name.encode().ljust(4))).address
                  for name in ("one", "two", "rest")}
        port = processes.free_port()
        foreign = self.directory / f"{program}.conf"
        foreign.write_text(text.format(port=port, **places))
        status, printed, notes = self.call("import", program, foreign)
        self.assertEqual(status, 0, notes)
        config = self.directory / f"{program}.toml"
        config.write_text(printed)
        self.assertEqual(self.call("check", config)[0], 0)
        config.write_text(printed + f'[control]\nsocket = "{self.directory}/{program}.sock"\n')
        with open(self.directory / f"{program}.log", "wb") as log:
            started = subprocess.Popen([proxy.BINARY, "--config", str(config)], stderr=log)
        self.addCleanup(started.wait, 20)
        self.addCleanup(started.terminate)
        processes.wait_until(lambda: port in processes.listening_ports(started.pid), "the listener")
        for name, place in (("one.example", b"one "), ("a.two.example", b"two "),
                            ("three.example", b"rest"), (None, b"rest")):
            with self.subTest(program=program, name=name), \
                    backends.socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(tls.client_hello(name))
                self.assertEqual(backends.read_exactly(connection, 4), place)
        return notes.replace(str(foreign), "FILE")

    def test_the_imported_configuration_serves_as_sniproxy_did(self):
        self.assertEqual(self.serve("sniproxy", SNIPROXY),
                         "FILE:1: 'user daemon': the service manager sets the user\n")

    def test_the_imported_configuration_serves_as_haproxy_did(self):
        self.assertEqual(self.serve("haproxy", HAPROXY),
                         "FILE:12: 'stick-table type ip size 1m': no counterpart\n")

    def test_the_imported_configuration_serves_as_nginx_did(self):
        self.assertEqual(self.serve("nginx", NGINX),
                         "FILE:15: 'limit_conn addr 1': no counterpart\n")

    def test_a_file_of_another_kind_is_an_error(self):
        path = self.directory / "x.conf"
        path.write_text("stream { server {")
        for arguments, error in ((("nginx", path), "line 1: the file ends within a block"),
                                 (("nginx", self.directory / "none"), "cannot open"),
                                 (("apache", path), "PROGRAM"), (("nginx",), "FILE")):
            with self.subTest(arguments=arguments):
                status, output, errors = self.call("import", *arguments)
                self.assertEqual((status, output), (1, ""))
                self.assertIn(error, errors)

    def test_a_file_can_come_through_a_pipe(self):
        text = "listener 127.0.0.1:443 {\n table t\n}\ntable t {\n a.example 10.0.0.1\n}\n"
        status, output, _ = self.call("import", "sniproxy", "/dev/stdin", input=text)
        self.assertEqual(status, 0)
        self.assertIn('backend = "10.0.0.1:443"', output)


if __name__ == "__main__":
    main()
