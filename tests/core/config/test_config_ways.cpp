// Keys about the way to backends and the identity of the client.

#include <doctest/doctest.h>

#include "core/config/config_file.h"
#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("keys of the PROXY protocol land in their fields") {
  const Config config = read_valid(R"(
    [[listener]]
    name = "https"
    address = "[::]:443"
    accept_proxy_from = ["10.0.0.0/8", "2001:db8::5"]
    [[route]]
    names = ["a.example"]
    backend = "b.example:443"
    send_proxy = "v2"
    send_proxy_fields = ["authority", "crc32c"]
  )");
  CHECK(config.listeners[0].accept_proxy_from ==
        std::vector{*parse_prefix("10.0.0.0/8"), *parse_prefix("2001:db8::5")});
  CHECK(config.listeners[0].is_proxy(*parse_ip("10.1.2.3")));
  CHECK_FALSE(config.listeners[0].is_proxy(*parse_ip("11.1.2.3")));
  CHECK(config.routes[0].send_proxy ==
        ProxyForm{.version = ProxyVersion::v2, .authority = true, .crc32c = true});
}

TEST_CASE("a PROXY header needs a backend, and its fields version 2") {
  const std::string route = "names = ['a.example']\nbackend = 'b:1'\n";
  check_routes({
      {route + "send_proxy = 'v1'\n", {}},
      {route + "send_proxy = 'v2'\nsend_proxy_fields = ['alpn', 'unique_id']\n", {}},
      {route + "send_proxy = 'v1'\nsend_proxy_fields = ['alpn']\n",
       {"c.toml:7:21: 'send_proxy_fields' in [[route]] needs send_proxy = \"v2\", which alone has "
        "fields"}},
      {route + "send_proxy_fields = ['crc32c']\n",
       {"c.toml:6:21: 'send_proxy_fields' in [[route]] needs send_proxy = \"v2\", which alone has "
        "fields"}},
      {"names = ['a.example']\nrefuse = 'close'\nsend_proxy = 'v2'\n",
       {"c.toml:6:14: warning: 'send_proxy' in [[route]] has no effect without a backend"}},
  });
}

TEST_CASE("a backend may have its own send_proxy, which replaces that of its route") {
  const Config config = read_valid(R"(
    [[listener]]
    name = "https"
    address = "[::]:443"
    [[route]]
    names = ["a.example"]
    backend = ["b:1", { address = "c:1", send_proxy = "v2", send_proxy_fields = ["alpn"] },
               { address = "d:1", send_proxy = "no" }]
    send_proxy = "v1"
  )");
  const RouteConfig& route = config.routes[0];
  CHECK(route.send_proxy == ProxyForm{.version = ProxyVersion::v1});
  CHECK_FALSE(route.backends[0].send_proxy.has_value());
  CHECK(route.backends[1].send_proxy == ProxyForm{.version = ProxyVersion::v2, .alpn = true});
  CHECK(route.backends[2].send_proxy == ProxyForm{});
  check_routes({
      {"names = ['a.example']\nbackend = { address = 'b:1', send_proxy_fields = ['alpn'] }\n",
       {"c.toml:5:11: 'send_proxy_fields' of a backend needs send_proxy = \"v2\" beside it, which "
        "alone has fields"}},
      {"names = ['a.example']\nbackend = { address = 'b:1', send_proxy = 'v3' }\n",
       {"c.toml:5:43: 'send_proxy' in 'backend': 'v3' is not one of \"no\", \"v1\" and \"v2\"; did "
        "you mean 'v1'?"}},
  });
}

TEST_CASE("a service goes with what goes by addresses, and not with an upstream") {
  const std::string route = "names = ['a.example']\nbackend = 'srv:_https._tcp.example'\n";
  check_routes({
      {route + "balance = 'source_hash'\n", {}},
      {route + "health = 'h'\n[[health]]\nname = 'h'\n", {}},
      {route + "via = 'exit'\n[[upstream]]\nname = 'exit'\naddress = 'c:1'\n",
       {"c.toml:5:11: backend 'srv:_https._tcp.example' cannot be reached by an upstream"}},
  });
}

