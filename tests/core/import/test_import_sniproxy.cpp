// Files of sniproxy, as its manual describes them.

#include "core/import/import_sniproxy.h"

#include <doctest/doctest.h>

#include "core/import/imported.h"

using namespace sni;

namespace {

constexpr std::string_view sniproxy_usual = R"(
# A comment
user daemon
pidfile /var/run/sniproxy.pid
resolver {
    nameserver 192.0.2.53
    nameserver 2001:db8::53
    mode ipv4_first
}
error_log {
    syslog daemon
    priority notice
}
listener 0.0.0.0:80 {
    proto http
    table web
    access_log {
        filename /var/log/sniproxy/access.log
    }
}
listener [::]:443 {
    proto tls
    table hosts
    fallback 192.0.2.99:8443
    source 192.0.2.1
}
table web {
    ^example\\.com$ 192.0.2.10
}
table hosts {
    ^example\\.com$ 192.0.2.10:4343
    ^www\\.example\\.com$ backend.internal
    .*\\.example\\.org unix:/run/org.sock
    example\\.net [2001:db8::10]:443 proxy_protocol
    .*\\.example\\.edu *:8443
}
)";

constexpr std::string_view sniproxy_taken = R"([[listener]]
name = "http-80"
address = "0.0.0.0:80"
protocol = "http"

[[listener]]
name = "tls-443"
address = "[::]:443"

[[route]]
names = ["example.com"]
backend = "192.0.2.10:80"
listeners = ["http-80"]

[[route]]
names = ["example.com"]
backend = "192.0.2.10:4343"
listeners = ["tls-443"]
bind_address = ["192.0.2.1"]

[[route]]
names = ["www.example.com"]
backend = "backend.internal:443"
balance = "round_robin"
listeners = ["tls-443"]
bind_address = ["192.0.2.1"]

[[route]]
names = ["*.example.org"]
backend = "unix:/run/org.sock"
listeners = ["tls-443"]
bind_address = ["192.0.2.1"]

[[route]]
names = ["example.net", "*.example.net"]
backend = "[2001:db8::10]:443"
listeners = ["tls-443"]
send_proxy = "v1"
bind_address = ["192.0.2.1"]

[[route]]
names = ["*.example.edu"]
backend = "{name}:8443"
listeners = ["tls-443"]
bind_address = ["192.0.2.1"]

[[route]]
names = ["*"]
backend = "192.0.2.99:8443"
listeners = ["tls-443"]
bind_address = ["192.0.2.1"]

[dns]
servers = ["192.0.2.53:53", "[2001:db8::53]:53"]
family = "prefer_ipv4"

[log]
access_file = "/var/log/sniproxy/access.log"
)";

}  // namespace

TEST_CASE("a usual file is taken over with its listeners, tables, fallback and log") {
  const Taken all = taken(ImportFrom::sniproxy, sniproxy_usual);
  CHECK(all.text == sniproxy_taken);
  CHECK(all.notes ==
        "3: 'user daemon': the service manager sets the user\n"
        "4: 'pidfile /var/run/sniproxy.pid': there is no such file, since the proxy stays in the "
        "foreground\n"
        "11: 'syslog daemon': the log goes to stderr, which is the journal\n"
        "12: 'priority notice': the log goes to stderr, which is the journal\n"
        "35: names that clients ask for do not lead to private addresses here; 'allow_private' in "
        "[[route]] lets them\n");
}

TEST_CASE("a listener takes the table without a name, and a port alone is both families") {
  const Taken all = taken(ImportFrom::sniproxy,
                          "listener 443 { proto tls }\n"
                          "table {\n  a.example 10.0.0.1\n  .* 10.0.0.2:1\n}\n");
  REQUIRE(all.config.listeners.size() == 1);
  CHECK(all.config.listeners[0].address.to_string() == "[::]:443");
  REQUIRE(all.config.routes.size() == 2);
  CHECK(all.config.routes[1].names == std::vector<std::string>{"*"});
  CHECK(all.notes.empty());
}

TEST_CASE("each listener of a table has its routes, and an IPv6 one leaves IPv4 to another") {
  const Taken all = taken(ImportFrom::sniproxy,
                          "listener 0.0.0.0:443 {\n table t\n}\nlistener [::]:443 {\n table t\n}\n"
                          "table t {\n ^a.example$ 10.0.0.1\n}\n");
  CHECK(all.config.listeners.size() == 2);
  CHECK(all.config.listeners[1].v6only);
  CHECK(all.config.routes.size() == 2);
  CHECK(all.notes.empty());
}

TEST_CASE("if an entry takes all names, the fallback only serves clients without a name") {
  const Taken all = taken(ImportFrom::sniproxy,
                          "listener 443 {\n table t\n fallback 10.0.0.9\n}\n"
                          "table t {\n .* *\n}\n");
  REQUIRE(all.config.routes.size() == 2);
  CHECK(all.config.routes[1].names == std::vector<std::string>{"-"});
  CHECK(all.config.routes[1].backends[0].text == "10.0.0.9:443");
}

TEST_CASE("what cannot be taken over is told with its line and why") {
  const Taken all = taken(ImportFrom::sniproxy, R"(listener unix:/run/x.sock {
  table t
}
listener 443 {
  table t
  source client
  shiny on
}
resolver { search example.com
  nameserver nobody
}
table t {
  ^a(?=b)$ 10.0.0.1
  ^b.example$ nowhere..:1
  ^c.example$ 10.0.0.1 fast
  ^c.example$ 10.0.0.2
}
)");
  CHECK(
      all.notes ==
      "1: 'listener unix:/run/x.sock': listeners are TCP only\n"
      "6: 'source client': taken over as 'transparent', which needs routes on this host: "
      "docs/source.md\n"
      "7: 'shiny on': unknown here\n"
      "9: 'search example.com': it is in /etc/resolv.conf here\n"
      "10: 'nobody' is not a resolver's address, as in \"192.0.2.53\" or \"[2001:db8::53]:5353\"\n"
      "13: '^a(?=b)$ 10.0.0.1': no names stand for this expression\n"
      "14: 'nowhere..:1' has no valid host name before the port\n"
      "15: '^c.example$ 10.0.0.1 fast': 'fast' is unknown here\n"
      "16: 'c.example' goes where line 15 says, which comes first\n");
}

TEST_CASE("a file without a listener or a route is an error that has the reasons") {
  CHECK(import_config(ImportFrom::sniproxy, "").error().what == "there is no listener");
  CHECK(import_config(ImportFrom::sniproxy, "listener 443 {\n}\n").error().what ==
        "there is no route by server name\nline 1: the listener has no table");
  CHECK(import_config(ImportFrom::sniproxy, "listener {").error().what ==
        "line 1: the file ends within a block");
  CHECK(import_config(ImportFrom::sniproxy, std::string(5 << 20, '#')).error().what ==
        "it is longer than 4 MiB");
}

TEST_CASE("entries whose expressions are no names are taken over as expressions") {
  const Taken all = taken(ImportFrom::sniproxy, R"(listener 443 { table t
}
table t {
  ^node[0-9]+\\.example$ 10.0.0.1
  ^a\\.example$ 10.0.0.2
}
)");
  REQUIRE(all.config.routes.size() == 2);
  CHECK(all.config.routes[0].names == std::vector<std::string>{R"(/^node[0-9]+\.example$/)"});
  CHECK(all.notes == "4: expressions come after names and \"*.\" here, wherever they stand\n");
}
