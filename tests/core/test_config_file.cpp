// Reading configurations: what each key gives, and every mistake with its whole message and place.

#include "core/config_file.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

using namespace sni;
using namespace std::chrono_literals;

namespace {

using Messages = std::vector<std::string>;

// A listener on line 1 and a route on line 2, so that a test's own text starts on line 3.
constexpr std::string_view base =
    "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n"
    "route = [{ names = ['example.com'], backend = '10.0.0.5:8443' }]\n";

Messages mistakes(std::string_view text) {
  const ConfigResult result = read_config(text, "c.toml");
  Messages messages;
  bool errors = false;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    messages.push_back(diagnostic.to_string());
    errors |= diagnostic.severity == Severity::error;
  }
  CHECK(result.config.has_value() == !errors);
  return messages;
}

Messages mistakes_after_base(std::string_view text) {
  return mistakes(std::string(base).append(text));
}

Config read(std::string_view text) {
  const ConfigResult result = read_config(text, "c.toml");
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(diagnostic.to_string());
  REQUIRE(result.config.has_value());
  return *result.config;
}

struct Mistake {
  std::string_view text;
  Messages messages;
};

// Each text follows a listener and a route that are right.
void check_each(const std::vector<Mistake>& table) {
  for (const Mistake& row : table) {
    CAPTURE(row.text);
    CHECK(mistakes_after_base(row.text) == row.messages);
  }
}

// Each text is the rest of a route on line 3, after "names" and before the end.
void check_routes(const std::vector<Mistake>& table) {
  for (const Mistake& row : table) {
    const std::string text =
        "listener = [{ name = 'https', address = '0.0.0.0:443' },\n"
        "  { name = 'web', address = '0.0.0.0:80', protocol = 'http' }]\n"
        "[[route]]\n" +
        std::string(row.text);
    CAPTURE(text);
    CHECK(mistakes(text) == row.messages);
  }
}

}  // namespace

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
  CHECK(read(base) == expected);
}

TEST_CASE("each key lands in its field") {
  const Config config = read(R"(
    [server]
    workers = 0x10
    [[listener]]
    name = "https"
    address = "[::]:443"
    v6only = true
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
    [timeouts]
    hello = "250ms"
    connect = "6s"
    idle = "1h"
    drain = "0ms"
    [limits]
    connections = 1_000
    connections_per_source = 10
    pending_hellos = 20
    relay_memory = "1GiB"
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
    mode = "sockhash"
    [access]
    block = ["192.0.2.7", "198.51.100.0/24"]
    allow = ["2001:db8::/32"]
    default = "deny"
    [xdp]
    interfaces = ["eth0", "wan0.7"]
    mode = "generic"
    [control]
    socket = "/tmp/control.sock"
    [log]
    level = "warning"
    format = "json"
  )");
  CHECK(config.workers == 16);
  REQUIRE(config.listeners.size() == 2);
  CHECK(config.listeners[0] ==
        ListenerConfig{.name = "https", .address = *parse_endpoint("[::]:443"), .v6only = true});
  CHECK(config.listeners[1] == ListenerConfig{.name = "web",
                                              .address = *parse_endpoint("[fe80::1%2]:80"),
                                              .protocol = Protocol::http});
  REQUIRE(config.routes.size() == 2);
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
  CHECK(config.timeouts == TimeoutConfig{.hello = 250ms, .connect = 6s, .idle = 1h, .drain = 0ms});
  CHECK(config.limits == LimitConfig{.connections = 1'000,
                                     .connections_per_source = 10,
                                     .pending_hellos = 20,
                                     .relay_memory = 1u << 30});
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
  CHECK(config.fast_path.mode == FastPathMode::sockhash);
  CHECK(config.access ==
        AccessConfig{.block = {*parse_prefix("192.0.2.7"), *parse_prefix("198.51.100.0/24")},
                     .allow = {*parse_prefix("2001:db8::/32")},
                     .default_allow = false});
  CHECK(config.xdp == XdpConfig{.interfaces = {"eth0", "wan0.7"}, .mode = XdpMode::generic});
  CHECK(config.control_socket == "/tmp/control.sock");
  CHECK(config.log == LogConfig{.level = LogLevel::warning, .format = LogFormat::json});
}

