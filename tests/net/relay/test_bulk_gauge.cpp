#include "net/relay/bulk_gauge.h"

#include <doctest/doctest.h>

using namespace sni;

namespace {

constexpr std::uint64_t at_ms = 1'000'000;

void move(BulkGauge& gauge, int times, std::uint32_t bytes) {
  for (int i = 0; i < times; ++i) gauge.moved(bytes, at_ms);
}

BulkGauge gauge_after(int large, int small = 0) {
  BulkGauge gauge;
  move(gauge, large, limits::bulk_bytes);
  move(gauge, small, 1);
  return gauge;
}

// How many large receives it takes until the mark is raised.
int receives_until_raised(BulkGauge& gauge) {
  int receives = 0;
  for (; !gauge.raises_mark() && receives < 10 * limits::low_water_begins_max; ++receives) {
    gauge.moved(limits::bulk_bytes, at_ms);
  }
  return receives;
}

}  // namespace

TEST_CASE("a direction is bulk after some large receives and no more after many small ones") {
  CHECK_FALSE(gauge_after(limits::bulk_begins - 1).bulk());
  CHECK(gauge_after(limits::bulk_begins).bulk());
  CHECK(gauge_after(limits::bulk_begins, limits::bulk_forgotten - 1).bulk());
  CHECK_FALSE(gauge_after(limits::bulk_begins, limits::bulk_forgotten).bulk());
  CHECK_FALSE(gauge_after(0, 1000).bulk());
}

TEST_CASE("a direction that found no pipe starts anew") {
  BulkGauge gauge = gauge_after(limits::bulk_begins);
  gauge.refuse();
  CHECK_FALSE(gauge.bulk());
  move(gauge, limits::bulk_begins, limits::bulk_bytes);
  CHECK(gauge.bulk());
}

TEST_CASE("the low-water mark of bulk is raised after some large ones in a row") {
  BulkGauge gauge = gauge_after(limits::bulk_begins + limits::low_water_begins - 1);
  CHECK_FALSE(gauge.raises_mark());
  gauge.moved(limits::bulk_bytes - 1, at_ms);
  CHECK(receives_until_raised(gauge) == limits::low_water_begins);
  gauge.refuse();
  CHECK_FALSE(gauge.raises_mark());
}

TEST_CASE("each receive that waits in vain doubles how many raise the mark, up to a bound") {
  BulkGauge gauge = gauge_after(limits::bulk_begins);
  for (int needed = limits::low_water_begins; needed <= limits::low_water_begins_max; needed *= 2) {
    CHECK(receives_until_raised(gauge) == needed);
    gauge.waited_in_vain();
  }
  CHECK(receives_until_raised(gauge) == limits::low_water_begins_max);
}

TEST_CASE("receives that do not wait in vain bring the raised mark back sooner") {
  BulkGauge gauge = gauge_after(limits::bulk_begins);
  receives_until_raised(gauge);
  for (int i = 0; i < 2; ++i) gauge.waited_in_vain();
  CHECK(receives_until_raised(gauge) == 4 * limits::low_water_begins);
  move(gauge, limits::low_water_repaid, limits::low_water_bytes);
  gauge.waited_in_vain();
  CHECK(receives_until_raised(gauge) == 4 * limits::low_water_begins);
}

TEST_CASE("the mark is not raised at a rate that keeps everybody awake") {
  BulkGauge gauge = gauge_after(limits::bulk_begins + limits::low_water_begins);
  gauge.moved(limits::low_water_rate_max, at_ms);
  gauge.moved(limits::bulk_bytes, at_ms + 1);
  CHECK_FALSE(gauge.raises_mark());
  gauge.moved(limits::bulk_bytes, at_ms + 2);
  CHECK(gauge.raises_mark());
}
