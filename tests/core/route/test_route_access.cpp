#include "core/route/route_access.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <vector>

using namespace sni;

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::sys_seconds at_present{1'800'000'000s};

std::vector<AccessEntry> entries(std::initializer_list<const char*> texts) {
  std::vector<AccessEntry> list;
  for (const char* text : texts) list.push_back(*parse_access_entry(text));
  return list;
}

bool admits(const RouteAccess& access, const char* source,
            std::chrono::sys_seconds at = at_present) {
  return access.admits(*parse_ip(source), at);
}

}  // namespace

TEST_CASE("a route's allowlist wins over its blocklist, and its default is for the rest") {
  RouteAccessConfig config{.block = entries({"192.0.2.0/24", "2001:db8::/32"}),
                           .allow = entries({"192.0.2.7"})};
  const RouteAccess open(config);
  CHECK_FALSE(admits(open, "192.0.2.8"));
  CHECK(admits(open, "192.0.2.7"));
  CHECK(admits(open, "198.51.100.1"));
  CHECK_FALSE(admits(open, "2001:db8::1"));
  config.default_allow = false;
  const RouteAccess closed(config);
  CHECK(admits(closed, "192.0.2.7"));
  CHECK_FALSE(admits(closed, "198.51.100.1"));
  CHECK_FALSE(admits(closed, "192.0.2.8"));
}

TEST_CASE("an entry of a route's access ends at its time") {
  const RouteAccess access({.block = entries({"192.0.2.7 until 2030-01-01T00:00:00Z"})});
  const std::chrono::sys_seconds end = *parse_utc_time("2030-01-01T00:00:00Z");
  CHECK_FALSE(admits(access, "192.0.2.7", end - 1s));
  CHECK(admits(access, "192.0.2.7", end));
  const RouteAccess forever({.block = entries({"192.0.2.7"})});
  CHECK_FALSE(admits(forever, "192.0.2.7", *parse_utc_time("9999-12-31T23:59:59Z")));
}
