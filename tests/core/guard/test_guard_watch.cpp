#include "core/guard/guard_watch.h"

#include <doctest/doctest.h>

#include "core/limits.h"

using namespace sni;

namespace {

const IpAddress watched = IpAddress::v4(192, 0, 2, 7);
const IpAddress other = IpAddress::v4(192, 0, 2, 8);

}  // namespace

TEST_CASE("as many connections in a second as allowed are no offence and one more is") {
  SourceWatch watch({.connections_per_second = 3});
  for (int i = 0; i < 3; ++i) CHECK(!watch.report(watched, Conduct::connected, 100));
  CHECK(!watch.report(other, Conduct::connected, 100));
  CHECK(watch.report(watched, Conduct::connected, 100));
  for (int i = 0; i < 3; ++i) CHECK(!watch.report(watched, Conduct::connected, 101));
}

TEST_CASE("bad hellos and refusals count by the minute, each by itself") {
  SourceWatch watch({.refused_per_minute = 1, .bad_hellos_per_minute = 2});
  CHECK(!watch.report(watched, Conduct::bad_hello, 100));
  CHECK(!watch.report(watched, Conduct::refused, 101));
  CHECK(!watch.report(watched, Conduct::bad_hello, 130));
  CHECK(watch.report(watched, Conduct::bad_hello, 159));
  CHECK(watch.report(watched, Conduct::refused, 160));
  CHECK(!watch.report(watched, Conduct::bad_hello, 160));
}

TEST_CASE("a conduct without a limit is never an offence") {
  SourceWatch watch({.bad_hellos_per_minute = 1});
  for (int i = 0; i < 1000; ++i) CHECK(!watch.report(watched, Conduct::connected, 100));
  CHECK(!ConductLimits{}.any());
  CHECK(ConductLimits{.refused_per_minute = 1}.any());
}

TEST_CASE("a full table watches no new sources and counts them, until windows pass") {
  SourceWatch watch({.connections_per_second = 1});
  for (std::size_t i = 0; i < limits::watched_sources_max; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8);
    watch.report(IpAddress::v4(10, 0, high, static_cast<std::uint8_t>(i)), Conduct::connected, 100);
  }
  for (int i = 0; i < 5; ++i) CHECK(!watch.report(watched, Conduct::connected, 100));
  CHECK(watch.overflows() == 5);
  watch.expire(101);
  CHECK(!watch.report(watched, Conduct::connected, 101));
  CHECK(watch.report(watched, Conduct::connected, 101));
}
