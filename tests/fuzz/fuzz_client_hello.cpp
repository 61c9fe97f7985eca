// The input is one byte that chooses how bytes are split, and then bytes that are used twice: as
// the bytes of a client, and as the body of a hello that is put into records.

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/hello/byte_reader.h"
#include "core/hello/client_hello.h"
#include "fuzz/property.h"
#include "support/client_hello_builder.h"
#include "support/flight.h"

using namespace sni;
using namespace sni::test;

namespace {

void require_sound(const FlightResult& result) {
  if (!result) return;
  require_canonical(result->name);
  ByteReader alpn(result->alpn_list);
  ByteReader protocol;
  while (!alpn.empty()) {
    require(alpn.prefixed_u8(protocol) && !protocol.empty(), "the ALPN list is well formed");
  }
}

void check_wire(std::span<const std::uint8_t> wire, std::size_t step) {
  const Delivery at_once = deliver(Protocol::tls, wire);
  const Delivery in_steps = deliver(Protocol::tls, wire, step, step);
  require(at_once.complete == in_steps.complete, "a flight ends alike however it arrives");
  require(at_once.result == in_steps.result, "a flight is the same however it arrives");
  require_sound(at_once.result);
}

void check_hello(std::span<const std::uint8_t> body, std::size_t record_size) {
  if (body.size() > limits::hello_bytes_default) return;
  Bytes handshake{1};
  append(handshake, prefixed(3, body));
  const FlightResult direct = copy_flight(parse_client_hello(body));
  const std::array sizes{record_size, record_size * 3, std::size_t{1}, record_size + 1};
  const Bytes wire = in_records(handshake, sizes);
  const Delivery joined = deliver(Protocol::tls, wire, record_size, record_size);
  require(joined.complete, "a whole hello is complete");
  require(joined.result == direct ||
              joined.result == FlightResult(std::unexpected(FlightError::oversized)),
          "joined records are the hello, or too many");
  const std::size_t one = 16 * 1024;
  const Bytes single = in_records(handshake, std::span(&one, 1));
  require(deliver(Protocol::tls, single).result == direct, "one record is the hello");
  require_sound(direct);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t cut = 1 + data[0] % 64;
  const std::span rest(data + 1, size - 1);
  check_wire(rest, cut);
  check_hello(rest, cut);
  return 0;
}
