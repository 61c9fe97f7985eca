#include "core/health/health_state.h"

#include <doctest/doctest.h>

#include <optional>

using namespace sni;

TEST_CASE("an endpoint is down after so many failures in a row, and up after so many passes") {
  HealthState state;
  CHECK(state.note(false, 2, 3) == std::nullopt);
  CHECK(state.note(false, 2, 3) == std::nullopt);
  CHECK(state.note(true, 2, 3) == std::nullopt);  // Not in a row.
  for (int i = 0; i < 2; ++i) CHECK(state.note(false, 2, 3) == std::nullopt);
  CHECK(state.note(false, 2, 3) == false);
  CHECK_FALSE(state.up());
  CHECK(state.note(false, 2, 3) == std::nullopt);
  CHECK(state.note(true, 2, 3) == std::nullopt);
  CHECK(state.note(false, 2, 3) == std::nullopt);
  CHECK(state.note(true, 2, 3) == std::nullopt);
  CHECK(state.note(true, 2, 3) == true);
  CHECK(state.up());
}

TEST_CASE("with 1 each check decides") {
  HealthState state;
  CHECK(state.note(false, 1, 1) == false);
  CHECK(state.note(true, 1, 1) == true);
}
