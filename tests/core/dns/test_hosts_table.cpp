#include "core/dns/hosts_table.h"

#include <doctest/doctest.h>

using namespace sni;

namespace {

IpAddress host_ip(const char* text) {
  return parse_ip(text).value();
}

}  // namespace

TEST_CASE("every name of a line is found, whatever its case in the file") {
  const auto table = HostsTable::parse("# local\n10.0.0.5\tWeb web.example # the shop\r\n");
  CHECK(table.size() == 2);
  for (const char* name : {"web", "web.example"}) {
    const Resolution* found = table.find(name);
    REQUIRE(found);
    CHECK(found->status == Resolution::Status::ok);
    REQUIRE(found->count() == 1);
    CHECK(found->list()[0] == host_ip("10.0.0.5"));
  }
}

TEST_CASE("a name that is not in the file is not found") {
  const auto table = HostsTable::parse("10.0.0.5 web\n");
  CHECK(table.find("webb") == nullptr);
  CHECK(table.find("we") == nullptr);
  CHECK(HostsTable().find("web") == nullptr);
}

TEST_CASE("a name on several lines has all addresses once, IPv6 and IPv4 in turns") {
  const auto table = HostsTable::parse(
      "10.0.0.1 web\n10.0.0.2 web\n2001:db8::1 web\n10.0.0.1 web\n2001:db8::2 web");
  const Resolution* found = table.find("web");
  REQUIRE(found);
  REQUIRE(found->count() == 4);
  CHECK(found->list()[0] == host_ip("2001:db8::1"));
  CHECK(found->list()[1] == host_ip("10.0.0.1"));
  CHECK(found->list()[2] == host_ip("2001:db8::2"));
  CHECK(found->list()[3] == host_ip("10.0.0.2"));
}

TEST_CASE("lines that are not understood are passed over") {
  const auto table = HostsTable::parse(
      "nonsense web\n\n   \n10.0.0 web\nfe80::1%eth0 web\n10.0.0.9\n10.0.0.9 w*b ok\n#10.0.0.1 no");
  CHECK(table.size() == 1);
  CHECK(table.find("ok"));
}
