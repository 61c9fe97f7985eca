#include "core/counted.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("a count has its noun in the singular or in the plural") {
  CHECK(counted(0, "more line") == "0 more lines");
  CHECK(counted(1, "more line") == "1 more line");
  CHECK(counted(2, "more line") == "2 more lines");
  CHECK(counted(1, "prefix", "prefixes") == "1 prefix");
  CHECK(counted(2, "prefix", "prefixes") == "2 prefixes");
}