TEST_CASE("names may be expressions, whose mistakes and groups are looked at") {
  check_routes({
      {"names = ['/app-\\d+\\.example/']\nbackend = 'b:1'\n", {}},
      {"names = ['/(a+)\\.example/', '/(b+)/']\nbackend = '\\1.internal:443'\n", {}},
      {"names = ['/a(/']\nbackend = 'b:1'\n",
       {"c.toml:4:10: 'names' in [[route]]: '/a(/' is not a regular expression of RE2: "
        "missing ): a("}},
      {"names = ['/a']\nbackend = 'b:1'\n",
       {"c.toml:4:10: 'names' in [[route]]: '/a' has no '/' at its end, as a regular expression "
        "has"}},
      {"names = ['/(a)/', 'b.example']\nbackend = ['b:1', '\\1.internal:443']\n",
       {"c.toml:4:19: name 'b.example' in [[route]] has no group 1 of a regular expression for "
        "backend '\\1.internal:443'"}},
      {"names = ['/(a)/']\nbackend = '\\2:443'\n",
       {"c.toml:4:10: name '/(a)/' in [[route]] has no group 2 of a regular expression for backend "
        "'\\2:443'"}},
      {"names = ['/a/']\nbackend = 'b:1'\n[[route]]\nnames = ['/a/']\nbackend = 'c:1'\n",
       {"c.toml:7:10: name '/a/' in [[route]] is hidden by the [[route]] in line 3, which has it "
        "too"}},
  });
  std::string many;
  for (int i = 0; i <= 1000; ++i) many += "'/a" + std::to_string(i) + "/', ";
  check_routes({{"backend = 'b:1'\nnames = [" + many + "]\n",
                 {"c.toml:5:9900: more than 1000 names of routes are regular expressions"}}});
}

TEST_CASE("a route says which sources it serves, and how many connections") {
  const std::string route = "names = ['a.example']\nbackend = 'b:1'\n";
  check_routes({
      {route + "connections = 5\n[route.access]\nblock = ['192.0.2.0/24']\n", {}},
      {route + "access = { allow = ['10.0.0.0/8'], default = 'deny' }\nrefuse = 'drop'\n", {}},
      {route + "connections = -1\n",
       {"c.toml:6:15: 'connections' in [[route]] must be between 0 and 10000000, not -1"}},
      {route + "access = { block = ['192.0.2.1/24'] }\n",
       {"c.toml:6:21: 'block' in [route.access]: '192.0.2.1/24' has host bits set; "
        "did "
        "you mean '192.0.2.0/24'?"}},
      {route + "access = { blok = [] }\n",
       {"c.toml:6:12: unknown key 'blok' in [route.access]; did you mean 'block'?"}},
      {route + "access = { default = 'deny' }\n",
       {"c.toml:6:10: warning: nobody is served: 'access' in [[route]] denies by default and "
        "allows "
        "no address"}},
      {route + "access = { allow = ['10.0.0.0/8'] }\n",
       {"c.toml:6:10: warning: 'allow' in [route.access] has no effect without 'block' or default "
        "= "
        "\"deny\""}},
      {"names = ['a.example']\nrefuse = 'close'\nconnections = 5\n",
       {"c.toml:6:15: warning: 'connections' in [[route]] has no effect without a backend"}},
      {route + "connections = 6\n[limits]\nconnections = 5\n",
       {"c.toml:6:15: warning: 'connections' in [[route]] has no effect, since it is greater than "
        "that in [limits]"}},
  });
}

TEST_CASE("a listener that trusts every PROXY header gives a warning") {
  const auto listen = [](std::string_view sources) {
    return "route = [{ names = ['a.example'], backend = 'b:1' }]\n[[listener]]\nname = 'https'\n"
           "address = '[::]:443'\naccept_proxy_from = " +
           std::string(sources) + "\n";
  };
  const Messages warned{
      "c.toml:5:21: warning: 'accept_proxy_from' in [[listener]] trusts everybody: anyone who "
      "reaches "
      "the listener may say any address"};
  CHECK(mistakes(listen("['10.0.0.0/8', '::1']")).empty());
  CHECK(mistakes(listen("['10.0.0.0/8', '0.0.0.0/0']")) == warned);
  CHECK(mistakes(listen("['::/0']")) == warned);
  CHECK(mistakes(listen("['10.0.0.1/8']")).size() == 1);
  std::string many;
  for (int i = 0; i < 65; ++i) many += "'10.0.0." + std::to_string(i) + "',";
  CHECK(mistakes(listen('[' + many + ']')) ==
        Messages{"c.toml:5:21: more than 64 prefixes in 'accept_proxy_from' in [[listener]]"});
}

