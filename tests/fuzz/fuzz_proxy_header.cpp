// The input is one byte that chooses the size of the steps in which the rest arrives, a PROXY
// header with whatever follows it. A parsed header is written again, and must be read as the same.

#include <algorithm>
#include <cstdint>

#include "core/limits.h"
#include "core/proxy_protocol/proxy_reader.h"
#include "core/proxy_protocol/proxy_writer.h"
#include "fuzz/property.h"

using namespace sni;
using namespace sni::test;

namespace {

using Reading = std::expected<ProxyReading, ProxyError>;

Reading read_in_steps(std::span<const std::uint8_t> bytes, std::size_t step) {
  std::size_t there = std::min(step, bytes.size());
  for (;;) {
    const Reading reading = read_proxy_header(bytes.first(there));
    if (!reading || reading->needed == 0) return reading;
    require(reading->needed > there, "the reader asks for more than is there");
    require(reading->needed <= limits::proxy_header_bytes, "the reader asks within the bound");
    require(begins_proxy_header(bytes.first(there)), "who asks for more has seen a beginning");
    if (there == bytes.size()) return reading;
    there = std::min(std::max(reading->needed, there + step), bytes.size());
  }
}

void check_written(const ProxyHeader& header, ProxyVersion version) {
  ProxyHeaderSpace space;
  const auto bytes = write_proxy_header({.version = version, .crc32c = version == ProxyVersion::v2},
                                        {.source = header.ends->source,
                                         .destination = header.ends->destination,
                                         .alpn = {},
                                         .authority = {},
                                         .unique_id = {}},
                                        space);
  const Reading again = read_proxy_header(bytes);
  require(again && again->needed == 0, "what is written can be read");
  require(again->header.ends == header.ends, "it tells the same");
  require(again->header.size == bytes.size(), "it is all of it");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span bytes(data + 1, size - 1);
  const Reading at_once = read_proxy_header(bytes);
  require(at_once == read_in_steps(bytes, 1 + data[0]), "a header is the same however it arrives");
  if (!at_once || at_once->needed != 0) return 0;
  require(at_once->header.size <= bytes.size(), "a header ends within what is there");
  if (!at_once->header.ends) return 0;
  check_written(at_once->header, ProxyVersion::v1);
  check_written(at_once->header, ProxyVersion::v2);
  return 0;
}
