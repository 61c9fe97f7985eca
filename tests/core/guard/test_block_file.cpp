#include "core/guard/block_file.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> mistakes_of(const BlockFile& file) {
  std::vector<std::string> texts;
  for (const Diagnostic& mistake : file.mistakes) texts.push_back(mistake.to_string());
  return texts;
}

}  // namespace

TEST_CASE("entries are read one a line between comments and blank lines") {
  const BlockFile file = parse_block_file(
      "# a list\n"
      "192.0.2.7\n"
      "\n"
      "  198.51.100.0/24   # with a reason\r\n"
      "2001:db8::/32 ; SBL1\n"
      "2001:db8::1 until 2026-12-01T00:00:00Z",
      "list");
  CHECK(file.mistakes.empty());
  CHECK(file.entries == std::vector<AccessEntry>{{.prefix = prefix("192.0.2.7")},
                                                 {.prefix = prefix("198.51.100.0/24")},
                                                 {.prefix = prefix("2001:db8::/32")},
                                                 {.prefix = prefix("2001:db8::1"),
                                                  .until = std::chrono::sys_days{2026y / 12 / 1}}});
}

TEST_CASE("every mistake is named with its place and the rest is read") {
  const BlockFile file = parse_block_file(
      "192.0.2.7\n"
      "  192.0.2.300\n"
      "192.0.2.8 forever\n"
      "192.0.2.9\n",
      "list");
  CHECK(file.entries.size() == 2);
  CHECK(file.bad_lines == 2);
  CHECK_FALSE(file.too_long);
  CHECK(mistakes_of(file) ==
        std::vector<std::string>{"list:2:3: '192.0.2.300' is not an address or prefix, as in "
                                 "\"192.0.2.7\" or \"2001:db8::/32\"",
                                 "list:3:1: 'forever' is not expected behind the address"});
}

TEST_CASE("a file of something else gives a bounded number of printable mistakes") {
  std::mt19937 random(4);
  std::string binary;
  for (int i = 0; i < 100'000; ++i) binary += static_cast<char>(random());
  const BlockFile file = parse_block_file(binary, "list");
  CHECK(!file.mistakes.empty());
  CHECK(file.mistakes.size() < 1000);
  for (const std::string& mistake : mistakes_of(file)) {
    CHECK(mistake.size() < 500);
    for (const char c : mistake) CHECK((c >= ' ' && c <= '~'));
  }
}
