#include "core/route/silent_endpoints.h"

#include <doctest/doctest.h>

#include "core/limits.h"

using namespace sni;

namespace {

constexpr std::uint64_t start_ms = 1'000'000;

Endpoint endpoint(std::uint32_t number) {
  const auto byte = [number](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  return {.ip = IpAddress::v4(10, byte(16), byte(8), byte(0)), .port = 443};
}

}  // namespace

TEST_CASE("an address is put off from its silence until it answers") {
  SilentEndpoints silent;
  CHECK_FALSE(silent.puts_off(endpoint(1), start_ms));
  CHECK(silent.add(endpoint(1), start_ms, start_ms));
  CHECK_FALSE(silent.add(endpoint(1), start_ms, start_ms));
  CHECK(silent.puts_off(endpoint(1), start_ms));
  CHECK_FALSE(silent.puts_off(endpoint(2), start_ms));
  silent.answered(endpoint(1), start_ms);
  CHECK_FALSE(silent.puts_off(endpoint(1), start_ms));
}

TEST_CASE("when the time is over one caller in each period tries it again") {
  SilentEndpoints silent;
  silent.add(endpoint(1), start_ms, start_ms);
  CHECK(silent.puts_off(endpoint(1), start_ms + limits::silent_ms - 1));
  for (int period = 1; period <= 3; ++period) {
    const std::uint64_t now_ms = start_ms + period * limits::silent_ms;
    CHECK_FALSE(silent.puts_off(endpoint(1), now_ms));
    CHECK(silent.puts_off(endpoint(1), now_ms));
    CHECK(silent.puts_off(endpoint(1), now_ms + limits::silent_ms - 1));
  }
}

TEST_CASE("a silence that goes on begins anew") {
  SilentEndpoints silent;
  silent.add(endpoint(1), start_ms, start_ms);
  silent.add(endpoint(1), start_ms + 100, start_ms + 100);
  CHECK(silent.puts_off(endpoint(1), start_ms + limits::silent_ms));
  CHECK_FALSE(silent.puts_off(endpoint(1), start_ms + 100 + limits::silent_ms));
}

TEST_CASE("a connect that began before the last answer says nothing, a later one does") {
  SilentEndpoints silent;
  silent.add(endpoint(1), start_ms, start_ms + 100);
  silent.answered(endpoint(1), start_ms + 200);
  CHECK_FALSE(silent.add(endpoint(1), start_ms + 150, start_ms + 250));
  CHECK_FALSE(silent.puts_off(endpoint(1), start_ms + 250));
  CHECK(silent.add(endpoint(1), start_ms + 201, start_ms + 301));
  CHECK(silent.puts_off(endpoint(1), start_ms + 301));
}

TEST_CASE("there is room for so many, and those whose time is over make room") {
  SilentEndpoints silent;
  for (std::uint32_t i = 0; i < limits::silent_endpoints_max; ++i) {
    CHECK(silent.add(endpoint(i), start_ms, start_ms));
  }
  const Endpoint late = endpoint(limits::silent_endpoints_max);
  CHECK_FALSE(silent.add(late, start_ms + 1, start_ms + 1));
  CHECK_FALSE(silent.puts_off(late, start_ms + 1));
  CHECK(silent.add(late, start_ms + limits::silent_ms, start_ms + limits::silent_ms));
  CHECK(silent.puts_off(late, start_ms + limits::silent_ms));
}
