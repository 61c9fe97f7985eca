// Reading configurations: the result of each key, and each mistake in one value with its whole
// message and position.

#include "core/config/config_file.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/config_mistakes.h"

using namespace sni;
using namespace std::chrono_literals;

TEST_CASE("a file with one listener and one route takes every default") {
  Config expected;
  expected.listeners = {{.name = "https", .address = *parse_endpoint("0.0.0.0:443")}};
  RouteConfig route;
  route.names = {"example.com"};
  route.backends = {{.kind = Backend::Kind::address,
                     .endpoint = *parse_endpoint("10.0.0.5:8443"),
                     .port = 8443,
                     .text = "10.0.0.5:8443"}};
  route.listeners = {"https"};
  expected.routes = {route};
  CHECK(read_valid(config_base) == expected);
}

constexpr std::string_view every_key = R"(
  [server]
  workers = 0x10
  abort_on_close = true
  [[listener]]
  name = "https"
  address = "[::]:443"
  v6only = true
  strip_port = true
  freebind = true
  idle = "2h"
  [[listener]]
  name = "web"
  address = "[fe80::1%2]:80"
  protocol = "http"
  [[route]]
  names = ["Example.COM.", "*.example.com", "*"]
  backend = ["unix:/run/app.sock", "App.internal:8443", "[2001:db8::5]:443"]
  listeners = ["https", "web"]
  [[route]]
  names = ["d.example"]
  backend = "{name}:443"
  alpn = ["h2"]
  allow_private = true
  idle = "3h"
  [[route]]
  names = ["-"]
  refuse = "drop"
  [[route]]
  names = ["old.example"]
  listeners = ["web"]
  redirect = "https"
  redirect_except_acme = true
  backend = "127.0.0.1:80"
  [timeouts]
  hello = "250ms"
  connect = "6s"
  idle = "1h"
  half_closed = "20m"
  drain = "0ms"
  [limits]
  connections = 1_000
  connections_per_source = 10
  pending_hellos = 20
  hello_bytes = "64k"
  hello_memory = "128 MB"
  relay_memory = 1_073_741_824
  [answers]
  alerts = false
  [tcp]
  keepalive_idle = "2m"
  keepalive_interval = "10s"
  keepalive_probes = 9
  user_timeout = "90s"
  [dns]
  servers = ["192.0.2.53", "[2001:db8::53]:5353", "2001:db8::54"]
  timeout = "1s"
  tries = 3
  cache_entries = 4
  ttl_min = "5s"
  ttl_max = "6s"
  negative_ttl = "7s"
  stale = "8s"
  [fast_path]
  mode = "packet"
  packet_after_bytes = "1MiB"
  packet_after = "2s"
  packet_far_clients = "always"
  packet_flows = 10
  interfaces = ["eth0", "br0"]
  pin = "/sys/fs/bpf/sni-proxy"
  drain_spliced = false
  [access]
  block = ["192.0.2.7", "198.51.100.0/24 until 2026-12-01T00:00:00Z"]
  block_file = "/etc/sni-proxy/blocklist"
  block_file_errors = "skip"
  allow = ["2001:db8::/32"]
  scope = "listeners"
  default = "deny"
  [bans]
  connections_per_second = 10
  refused_per_minute = 20
  bad_hellos_per_minute = 30
  duration = "5m"
  duration_max = "1h"
  ipv6_prefix = 56
  [xdp]
  interfaces = ["eth0", "wan0.7"]
  mode = "generic"
  [control]
  socket = "/tmp/control.sock"
  group = "adm"
  mode = "0660"
  [metrics]
  listen = "127.0.0.1:9443"
  [log]
  level = "warning"
  format = "json"
)";

