#include "bench/hello.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "bench/backend.h"
#include "core/hello/first_flight.h"
#include "core/limits.h"

using namespace sni::bench;

namespace {

std::span<const std::uint8_t> octets(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> hello_and_command(const Command& command) {
  auto bytes = client_hello("s0.bench.example");
  const auto raw = std::as_bytes(std::span(&command, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  return bytes;
}

}  // namespace

TEST_CASE("the proxy's own parser takes the hello and finds the name") {
  for (const std::string name : {"s0.bench.example", "x"}) {
    const auto hello = client_hello(name);
    sni::FlightScanner scanner(sni::Protocol::tls);
    REQUIRE(scanner.scan(octets(hello)) == 0);
    std::vector<std::uint8_t> scratch(sni::limits::hello_bytes_max + sni::limits::handshake_header);
    const auto flight = scanner.parse(octets(hello), scratch);
    REQUIRE(flight.has_value());
    CHECK(flight->name() == name);
    CHECK(flight->version == 0x0304);
  }
}

TEST_CASE("the hello has the size of one with a post-quantum key share") {
  CHECK(client_hello("s0.bench.example").size() > 1448);
}

TEST_CASE("the backend finds the command behind the hello, however the bytes are cut") {
  const Command command{.op = Op::answer, .message_bytes = 77, .slot = 9};
  const auto bytes = hello_and_command(command);
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{700}, bytes.size()}) {
    Opening opening;
    Opening::State state = Opening::State::incomplete;
    std::size_t at = 0;
    while (state == Opening::State::incomplete) {
      const std::size_t length = std::min(opening.wanted(), step);
      REQUIRE(at + length <= bytes.size());
      state = opening.append(std::span(bytes).subspan(at, length));
      at += length;
    }
    CHECK(state == Opening::State::complete);
    CHECK(at == bytes.size());
    CHECK(opening.command().message_bytes == 77);
    CHECK(opening.command().slot == 9);
  }
}

TEST_CASE("bytes that are not TLS, or not a command, are refused") {
  Opening plain;
  CHECK(plain.append(std::as_bytes(std::span("GET /", 5))) == Opening::State::broken);
  Command wrong;
  wrong.magic = 1;
  const auto bytes = hello_and_command(wrong);
  Opening opening;
  CHECK(opening.append(std::span(bytes).first(5)) == Opening::State::incomplete);
  CHECK(opening.append(std::span(bytes).subspan(5)) == Opening::State::broken);
  Command greedy;
  greedy.message_bytes = 1u << 30;
  const auto too_much = hello_and_command(greedy);
  Opening bounded;
  CHECK(bounded.append(std::span(too_much).first(5)) == Opening::State::incomplete);
  CHECK(bounded.append(std::span(too_much).subspan(5)) == Opening::State::broken);
}

TEST_CASE("a pace says how much is due and when the next is") {
  const Pace pace{.bytes_per_second = 625'000'000, .start_ns = 1000};
  CHECK(pace.due(0) == 0);
  CHECK(pace.due(1000 + 1'000'000'000) == 625'000'000);
  for (const std::uint64_t bytes : {1ull, 131'072ull, 625'000'000'000ull}) {
    CHECK(pace.due(pace.when(bytes)) >= bytes);
  }
  CHECK(Pace{}.due(5) == UINT64_MAX);
}