TEST_CASE("a PROXY header that no client of the listener can bring gives a warning") {
  const auto listen = [](std::string_view address, std::string_view sources) {
    return "route = [{ names = ['a.example'], backend = 'b:1' }]\n[[listener]]\nname = 'https'\n" +
           std::string(address) + "\naccept_proxy_from = [" + std::string(sources) + "]\n";
  };
  const auto warned = [](std::string_view address, std::string_view prefix) {
    return Messages{"c.toml:5:21: warning: no client of " + std::string(address) + " is in " +
                    std::string(prefix) +
                    ", which 'accept_proxy_from' in [[listener]] has: it is of the other address "
                    "family"};
  };
  for (const auto* address : {"0.0.0.0:443", "10.0.0.1:443"}) {
    const std::string key = "address = '" + std::string(address) + '\'';
    CHECK(mistakes(listen(key, "'10.0.0.0/8'")).empty());
    CHECK(mistakes(listen(key, "'2001:db8::/32', '10.0.0.0/8'")) ==
          warned(address, "2001:db8::/32"));
  }
  const std::string both = "address = '[::]:443'";
  CHECK(mistakes(listen(both, "'10.0.0.0/8', '2001:db8::5'")).empty());
  CHECK(mistakes(listen(both + "\nv6only = true", "'10.0.0.0/8'")).size() == 1);
  CHECK(mistakes(listen("address = '[2001:db8::1]:443'", "'10.0.0.0/8'")) ==
        warned("[2001:db8::1]:443", "10.0.0.0/8"));
}

