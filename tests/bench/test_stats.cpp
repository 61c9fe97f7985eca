#include "bench/stats.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

using namespace sni::bench;

TEST_CASE("the median of an odd number of samples is the middle one, whatever their order") {
  CHECK(median(std::array{9.0, 1.0, 5.0}) == 5);
  CHECK(median(std::array{7.0}) == 7);
}

TEST_CASE("the median of an even number of samples lies between the two in the middle") {
  CHECK(median(std::array{4.0, 1.0, 2.0, 9.0}) == 3);
}

TEST_CASE("there is no median and no spread of nothing") {
  CHECK(std::isnan(median({})));
  CHECK(std::isnan(spread({})));
}

TEST_CASE("the geometric mean is there for one value, and for several that are positive") {
  CHECK(geometric_mean(std::array{2.0, 8.0}) == doctest::Approx(4));
  CHECK(geometric_mean(std::array{0.3}) == 0.3);
  CHECK(geometric_mean(std::array{0.0}) == 0);
  CHECK(std::isnan(geometric_mean(std::array{1.0, -1.0})));
  CHECK(std::isnan(geometric_mean({})));
}

TEST_CASE("the spread is half of the range as a share of the median") {
  CHECK(spread(std::array{90.0, 100.0, 130.0}) == doctest::Approx(0.2));
  CHECK(spread(std::array{5.0, 5.0}) == 0);
  CHECK(std::isnan(spread(std::array{-1.0, 0.0, 1.0})));
}

TEST_CASE("an empty histogram has no quantile") {
  CHECK(std::isnan(Histogram().quantile(0.5)));
}

TEST_CASE("small values are kept exactly") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.add(value);
  CHECK(histogram.quantile(0.5) == 50);
  CHECK(histogram.quantile(0.99) == 99);
  CHECK(histogram.quantile(0) == 1);
  CHECK(histogram.quantile(1) == 100);
}

TEST_CASE("one outlier among a thousand is p99.9 only from the next one on") {
  Histogram histogram;
  for (int i = 0; i < 999; ++i) histogram.add(10);
  histogram.add(1'000'000);
  CHECK(histogram.quantile(0.999) == 10);
  CHECK(histogram.quantile(0.9995) == doctest::Approx(1'000'000).epsilon(0.01));
}

TEST_CASE("quantiles of any values are within one percent of the exact ones") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(11, 2);
  Histogram histogram;
  std::vector<std::uint64_t> exact;
  for (int i = 0; i < 20'000; ++i) {
    exact.push_back(static_cast<std::uint64_t>(latency(random)));
    histogram.add(exact.back());
  }
  std::ranges::sort(exact);
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * 20'000)) - 1;
    CHECK(histogram.quantile(share) ==
          doctest::Approx(static_cast<double>(exact[rank])).epsilon(0.01));
  }
}

TEST_CASE("the largest value there is has a bucket") {
  Histogram histogram;
  histogram.add(UINT64_MAX);
  CHECK(histogram.quantile(0.5) == doctest::Approx(1.8446744e19).epsilon(0.01));
}