TEST_CASE("a syntax error is one mistake at its place") {
  CHECK(mistakes("[server]\nworkers = \n").size() == 1);
  CHECK(mistakes("[server]\nworkers = \n")[0].starts_with("c.toml:2:11: syntax error: "));
  CHECK(mistakes("a = 1\na = 2\n")[0].starts_with("c.toml:2:1: syntax error: "));
  CHECK(mistakes("[server\n")[0].starts_with("c.toml:1:8: syntax error: "));
  CHECK(mistakes("x = \"\xff\"\n")[0].starts_with("c.toml:1:6: syntax error: "));
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
  CHECK(mistakes_after_base("# " + quoted_dots + "\n").empty());
  CHECK(mistakes_after_base("x = '" + quoted_dots + "'\ny = \"\"\"\n" + quoted_dots + "\"\"\"\n")
            .size() == 2);
}

TEST_CASE("unknown keys are found everywhere, with a suggestion for near misses") {
  check_each({
      {"[serevr]\n", {"c.toml:3:1: unknown key 'serevr' at the top level; did you mean 'server'?"}},
      {"quic = 1\n", {"c.toml:3:1: unknown key 'quic' at the top level"}},
      {"[server]\nworker = 1\n",
       {"c.toml:4:1: unknown key 'worker' in [server]; did you mean 'workers'?"}},
      {"[timeouts]\n  helo = '1s'\n",
       {"c.toml:4:3: unknown key 'helo' in [timeouts]; did you mean 'hello'?"}},
      {"[timeouts]\nhandshake = '1s'\n", {"c.toml:4:1: unknown key 'handshake' in [timeouts]"}},
      {"[log]\n\"\x1b[31m\" = 1\n", {"c.toml:4:1: unknown key '\\x1b[31m' in [log]"}},
  });
  CHECK(mistakes("[[listener]]\nnmae = 'a'\nname = 'https'\naddress = '0.0.0.0:443'\n"
                 "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nupstrem = 'x'\n") ==
        Messages{"c.toml:2:1: unknown key 'nmae' in [[listener]]; did you mean 'name'?",
                 "c.toml:8:1: unknown key 'upstrem' in [[route]]"});
}