TEST_CASE("each key lands in its field") {
  const Config config = read_valid(every_key);
  CHECK(config.workers == 16);
  CHECK(config.abort_on_close);
  REQUIRE(config.listeners.size() == 2);
  CHECK(config.listeners[0] == ListenerConfig{.name = "https",
                                              .address = *parse_endpoint("[::]:443"),
                                              .v6only = true,
                                              .freebind = true,
                                              .strip_port = true,
                                              .idle = 2h});
  CHECK(config.listeners[1] == ListenerConfig{.name = "web",
                                              .address = *parse_endpoint("[fe80::1%2]:80"),
                                              .protocol = Protocol::http});
  REQUIRE(config.routes.size() == 4);
  CHECK(config.routes[0].names == Messages{"example.com", "*.example.com", "*"});
  REQUIRE(config.routes[0].backends.size() == 3);
  CHECK(config.routes[0].backends[0].host == "/run/app.sock");
  CHECK(config.routes[0].backends[1].host == "app.internal");
  CHECK(config.routes[0].backends[2].endpoint == *parse_endpoint("[2001:db8::5]:443"));
  CHECK(config.routes[0].listeners == Messages{"https", "web"});
  CHECK_MESSAGE(config.routes[1].listeners == Messages{"https"}, "the tls listeners by default");
  CHECK(config.routes[1].backends[0].kind == Backend::Kind::requested_name);
  CHECK(config.routes[1].alpn == Messages{"h2"});
  CHECK(config.routes[1].allow_private);
  CHECK(config.routes[1].idle == 3h);
  CHECK(config.routes[2].names == Messages{"-"});
  CHECK(config.routes[2].refuse == Refuse::drop);
  CHECK(config.routes[3].redirect == Redirect::https);
  CHECK(config.routes[3].redirect_except_acme);
}

TEST_CASE("each key beside listeners and routes lands in its field") {
  const Config config = read_valid(every_key);
  CHECK(
      config.timeouts ==
      TimeoutConfig{.hello = 250ms, .connect = 6s, .idle = 1h, .half_closed = 20min, .drain = 0ms});
  CHECK(config.limits == LimitConfig{.connections = 1'000,
                                     .connections_per_source = 10,
                                     .pending_hellos = 20,
                                     .hello_bytes = 64 << 10,
                                     .hello_memory = 128 << 20,
                                     .relay_memory = 1u << 30});
  CHECK_FALSE(config.answers.alerts);
  CHECK(config.tcp == TcpConfig{.keepalive_idle = 2min,
                                .keepalive_interval = 10s,
                                .keepalive_probes = 9,
                                .user_timeout = 90s});
  CHECK(config.dns == DnsConfig{.servers = {*parse_endpoint("192.0.2.53:53"),
                                            *parse_endpoint("[2001:db8::53]:5353"),
                                            *parse_endpoint("[2001:db8::54]:53")},
                                .timeout = 1s,
                                .tries = 3,
                                .cache_entries = 4,
                                .ttl_min = 5s,
                                .ttl_max = 6s,
                                .negative_ttl = 7s,
                                .stale = 8s});
  CHECK(config.fast_path == FastPathConfig{.mode = FastPathMode::packet,
                                           .packet_after_bytes = 1 << 20,
                                           .packet_after = 2s,
                                           .packet_far_clients = FarClients::always,
                                           .packet_flows = 10,
                                           .interfaces = {"eth0", "br0"},
                                           .pin = "/sys/fs/bpf/sni-proxy",
                                           .drain_spliced = false});
  CHECK(config.access == AccessConfig{.block = {{.prefix = *parse_prefix("192.0.2.7")},
                                                {.prefix = *parse_prefix("198.51.100.0/24"),
                                                 .until = std::chrono::sys_days{2026y / 12 / 1}}},
                                      .block_file = "/etc/sni-proxy/blocklist",
                                      .block_file_errors = BlockFileErrors::skip,
                                      .allow = {{.prefix = *parse_prefix("2001:db8::/32")}},
                                      .scope = BlockScope::listeners,
                                      .default_allow = false});
  CHECK(config.bans == BansConfig{.connections_per_second = 10,
                                  .refused_per_minute = 20,
                                  .bad_hellos_per_minute = 30,
                                  .duration = 5min,
                                  .duration_max = 1h,
                                  .ipv6_prefix = 56});
  CHECK(config.xdp == XdpConfig{.interfaces = {"eth0", "wan0.7"}, .mode = XdpMode::generic});
  CHECK(config.control ==
        ControlConfig{.socket = "/tmp/control.sock", .group = "adm", .mode = 0660});
  CHECK(config.metrics.listen == "127.0.0.1:9443");
  CHECK(config.log == LogConfig{.level = LogLevel::warning, .format = LogFormat::json});
}

