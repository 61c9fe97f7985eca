#include "core/quantity.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("bytes have three digits and a unit") {
  CHECK(short_bytes(0) == "0");
  CHECK(short_bytes(999) == "999");
  CHECK(short_bytes(1000) == "0.98K");
  CHECK(short_bytes(17'300'000) == "16.5M");
  CHECK(short_bytes(250ULL << 30) == "250G");
  CHECK(short_bytes(UINT64_MAX) == "16.0E");
}

TEST_CASE("spans are exact below ten seconds and whole seconds above") {
  CHECK(short_span(1) == "1ms");
  CHECK(short_span(9'500) == "9500ms");
  CHECK(short_span(12'345) == "12s");
}
