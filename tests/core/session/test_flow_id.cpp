#include "core/session/flow_id.h"

#include <doctest/doctest.h>

#include <string_view>

using namespace sni;

TEST_CASE("an id names the worker and its connection, and is read back") {
  constexpr std::uint64_t serial = (std::uint64_t{3} << flow_serial_bits) + 42;
  CHECK(flow_id(serial) == "3-42");
  CHECK(parse_flow_id("3-42") == serial);
  CHECK(worker_of(serial) == 3);
}

TEST_CASE("an id for others has the run in it, always with 16 digits") {
  constexpr std::uint64_t serial = (std::uint64_t{3} << flow_serial_bits) + 42;
  CHECK(unique_flow_id(0x5f0c9a83d1e2b746, serial) == "5f0c9a83d1e2b746-3-42");
  CHECK(unique_flow_id(1, serial) == "0000000000000001-3-42");
}

TEST_CASE("text that is not an id is refused") {
  for (const std::string_view text : {"", "-", "1", "1-", "-1", "1-0", "01-1", "1-01", "1-1-1",
                                      "65536-1", "1-281474976710656", " 1-1", "1-+1", "a-1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_flow_id(text));
  }
}
