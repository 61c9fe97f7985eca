#include "core/hello/tls_record.h"

#include <doctest/doctest.h>

#include <random>

#include "support/client_hello_builder.h"

using namespace sni;
using namespace sni::test;

namespace {

using Scan = std::expected<std::size_t, FlightError>;

Scan scan(std::span<const std::uint8_t> bytes,
          std::size_t hello_bytes = limits::hello_bytes_default) {
  FlightProgress progress;
  return scan_hello_records(bytes, progress, hello_bytes);
}

Scan scan_error(FlightError error) {
  return std::unexpected(error);
}

Bytes handshake_header_for(std::size_t size) {
  Bytes out{1};
  append_integer(out, 3, size);
  return out;
}

}  // namespace

TEST_CASE("the first byte that cannot be TLS is enough to say so") {
  CHECK(scan(Bytes{'G'}) == scan_error(FlightError::not_the_protocol));
  CHECK(scan(Bytes{0x80}) == scan_error(FlightError::not_the_protocol));  // SSLv2.
  CHECK(scan(Bytes{21}) == scan_error(FlightError::not_the_protocol));    // An alert.
  CHECK(scan(Bytes{22, 2}) == scan_error(FlightError::not_the_protocol));
  CHECK(scan(Bytes{23, 2}) == scan_error(FlightError::not_the_protocol));
  CHECK(scan(Bytes{22}) == Scan(5));
  CHECK(scan({}) == Scan(5));
}

TEST_CASE("a first record of TLS that is no handshake is unexpected, and an alert is a farewell") {
  for (const std::uint8_t type : {20, 23}) {
    CHECK(scan(Bytes{type}) == Scan(5));
    CHECK(scan(Bytes{type, 3}) == scan_error(FlightError::unexpected_message));
    CHECK(scan(Bytes{type, 3, 3, 0, 1, 1}) == scan_error(FlightError::unexpected_message));
  }
  CHECK(scan(Bytes{21, 3, 1, 0, 2, 1, 0}) == scan_error(FlightError::not_the_protocol));
}

TEST_CASE("a record's length is 1 to 2^14") {
  CHECK(scan(Bytes{22, 3, 1, 0, 0}) == scan_error(FlightError::malformed));
  CHECK(scan(Bytes{22, 3, 1, 0x40, 1}) == scan_error(FlightError::record_overflow));
  CHECK(scan(Bytes{22, 3, 1, 0x40, 0}) == Scan(9));
  CHECK(scan(Bytes{22, 3, 1, 0, 1}) == Scan(11));
}

TEST_CASE("the handshake type is judged as soon as it is there") {
  CHECK(scan(Bytes{22, 3, 1, 0, 200, 2}) == scan_error(FlightError::unexpected_message));
  CHECK(scan(Bytes{22, 3, 1, 0, 200, 1}) == Scan(9));
}

TEST_CASE("a hello of 2^14 bytes is taken and a longer one refused at its header") {
  Bytes wire{22, 3, 1, 0x40, 0};
  append(wire, handshake_header_for(16 * 1024));
  // The hello with its header is four bytes longer than one record can be.
  CHECK(scan(wire) == Scan(5 + 16 * 1024 + 5));
  wire.resize(5);
  append(wire, handshake_header_for(16 * 1024 + 1));
  CHECK(scan(wire) == scan_error(FlightError::oversized));
  CHECK(scan(wire, 64 * 1024) == Scan(5 + 16 * 1024 + 5));
  wire.resize(5);
  append(wire, handshake_header_for(64 * 1024 + 1));
  CHECK(scan(wire, 64 * 1024) == scan_error(FlightError::oversized));
}

TEST_CASE("an interleaved record of another type is unexpected, a later wrong header malformed") {
  const auto after_first = [](const Bytes& second) {
    Bytes wire{22, 3, 1, 0, 5, 1, 0, 0, 50, 3};
    append(wire, second);
    return scan(wire);
  };
  CHECK(after_first({21}) == scan_error(FlightError::unexpected_message));
  CHECK(after_first({23}) == scan_error(FlightError::unexpected_message));
  CHECK(after_first({22, 4}) == scan_error(FlightError::malformed));
  CHECK(after_first({22, 3, 3, 0, 0}) == scan_error(FlightError::malformed));
  CHECK(after_first({22, 3, 3, 0x40, 1}) == scan_error(FlightError::record_overflow));
}

TEST_CASE("bytes after the hello are not read") {
  const Bytes whole = browser_hello("a.example").wire();
  Bytes wire = whole;
  append(wire, Bytes{0, 0, 0});
  CHECK(scan(wire) == Scan(0));

  // Also within the record: the hello ends where its own length says.
  wire[4] = static_cast<std::uint8_t>(wire[4] + 3);
  CHECK(scan(std::span(wire).first(whole.size())) == Scan(0));
}

TEST_CASE("a hello in one record is not copied") {
  const Bytes wire = browser_hello("a.example").wire();
  FlightProgress progress;
  REQUIRE(scan_hello_records(wire, progress, limits::hello_bytes_default) == Scan(0));
  const auto hello = join_hello(wire, progress, {});
  CHECK(hello.data() == wire.data() + 9);
  CHECK(hello.size() == wire.size() - 9);
}

TEST_CASE("the joined hello is the same however its records are cut") {
  const ClientHelloBuilder builder = browser_hello("joined.example");
  const Bytes body = builder.body();
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::size_t> sizes(1 + random() % 40);
    const std::size_t size_max = round % 2 == 0 ? 5 : 500;
    for (auto& size : sizes) size = 1 + random() % size_max;
    const Bytes wire = in_records(builder.handshake(), sizes);
    FlightProgress progress;
    REQUIRE(scan_hello_records(wire, progress, limits::hello_bytes_default) == Scan(0));
    Bytes scratch(progress.needed);
    const auto hello = join_hello(wire, progress, scratch);
    REQUIRE(std::ranges::equal(hello, body));
  }
}

TEST_CASE("a hello of usual size in one-byte records is taken, more records than that are not") {
  const std::size_t bare = ClientHelloBuilder().padding(0).handshake().size();
  const auto in_bytes = [bare](std::size_t records) {
    return scan(ClientHelloBuilder().padding(records - bare).wire(1));
  };
  CHECK(in_bytes(limits::hello_records_max) == Scan(0));
  CHECK(in_bytes(limits::hello_records_max + 1) == scan_error(FlightError::oversized));
}

TEST_CASE("the scan never goes back: its cost is the number of records plus the number of calls") {
  for (const std::size_t record_size : {1uz, 2uz, 3uz, 7uz, 100uz, 16uz * 1024}) {
    CAPTURE(record_size);
    const Bytes wire = browser_hello("linear.example").wire(record_size);
    Bytes seen = wire;
    FlightProgress progress;
    std::size_t there = 1;
    std::size_t calls = 0;
    while (true) {
      // Bytes before the position may change now: they were read once.
      std::ranges::fill(std::span(seen).first(progress.position), std::uint8_t{0xff});
      const std::size_t before = progress.position;
      const auto need =
          scan_hello_records(std::span(seen).first(there), progress, limits::hello_bytes_default);
      ++calls;
      REQUIRE(need.has_value());
      REQUIRE(progress.position >= before);
      if (*need == 0) break;
      REQUIRE(*need > there);
      REQUIRE(*need <= wire.size());
      there = *need;
    }
    CHECK(there == wire.size());
    const std::size_t records = (wire.size() + record_size + 4) / (record_size + 5);
    CHECK(calls <= records + 3);
  }
}
