#include "core/health/probe_hello.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/hello/first_flight.h"
#include "core/limits.h"

using namespace sni;

namespace {

struct Read {
  std::string name;
  std::uint16_t version = 0;
};

Read read(const std::vector<std::uint8_t>& hello) {
  FlightScanner scanner(Protocol::tls);
  const auto needed = scanner.scan(hello);
  REQUIRE(needed.has_value());
  REQUIRE(*needed == 0);
  std::vector<std::uint8_t> scratch(limits::hello_bytes_max + limits::handshake_header);
  const auto flight = scanner.parse(hello, scratch);
  REQUIRE(flight.has_value());
  return {.name = std::string(flight->name()), .version = flight->version};
}

}  // namespace

TEST_CASE("our own parser accepts the hello of a check, with its name") {
  const HelloRandom random{1, 2, 3};
  const Read named = read(probe_hello("a.example", random));
  CHECK(named.name == "a.example");
  CHECK(named.version == 0x0304);
  CHECK(read(probe_hello("", random)).name.empty());
  const std::string longest =
      std::string(63, 'a') + '.' + std::string(63, 'b') + '.' + std::string(63, 'c') + ".example";
  CHECK(read(probe_hello(longest, random)).name == longest);
}

TEST_CASE("an alert says no, and anything else goes on") {
  CHECK_FALSE(probe_refusal(21).empty());
  CHECK(probe_refusal(22).empty());
  CHECK(probe_refusal('H').empty());
}
