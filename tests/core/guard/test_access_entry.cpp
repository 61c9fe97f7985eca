#include "core/guard/access_entry.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;
using namespace std::chrono_literals;

TEST_CASE("an entry is a prefix, and may say how long it holds") {
  CHECK(parse_access_entry("192.0.2.7") == AccessEntry{.prefix = prefix("192.0.2.7")});
  CHECK(parse_access_entry(" 2001:db8::/32\t until  2026-12-01T12:30:05Z ") ==
        AccessEntry{.prefix = prefix("2001:db8::/32"),
                    .until = std::chrono::sys_days{2026y / 12 / 1} + 12h + 30min + 5s});
}

TEST_CASE("any other text in an entry is refused by name") {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"", "'' is not an address or prefix, as in \"192.0.2.7\" or \"2001:db8::/32\""},
      {"192.0.2.7/24", "'192.0.2.7/24' has host bits set; did you mean '192.0.2.0/24'?"},
      {"192.0.2.8 until", "'' is not a time, as in \"2026-12-01T00:00:00Z\""},
      {"192.0.2.8 until tomorrow", "'tomorrow' is not a time, as in \"2026-12-01T00:00:00Z\""},
      {"192.0.2.8 for 10m", "'for' is not expected behind the address"},
      {"192.0.2.8 until 2026-12-01T00:00:00Z now", "'now' is not expected behind the time"},
  };
  for (const auto& [text, message] : refused) {
    CAPTURE(text);
    const auto entry = parse_access_entry(text);
    REQUIRE(!entry);
    CHECK(entry.error().what == message);
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
