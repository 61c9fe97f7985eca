#include "core/dns/resolv_conf.h"

#include <doctest/doctest.h>

using namespace sni;

namespace {

std::vector<std::string> candidates(const char* name, const char* file) {
  return search_candidates(parse_dns_name(name).value(), parse_resolv_conf(file));
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("servers, search list and ndots are read") {
  const auto conf = parse_resolv_conf(
      "# made by hand\nnameserver 192.0.2.1\nnameserver 2001:db8::53 ; second\n"
      "search ns.svc.Cluster.local. svc.cluster.local\noptions rotate ndots:5 timeout:1\n");
  REQUIRE(conf.servers.size() == 2);
  CHECK(conf.servers[0].to_string() == "192.0.2.1:53");
  CHECK(conf.servers[1].to_string() == "[2001:db8::53]:53");
  CHECK(conf.search == Names{"ns.svc.cluster.local", "svc.cluster.local"});
  CHECK(conf.ndots == 5);
}

TEST_CASE("an empty file means the resolver of this host and no search list") {
  const auto conf = parse_resolv_conf("");
  REQUIRE(conf.servers.size() == 1);
  CHECK(conf.servers[0].to_string() == "127.0.0.1:53");
  CHECK(conf.search.empty());
  CHECK(conf.ndots == 1);
}

TEST_CASE("the last of search and domain holds") {
  CHECK(parse_resolv_conf("domain a.example\nsearch b.example c.example").search ==
        Names{"b.example", "c.example"});
  CHECK(parse_resolv_conf("search b.example c.example\ndomain a.example").search ==
        Names{"a.example"});
  CHECK(parse_resolv_conf("search a.example\nsearch .").search.empty());
}

TEST_CASE("lines that are not understood are passed over") {
  const auto conf = parse_resolv_conf(
      "nameservers 192.0.2.9\noptions ndots:x ndots:-1 ndots:\n;search a.example");
  CHECK(conf == parse_resolv_conf(""));
}

TEST_CASE("a link-local server is asked on its interface") {
  const InterfaceLookup interfaces = [](std::string_view name) {
    return name == "eth0" ? std::optional<std::uint32_t>(7) : std::nullopt;
  };
  const auto conf = parse_resolv_conf("nameserver fe80::1%eth0\nnameserver fe80::2%3", interfaces);
  REQUIRE(conf.servers.size() == 2);
  CHECK(conf.servers[0] == *parse_endpoint("[fe80::1%7]:53"));
  CHECK(conf.servers[1] == *parse_endpoint("[fe80::2%3]:53"));
  CHECK(conf.unused.empty());
}

TEST_CASE("every nameserver line that is not used says why") {
  const InterfaceLookup no_interface = [](std::string_view) { return std::nullopt; };
  const auto unused = [&](std::string_view text) {
    const auto conf = parse_resolv_conf(text, no_interface);
    CHECK(conf.servers.front().to_string() == "127.0.0.1:53");
    return conf.unused;
  };
  CHECK(unused("nameserver fe80::1%eth9") ==
        Names{"nameserver fe80::1%eth9 is not an address of a network interface of this host"});
  CHECK(unused("nameserver fe80::1") ==
        Names{"nameserver fe80::1 is link-local and needs its interface, as in fe80::1%eth0"});
  CHECK(unused("nameserver dns.example") == Names{"nameserver dns.example is not an address"});
  CHECK(unused("nameserver 192.0.2.1%eth9") ==
        Names{"nameserver 192.0.2.1%eth9 is not an address of a network interface of this host"});
  CHECK(unused("nameserver").size() == 1);
  CHECK(unused("nameserver " + std::string(5000, 'x')).front().size() < 100);
}

TEST_CASE("lists are bounded, and so is ndots") {
  std::string file = "options ndots:99\nsearch";
  for (std::size_t i = 0; i < limits::dns_search_max + 5; ++i) {
    file += " d" + std::to_string(i) + ".example";
  }
  for (std::size_t i = 0; i < limits::dns_servers_max + 5; ++i) {
    file += "\nnameserver 192.0.2." + std::to_string(i);
  }
  const auto conf = parse_resolv_conf(file);
  CHECK(conf.search.size() == limits::dns_search_max);
  CHECK(conf.servers.size() == limits::dns_servers_max);
  CHECK(conf.unused.size() == 5);
  CHECK(conf.ndots == 15);
}

TEST_CASE("a name with fewer dots than ndots is tried with the search list first") {
  CHECK(candidates("web", "search a.example b.example") ==
        Names{"web.a.example", "web.b.example", "web"});
  CHECK(candidates("web.prod", "search cluster.local\noptions ndots:5") ==
        Names{"web.prod.cluster.local", "web.prod"});
}

TEST_CASE("a name with enough dots is tried as it is first") {
  CHECK(candidates("www.example", "search a.example") ==
        Names{"www.example", "www.example.a.example"});
  CHECK(candidates("web", "search a.example\noptions ndots:0") == Names{"web", "web.a.example"});
}

TEST_CASE("an absolute name is the only candidate") {
  CHECK(candidates("web.", "search a.example") == Names{"web"});
}

TEST_CASE("a candidate that would be too long is left out") {
  const std::string label(63, 'a');
  const std::string name = label + '.' + label + '.' + label + '.' + std::string(50, 'b');
  CHECK(candidates(name.c_str(), "search a.example long.example") ==
        Names{name, name + ".a.example"});
}
