#include "core/guard_block_file.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "core/limits.h"
#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;
using namespace std::chrono_literals;

TEST_CASE("entries are read one a line between comments and blank lines") {
  const BlockFile file = parse_block_file(
      "# a list\n"
      "192.0.2.7\n"
      "\n"
      "  198.51.100.0/24   # with a reason\r\n"
      "2001:db8::/32 ; SBL1\n"
      "2001:db8::1 until 2026-12-01T00:00:00Z");
  CHECK(file.mistakes.empty());
  REQUIRE(file.entries.size() == 4);
  CHECK(file.entries[0].prefix == prefix("192.0.2.7"));
  CHECK(file.entries[1].prefix == prefix("198.51.100.0/24"));
  CHECK(file.entries[2].prefix == prefix("2001:db8::/32"));
  CHECK(!file.entries[2].until);
  CHECK(file.entries[3].until == std::chrono::sys_days{2026y / 12 / 1});
}

TEST_CASE("every mistake is named with its line and column, and the rest is read") {
  const BlockFile file = parse_block_file(
      "192.0.2.7\n"
      "  192.0.2.300\n"
      "192.0.2.7/24\n"
      "192.0.2.8 forever\n"
      "192.0.2.8 until tomorrow\n"
      "192.0.2.8 until\n"
      "192.0.2.8 until 2026-12-01T00:00:00Z now\n"
      "192.0.2.9\n");
  CHECK(file.entries.size() == 2);
  REQUIRE(file.mistakes.size() == 6);
  CHECK(file.mistakes[0].line == 2);
  CHECK(file.mistakes[0].column == 3);
  CHECK(file.mistakes[0].message ==
        "'192.0.2.300' is neither an address nor a prefix without host bits");
  CHECK(file.mistakes[1].line == 3);
  CHECK(file.mistakes[2].column == 11);
  CHECK(file.mistakes[3].column == 17);
  CHECK(file.mistakes[4].message == "'until' is not a time like 2026-12-01T00:00:00Z");
  CHECK(file.mistakes[5].line == 7);
}

TEST_CASE("a file of something else gives a bounded number of printable mistakes") {
  std::mt19937 random(4);
  std::string binary;
  for (int i = 0; i < 100'000; ++i) binary += static_cast<char>(random());
  const BlockFile file = parse_block_file(binary);
  CHECK(file.mistakes.size() == limits::block_file_mistakes_max);
  for (const BlockFileMistake& mistake : file.mistakes) {
    CHECK(mistake.message.size() < 200);
    for (const char c : mistake.message) CHECK((c >= ' ' && c <= '~'));
  }
}

TEST_CASE("times are read to the second and impossible ones refused") {
  CHECK(parse_utc_time("1970-01-01T00:00:00Z")->time_since_epoch() == 0s);
  CHECK(parse_utc_time("2024-02-29T23:59:59Z") ==
        std::chrono::sys_days{2024y / 2 / 29} + 23h + 59min + 59s);
  for (const char* text : {"", "2026-12-01", "2026-12-01T00:00:00", "2026-12-01T00:00:00+01:00",
                           "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-12-01T24:00:00Z",
                           "2026-12-01T00:60:00Z", "2026-12-01T00:00:60Z", "2026-12-01t00:00:00Z",
                           "2026-12-01T00:00:00Z ", "26-12-01T00:00:00Z", "2026-1-01T00:00:00Z"}) {
    CAPTURE(text);
    CHECK(!parse_utc_time(text));
  }
}
