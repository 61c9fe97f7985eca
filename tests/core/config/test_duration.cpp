// Durations and sizes: one number, one unit, nothing else.

#include "core/config/duration.h"

#include <doctest/doctest.h>

#include <string_view>

using namespace sni;
using namespace std::chrono_literals;

TEST_CASE("a duration is a whole number and a unit") {
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("5s") == 5s);
  CHECK(parse_duration("10m") == 10min);
  CHECK(parse_duration("1h") == 1h);
  CHECK(parse_duration("0s") == 0ms);
  for (const char* text :
       {"", "5", "s", "ms", "5 s", " 5s", "5s ", "-5s", "+5s", "05s", "1.5s", "5S", "5sec", "1h30m",
        "5ss", "5us", "9223372036854775807s", "99999999999999999999ms"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text).has_value());
  }
  CHECK(parse_duration("9223372036854775807ms").has_value());
}

TEST_CASE("days are taken too") {
  CHECK(parse_duration("7d") == 168h);
}

TEST_CASE("a size is a whole number and a unit as people write them") {
  for (const char* text : {"1k", "1K", "1KB", "1kb", "1kib", "1 KiB", "1024", "1024B"}) {
    CAPTURE(text);
    CHECK(parse_size(text) == 1024);
  }
  CHECK(parse_size("256MB") == 256u << 20);
  CHECK(parse_size("1g") == 1u << 30);
  CHECK(parse_size("0B") == 0);
  CHECK(parse_size("64KiB") == 65'536);
  CHECK(parse_size("256MiB") == 256u << 20);
  CHECK(parse_size("1GiB") == 1u << 30);
  CHECK(parse_size("3TiB") == 3ull << 40);
  for (const char* text :
       {"", "K", " ", "64 ", "64  KiB", "6 4", "64Ki", "1.5MiB", "-1B", "01B", "9999999999TiB"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text).has_value());
  }
}

TEST_CASE("printing uses the largest exact unit, and the text reads back") {
  CHECK(format_duration(0ms) == "0ms");
  CHECK(format_duration(999ms) == "999ms");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(120s) == "2m");
  CHECK(format_duration(168h) == "168h");
  CHECK(format_size(0) == "0B");
  CHECK(format_size(1536) == "1536B");
  CHECK(format_size(1ull << 40) == "1TiB");
  for (const auto value : {1ms, 1'001ms, 61'000ms, 3'600'000ms, 86'400'000ms}) {
    CHECK(parse_duration(format_duration(value)) == value);
    CHECK(parse_size(format_size(static_cast<std::uint64_t>(value.count()))) ==
          static_cast<std::uint64_t>(value.count()));
  }
}
