#include "core/top/sparkline.h"

#include <doctest/doctest.h>

#include <vector>

using namespace sni;

TEST_CASE("values stand to the right, each as high as its part of the greatest") {
  const std::vector<std::uint64_t> values{0, 1, 4, 8};
  CHECK(sparkline(values, 6, false) == "   .=#");
  CHECK(sparkline(values, 4, true) == " \u2582\u2585\u2588");
}

TEST_CASE("of more values than columns the newest are shown") {
  const std::vector<std::uint64_t> values{100, 1, 2};
  CHECK(sparkline(values, 2, false) == "=#");
}

TEST_CASE("nothing is blank") {
  CHECK(sparkline({}, 3, false) == "   ");
  const std::vector<std::uint64_t> still{0, 0};
  CHECK(sparkline(still, 2, true) == "  ");
}
