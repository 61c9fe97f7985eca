#include "core/hello/first_flight.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>

#include "support/client_hello_builder.h"
#include "support/flight.h"

using namespace sni;
using namespace sni::test;

namespace {

// Lines that begin with '#' say where the bytes come from.
Bytes read_hex_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file, path.string());
  Bytes bytes;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    for (std::size_t i = 0; i + 1 < line.size(); i += 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16)));
    }
  }
  return bytes;
}

std::map<std::string, Bytes> captured_hellos() {
  std::map<std::string, Bytes> hellos;
  const std::filesystem::path folder = SNI_SOURCE_DIR "/tests/support/hellos";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    hellos[entry.path().stem().string()] = read_hex_file(entry.path());
  }
  REQUIRE(hellos.size() >= 6);
  return hellos;
}

std::vector<Bytes> sample_hellos() {
  std::vector<Bytes> wires;
  for (const auto& [name, wire] : captured_hellos()) wires.push_back(wire);
  wires.push_back(browser_hello("browser.example").wire());
  wires.push_back(browser_hello("records.example").wire(50));
  wires.push_back(ClientHelloBuilder().wire(1));
  return wires;
}

constexpr std::string_view request =
    "GET http://Target.example:80/x?y HTTP/1.1\r\nHost: host.example\r\nAccept: */*\r\n\r\n";

}  // namespace

TEST_CASE("hellos of real clients are read") {
  const auto hellos = captured_hellos();
  const auto read = [&](const std::string& name) {
    const Delivery delivery = deliver(Protocol::tls, hellos.at(name));
    REQUIRE(delivery.complete);
    return delivery.result;
  };
  const Bytes h2_and_http = text_bytes("\x02h2\x08http/1.1");
  const Bytes acme = text_bytes(
      "\x0a"
      "acme-tls/1");
  const std::string name = "captured.example";
  CHECK(read("openssl_tls13") == FlightResult(FlightCopy{name, h2_and_http, 0x0304}));
  CHECK(read("openssl_tls12") == FlightResult(FlightCopy{name, {}, 0x0303}));
  CHECK(read("openssl_no_name") == FlightResult(FlightCopy{"", {}, 0x0304}));
  CHECK(read("openssl_acme") == FlightResult(FlightCopy{name, acme, 0x0304}));
  CHECK(read("curl_h2") == FlightResult(FlightCopy{name, h2_and_http, 0x0304}));
  CHECK(read("curl_address") == FlightResult(FlightCopy{"", text_bytes("\x08http/1.1"), 0x0303}));
}

TEST_CASE("a hello with a post-quantum key share is more than a segment and is read") {
  const Bytes wire = browser_hello("pq.example").wire();
  REQUIRE(wire.size() > 1400);
  CHECK(deliver(Protocol::tls, wire).result->name == "pq.example");
}

TEST_CASE("cut in two anywhere, a flight is incomplete before the cut and the same after it") {
  const auto check = [](Protocol protocol, std::span<const std::uint8_t> wire) {
    const FlightResult whole = deliver(protocol, wire).result;
    REQUIRE(whole.has_value());
    for (std::size_t split = 0; split < wire.size(); ++split) {
      CAPTURE(split);
      FlightScanner scanner(protocol);
      const auto need = scanner.scan(wire.first(split));
      REQUIRE(need.has_value());
      REQUIRE(*need > split);
      REQUIRE(*need <= wire.size());
      REQUIRE(scanner.scan(wire) == std::expected<std::size_t, FlightError>(0));
      REQUIRE(parse_flight(scanner, wire) == whole);
    }
  };
  for (const Bytes& wire : sample_hellos()) check(Protocol::tls, wire);
  check(Protocol::http, text_bytes(request));
}

TEST_CASE("byte by byte, or in steps of any size, a flight comes out the same") {
  for (const Bytes& wire : sample_hellos()) {
    const FlightResult whole = deliver(Protocol::tls, wire).result;
    for (std::size_t step = 1; step < 40; ++step) {
      CHECK(deliver(Protocol::tls, wire, step, step).result == whole);
    }
  }
  const Bytes head = text_bytes(request);
  for (std::size_t step = 1; step < 40; ++step) {
    CHECK(deliver(Protocol::http, head, step, step).result->name == "target.example");
  }
}

TEST_CASE("a byte-wise hello costs a few calls if it is in one record") {
  CHECK(deliver(Protocol::tls, browser_hello("calls.example").wire(), 1, 1).scans == 4);
}

TEST_CASE("every record layout of a hello gives the same flight") {
  const ClientHelloBuilder builder = browser_hello("layout.example");
  const FlightResult whole = deliver(Protocol::tls, builder.wire()).result;
  REQUIRE(whole->name == "layout.example");
  const Bytes handshake = builder.handshake();
  for (std::size_t size = 1; size <= handshake.size(); ++size) {
    CHECK(deliver(Protocol::tls, builder.wire(size)).result == whole);
  }
  for (std::size_t first = 1; first < handshake.size(); ++first) {
    CHECK(
        deliver(Protocol::tls, in_records(handshake, std::array{first, handshake.size()})).result ==
        whole);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::size_t> sizes(1 + random() % 60);
    for (auto& size : sizes) size = 1 + random() % 90;
    const Bytes wire = in_records(handshake, sizes);
    CHECK(deliver(Protocol::tls, wire, 1, 1 + random() % 200).result == whole);
  }
}

TEST_CASE("a mutated or truncated flight never crashes, and is judged alike however it arrives") {
  std::mt19937 random(11);
  const auto check = [&](Protocol protocol, const Bytes& wire) {
    for (std::size_t i = 0; i < wire.size(); ++i) {
      for (const int change : {0x01, 0x80, 0xff, static_cast<int>(random() % 254 + 1)}) {
        Bytes mutated = wire;
        mutated[i] = static_cast<std::uint8_t>(mutated[i] ^ change);
        const Delivery at_once = deliver(protocol, mutated);
        const Delivery in_bytes = deliver(protocol, mutated, 1, 1);
        REQUIRE(at_once.complete == in_bytes.complete);
        REQUIRE(at_once.result == in_bytes.result);
      }
      Bytes shorter = wire;
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
      deliver(protocol, shorter);
    }
  };
  for (const Bytes& wire : sample_hellos()) check(Protocol::tls, wire);
  check(Protocol::http, text_bytes(request));
}

TEST_CASE("the two protocols are not taken for each other") {
  const Bytes hello = browser_hello("a.example").wire();
  const FlightResult wrong = std::unexpected(FlightError::not_the_protocol);
  CHECK(deliver(Protocol::http, std::span(hello).first(1)).result == wrong);
  CHECK(deliver(Protocol::tls, text_bytes(request)).result == wrong);
}