TEST_CASE("a value of the wrong type says which type it must have") {
  check_each({
      {"[server]\nworkers = '4'\n",
       {"c.toml:4:11: 'workers' in [server] must be an integer, not a string"}},
      {"[server]\nworkers = 1.5\n",
       {"c.toml:4:11: 'workers' in [server] must be an integer, not a float"}},
      {"server = 4\n",
       {"c.toml:3:10: 'server' at the top level must be a table, written [server], not an "
        "integer"}},
      {"[timeouts]\nhello = 5\n",
       {"c.toml:4:9: 'hello' in [timeouts] must be a string, not an integer"}},
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
  check_each({
      {"[server]\nworkers = -1\n",
       {"c.toml:4:11: 'workers' in [server] must be between 0 and 1024, not -1"}},
      {"[server]\nworkers = 1025\n",
       {"c.toml:4:11: 'workers' in [server] must be between 0 and 1024, not 1025"}},
      {"[timeouts]\nhello = '5'\n",
       {"c.toml:4:9: 'hello' in [timeouts]: '5' is no duration; write a number and a unit: "
        "\"250ms\", \"5s\", \"10m\", \"1h\""}},
      {"[timeouts]\nhello = '0s'\n",
       {"c.toml:4:9: 'hello' in [timeouts]: '0s' is not between 10ms and 1h"}},
      {"[timeouts]\nidle = '169h'\n",
       {"c.toml:4:8: 'idle' in [timeouts]: '169h' is not between 1s and 168h"}},
      {"[limits]\nrelay_memory = '256MB'\n",
       {"c.toml:4:16: 'relay_memory' in [limits]: '256MB' is no size; write a number and a unit: "
        "\"64KiB\", \"256MiB\", \"1GiB\""}},
      {"[limits]\nrelay_memory = '1KiB'\n",
       {"c.toml:4:16: 'relay_memory' in [limits]: '1KiB' is not between 1MiB and 1TiB"}},
      {"[limits]\npending_hellos = 0\n",
       {"c.toml:4:18: 'pending_hellos' in [limits] must be between 1 and 10000000, not 0"}},
      {"[fast_path]\nmode = 'sokhash'\n",
       {"c.toml:4:8: 'mode' in [fast_path]: 'sokhash' is none of \"auto\", \"sockhash\" and "
        "\"userspace\"; did you mean 'sockhash'?"}},
      {"[access]\ndefault = 'block'\n",
       {"c.toml:4:11: 'default' in [access]: 'block' is none of \"allow\" and \"deny\""}},
      {"[log]\nlevel = 'warn'\n",
       {"c.toml:4:9: 'level' in [log]: 'warn' is none of \"debug\", \"info\", \"warning\" and "
        "\"error\""}},
  });
}

TEST_CASE("addresses, prefixes, paths and interfaces are checked") {
  check_each({
      {"[dns]\nservers = ['dns.example']\n",
       {"c.toml:4:12: 'servers' in [dns]: 'dns.example' is no resolver's address, as in "
        "\"192.0.2.53\" or \"[2001:db8::53]:5353\""}},
      {"[dns]\nservers = ['0.0.0.0']\n",
       {"c.toml:4:12: 'servers' in [dns]: '0.0.0.0' is no address that one can ask"}},
      {"[access]\nblock = ['192.0.2.1/24']\n",
       {"c.toml:4:10: 'block' in [access]: '192.0.2.1/24' has bits set behind its prefix; did you "
        "mean '192.0.2.0/24'?"}},
      {"[access]\nallow = ['192.0.2.0/33', 'example.com']\n",
       {"c.toml:4:10: 'allow' in [access]: '192.0.2.0/33' is no address or prefix, as in "
        "\"192.0.2.7\" or \"2001:db8::/32\"",
        "c.toml:4:26: 'allow' in [access]: 'example.com' is no address or prefix, as in "
        "\"192.0.2.7\" or \"2001:db8::/32\""}},
      {"[xdp]\ninterfaces = ['eth0/1', 'sixteen-letters-', '']\n",
       {"c.toml:4:15: 'interfaces' in [xdp]: 'eth0/1' is no name that a network interface can have",
        "c.toml:4:25: 'interfaces' in [xdp]: 'sixteen-letters-' is no name that a network "
        "interface "
        "can have",
        "c.toml:4:45: 'interfaces' in [xdp]: '' is no name that a network interface can have"}},
      {"[control]\nsocket = 'control.sock'\n",
       {"c.toml:4:10: 'socket' in [control]: 'control.sock' is no absolute path"}},
  });
}

TEST_CASE("listeners must differ in name and address") {
  const auto listeners = [](std::string_view text) {
    return mistakes(std::string(text).append(
        "\n[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['a']\n"));
  };
  CHECK(listeners("[[listener]]\n") == Messages{"c.toml:1:1: [[listener]] has no 'name'",
                                                "c.toml:1:1: [[listener]] has no 'address'"});
  CHECK(listeners("listener = [{ name = 'a', address = '0.0.0.0:1' },\n"
                  "{ name = 'a', address = '0.0.0.0:2' }]") ==
        Messages{"c.toml:2:10: listener 'a' is already defined in line 1"});
  CHECK(listeners("listener = [{ name = 'a', address = '192.0.2.1:1' },\n"
                  "{ name = 'b', address = '[::ffff:192.0.2.1]:1' }]") ==
        Messages{"c.toml:2:25: address 192.0.2.1:1 is already that of the listener in line 1"});
  CHECK(
      listeners("listener = [{ name = 'a', address = '0.0.0.0:443' },\n"
                "{ name = 'b', address = '[::]:443' }]") ==
      Messages{"c.toml:2:25: [::]:443 conflicts with 0.0.0.0:443 in line 1, since [::] takes IPv4 "
               "too; keep the [::] listener alone, or give it v6only = true"});
  CHECK(listeners("listener = [{ name = 'a', address = '[::]:443', v6only = true },\n"
                  "{ name = 'b', address = '0.0.0.0:443' }]")
            .empty());
  CHECK(listeners("listener = [{ name = 'a', address = '[::]:443' },\n"
                  "{ name = 'b', address = '0.0.0.0:444' }]")
            .empty());
  CHECK(listeners("listener = [{ name = 'a', address = '0.0.0.0:443', v6only = true }]") ==
        Messages{
            "c.toml:1:37: 'v6only' in [[listener]] does not go with the IPv4 address 0.0.0.0:443"});
  CHECK(listeners("listener = [{ name = 'a b', address = 'localhost:443' }]") ==
        Messages{
            "c.toml:1:22: 'name' in [[listener]]: 'a b' is not 1 to 64 letters, digits, '.', '_' "
            "and '-'",
            "c.toml:1:39: 'address' in [[listener]]: 'localhost:443' is no address and port, as "
            "in \"0.0.0.0:443\", \"[::]:443\" or \"[fe80::1%2]:443\""});
  CHECK(
      listeners("listener = [{ name = 'a', address = '0.0.0.0:0' }]") ==
      Messages{"c.toml:1:37: 'address' in [[listener]]: '0.0.0.0:0' needs a port from 1 to 65535"});
  CHECK(listeners("listener = [{ name = 'a', address = '224.0.0.1:443' }]") ==
        Messages{"c.toml:1:37: 'address' in [[listener]]: '224.0.0.1:443' is a multicast address"});
  CHECK(listeners("listener = [{ name = 'a', address = '[fe80::1]:443' }]") ==
        Messages{
            "c.toml:1:37: 'address' in [[listener]]: '[fe80::1]:443' is link-local and needs the "
            "index of its interface, as in \"[fe80::1%2]:443\""});
  CHECK(
      listeners("listener = [{ name = 'a', address = '0.0.0.0:443', protocol = 'https' }]") ==
      Messages{"c.toml:1:63: 'protocol' in [[listener]]: 'https' is none of \"tls\" and \"http\""});
}

TEST_CASE("more listeners than there may be are refused") {
  std::string text;
  for (int i = 1; i <= 65; ++i) {
    const std::string number = std::to_string(i);
    text += "[[listener]]\nname = 'l" + number + "'\naddress = '192.0.2.1:" + number + "'\n";
  }
  text += "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\n";
  CHECK(mistakes(text) == Messages{"c.toml:193:1: more than 64 listeners"});
}

TEST_CASE("routes must be whole and name listeners that exist") {
  check_routes({
      {"", {"c.toml:3:1: [[route]] has no 'names'", "c.toml:3:1: [[route]] has no 'backend'"}},
      {"names = []\nbackend = []\nlisteners = []\n",
       {"c.toml:4:9: 'names' in [[route]] must not be empty",
        "c.toml:5:11: 'backend' in [[route]] must not be empty",
        "c.toml:6:13: 'listeners' in [[route]] must not be empty"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['http', 'web', 'htps']\n",
       {"c.toml:6:14: unknown listener 'http' in [[route]]; did you mean 'https'?",
        "c.toml:6:29: unknown listener 'htps' in [[route]]; did you mean 'https'?"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['web']\nalpn = ['h2']\n",
       {"c.toml:7:8: 'alpn' in [[route]] can never match on listener 'web', whose protocol is "
        "\"http\""}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nalpn = ['']\n",
       {"c.toml:6:9: 'alpn' in [[route]]: '' is no protocol name of 1 to 255 bytes, as in \"h2\""}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nallow_private = true\n",
       {"c.toml:6:17: warning: 'allow_private' in [[route]] has no effect without a \"{name}\" "
        "backend"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nallow_private = 1\n",
       {"c.toml:6:17: 'allow_private' in [[route]] must be true or false, not an integer"}},
  });
  CHECK(
      mistakes("listener = [{ name = 'web', address = '0.0.0.0:80', protocol = 'http' }]\n"
               "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\n") ==
      Messages{"c.toml:2:1: [[route]] needs 'listeners', since there is no listener with protocol "
               "\"tls\""});
}

TEST_CASE("names of routes are host names or wildcards") {
  const std::string key = "c.toml:4:10: 'names' in [[route]]: ";
  const auto name = [](std::string_view text) {
    return "names = ['" + std::string(text) + "']\nbackend = 'b.example:1'\n";
  };
  const std::string wildcard = " has a wildcard that is neither \"*\" nor a leading \"*.\"";
  const std::string address =
      " is an address, and clients ask for names (RFC 6066); \"*\" takes those that ask for none";
  const std::string invalid = " is no valid host name";
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "''" + invalid},
      {"a..example", "'a..example'" + invalid},
      {".example", "'.example'" + invalid},
      {"a.example:443", "'a.example:443'" + invalid},
      {"https://a.example", "'https://a.example'" + invalid},
      {"a b.example", "'a b.example'" + invalid},
      {"*.", "'*.'" + invalid},
      {"*example.com", "'*example.com'" + wildcard},
      {"a.*.example", "'a.*.example'" + wildcard},
      {"*.*.example", "'*.*.example'" + wildcard},
      {"**", "'**'" + wildcard},
      {"192.0.2.1", "'192.0.2.1'" + address},
      {"2001:db8::1", "'2001:db8::1'" + address},
      {"127.1", "'127.1'" + address},
      {"b\xc3\xbc"
       "cher.example",
       "'b\\xc3\\xbccher.example' must be written in its ASCII form (\"xn--...\"), as clients send "
       "it"},
  };
  for (const auto& [text, message] : table) {
    const std::string route = name(text);
    CAPTURE(text);
    check_routes({{route, {key + message}}});
  }
}

TEST_CASE("backends that cannot be used are refused") {
  const auto route = [](std::string_view backend) {
    return "names = ['a.example']\nbackend = " + std::string(backend) + '\n';
  };
  const std::string key = "c.toml:5:11: 'backend' in [[route]]";
  check_routes({
      {route("1"), {key + " must be an array of strings, not an integer"}},
      {route("'a.example'"),
       {key + ": 'a.example' has no port; write \"address:port\", \"[v6-address]:port\", "
              "\"name:port\", \"unix:/path\" or \"{name}:port\""}},
      {route("['b.example:1', 'a.example:0']"),
       {"c.toml:5:27: 'backend' in [[route]]: 'a.example:0' must end in a port from 1 to 65535"}},
      {route("'127.0.0.1:443'"),
       {"c.toml:5:11: backend '127.0.0.1:443' is a listener of this proxy, so connections would "
        "loop"}},
      {route("['10.0.0.1:443', 'localhost:80']"),
       {"c.toml:5:28: backend 'localhost:80' is a listener of this proxy, so connections would "
        "loop"}},
      {route("['a:1','a:2','a:3','a:4','a:5','a:6','a:7','a:8','a:9']"),
       {"c.toml:5:60: more than 8 backends in [[route]]"}},
  });
  CHECK_MESSAGE(
      mistakes_after_base("[[route]]\nnames = ['a']\nbackend = '[::1]:443'\n").size() == 1,
      "the base closes its routes");
}

TEST_CASE("a name that an earlier route takes on the same listener is hidden") {
  check_routes({
      {"names = ['a.example', 'b.example', 'A.example']\nbackend = 'b.example:1'\n",
       {"c.toml:4:36: name 'a.example' in [[route]] is given twice"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\n"
       "[[route]]\nnames = ['b.example', 'A.EXAMPLE.']\nbackend = 'b.example:1'\n",
       {"c.toml:7:23: name 'a.example' in [[route]] is hidden by the [[route]] in line 3, which "
        "has "
        "it too"}},
      {"names = ['*']\nbackend = 'b.example:1'\n[[route]]\nnames = ['*']\nbackend = "
       "'b.example:1'\n",
       {"c.toml:7:10: name '*' in [[route]] is hidden by the [[route]] in line 3, which has it "
        "too"}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['https']\n"
       "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nlisteners = ['web']\n",
       {}},
      {"names = ['a.example']\nbackend = 'b.example:1'\n"
       "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nalpn = ['h2']\n",
       {}},
      {"names = ['a.example']\nbackend = 'b.example:1'\nalpn = ['h2', 'http/1.1']\n"
       "[[route]]\nnames = ['a.example']\nbackend = 'b.example:1'\nalpn = ['h2']\n",
       {"c.toml:8:10: name 'a.example' in [[route]] is hidden by the [[route]] in line 3, which "
        "has "
        "it too"}},
      {"names = ['*.example', 'a.example']\nbackend = 'b.example:1'\n", {}},
  });
}

TEST_CASE("values that do not go together are found") {
  check_each({
      {"[dns]\nttl_min = '2h'\n", {"c.toml:3:1: 'ttl_min' in [dns] is greater than 'ttl_max'"}},
      {"[dns]\nservers = ['10.0.0.1','10.0.0.2','10.0.0.3','10.0.0.4','10.0.0.5','10.0.0.6',"
       "'10.0.0.7','10.0.0.8','10.0.0.9']\n",
       {"c.toml:3:1: more than 8 resolvers in 'servers' in [dns]"}},
      {"[limits]\nconnections = 10\nconnections_per_source = 11\n",
       {"c.toml:3:1: warning: 'connections_per_source' in [limits] has no effect, since it is "
        "greater than 'connections'"}},
      {"[access]\ndefault = 'deny'\n",
       {"c.toml:3:1: warning: nobody is served: [access] denies by default and allows no address"}},
  });
}

TEST_CASE("all mistakes come in one go, in the order of the file") {
  CHECK(mistakes("[server]\nworkers = -1\nthreads = 2\n"
                 "[[listener]]\nname = 'https'\nadress = '0.0.0.0:443'\n"
                 "[[route]]\nnames = ['*.']\nbackend = 'x'\nlisteners = ['http']\n"
                 "[timeouts]\nhello = 'soon'\n") ==
        Messages{
            "c.toml:2:11: 'workers' in [server] must be between 0 and 1024, not -1",
            "c.toml:3:1: unknown key 'threads' in [server]",
            "c.toml:4:1: [[listener]] has no 'address'",
            "c.toml:6:1: unknown key 'adress' in [[listener]]; did you mean 'address'?",
            "c.toml:8:10: 'names' in [[route]]: '*.' is no valid host name",
            "c.toml:9:11: 'backend' in [[route]]: 'x' has no port; write \"address:port\", "
            "\"[v6-address]:port\", \"name:port\", \"unix:/path\" or \"{name}:port\"",
            "c.toml:10:14: unknown listener 'http' in [[route]]; did you mean 'https'?",
            "c.toml:12:9: 'hello' in [timeouts]: 'soon' is no duration; write a number and a unit: "
            "\"250ms\", \"5s\", \"10m\", \"1h\"",
        });
}

TEST_CASE("a warning alone leaves a configuration") {
  const ConfigResult result =
      read_config(std::string(base) + "[access]\ndefault = 'deny'\n", "c.toml");
  CHECK(result.diagnostics.size() == 1);
  CHECK(result.config.has_value());
}

TEST_CASE("100,000 routes are read and checked, and a thousand mistakes are enough") {
  std::string text = "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n";
  for (int i = 0; i < 100'000; ++i) {
    text +=
        "[[route]]\nnames = ['n" + std::to_string(i) + ".example']\nbackend = '10.0.0.5:8443'\n";
  }
  CHECK(read(text).routes.size() == 100'000);
  for (int i = 0; i < 2'000; ++i) text += "[[route]]\nnames = ['n.']\nbackend = ''\n";
  const Messages messages = mistakes(text);
  CHECK(messages.size() == 1'001);
  CHECK(messages.back().ends_with(": 1000 more are not shown"));
}