TEST_CASE("a syntax error is one mistake at its place") {
  CHECK(mistakes("[server]\nworkers = \n").size() == 1);
  CHECK(mistakes("[server]\nworkers = \n")[0].starts_with("c.toml:2:11: syntax error: "));
  CHECK(mistakes("a = 1\na = 2\n")[0].starts_with("c.toml:2:5: syntax error: "));
  CHECK(mistakes("[server\n")[0].starts_with("c.toml:1:8: syntax error: "));
  CHECK(mistakes("x = \"\xff\"\n")[0].starts_with("c.toml:1:5: syntax error: "));
}

TEST_CASE("a file without listener and route says so") {
  const Messages both = {
      "c.toml:1:1: there is no listener; add a [[listener]] with a name and an address",
      "c.toml:1:1: there is no route; add a [[route]] with names and a backend"};
  CHECK(mistakes("") == both);
  CHECK(mistakes("listener = []\nroute = []\n") == both);
}

TEST_CASE("a file that is too large, or nests too deep, is not parsed") {
  CHECK(mistakes(std::string(65u << 20, '\n')) ==
        Messages{"c.toml:1:1: the file is larger than 64 MiB"});
  std::string deep = "[server]\na";
  for (int i = 0; i < 100'000; ++i) deep += ".a";
  CHECK(mistakes(deep + " = 1\n") ==
        Messages{"c.toml:2:1: more dots outside of strings than any key has; is a quote missing?"});
  const std::string quoted_dots(1'000, '.');
  CHECK(mistakes(std::string(config_base) + "# " + quoted_dots + "\n").empty());
  CHECK(mistakes(std::string(config_base) + "x = '" + quoted_dots + "'\ny = \"\"\"\n" +
                 quoted_dots + "\"\"\"\n")
            .size() == 2);
}

TEST_CASE("unknown keys are found everywhere, with a suggestion for near misses") {
  check_after_base({
      {"[serevr]\n", {"c.toml:3:2: unknown key 'serevr' at the top level; did you mean 'server'?"}},
      {"quic = 1\n", {"c.toml:3:1: unknown key 'quic' at the top level"}},
      {"[server]\nworker = 1\n",
       {"c.toml:4:1: unknown key 'worker' in [server]; did you mean 'workers'?"}},
      {"[timeouts]\n  helo = '1s'\n",
       {"c.toml:4:3: unknown key 'helo' in [timeouts]; did you mean 'hello'?"}},
      {"[timeouts]\nhandshake = '1s'\n",
       {"c.toml:4:1: unknown key 'handshake' in [timeouts]; for the first flight there is "
        "'hello'"}},
      {"[log]\n\"\\u001b[31m\" = 1\n", {"c.toml:4:1: unknown key '\\x1b[31m' in [log]"}},
  });
  CHECK(mistakes("[[listener]]\nnmae = 'a'\nname = 'https'\naddress = '0.0.0.0:443'\n"
                 "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nupstrem = 'x'\n") ==
        Messages{"c.toml:2:1: unknown key 'nmae' in [[listener]]; did you mean 'name'?",
                 "c.toml:8:1: unknown key 'upstrem' in [[route]]"});
}

TEST_CASE("a value of the wrong type says which type it must have") {
  check_after_base({
      {"[server]\nworkers = '4'\n",
       {"c.toml:4:11: 'workers' in [server] must be an integer, not a string"}},
      {"[server]\nworkers = 1.5\n",
       {"c.toml:4:11: 'workers' in [server] must be an integer, not a float"}},
      {"server = 4\n",
       {"c.toml:3:10: 'server' at the top level must be a table, written [server], not an "
        "integer"}},
      {"[timeouts]\nhello = 5\n",
       {"c.toml:4:9: 'hello' in [timeouts]: '5' is not a duration; write a number and a unit: "
        "\"250ms\", \"5s\", \"10m\", \"1h\""}},
      {"[timeouts]\nhello = '10min'\nsetup = '5 Seconds'\n",
       {"c.toml:4:9: 'hello' in [timeouts]: '10min' is not a duration; did you mean '10m'?",
        "c.toml:5:9: 'setup' in [timeouts]: '5 Seconds' is not a duration; did you mean '5s'?"}},
      {"[control]\nsocket = true\n",
       {"c.toml:4:10: 'socket' in [control] must be a string, not a boolean"}},
      {"[timeouts]\nhello = 07:32:00\n",
       {"c.toml:4:9: 'hello' in [timeouts] must be a string, not a date or time"}},
      {"[access]\nblock = '192.0.2.7'\n",
       {"c.toml:4:9: 'block' in [access] must be an array of strings, not a string"}},
      {"[access]\nblock = ['192.0.2.7', true]\n",
       {"c.toml:4:23: 'block' in [access] must be a string, not a boolean"}},
      {"[xdp]\ninterfaces = { a = 1 }\n",
       {"c.toml:4:14: 'interfaces' in [xdp] must be an array of strings, not a table"}},
  });
  CHECK(
      mistakes("[listener]\nname = 'a'\n[[route]]\nnames = ['a.example']\nbackend = 'b:1'\n") ==
      Messages{"c.toml:1:1: 'listener' at the top level must be an array of tables, each written "
               "[[listener]], not a table",
               "c.toml:1:1: there is no listener; add a [[listener]] with a name and an address"});
}

TEST_CASE("values out of their range are refused") {
  check_after_base({
      {"[server]\nworkers = -1\n",
       {"c.toml:4:11: 'workers' in [server] must be between 0 and 1024, not -1"}},
      {"[server]\nworkers = 1025\n",
       {"c.toml:4:11: 'workers' in [server] must be between 0 and 1024, not 1025"}},
      {"[timeouts]\nhello = '5'\n",
       {"c.toml:4:9: 'hello' in [timeouts]: '5' is not a duration; write a number and a unit: "
        "\"250ms\", \"5s\", \"10m\", \"1h\""}},
      {"[timeouts]\nhello = '0s'\n",
       {"c.toml:4:9: 'hello' in [timeouts]: '0s' is not between 10ms and 1h"}},
      {"[timeouts]\nidle = '169h'\n",
       {"c.toml:4:8: 'idle' in [timeouts]: '169h' is not between 1s and 168h"}},
      {"[limits]\nrelay_memory = '0.5GiB'\n",
       {"c.toml:4:16: 'relay_memory' in [limits]: '0.5GiB' is not a size; write a whole number and "
        "a "
        "unit: \"64KiB\", \"256MiB\", \"1GiB\""}},
      {"[limits]\nrelay_memory = 1024\n",
       {"c.toml:4:16: 'relay_memory' in [limits]: '1024' is not between 1MiB and 1TiB"}},
      {"[limits]\nhello_bytes = '65KiB'\n",
       {"c.toml:4:15: 'hello_bytes' in [limits]: '65KiB' is not between 1KiB and 64KiB"}},
      {"[tcp]\nkeepalive_idle = '1500ms'\n",
       {"c.toml:4:18: 'keepalive_idle' in [tcp]: '1500ms' is not whole seconds"}},
      {"[limits]\nrelay_memory = '1KiB'\n",
       {"c.toml:4:16: 'relay_memory' in [limits]: '1KiB' is not between 1MiB and 1TiB"}},
      {"[limits]\npending_hellos = 0\n",
       {"c.toml:4:18: 'pending_hellos' in [limits] must be between 1 and 10000000, not 0"}},
      {"[fast_path]\nmode = 'sokhash'\n",
       {"c.toml:4:8: 'mode' in [fast_path]: 'sokhash' is not one of \"auto\", \"packet\", "
        "\"sockhash\" and \"userspace\"; did you mean 'sockhash'?"}},
      {"[access]\ndefault = 'block'\n",
       {"c.toml:4:11: 'default' in [access]: 'block' is not one of \"allow\" and \"deny\""}},
      {"[log]\nlevel = 'warn'\n",
       {"c.toml:4:9: 'level' in [log]: 'warn' is not one of \"debug\", \"info\", \"warning\" and "
        "\"error\"; did you mean 'warning'?"}},
      {"[log]\nformat = 'JSON'\n",
       {"c.toml:4:10: 'format' in [log]: 'JSON' is not one of \"text\" and \"json\"; did you mean "
        "'json'?"}},
  });
}

TEST_CASE("addresses, prefixes, paths and interfaces are checked") {
  check_after_base({
      {"[dns]\nservers = ['dns.example']\n",
       {"c.toml:4:12: 'servers' in [dns]: 'dns.example' is not a resolver's address, as in "
        "\"192.0.2.53\" or \"[2001:db8::53]:5353\""}},
      {"[dns]\nservers = ['fe80::1']\n",
       {"c.toml:4:12: 'servers' in [dns]: 'fe80::1' is link-local and needs its interface, as in "
        "\"fe80::1%eth0\""}},
      {"[dns]\nservers = ['0.0.0.0']\n",
       {"c.toml:4:12: 'servers' in [dns]: '0.0.0.0' is not an address to ask"}},
      {"[access]\nblock = ['192.0.2.1/24']\n",
       {"c.toml:4:10: 'block' in [access]: '192.0.2.1/24' has host bits set; did you "
        "mean '192.0.2.0/24'?"}},
      {"[access]\nblock = ['192.0.2.1 until then']\n",
       {"c.toml:4:10: 'block' in [access]: 'then' is not a time, as in \"2026-12-01T00:00:00Z\""}},
      {"[access]\nblock_file = 'blocklist'\n",
       {"c.toml:4:14: 'block_file' in [access]: 'blocklist' is not an absolute path"}},
      {"[access]\nallow = ['192.0.2.0/33', 'example.com']\n",
       {"c.toml:4:10: 'allow' in [access]: '192.0.2.0/33' is not an address or prefix, as in "
        "\"192.0.2.7\" or \"2001:db8::/32\"",
        "c.toml:4:26: 'allow' in [access]: 'example.com' is not an address or prefix, as in "
        "\"192.0.2.7\" or \"2001:db8::/32\""}},
      {"[xdp]\ninterfaces = ['eth0/1', 'sixteen-letters-', '']\n",
       {"c.toml:4:15: 'interfaces' in [xdp]: 'eth0/1' is not a name that a network interface can "
        "have",
        "c.toml:4:25: 'interfaces' in [xdp]: 'sixteen-letters-' is not a name that a network "
        "interface can have",
        "c.toml:4:45: 'interfaces' in [xdp]: '' is not a name that a network interface can have"}},
      {"[control]\nsocket = 'control.sock'\n",
       {"c.toml:4:10: 'socket' in [control]: 'control.sock' is not an absolute path"}},
  });
}

TEST_CASE("all mistakes are reported at once, in the order of the file") {
  CHECK(mistakes("[server]\nworkers = -1\nthreads = 2\n"
                 "[[listener]]\nname = 'https'\nadress = '0.0.0.0:443'\n"
                 "[[route]]\nnames = ['*.']\nbackend = 'x'\nlisteners = ['http']\n"
                 "[timeouts]\nhello = 'soon'\n") ==
        Messages{
            "c.toml:2:11: 'workers' in [server] must be between 0 and 1024, not -1",
            "c.toml:3:1: unknown key 'threads' in [server]; threads are 'workers'",
            "c.toml:4:1: [[listener]] has no 'address'",
            "c.toml:6:1: unknown key 'adress' in [[listener]]; did you mean 'address'?",
            "c.toml:8:10: 'names' in [[route]]: '*.' is not a valid host name",
            "c.toml:9:11: 'backend' in [[route]]: 'x' has no port; write \"address:port\", "
            "\"[v6-address]:port\", \"name:port\", \"unix:/path\" or \"{name}:port\"",
            "c.toml:10:14: unknown listener 'http' in [[route]]; did you mean 'https'?",
            "c.toml:12:9: 'hello' in [timeouts]: 'soon' is not a duration; write a number and a "
            "unit: \"250ms\", \"5s\", \"10m\", \"1h\"",
        });
}

TEST_CASE("with only a warning there is a configuration") {
  const ConfigResult result =
      read_config(std::string(config_base) + "[access]\ndefault = 'deny'\n", "c.toml");
  CHECK(result.diagnostics.size() == 1);
  CHECK(result.config.has_value());
}
