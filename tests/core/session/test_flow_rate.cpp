#include "core/session/flow_rate.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("the first request returns the mean over the connection's life") {
  FlowRate rate;
  CHECK(rate.look(10'000, 1'000, 6'000) == 2'000);
  CHECK(FlowRate().look(10'000, 1'000, 1'000) == 0);
}

TEST_CASE("a request returns the mean since the previous one") {
  FlowRate rate;
  rate.look(10'000, 1'000, 6'000);
  CHECK(rate.look(10'000, 1'000, 7'000) == 0);
  CHECK(rate.look(15'000, 1'000, 9'000) == 2'500);
}

TEST_CASE("requests at the same time return the same") {
  FlowRate rate;
  rate.look(0, 1'000, 6'000);
  CHECK(rate.look(4'000, 1'000, 7'000) == 4'000);
  CHECK(rate.look(4'000, 1'000, 7'100) == 4'000);
}

TEST_CASE("a look that is long ago counts no more, nor one of bytes that are gone") {
  FlowRate rate;
  rate.look(1'000, 0, 1'000);
  CHECK(rate.look(1'000'000, 0, 100'000) == 10'000);
  CHECK(rate.look(0, 0, 101'000) == 0);
}