TEST_CASE("keys of the way to a backend land in their fields") {
  const Config config = read_valid(R"(
    [[listener]]
    name = "https"
    address = "[::]:443"
    [[upstream]]
    name = "exit"
    address = "Socks.internal:1080"
    username = "alice"
    password_file = "/etc/sni-proxy/exit"
    [[route]]
    names = ["a.example"]
    backend = "{name}:443"
    via = "exit"
    bind_address = ["192.0.2.10", "2001:db8::10"]
    bind_interface = "eth1"
    mark = 0x2a
    source_ports = "20000-60000"
    [[route]]
    names = ["b.example"]
    backend = "10.0.0.5:443"
    transparent = true
    [[route]]
    names = ["c.example"]
    backend = "10.0.0.5:443"
    bind_address = "192.0.2.10"
  )");
  REQUIRE(config.upstreams.size() == 1);
  CHECK(config.upstreams[0].name == "exit");
  CHECK(config.upstreams[0].address.host == "socks.internal");
  CHECK(config.upstreams[0].login.username == "alice");
  CHECK(config.upstreams[0].password_file == "/etc/sni-proxy/exit");
  CHECK(config.routes[0].via == "exit");
  CHECK(config.routes[0].source ==
        SourceConfig{.addresses = {*parse_ip("192.0.2.10"), *parse_ip("2001:db8::10")},
                     .interface = "eth1",
                     .mark = 42,
                     .port_first = 20'000,
                     .port_last = 60'000});
  CHECK(config.routes[1].source == SourceConfig{.transparent = true});
  CHECK(config.routes[2].source == SourceConfig{.addresses = {*parse_ip("192.0.2.10")}});
}

TEST_CASE("an upstream has a unique name, and a server that is not this proxy") {
  const std::string used =
      "route = [{ names = ['a'], backend = 'b:1', via = 'exit' }]\n"
      "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n";
  const auto with = [&](std::string_view upstream) {
    return mistakes(used + "[[upstream]]\nname = 'exit'\n" + std::string(upstream));
  };
  CHECK(with("address = '10.0.0.7:1080'\n").empty());
  CHECK(with("address = 'unix:/run/socks'\n").empty());
  CHECK(with("address = '10.0.0.7:1080'\nusername = 'a'\n") ==
        Messages{"c.toml:6:12: [[upstream]] has 'username' without 'password_file'"});
  CHECK(with("address = '10.0.0.7:1080'\npassword_file = '/x'\n") ==
        Messages{"c.toml:6:17: [[upstream]] has 'password_file' without 'username'"});
  CHECK(
      with("address = '127.0.0.1:443'\n") ==
      Messages{"c.toml:5:11: upstream '127.0.0.1:443' is a listener of this proxy, so connections "
               "would loop"});
  CHECK(with("address = '{name}:443'\n").size() == 1);
  CHECK(with("address = 'b:1'\n[[upstream]]\nname = 'exit'\naddress = 'c:1'\n") ==
        Messages{"c.toml:7:8: upstream 'exit' is already defined in line 4"});
}

TEST_CASE("a route uses an existing upstream, for a backend that can be reached through it") {
  const std::string route = "names = ['a.example']\nvia = 'exit'\n";
  check_routes({
      {route + "backend = 'b:1'\n", {"c.toml:5:7: unknown upstream 'exit' in [[route]]"}},
      {route + "backend = 'unix:/x'\n[[upstream]]\nname = 'exit'\naddress = 'c:1'\n",
       {"c.toml:6:11: backend 'unix:/x' cannot be reached by an upstream"}},
      {route + "refuse = 'close'\n[[upstream]]\nname = 'exit'\naddress = 'c:1'\n",
       {"c.toml:5:7: warning: 'via' in [[route]] has no effect without a backend"}},
  });
}

TEST_CASE("connections come from one address of each family, or from the client's") {
  const std::string route = "names = ['a.example']\nbackend = 'b:1'\n";
  check_routes({
      {route + "bind_address = ['192.0.2.1', '192.0.2.2']\n",
       {"c.toml:6:30: 'bind_address' in [[route]] takes one address of each family at most"}},
      {route + "bind_address = '192.0.2.1'\ntransparent = true\n",
       {"c.toml:7:15: [[route]] has both 'transparent' and 'bind_address'"}},
      {route + "bind_address = '0.0.0.0'\n",
       {"c.toml:6:16: 'bind_address' in [[route]]: '0.0.0.0' is not an address to connect "
        "from"}},
      {route + "bind_address = 'fe80::1'\n",
       {"c.toml:6:16: 'bind_address' in [[route]]: 'fe80::1' is link-local; 'bind_interface' says "
        "where to connect from"}},
      {route + "source_ports = '60000-20000'\n",
       {"c.toml:6:16: 'source_ports' in [[route]]: '60000-20000' is not a range of ports, as in "
        "\"20000-60000\""}},
      {route + "source_ports = '0-1'\n",
       {"c.toml:6:16: 'source_ports' in [[route]]: '0-1' is not a range of ports, as in "
        "\"20000-60000\""}},
  });
}

TEST_CASE("health checks land in their fields") {
  const Config config = read_valid(R"(
    [[listener]]
    name = "https"
    address = "0.0.0.0:443"
    [[health]]
    name = "web"
    check = "tls"
    interval = "10s"
    timeout = "1s"
    rise = 1
    fall = 5
    jitter = 0
    [[route]]
    names = ["a.example"]
    backend = "10.0.0.5:443"
    health = "web"
  )");
  CHECK(config.healths.front() == HealthConfig{.name = "web",
                                               .check = HealthCheck::tls,
                                               .interval = std::chrono::seconds(10),
                                               .timeout = std::chrono::seconds(1),
                                               .rise = 1,
                                               .fall = 5,
                                               .jitter = 0});
  CHECK(config.routes.front().health == "web");
}

TEST_CASE("a health check by TLS that has no name to ask for is warned about") {
  const std::string check = "backend = 'b:1'\nhealth = 'web'\n[[health]]\nname = 'web'\n";
  const std::string tls = check + "check = 'tls'\n";
  check_routes({
      {"names = ['*', '-', '/x/']\n" + tls,
       {"c.toml:6:10: warning: health check 'web' asks for no server name, since [[route]] has "
        "none to "
        "ask for: a backend that requires one counts as down"}},
      {"names = ['*']\n" + check, {}},
      {"names = ['*', 'a.example']\n" + tls, {}},
      {"names = ['*.example']\n" + tls, {}},
  });
}

TEST_CASE("mistakes about health checks are named") {
  check_after_base({{"[[health]]\nname = 'web'\n",
                     {"c.toml:3:1: warning: no [[route]] uses health check 'web'"}}});
  const std::string health = "health = 'web'\n";
  const std::string check = "[[health]]\nname = 'web'\n";
  const std::string route = "names = ['a.example']\nbackend = 'b:1'\n";
  const std::string twice = route + health + check + check;
  const std::string unknown = route + health;
  const std::string dynamic = "names = ['a.example']\nbackend = '{name}:1'\n" + health + check;
  const std::string via = route + health + "via = 'exit'\n" + check +
                          "[[upstream]]\nname = 'exit'\naddress = '10.0.0.7:1080'\n";
  check_routes({
      {twice, {"c.toml:10:8: health check 'web' is already defined in line 8"}},
      {unknown, {"c.toml:6:10: unknown health check 'web' in [[route]]"}},
      {dynamic,
       {"c.toml:6:10: warning: 'health' in [[route]] has no effect on backends that clients name"}},
      {via, {"c.toml:6:10: 'health' in [[route]] does not go with 'via': checks connect directly"}},
  });
}
